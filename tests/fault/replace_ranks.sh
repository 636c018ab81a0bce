#!/usr/bin/env bash
# Goal: with faults.replace a lost worker's place is taken by a new process, which gets the state of the others; whatever
# becomes of that, the run ends in the same bits, every sample counted once, and nobody is left behind. Elsewhere it is said
# that the key has no effect.
# Method: a run whose workers and master are killed at random moments (seed printed; REEVE_TEST_SEED sets it), the next when
# all are there again or half a minute has passed: Open MPI's launcher may fail to start a process (docs/recovery.md).
# Judged by exit code, digest, audit, the journal's WORKER_REPLACED and processes.
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
# shellcheck source=tests/fault/ranks.sh
. "$REEVE_SOURCE/tests/fault/ranks.sh"
make_tiny
printf 'faults: {replace: true}\n' >>job.yaml

if [ "$(reeve version --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["ulfm"])')" != True ]; then
    must_run 0 2 told
    grep -q 'faults.replace has no effect' told/log/rank-00000.log || fail "it is not said that the key has no effect"
    exit 0
fi

sed -i 's/steps: 40/steps: 2500/; s/every: 10,/every: 250,/; s/eval_every: 20/eval_every: 500/' job.yaml
RANDOM=${REEVE_TEST_SEED:-$(($$ % 30000))}
echo "seed $RANDOM"
must_run 0 1 calm
expected=$(digest_of calm)

workers_now() { sed -n 's/.*"workers": *\([0-9]*\).*/\1/p' "$1/status.json" 2>/dev/null | head -1; }
new_processes() { cat "$1"/log/* | grep -c 'is replaced by a new process'; }

workers=2 dir=$PWD/run killed=0
begin_run "$workers" "$dir"
for kill in worker master worker; do
    before=$(committed_step "$dir")
    moving() { [ "$(committed_step "$dir")" -gt $((before + 1)) ] || ! kill -0 "$run" 2>/dev/null; }
    wait_for 90 moving || { tail run.out; fail "the run stands still before it loses a $kill"; }
    all_there() { [ "$(workers_now "$dir")" = "$workers" ] || ! kill -0 "$run" 2>/dev/null; }
    wait_for 30 all_there || echo "with $(workers_now "$dir") of $workers workers"
    kill -0 "$run" 2>/dev/null || { echo "the run ended before it lost a $kill"; break; }
    sleep 0.$((RANDOM % 40 + 10))
    case $kill in
    worker) kill_ranks "$dir" "$(worker_pids "$dir" | head -n 1)" ;;
    master) kill_ranks "$dir" "$(master_pid "$dir")" ;;
    esac
    killed=$((killed + 1))
done
end_run 0 "$dir"
expect_equal "digest of the run" "$(digest_of "$dir")" "$expected"
audit_ok "$dir"
echo "$killed killed, $(new_processes "$dir") new processes, $(json audit.json rolled_back_steps) steps rolled back"
[ "$(new_processes "$dir")" -gt 0 ] || fail "no process has taken a lost one's place"
[ "$(json audit.json restarts)" -gt 0 ] || expect_equal "steps rolled back" "$(json audit.json rolled_back_steps)" 0
