# The plan as it is told: every sample of an epoch once, the held-out part never, and nothing depends on a lock.
# shellcheck source=tests/cli/data.sh
. "$REEVE_SOURCE/tests/cli/data.sh"

make_text
expect_exit 0 reeve plan job.yaml --json
one_json stdout
expect_equal from_lock "$(json stdout from_lock)" false
expect_equal micro_batches_per_step "$(json stdout micro_batches_per_step)" 4
digest=$(json stdout manifest_digest)
expect_exit 0 reeve plan job.yaml
expect_text stdout '^epoch '
expect_text stdout 'measured now'
expect_equal "a lock was made" "$(ls ./*.h5 2>/dev/null)" ""

expect_exit 0 reeve plan job.yaml --step 3
expect_text stdout '^step 3$'
expect_equal micro-batches "$(grep -c 'micro-batch' stdout)" 4
expect_equal samples "$(grep -c 'sample ' stdout)" 8

# Goal: over one epoch each training sample is named once (the one of weight 2 twice), on every shuffle.
for shuffle in none block global; do
    expect_exit 0 reeve plan job.yaml --json --set data.shuffle=$shuffle
    samples=$(json stdout epoch_samples)
    steps=$((samples / 8 + 1))
    expect_exit 0 reeve plan job.yaml --set data.shuffle=$shuffle --set train.steps=$steps --step "1-$steps" --json
    one_json stdout
    python3 - "$samples" <<'PYTHON' || fail "the epoch is not told exactly once ($shuffle)"
import json, sys
plan = json.load(open("stdout"))
seen = {}
for step in plan["steps"]:
    for micro in step["micro_batches"]:
        for s in micro["samples"]:
            assert s["token_end"] - s["token_begin"] == plan["sequence"] + 1
            assert s["token_begin"] == s["sample"] * plan["sequence"]
            if s["epoch"] == 0:
                key = (s["path"], s["visit"], s["sample"])
                assert key not in seen, key
                seen[key] = s["ordinal"]
assert len(seen) == int(sys.argv[1]), (len(seen), sys.argv[1])
assert sorted(seen.values()) == list(range(len(seen)))
twice = {(p, n) for p, v, n in seen if v == 1}
assert twice and all(p == "pod/text-5.pod" for p, n in twice)
PYTHON
done

# The same plan through a lock, from another folder, and told twice.
expect_exit 0 reeve plan job.yaml --step 1-40 --json
cp stdout without
expect_exit 0 reeve manifest lock shards.yaml
expect_exit 0 reeve plan job.yaml --step 1-40 --json
cmp stdout without || fail "the plan depends on the lock"
mkdir elsewhere
(cd elsewhere && reeve plan ../job.yaml --step 1-40 --json) >stdout || fail "plan from another folder"
cmp stdout without || fail "the plan depends on the folder"
expect_exit 0 reeve plan job.yaml --json
expect_equal from_lock "$(json stdout from_lock)" true
expect_equal manifest_digest "$(json stdout manifest_digest)" "$digest"
expect_exit 0 reeve plan job.yaml --set seed=8 --step 1-40 --json
cmp -s stdout without && fail "another seed gives the same plan"

for step in 0 41 -1 x 1-0 3- 1-2-3 99999999999999999999999; do
    expect_exit 64 reeve plan job.yaml --step="$step"
    one_line stderr -- '--step'
done
