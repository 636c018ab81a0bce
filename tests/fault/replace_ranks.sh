#!/usr/bin/env bash
# Goal: with faults.replace a lost worker's place is taken by a new process, which gets the state of the others: no step is
# lost, the run ends in the same bits, every sample is counted once, nobody is left behind, and mpirun ends. Elsewhere it is
# said that the key has no effect.
# Method: a run without an end whose workers and masters are killed at random moments (seed printed; REEVE_TEST_SEED sets it),
# each when all are there again; then it is stopped, and goes on for a few steps. Judged by exit code, digest, audit, the
# journal's WORKER_REPLACED and processes.
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

sed -i 's/steps: 40/steps: 100000000/; s/every: 10,/every: 250,/; s/eval_every: 20/eval_every: 500/' job.yaml
sed -i 's/warmup: 5/warmup: 5, decay_steps: 20000/' job.yaml
RANDOM=${REEVE_TEST_SEED:-$(($$ % 30000))}
echo "seed $RANDOM"

workers_now() { sed -n 's/.*"workers": *\([0-9]*\).*/\1/p' "$1/status.json" 2>/dev/null | head -1; }
new_processes() { cat "$1"/log/* | grep -c 'is replaced by a new process'; }

workers=3 dir=$PWD/run replaced=0
begin_run "$workers" "$dir"
# Steps are committed, all places are taken, and as many have come as were lost.
complete() {
    kill -0 "$run" 2>/dev/null || return 0
    [ "$(workers_now "$dir")" = "$workers" ] && [ "$(new_processes "$dir")" -ge "$replaced" ] &&
        [ "$(committed_step "$dir")" -gt $((before + 1)) ]
}
get_complete() { # get_complete WHERE
    before=$(committed_step "$dir")
    wait_for 60 complete || { tail run.out; fail "with $(workers_now "$dir") of $workers workers $1"; }
    kill -0 "$run" 2>/dev/null || { tail run.out; fail "the run ended $1"; }
}
# The first master never worked: its place stays empty. Later ones are workers, too.
for kill in worker master worker master two worker; do
    get_complete "before it loses: $kill"
    sleep 0.$((RANDOM % 40 + 10))
    case $kill in
    worker) kill_ranks "$dir" "$(worker_pids "$dir" | head -n 1)" ;;
    master) kill_ranks "$dir" "$(master_pid "$dir")" ;;
    two) kill_ranks "$dir" "$(worker_pids "$dir" | head -n 2)" ;;
    esac
    case $kill in
    worker) replaced=$((replaced + 1)) ;;
    master) [ "${masters:-0}" = 0 ] || replaced=$((replaced + 1)); masters=1 ;;
    two) replaced=$((replaced + 2)) ;;
    esac
done
get_complete "after all losses"
stop_and_compare "$dir" calm "the run"
expect_equal "new processes" "$(new_processes "$dir")" "$replaced"
echo "$kills killed, $replaced new processes, $last steps"
