# To be sourced: small data in every shard format, and a job on it.
# shellcheck shell=bash

# shellcheck source=tests/tools/expect.sh
. "$REEVE_TOOLS/expect.sh"

# make_text: five texts of different lengths in pod/, shards.yaml and job.yaml.
make_text() {
    local i
    mkdir -p pod
    for i in 1 2 3 4 5; do
        awk -v n="$i" 'BEGIN { for (l = 0; l < 40 * n; l++) printf "line %d of text %d says something\n", l, n }' >"pod/text-$i.pod"
    done
    cat >shards.yaml <<'YAML'
dataset: pods
format: text
tokenizer: bytes
shards:
  - glob: "pod/text-[1-4].pod"
  - path: pod/text-5.pod
    weight: 2
    priority: 5
YAML
    cat >job.yaml <<'YAML'
name: small
workload: gpt
seed: 7
data:       {manifest: shards.yaml, sequence: 16, shuffle: block, block_shards: 2, holdout: 0.05}
train:      {steps: 40, global_batch: 8, micro_batch: 2}
model:      {layers: 1, heads: 2, width: 16}
optimizer:  {kind: adamw, lr: 3.0e-3, warmup: 5}
YAML
}

# make_llmc FILE COUNT: an llm.c shard of COUNT tokens 0, 1, 2 ... below 1000
make_llmc() {
    python3 - "$1" "$2" <<'PYTHON'
import struct, sys
n = int(sys.argv[2])
with open(sys.argv[1], "wb") as f:
    f.write(struct.pack("<256i", 20240520, 1, n, *([0] * 253)))
    f.write(struct.pack(f"<{n}H", *(i % 1000 for i in range(n))))
PYTHON
}

# make_nanogpt FILE COUNT
make_nanogpt() {
    python3 - "$1" "$2" <<'PYTHON'
import struct, sys
n = int(sys.argv[2])
open(sys.argv[1], "wb").write(struct.pack(f"<{n}H", *(i % 1000 for i in range(n))))
PYTHON
}

# The python that has h5py: the distribution's, which may not be the first on PATH. Empty where there is none.
python_h5py=
for python in python3 /usr/bin/python3; do
    if [ -z "$python_h5py" ] && "$python" -c 'import h5py, numpy' 2>/dev/null; then python_h5py=$python; fi
done

# make_hdf5 FILE COUNT
make_hdf5() {
    "$python_h5py" - "$1" "$2" <<'PYTHON'
import h5py, numpy, sys
with h5py.File(sys.argv[1], "w") as f:
    f["tokens"] = numpy.arange(int(sys.argv[2]), dtype="<u2") % 1000
PYTHON
}

# flip FILE OFFSET: change one byte
flip() {
    python3 - "$1" "$2" <<'PYTHON'
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(int(sys.argv[2]))
    byte = f.read(1)[0]
    f.seek(int(sys.argv[2]))
    f.write(bytes([byte ^ 0x41]))
PYTHON
}

# one_json FILE: exactly one JSON value, and nothing else
one_json() {
    python3 -m json.tool "$1" >/dev/null || { head -c 500 "$1"; fail "$1 is not one JSON value"; }
}

# one_line FILE PATTERN: one line of text that matches
one_line() {
    expect_equal "lines of $1" "$(wc -l <"$1")" 1
    expect_text "$1" "$2"
}
