#!/usr/bin/env bash
# Goal: where no process ever comes in the place of a lost one, and whoever started it is not told, a loss does not cost one master
# after the other: two are lost, and then the job goes on with those who are left, without a restart.
# Method: a library before MPI's ends each new process before MPI has begun in it; one worker is killed. It takes twice the 20 s
# that a master waits.
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
# shellcheck source=tests/fault/ranks.sh
. "$REEVE_SOURCE/tests/fault/ranks.sh"
need_ulfm
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0 # of a build that watches itself: never.so comes before it

make_tiny
printf 'faults: {replace: true}\n' >>job.yaml
sed -i 's/steps: 40/steps: 100000000/; s/every: 10,/every: 100000,/; s/eval_every: 20/eval_every: 100000/' job.yaml
mpicc -shared -fPIC -o never.so "$REEVE_SOURCE/tests/fault/never_comes.c" || fail "never_comes.c"

dir=$PWD/run
given_up() {
    cat "$dir"/log/* | grep -q '2 masters in a row were lost while they started a process' || ! kill -0 "$run" 2>/dev/null
}
under_way() { [ "$(committed_step "$dir")" -gt "$1" ] || ! kill -0 "$run" 2>/dev/null; }

LD_PRELOAD=$PWD/never.so begin_run 4 "$dir"
wait_for 60 under_way 5 || fail "no step is committed"
kill_ranks "$dir" "$(worker_pids "$dir" | head -n 1)"
wait_for 60 given_up || { tail -n 20 run.out; fail "it is not said that nobody will come"; }
wait_for 60 under_way $(($(committed_step "$dir") + 5)) || fail "it stands still with those who are left"
expect_equal "ranks that are left" "$(rank_pids "$dir" | wc -l)" 2
touch "$dir/STOP"
end_run 75 "$dir"
audit_ok "$dir"
expect_equal "steps rolled back" "$(json audit.json rolled_back_steps)" 0
expect_equal "restarts" "$(grep -c 'starting again' run.out)" 0
