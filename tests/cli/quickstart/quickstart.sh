# Goal: `bash jobs/quickstart.sh` trains, says what came of it, says that it is complete when it is run again, and goes
# on from there when more steps are asked for. Method: the script and its job in a tree of their own, with few steps.
# shellcheck source=tests/tools/expect.sh
. "$REEVE_TOOLS/expect.sh"

dpkg-query -W perl-doc >/dev/null 2>&1 || skip "the package perl-doc, whose text it trains on, is not installed"
command -v pod2text >/dev/null || skip "pod2text (package perl) is not installed"

mkdir tree
cp -r "$REEVE_SOURCE/jobs" tree/
quick=(bash tree/jobs/quickstart.sh --set sample.tokens=20)

expect_exit 0 "${quick[@]}" --set train.steps=6
cp stdout first
expect_text first 'held-out'
expect_text first 'exactly once'
expect_exit 0 "$REEVE_BIN/reeve" inspect tree/runs/quickstart --json
expect_equal "steps after the first run" "$(json stdout step)" 6
digest=$(json stdout weights_digest)

expect_exit 0 "${quick[@]}" --set train.steps=6
cat stdout stderr >second
expect_text second 'complete'
expect_exit 0 "$REEVE_BIN/reeve" inspect tree/runs/quickstart --json
expect_equal "weights after a second run that had nothing to do" "$(json stdout weights_digest)" "$digest"

expect_exit 0 "${quick[@]}" --set train.steps=9
cat stdout stderr >third
expect_text third '[Rr]esum'
expect_exit 0 "$REEVE_BIN/reeve" inspect tree/runs/quickstart --json
expect_equal "steps after going on" "$(json stdout step)" 9
expect_exit 0 "$REEVE_BIN/reeve" audit tree/runs/quickstart --json
expect_equal "exactly once, over both runs" "$(json stdout exactly_once)" true
