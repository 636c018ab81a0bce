#!/usr/bin/env bash
# A worker that is stopped (SIGSTOP) for a while and goes on: the run waits for it, and ends in the same bits.
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
# shellcheck source=tests/fault/ranks.sh
. "$REEVE_SOURCE/tests/fault/ranks.sh"
make_tiny
sed -i 's/steps: 40/steps: 100000000/; s/every: 10,/every: 500,/; s/eval_every: 20/eval_every: 0/' job.yaml
sed -i 's/warmup: 5/warmup: 5, decay_steps: 3000/' job.yaml

within 160 reeve run job.yaml -n 3 --run-dir "$PWD/run-b" -q >run.out 2>&1 &
run=$!
past=0
some_steps() { [ "$(committed_step run-b)" -ge $((past + 5)) ]; }
for round in 1 2 3; do
    wait_for 60 some_steps || { tail run.out; fail "no progress before round $round"; }
    worker=$(worker_pids "$PWD/run-b" | head -n 1)
    [ -n "$worker" ] || fail "no worker to stop in round $round"
    kill -STOP "$worker" && sleep 0.7 && kill -CONT "$worker" || fail "the stopped worker is gone"
    past=$(committed_step run-b)
    echo "round $round: at step $past"
done
wait_for 60 some_steps || { tail run.out; fail "no progress after the last stop"; }
touch run-b/STOP
code=0
wait "$run" || code=$?
[ "$code" = 75 ] || { tail -n 20 run.out; fail "exit code $code"; }
reeve inspect run-b --json >inspect.json
last=$(($(json inspect.json step) + 20))
must_run 0 2 run-b --set train.steps=$last
audit_ok run-b
must_run 0 1 run-a --set train.steps=$last
expect_equal "digest after stopping a worker" "$(digest_of run-b)" "$(digest_of run-a)"
