# To be sourced after tiny.sh: a supervised run in the background, and words to break it.
# shellcheck shell=bash

export REEVE_IN_JOB=off # what a job survives by itself is not the supervisor's: see lose_ranks.sh

# begin_run WORKERS RUN_DIR [ARGUMENT...]: in the background; $run is the `reeve run` itself, output in ./run.out
begin_run() {
    local workers=$1 dir=$2
    shift 2
    reeve run job.yaml -n "$workers" --run-dir "$PWD/$dir" -q "$@" >run.out 2>&1 &
    run=$!
}

run_is_gone() { ! kill -0 "$run" 2>/dev/null; }

# end_run SECONDS CODE: it ends by itself, with this exit code.
end_run() {
    wait_for "$1" run_is_gone || { tail run.out; fail "the run did not end in $1 s"; }
    code=0
    wait "$run" || code=$?
    [ "$code" = "$2" ] || { tail -n 30 run.out; fail "exit code $code, expected $2"; }
}

# The ranks of a run, the master first: those whose command line names its folder.
ranks_of() { pgrep -f -- "^[^ ]*reeve-rank(-cuda)? --run-dir $PWD/$1 " | sort -n; }

# worker_of RUN: one of its workers, at random; while they are being started perhaps the master, or nobody.
worker_of() { ranks_of "$1" | sed 1d | shuf -n 1 --random-source=<(yes "$RANDOM") | grep . || ranks_of "$1" | head -n 1; }

# The launcher; with one worker there is none.
launcher_of() { pgrep -P "$run" -f -- "(mpirun|prterun) .*--run-dir $PWD/$1 "; }

restarts_told() {
    if [ -e "$1/log/supervisor.log" ]; then grep -c '(restart [0-9]*)' "$1/log/supervisor.log" || true; else echo 0; fi
}
more_restarts() { [ "$(restarts_told "$1")" -gt "$2" ]; }
some_rank() { [ -n "$(ranks_of "$1")" ]; }
steps_past() { [ "$(committed_step "$1")" -gt "$2" ]; }

# nothing_left RUN_DIR: no process, and no segment of shared memory, of any launch of this run.
no_rank() { [ -z "$(ranks_of "$1")" ]; }
nothing_left() {
    wait_for 20 no_rank "$1" || fail "ranks of $1 were left behind: $(ranks_of "$1")"
    local left
    left=$(find /dev/shm -maxdepth 1 -name "reeve-$identity-*" 2>/dev/null)
    [ -z "$left" ] || fail "left in shared memory: $left"
}

# learn_identity RUN_DIR: what all launches of this run carry in their names, into $identity
learn_identity() {
    local rank
    rank=$(ranks_of "$1" | head -n 1)
    identity=$(tr '\0' '\n' <"/proc/$rank/environ" | sed -n 's/^REEVE_LAUNCH=\([0-9a-f]*\)-[0-9a-f]*$/\1/p')
    [ ${#identity} = 16 ] || fail "a rank carries no identity of its launch"
}
