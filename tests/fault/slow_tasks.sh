#!/usr/bin/env bash
# A worker that computes for longer than it may be silent still answers: its words come from another thread.
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
make_tiny
cat >job.yaml <<'YAML'
name: slow
workload: gpt
data:  {manifest: shards.yaml, sequence: 256, shuffle: global}
train: {steps: 1, global_batch: 64, micro_batch: 32}
model: {layers: 6, heads: 6, width: 384}
faults: {silence_warn_s: 1, silence_stop_s: 3}
resources: {workers: 2, threads: 1, device: cpu}
YAML
must_run 0 2 run
longest=$(python3 - run/journal/*.h5 <<'PYTHON'
import sys
try:
    import h5py
except ImportError:
    print(0)
    sys.exit()
with h5py.File(sys.argv[1], "r") as f:
    e = f["events"][:]
print(int(max(e["a"][e["kind"] == 7])) // 1000000)   # TASK_COMPUTED: a is the time it took, ns
PYTHON
)
echo "longest task: $longest ms"
[ "$longest" = 0 ] || [ "$longest" -gt 3000 ] || skip "this machine computes too fast for the test: $longest ms"
expect_no_text run.out 'giving up'
audit_ok run
