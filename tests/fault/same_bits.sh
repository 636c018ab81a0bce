#!/usr/bin/env bash
# Promise P1: the weights after 40 steps are the same bits for 1, 2, 3 and 5 workers, on every shuffle; another seed or
# shuffle gives others; the audit says exactly once each time.
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
make_tiny
declare -A first_of

for shuffle in block global; do
    for workers in 1 2 3 5; do
        must_run 0 "$workers" "run-$shuffle-$workers" --set data.shuffle=$shuffle
        digest=$(digest_of "run-$shuffle-$workers")
        audit_ok "run-$shuffle-$workers"
        expect_equal "steps" "$(json inspect.json step)" 40
        [ "$workers" = 1 ] && first_of[$shuffle]=$digest
        expect_equal "digest with $workers workers, shuffle $shuffle" "$digest" "${first_of[$shuffle]}"
        expect_equal "workers seen" "$(json inspect.json workers_seen)" "$workers"
        echo "shuffle $shuffle, $workers workers: $digest"
    done
done
[ "${first_of[block]}" != "${first_of[global]}" ] || fail "two shuffles gave the same weights"

must_run 0 2 run-seed --set seed=8
[ "$(digest_of run-seed)" != "${first_of[block]}" ] || fail "another seed gave the same weights"

# mpirun started by the user, rather than by reeve
code=0
within 120 mpirun -n 4 reeve run job.yaml --run-dir run-mpirun -q >run.out 2>&1 || code=$?
[ "$code" = 0 ] || { tail -n 20 run.out; fail "mpirun -n 4 reeve run: exit code $code"; }
expect_equal "digest under mpirun" "$(digest_of run-mpirun)" "${first_of[block]}"

# fp32 sums: it trains, and says that P1 does not hold
must_run 0 2 run-fast --set train.reduce=fast
reeve inspect run-fast --json >inspect.json
expect_equal "reduce of the run" "$(json inspect.json reduce)" fast
audit_ok run-fast
