# What a finished run tells of itself: the keys that programs rely on, the same facts from every verb, in words too.
# shellcheck source=tests/cli/data.sh
. "$REEVE_SOURCE/tests/cli/data.sh"

make_text
steps=12
set -- --run-dir run --set train.steps=$steps --set checkpoint.every=5 --set train.eval_every=6 -q
expect_exit 75 within 100 reeve run job.yaml -n 1 "$@" --stop-at 7
expect_exit 0 within 100 reeve run job.yaml -n 1 "$@"

expect_exit 0 reeve inspect run --json
one_json stdout
cp stdout inspect.json
expect_equal step "$(json inspect.json step)" $steps
expect_equal samples "$(json inspect.json samples)" $((steps * 8))
expect_equal epoch "$(json inspect.json epoch)" 0
expect_equal workers_seen "$(json inspect.json workers_seen)" 1
expect_equal complete "$(json inspect.json complete)" true
expect_equal restarts "$(json inspect.json restarts)" 1
expect_equal reduce "$(json inspect.json reduce)" exact
expect_equal same_bits "$(json inspect.json same_bits)" true
expect_equal weights_step "$(json inspect.json weights_step)" $steps
expect_equal "end of the first start" "$(json inspect.json starts.0.end)" stopped
expect_equal "last step of the first start" "$(json inspect.json starts.0.last_step)" 7
expect_equal "second start resumed at" "$(json inspect.json starts.1.resumed_at)" 7
expect_equal "end of the second start" "$(json inspect.json starts.1.end)" complete
for key in weights_digest manifest_digest; do
    [[ $(json inspect.json $key) =~ ^[0-9a-f]{32}$ ]] || fail "$key is no digest: $(json inspect.json $key)"
done
python3 -c 'import json; r = json.load(open("inspect.json")); assert 0 < r["loss"] < 7 and 0 < r["eval_loss"] < 7, r["loss"]' ||
    fail "loss"

# The same facts elsewhere.
expect_exit 0 reeve inspect run --checkpoint $steps --json
one_json stdout
expect_equal "digest of the checkpoint" "$(json stdout checkpoint.weights_digest)" "$(json inspect.json weights_digest)"
expect_equal "manifest of the checkpoint" "$(json stdout checkpoint.manifest_digest)" "$(json inspect.json manifest_digest)"
expect_equal "group of the first tensor" "$(json stdout tensors.0.group)" model
expect_exit 0 reeve manifest show run --json
expect_equal "digest of manifest show" "$(json stdout manifest_digest)" "$(json inspect.json manifest_digest)"
expect_exit 0 reeve plan run --json
expect_equal "digest of plan" "$(json stdout manifest_digest)" "$(json inspect.json manifest_digest)"
expect_exit 0 reeve manifest check run
expect_exit 0 reeve audit run --json
one_json stdout
expect_equal exactly_once "$(json stdout exactly_once)" true
expect_equal samples_committed "$(json stdout samples_committed)" $((steps * 8))
expect_equal samples_expected "$(json stdout samples_expected)" $((steps * 8))
expect_equal duplicates "$(json stdout duplicates)" 0
expect_equal missing "$(json stdout missing)" 0
expect_exit 0 reeve status run --json
one_json stdout
expect_equal state "$(json stdout state)" complete
expect_equal "loss of status" "$(json stdout loss)" "$(json inspect.json loss)"
expect_exit 0 reeve verify run --json
one_json stdout
expect_equal ok "$(json stdout ok)" true

# metrics.jsonl: each step once, with the loss that the journal has.
python3 - <<'PYTHON' || fail "metrics.jsonl"
import json
rows = []
for line in open("run/metrics.jsonl"):
    o = json.loads(line)
    if o.get("event") == "resumed": rows = [r for r in rows if r["step"] <= o["step"]]
    elif "event" not in o: rows.append(o)
assert [r["step"] for r in rows] == list(range(1, 13)), [r["step"] for r in rows]
assert rows[-1]["loss"] == json.load(open("inspect.json"))["loss"]
PYTHON

# And in words.
expect_exit 0 reeve inspect run
expect_text stdout "^weights +$(json inspect.json weights_digest) after step $steps"
expect_exit 0 reeve inspect run --checkpoint $steps
expect_text stdout 'wte|weight'
expect_exit 0 reeve audit run
expect_text stdout '^EXACTLY ONCE: each of the 96 samples of 12 steps'
expect_exit 0 reeve status run
expect_text stdout '^run: complete'
expect_exit 66 reeve inspect run --checkpoint 3
one_line stderr 'no checkpoint of step 3 is on record'
