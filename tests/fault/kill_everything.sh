#!/usr/bin/env bash
# Promises P1, P2 and P4 under kill -9 of everything at random moments, each time resumed with another number of workers:
# the run ends with the digest of the undisturbed run, and the audit says exactly once.
#
#   KILLS=200 SEED=5 reproduces or extends it by hand.
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
make_tiny
sed -i 's/steps: 40/steps: 12000/; s/every: 10,/every: 50,/; s/eval_every: 20/eval_every: 1500/' job.yaml
kills=${KILLS:-50}
RANDOM=${SEED:-$$}
echo "seed ${SEED:-$$}"

must_run 0 1 undisturbed
first=$(digest_of undisturbed)

ranks_alive() { pgrep -f -- "reeve-rank --run-dir $PWD/run" >/dev/null; }
none_alive() { ! ranks_alive; }
done_already=0
for ((k = 1; k <= kills; k++)); do
    workers=$((1 + RANDOM % 5))
    # Its own session, so that everything in it can be killed at once: reeve, mpirun, and the ranks by their folder.
    setsid reeve run job.yaml -n "$workers" --run-dir run -q >"run.out" 2>&1 &
    run=$!
    sleep "$((RANDOM % 2)).$((RANDOM % 10))$((RANDOM % 10))" # from before the first word to hundreds of steps later
    if ! kill -0 "$run" 2>/dev/null; then
        code=0
        wait "$run" || code=$?
        [ "$code" = 0 ] || { tail run.out; fail "kill $k came too late, and the run had ended with $code"; }
        done_already=1
        break
    fi
    pkill -KILL -f -- "reeve-rank --run-dir $PWD/run"
    pkill -KILL -P "$run"
    kill -KILL "$run" 2>/dev/null
    wait "$run" 2>/dev/null
    wait_for 20 none_alive || fail "ranks outlived kill -9"
    reeve verify run >verify.out 2>&1 || { cat verify.out; fail "verify after kill $k"; }
    [ $((k % 10)) != 0 ] || echo "after $k kills: $(reeve inspect run --json | python3 -c 'import json,sys; print("step", json.load(sys.stdin)["step"])')"
done
[ "$done_already" = 0 ] || echo "the run was complete after $((k - 1)) kills"
must_run 0 3 run
expect_equal "digest after the kills" "$(digest_of run)" "$first"
audit_ok run
echo "restarts: $(json audit.json restarts), steps rolled back: $(json audit.json rolled_back_steps)"
