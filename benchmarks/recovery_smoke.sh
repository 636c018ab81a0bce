# The programs that measure recoveries work, tiny: what they say is read, never whether it was fast.
# shellcheck source=tests/fault/chaos_job.sh
. "$REEVE_SOURCE/tests/fault/chaos_job.sh"
make_chaos_job 1500 # so that enough of it is left after the strike
PATH=$REEVE_BIN:$PATH
within 120 "$REEVE_SOURCE/benchmarks/recovery_times.py" --kills 1 --per-job 1 --workers 2 --json kills.json . >stdout 2>stderr ||
    { cat stdout stderr; fail "recovery_times.py"; }
expect_text stdout '^\| all \| 1 \|'
expect_equal "kept" "$(json kills.json kept)" true
reeve version --json >version.json
if [ "$(json version.json ulfm)" = true ]; then
    within 120 "$REEVE_SOURCE/benchmarks/ulfm_cost.py" --pairs 1 --tasks 20000 --steps 20 --build "$REEVE_BUILD" . >stdout 2>stderr ||
        { cat stdout stderr; fail "ulfm_cost.py"; }
    expect_text stdout '^tasks a second: .* without ULFM, .* with it'
    expect_text stdout '^time of a step: .* without ULFM, .* with it'
fi
