#!/usr/bin/env bash
# `reeve chaos` on a real run: every kind of strike, the promises kept, and the figures of its report as they were; it
# refuses a folder that is not new; and it says so, with its exit code, when a promise is broken.
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
export REEVE_IN_JOB=off # it counts restarts, and what a job survives by itself is none
make_tiny
# Steps that take long enough for a strike a second, and a disk of its own where that is allowed.
sed -i 's/steps: 40/steps: 4000/; s/every: 10,/every: 50,/; s/eval_every: 20/eval_every: 1000/' job.yaml
sed -i 's/global_batch: 8/global_batch: 32/; s/width: 16/width: 32/' job.yaml
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

# Where the job outlives its master (Open MPI 5), another process is the master then, and is what is struck.
reeve version --json >version.json
if [ "$(json version.json ulfm)" = true ]; then
    code=0
    REEVE_IN_JOB=on within 120 reeve chaos job.yaml -n 3 --kills 2 --every 1 --seed 5 --run-dir succeeded --kill-master --json \
        >succeeded.json 2>succeeded.err || code=$?
    [ "$code" = 0 ] || { cat succeeded.json succeeded.err; fail "exit code $code where masters are succeeded"; }
    expect_equal "masters struck" "$(grep -c '"victim": "the master' succeeded.json)" 2
    expect_equal "restarts" "$(json succeeded.json restarts)" 0
fi

# The folder is not new.
expect_exit 73 reeve chaos job.yaml --run-dir c --kills 1
expect_text stderr 'earlier .reeve chaos.'

# Nothing could be struck: a job that is over before the first strike proves nothing.
expect_exit 65 reeve chaos job.yaml -n 1 --run-dir short --kills 1 --every 60 --set train.steps=5 --set checkpoint.every=5
expect_text stdout 'nothing was struck'
