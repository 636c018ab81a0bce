#!/usr/bin/env bash
# `reeve chaos` on a real run: every kind of strike, the promises kept, and the figures of its report as they were; it
# refuses a folder that is not new; and it says so, with its exit code, when a promise is broken.
# shellcheck source=tests/fault/chaos_job.sh
. "$REEVE_SOURCE/tests/fault/chaos_job.sh"
export REEVE_IN_JOB=off # it counts restarts, and what a job survives by itself is none
# As many steps as take some ten seconds here, for a strike a second, and a disk of its own where that is allowed.
make_chaos_job 400
must_run 0 2 measured
steps=$(python3 - measured/metrics.jsonl <<'PYTHON'
import json, sys
times = [r["time"] for r in map(json.loads, open(sys.argv[1])) if "loss" in r]
print(max(4000, int(10 * len(times) / (times[-1] - times[0]))))
PYTHON
)
echo "$steps steps"
sed -i "s/steps: 400/steps: $steps/" job.yaml
kinds=(--kill-worker --kill-master --kill-launcher --stop --torn-write)
if [ "$(id -u)" = 0 ] && unshare --mount mount -t tmpfs none /mnt 2>/dev/null; then kinds+=(--disk-full); fi

seed=${SEED:-$$}
echo "seed $seed"
code=0
within 400 reeve chaos job.yaml -n 2 --kills "${KILLS:-6}" --every 1 --seed "$seed" --run-dir c "${kinds[@]}" --json \
    >chaos.json 2>chaos.err || code=$?
cat chaos.err
[ "$code" = 0 ] || { cat chaos.json; tail -n 20 c/broken.log; fail "exit code $code"; }
expect_equal "kept" "$(json chaos.json kept)" true
expect_equal "digests" "$(json chaos.json weights_digest)" "$(json chaos.json weights_digest_undisturbed)"
expect_equal "digest of the undisturbed run" "$(json chaos.json weights_digest)" "$(digest_of c/undisturbed)"
expect_equal "left behind" "$(json chaos.json processes_left) $(json chaos.json segments_left)" "0 0"
[ "$(json chaos.json restarts)" -ge 1 ] || fail "no restart on record"
[ "$(json chaos.json recoveries)" -ge 1 ] || fail "no recovery was measured"

# Where the job outlives losses (Open MPI 5): whoever is the master at that time is struck, no step is computed again, and
# an undisturbed run of the same job is not needed twice.
reeve version --json >version.json
if [ "$(json version.json ulfm)" = true ]; then
    code=0
    REEVE_IN_JOB=on within 240 reeve chaos job.yaml -n 5 --kills 4 --every 0.5 --seed 5 --run-dir outlived --kill-master \
        --kill-worker --leave 1 --against c/undisturbed --json >outlived.json 2>outlived.err || code=$?
    [ "$code" = 0 ] || { cat outlived.json outlived.err; tail -n 20 outlived/broken.log; fail "exit code $code where losses are outlived"; }
    expect_equal "restarts, steps computed again" "$(json outlived.json restarts) $(json outlived.json steps_again)" "0 0"
    [ "$(json outlived.json killed)" -ge 2 ] || fail "too few ranks were killed"
    expect_text outlived.json '"victim": "(.* and )?the master'
    expect_text outlived.json '"victim": "(.* and )?worker'
fi
expect_exit 65 reeve chaos job.yaml --run-dir other --against c/undisturbed --kills 1 --set seed=8
expect_text stderr 'another training'
[ ! -e other ] || fail "a refused run has left a folder"

# The folder is not new.
expect_exit 73 reeve chaos job.yaml --run-dir c --kills 1
expect_text stderr 'earlier .reeve chaos.'

# Nothing could be struck: a job that is over before the first strike proves nothing.
expect_exit 65 reeve chaos job.yaml -n 1 --run-dir short --kills 1 --every 60 --set train.steps=5 --set checkpoint.every=5
expect_text stdout 'nothing was struck'
