#!/usr/bin/env bash
# Goal: kill -9 of any process of a job, the master included, and the job goes on to the same bits; no step is lost.
# Method: runs of several workers whose processes are killed at random moments (seed printed; REEVE_TEST_SEED sets it):
# workers, masters, two at once, and down to the last one. Each has more steps than can be done, is stopped when it has got on
# after the last loss, and finished by two. Judged by exit code, digest, audit and journal.
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
# shellcheck source=tests/fault/ranks.sh
. "$REEVE_SOURCE/tests/fault/ranks.sh"
need_ulfm
make_tiny
sed -i 's/steps: 40/steps: 100000000/; s/every: 10,/every: 250,/; s/eval_every: 20/eval_every: 500/' job.yaml
sed -i 's/warmup: 5/warmup: 5, decay_steps: 20000/' job.yaml
RANDOM=${REEVE_TEST_SEED:-$(($$ % 30000))}
echo "seed $RANDOM"

get_on() { # get_on WHERE: more steps are committed
    local before
    before=$(committed_step "$dir")
    more_steps() { [ "$(committed_step "$dir")" -gt $((before + 1)) ] || ! kill -0 "$run" 2>/dev/null; }
    wait_for 60 more_steps || { tail run.out; fail "run $runs stands still $1"; }
    kill -0 "$run" 2>/dev/null || { tail run.out; fail "run $runs ended $1"; }
}

# lose WORKERS KILL...: a run in which these are killed, one after the other, each some steps after the one before
lose() {
    local workers=$1 dir="$PWD/run-$((++runs))" kill last
    shift
    begin_run "$workers" "$dir"
    for kill in "$@"; do
        get_on "before: $kill"
        sleep 0.$((RANDOM % 90 + 10))
        case $kill in
        worker) kill_ranks "$dir" "$(worker_pids "$dir" | head -n 1)" ;;
        master) kill_ranks "$dir" "$(master_pid "$dir")" ;;
        two) kill_ranks "$dir" "$(worker_pids "$dir" | head -n 2)" ;;
        both) kill_ranks "$dir" "$(master_pid "$dir") $(worker_pids "$dir" | tail -n 1)" ;;
        esac
    done
    get_on "after: $*"
    get_on "after: $*" # the first may have been committed before the loss was seen
    stop_and_compare "$dir" "calm-$runs" "run $runs ($*)"
    echo "run $runs: $workers workers, killed: $*; $last steps"
}

runs=0
lose 3 worker worker
lose 3 master
lose 4 master worker master
lose 5 two both
lose 4 both both
lose 5 worker master master worker master
echo "$kills processes killed"
expect_equal "processes killed" "$kills" 19
