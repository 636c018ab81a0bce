#!/usr/bin/env bash
# Goal: with faults.replace a lost worker's place is taken by a new process, which gets the state of the others; whatever
# becomes of that, the run ends in the same bits, every sample counted once, and nobody is left behind.
# Method: runs whose workers and master are killed at random moments (seed printed; REEVE_TEST_SEED sets it), the next when
# all are there again or half a minute has passed: Open MPI's launcher may fail to start a process (docs/recovery.md).
# Judged by exit code, digest, audit and processes.
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
# shellcheck source=tests/fault/ranks.sh
. "$REEVE_SOURCE/tests/fault/ranks.sh"
make_tiny
sed -i 's/steps: 40/steps: 3000/; s/every: 10,/every: 250,/; s/eval_every: 20/eval_every: 500/' job.yaml
RANDOM=${REEVE_TEST_SEED:-$(($$ % 30000))}
echo "seed $RANDOM"
must_run 0 1 calm
expected=$(digest_of calm)
printf 'faults: {replace: true}\n' >>job.yaml

if [ "$(reeve version --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["ulfm"])')" != True ]; then
    must_run 0 2 told
    expect_equal "digest" "$(digest_of told)" "$expected"
    grep -q 'faults.replace has no effect' told/log/rank-00000.log || fail "it is not said that the key has no effect"
    exit 0
fi

workers_now() { sed -n 's/.*"workers": *\([0-9]*\).*/\1/p' "$1/status.json" 2>/dev/null | head -1; }

# replaced WORKERS KILL...
replaced() {
    local workers=$1 dir="$PWD/run-$((++runs))" kill before
    shift
    begin_run "$workers" "$dir"
    for kill in "$@"; do
        before=$(committed_step "$dir")
        moving() { [ "$(committed_step "$dir")" -gt $((before + 1)) ] || ! kill -0 "$run" 2>/dev/null; }
        wait_for 90 moving || { tail run.out; fail "run $runs stands still before: $kill"; }
        for _ in $(seq 300); do
            [ "$(workers_now "$dir")" = "$workers" ] && break
            kill -0 "$run" 2>/dev/null || break
            sleep 0.1
        done
        kill -0 "$run" 2>/dev/null || { echo "run $runs ended before: $kill"; break; }
        sleep 0.$((RANDOM % 90 + 10))
        case $kill in
        worker) kill_ranks "$dir" "$(worker_pids "$dir" | head -n 1)" ;;
        master) kill_ranks "$dir" "$(master_pid "$dir")" ;;
        esac
    done
    end_run 0 "$dir"
    expect_equal "digest of run $runs ($*)" "$(digest_of "$dir")" "$expected"
    audit_ok "$dir"
    echo "run $runs: $workers workers, killed: $*; $(cat "$dir"/log/* | grep -c 'is replaced by a new process') new processes," \
        "$(json audit.json rolled_back_steps) steps rolled back"
}

runs=0
replaced 2 worker master worker
