#!/usr/bin/env bash
# Do the scripts of this folder work? On CPUs, for a moment: the tokens, the step `train` with its kill and its refusal, the
# figures of a run, and the table. What they say of a GPU is said where there is one.
# shellcheck source=tests/tools/expect.sh
. "$REEVE_TOOLS/expect.sh"
here=$REEVE_SOURCE/benchmarks/gpu
export PYTHONDONTWRITEBYTECODE=1 CUDA_VISIBLE_DEVICES=

# ---- tokens: the same twice, all in the vocabulary, and the text comes back from them ----
cp "$REEVE_SOURCE"/docs/{plan,job}.md .
printf 'caf\303\251 \377 end' >bytes.md
for folder in one two; do
    python3 "$here/make_tokens.py" --out $folder plan.md job.md bytes.md >tokens.out || fail "make_tokens"
done
cmp one/train.bin two/train.bin && cmp one/vocabulary.txt two/vocabulary.txt || fail "two tokenisations differ"
python3 - <<'PYTHON' || fail "the tokens are not the text"
import array, ast
words = [bytes([i]) for i in range(256)] + [ast.literal_eval(line) for line in open("one/vocabulary.txt")]
tokens = array.array("H", open("one/train.bin", "rb").read())
text = b"".join(open(name, "rb").read() for name in ("bytes.md", "job.md", "plan.md"))
assert len(words) <= 50304 and b"".join(words[t] for t in tokens) == text and len(tokens) < len(text) / 2
PYTHON
expect_exit 0 "$REEVE_BIN/reeve" manifest check one/shards.yaml

# ---- run.sh train: judged as on a GPU ----
mkdir data
cat plan.md job.md >data/text.txt
printf 'dataset: docs\nformat: text\ntokenizer: bytes\nshards:\n  - path: text.txt\n' >data/shards.yaml
cat >tiny.yaml <<'YAML'
name: tiny
workload: gpt
data: {manifest: data/shards.yaml, sequence: 16}
train: {steps: 24, global_batch: 64, micro_batch: 16}
model: {layers: 1, heads: 2, width: 8}
resources: {workers: 1, threads: 1, device: cpu}
YAML
export REEVE_DATA=$PWD/data REEVE_GPU_JOB=$PWD/tiny.yaml REEVE_GPU_WORDS='--set resources.device=cpu' OUT=$PWD/results
export REEVE_GPU_TRAIN_STEPS=600 REEVE_GPU_TRAIN_EVERY=20 # it is killed behind the first, long before the last
expect_exit 0 bash "$here/run.sh" train
expect_text stdout '^train +[0-9]+ s +passed'
expect_text results/train.log 'killed and resumed: weights [0-9a-f]{32}'
[ "$(grep -c '^ok .*weights' results/train.log)" = 4 ] || fail "four runs with equal weights were expected"
expect_exit 64 bash "$here/run.sh" no-such-step

# A run whose weights differ is found: one of them is given another seed behind the script's back.
mkdir spoilt
cat >spoilt/reeve <<SCRIPT
#!/usr/bin/env bash
case "\$1 \$*" in run*train/again*) set -- "\$@" --set seed=2 ;; esac
exec "$REEVE_BIN/reeve" "\$@"
SCRIPT
chmod +x spoilt/reeve
REEVE_BIN=$PWD/spoilt expect_exit 1 bash "$here/run.sh" train
expect_text stdout '^train +[0-9]+ s +FAILED'
expect_text results/train.log '^FAILED +run again: weights [0-9a-f]{32}, and not'

# ---- figures and table ----
expect_exit 0 "$REEVE_BIN/reeve" run tiny.yaml -q -n 1 --run-dir run --set 'checkpoint={every: 4, keep: 1}'
expect_exit 0 python3 "$here/figures.py" run run bf16
grep '^{' stdout >row.jsonl
expect_equal "steps that count" "$(json row.jsonl steps)" 22
expect_equal "samples of a step" "$(json row.jsonl batch)" 64
expect_equal "checkpoints among them" "$(json row.jsonl checkpoints)" 6
for rate in 400000 420000; do
    echo '{"what": "pytorch", "precision": "bf16", "gpu": "G", "batch": 64, "micro": 16, "tokens_per_s": '$rate', "step_ms": 9}'
done >results.jsonl
cat row.jsonl >>results.jsonl
cat >bench.out <<'TEXT'
NVIDIA G, bf16

| L | C | T | V | batch | micro-batches | sums | ms a step | tokens/s | GiB | loss |
|---|---|---|---|---|---|---|---|---|---|---|
| 1 | 8 | 16 | 256 | 16 | 4 | exact | 10.00 | 102400 | 0.5 | 5.0000 |

| part of a step of 4 micro-batches | ms | share |
|---|---|---|
| products | 9.900 | 99.0 % |
| quantise and add | 0.100 | 1.0 % |
| all | 10.000 | |
TEXT
expect_exit 0 python3 "$here/figures.py" bench bench.out bf16 'bare loop'
cat stdout >>results.jsonl
expect_exit 0 python3 "$here/table.py" results.jsonl
rate=$(json row.jsonl tokens_per_s)
expect_text stdout "^reeve run +$rate +$(python3 -c "print(f'{$rate / 410000:.3f}')")"
expect_text stdout '^bare loop +102400 +0.250 +10.0 '
expect_text stdout '^bf16: exact sum 1.00 % of a step'
expect_text stdout '^bf16: dispatcher [+-][0-9.]+ % of a step'
