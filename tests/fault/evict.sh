#!/usr/bin/env bash
# Goal: a rank that is stopped for good is put out of its job, whatever it was doing, and the job goes on in the same launch
# to the same bits; one that wakes up about then is counted once, or not at all. Method: SIGSTOP to workers, the master, a
# master and a worker at once, in runs that write a checkpoint all the time; to a worker that has nothing to do; and to one
# that runs commands. Judged by exit code, digest, audit and journal, and that no stopped process is left.
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
# shellcheck source=tests/fault/ranks.sh
. "$REEVE_SOURCE/tests/fault/ranks.sh"
# shellcheck source=tests/fault/exec_run.sh
. "$REEVE_SOURCE/tests/fault/exec_run.sh"
need_ulfm
RANDOM=${REEVE_TEST_SEED:-$(($$ % 30000))}
echo "seed $RANDOM"

stop_ranks() { # stop_ranks "PID...": all at once
    # shellcheck disable=SC2086 # a list
    kill -STOP $1 2>/dev/null
}
gone() { # none of these is left
    local pid
    for pid in $1; do [ ! -e "/proc/$pid" ] || return 1; done
}
runs() { kill -0 "$run" 2>/dev/null; }
more_steps() { [ "$(committed_step "$dir")" -gt "$before" ] || ! runs; }

# stop WORKERS WHO...: a run in which these are stopped, one after the other, each while steps are committed
stop() {
    local workers=$1 victims who
    shift
    dir="$PWD/run-$((++count))"
    within 240 reeve run job.yaml -n "$workers" --run-dir "$dir" -q --set faults.evict_min_s=3 >run.out 2>&1 &
    run=$!
    for who in "$@"; do
        before=$(committed_step "$dir")
        wait_for 60 more_steps || { tail run.out; fail "run $count stands still before: $who"; }
        runs || fail "run $count ended before: $who"
        sleep 0.0$((RANDOM % 9))
        case $who in
        worker) victims=$(worker_pids "$dir" | head -n 1) ;;
        master | waking) victims=$(master_pid "$dir") ;;
        both) victims="$(master_pid "$dir") $(worker_pids "$dir" | tail -n 1)" ;;
        esac
        stop_ranks "$victims"
        before=$(committed_step "$dir")
        if [ "$who" = waking ]; then # about when it is put out
            sleep "$((2 + RANDOM % 3)).$((RANDOM % 10))"
            # shellcheck disable=SC2086
            kill -CONT $victims 2>/dev/null
        else
            left_alone() { gone "$victims"; }
            wait_for 100 left_alone || { tail run.out; fail "run $count: $who is still there: $victims"; }
        fi
        wait_for 60 more_steps || { tail run.out; fail "run $count stands still after: $who"; }
    done
    end_run 0 "$dir"
    expect_equal "digest of run $count ($*)" "$(digest_of "$dir")" "$expected"
    audit_ok "$dir"
    expect_equal "rolled back steps of run $count ($*)" "$(json audit.json rolled_back_steps)" 0
    expect_equal "restarts of run $count ($*)" "$(json audit.json restarts)" 0
    echo "run $count: $workers workers, stopped: $*"
}

make_tiny
sed -i 's/steps: 40/steps: 4000/; s/every: 10,/every: 4,/; s/eval_every: 20/eval_every: 500/' job.yaml
must_run 0 1 calm
expected=$(digest_of calm)
count=0
stop 5 worker both waking # 5 workers and 4 tasks a step: one of them is idle

# The commands of a worker that is stopped are run by others, and its own are ended with it.
seq 40 | sed 's|.*|sleep 0.2; echo done >>effects/$REEVE_TASK|' >list.txt
mkdir effects
exec_job <<<'  list.txt'
printf 'faults: {evict_min_s: 3}\n' >>job.yaml
begin_run 3 "$PWD/list"
some_effects() { [ "$(find effects -type f | wc -l)" -ge 4 ] || ! runs; }
wait_for 60 some_effects || fail "no command ended"
stop_ranks "$(worker_pids "$PWD/list" | head -n 1)"
end_run 0 "$PWD/list"
exactly_once list 40
expect_equal "restarts of the list" "$(json audit.json restarts)" 0
