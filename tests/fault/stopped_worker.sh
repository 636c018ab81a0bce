#!/usr/bin/env bash
# A worker that is stopped (SIGSTOP) for a while and goes on: the run waits for it, and ends in the same bits.
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
make_tiny
sed -i 's/steps: 40/steps: 3000/; s/every: 10,/every: 500,/; s/eval_every: 20/eval_every: 0/' job.yaml
must_run 0 1 run-a
first=$(digest_of run-a)

within 160 reeve run job.yaml -n 3 --run-dir "$PWD/run-b" -q >run.out 2>&1 &
run=$!
# The ranks of this run, and of no other: those whose command line names its folder.
ranks_of() { pgrep -f -- "reeve-rank --run-dir $PWD/run-b" || true; }
some_steps() { [ "$(committed_step run-b)" -ge 5 ]; }
wait_for 60 some_steps || { tail run.out; fail "the run did not begin"; }
stops=0
for round in 1 2 3; do
    for pid in $(ranks_of | tail -n +3 | head -n 1); do
        kill -STOP "$pid" 2>/dev/null && sleep 0.7 && kill -CONT "$pid" 2>/dev/null
    done
    echo "round $round: at step $(committed_step run-b)"
    stops=$((stops + 1))
done
code=0
wait "$run" || code=$?
[ "$code" = 0 ] || { tail -n 20 run.out; fail "exit code $code"; }
expect_equal "digest after stopping a worker" "$(digest_of run-b)" "$first"
audit_ok run-b
