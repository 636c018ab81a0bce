# To be sourced, behind tiny.sh: words for tests that lose ranks of a run that goes on without them.
# shellcheck shell=bash

need_ulfm() {
    [ "$(reeve version --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["ulfm"])')" = True ] ||
        skip "this MPI ends a job that loses a process (no ULFM)"
}

# The ranks of a run, and of no other: those whose command line names its folder.
rank_pids() {
    local pid
    for pid in $(pgrep -x 'reeve-rank.*'); do
        { tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null | grep -qF -- "--run-dir $1 " && echo "$pid"
    done
    true
}
master_pid() { sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' "$1/LOCK" 2>/dev/null; }
worker_pids() { rank_pids "$1" | grep -vx -- "$(master_pid "$1")" | shuf --random-source=<(yes "$RANDOM"); }

kill_ranks() { # kill_ranks RUN "PID...": all at once
    # shellcheck disable=SC2086 # a list
    [ -n "$2" ] && kill -KILL $2 2>/dev/null
    kills=$((${kills:-0} + $(wc -w <<<"$2")))
}

begin_run() { # begin_run WORKERS RUN: in the background, output in ./run.out
    within 240 reeve run job.yaml -n "$1" --run-dir "$2" -q >run.out 2>&1 &
    run=$!
}

end_run() { # end_run CODE RUN: its exit code, and that nothing of it is left
    local code=0
    wait "$run" || code=$?
    [ "$code" = "$1" ] || { tail -n 40 run.out; tail -n 5 "$2"/log/*; fail "exit code $code, expected $1"; }
    local dir=$2
    none_left() { [ -z "$(rank_pids "$dir")" ]; }
    wait_for 10 none_left || fail "ranks of $dir are left: $(rank_pids "$dir")"
}

# stop_and_compare RUN CALM NAME: asked to stop, it goes on for 20 steps more; no step was lost, every sample is counted once,
# and CALM, which nobody disturbs, ends in the same bits. Sets last, its number of steps.
stop_and_compare() {
    local dir=$1 calm=$2 name=$3 digest
    touch "$dir/STOP"
    end_run 75 "$dir"
    reeve inspect "$dir" --json >inspect.json || fail "inspect $dir"
    last=$(($(json inspect.json step) + 20))
    must_run 0 2 "$dir" --set train.steps=$last
    audit_ok "$dir"
    expect_equal "steps rolled back of $name" "$(json audit.json rolled_back_steps)" 0
    digest=$(digest_of "$dir")
    must_run 0 1 "$calm" --set train.steps=$last
    expect_equal "digest of $name" "$digest" "$(digest_of "$calm")"
}
