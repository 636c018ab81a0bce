# To be sourced: a tiny job on a tiny text, and words to run and judge it.
# shellcheck shell=bash

# shellcheck source=tests/tools/expect.sh
. "$REEVE_TOOLS/expect.sh"

# make_tiny: shards text-*.txt, shards.yaml and job.yaml in the current folder; 40 steps of 8 samples in 4 tasks.
make_tiny() {
    local i
    for i in 1 2 3 4 5 6; do
        awk -v n="$i" 'BEGIN {
            srand(n); split("the of a worker step gradient sum holds queue task shard sample master lease bits same every", w, " ")
            for (l = 0; l < 40 + 17 * n; l++) { for (k = 0; k < 9; k++) printf "%s ", w[int(rand() * 17) + 1]; print "." }
        }' >"text-$i.txt"
    done
    cat >shards.yaml <<'YAML'
dataset: tiny
format: text
tokenizer: bytes
shards:
  - glob: "text-[1-5].txt"
  - path: text-6.txt
    weight: 2
YAML
    cat >job.yaml <<'YAML'
name: tiny
workload: gpt
seed: 7
data:       {manifest: shards.yaml, sequence: 16, shuffle: block, block_shards: 2, holdout: 0.02}
train:      {steps: 40, global_batch: 8, micro_batch: 2, eval_every: 20}
model:      {layers: 1, heads: 2, width: 16}
optimizer:  {kind: adamw, lr: 3.0e-3, warmup: 5}
checkpoint: {every: 10, keep: 3}
resources:  {workers: 1, threads: 1, device: cpu}
YAML
}

# run_job WORKERS RUN_DIR [ARGUMENT...]: with a deadline, quiet; sets $code, output in ./run.out
run_job() {
    local workers=$1 dir=$2
    shift 2
    code=0
    within 240 reeve run job.yaml -n "$workers" --run-dir "$dir" -q "$@" >run.out 2>&1 || code=$?
}

must_run() { # must_run CODE WORKERS RUN_DIR [ARGUMENT...]
    local expected=$1
    shift
    run_job "$@"
    [ "$code" = "$expected" ] || { tail -n 30 run.out; tail -n 5 "$2"/log/* 2>/dev/null; fail "exit code $code, expected $expected: run -n $*"; }
}

digest_of() { # the weights' digest of a run
    reeve inspect "$1" --json >inspect.json || fail "inspect $1"
    json inspect.json weights_digest
}

audit_ok() { # the run's audit says exactly once
    reeve audit "$1" --json >audit.json || { cat audit.json; fail "audit $1"; }
    expect_equal "exactly_once of $1" "$(json audit.json exactly_once)" true
    expect_equal "duplicates of $1" "$(json audit.json duplicates)" 0
    expect_equal "missing of $1" "$(json audit.json missing)" 0
    expect_equal "samples of $1" "$(json audit.json samples_committed)" "$(json audit.json samples_expected)"
}

# reeve_of COMMAND...: the process of a `reeve` that was started in the background with exactly these words.
reeve_of() { pgrep -x -f -- "$*"; }

# committed_step RUN: of status.json, 0 where there is none yet.
committed_step() {
    sed -n 's/.*"step": *\([0-9]*\).*/\1/p' "$1/status.json" 2>/dev/null | head -1 | grep . || echo 0
}
