#!/usr/bin/env bash
# What a run meets on bad ground: shards that vanish or change, tokens outside the vocabulary, damaged files, a folder of
# another job, a folder in use, a full disk. Each ends with one clear message, the documented exit code, nothing lost.
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
make_tiny

flip() { # flip FILE OFFSET: change one byte
    python3 - "$1" "$2" <<'PYTHON'
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(int(sys.argv[2])); b = f.read(1); f.seek(int(sys.argv[2])); f.write(bytes([b[0] ^ 0x40]))
PYTHON
}

must_run 0 1 whole
first=$(digest_of whole)

# A shard that changed since the lock: named, 65; put back, the run goes on.
must_run 75 2 run --stop-at 12
cp text-3.txt kept; flip text-3.txt 100
must_run 65 2 run
expect_text run.out 'text-3\.txt'
expect_no_text run.out 'Assertion|Segmentation'
rm text-3.txt
must_run 66 2 run
expect_text run.out 'text-3\.txt'
cp kept text-3.txt
must_run 0 2 run
expect_equal "digest after the shard was put back" "$(digest_of run)" "$first"
audit_ok run

# Another job in the same folder: refused, with the key that differs; the run is as it was.
must_run 65 1 run --set seed=9
expect_text run.out 'seed'
must_run 65 1 run --set model.width=32
expect_text run.out 'width'
cp shards.yaml kept.yaml; sed -i '/text-6/,$d' shards.yaml
must_run 65 1 run
expect_text run.out 'shards'
cp kept.yaml shards.yaml
expect_equal "digest after refused jobs" "$(digest_of run)" "$first"

# A folder in use.
sed 's/steps: 40/steps: 100000/' job.yaml >long.yaml
within 100 reeve run long.yaml -n 1 --run-dir "$PWD/busy" -q >busy.out 2>&1 &
run=$!
in_use() { [ "$(committed_step busy)" -ge 2 ]; }
wait_for 30 in_use || fail "the long run did not begin"
must_run 73 1 busy --set train.steps=100000
expect_text run.out 'in use'
kill -TERM "$(reeve_of reeve run long.yaml -n 1 --run-dir "$PWD/busy" -q)"
wait "$run"

# A damaged newest checkpoint: loudly back to the one before, to the same bits. Index, then a part.
for what in index.h5 rank-00000.h5; do
    must_run 75 2 "damaged-$what" --stop-at 25
    newest=$(ls -d "damaged-$what"/checkpoint/step-*25)
    flip "$newest/$what" $(($(stat -c %s "$newest/$what") / 2))
    expect_exit 65 reeve verify "damaged-$what"
    must_run 0 3 "damaged-$what"
    expect_text run.out 'falling back|cannot be used|checkpoint'
    expect_equal "digest after falling back ($what)" "$(digest_of "damaged-$what")" "$first"
    audit_ok "damaged-$what"
done

# All checkpoints damaged: 65, never a silent start from nothing.
must_run 75 1 gone --stop-at 25
for f in gone/checkpoint/step-*/index.h5; do truncate -s 100 "$f"; done
must_run 65 1 gone
expect_text run.out 'checkpoint'

# A truncated lock and a damaged journal: 65.
must_run 75 1 lock --stop-at 5
truncate -s 500 lock/manifest.h5
must_run 65 1 lock
expect_text run.out 'manifest\.h5'
must_run 75 1 journal --stop-at 5
# A journal that is gone is no new beginning: the checkpoint stays, and so does the run once the journal is back.
mv journal/journal journal-elsewhere
must_run 65 1 journal
expect_text run.out 'there is a checkpoint of step 5, and no journal: put .*journal back'
[ -s journal/checkpoint/step-0000000005/index.h5 ] || fail "the checkpoint of a run without a journal was removed"
# Nor is a folder with nothing but checkpoints in it, whoever starts there, and nothing else comes into it.
mkdir restored
cp -r journal/checkpoint restored/
must_run 65 1 restored
expect_text run.out 'there is a checkpoint of step 5, and no journal'
code=0
within 120 mpirun -n 2 reeve run job.yaml --run-dir restored -q >run.out 2>&1 || code=$?
expect_equal "exit code of ranks on checkpoints alone" "$code" 65
expect_text run.out 'there is a checkpoint of step 5, and no journal'
expect_equal "what is in a folder of checkpoints alone" "$(ls restored restored/checkpoint)" \
    "$(printf 'restored:\ncheckpoint\n\nrestored/checkpoint:\nstep-0000000005')"
rm -rf journal/journal
mv journal-elsewhere journal/journal
segment=$(find journal/journal -name '*.h5' | sort | head -n 1)
offset=$(python3 -c "
import h5py, sys
with h5py.File('$segment', 'r') as f: print(f['events'].id.get_offset())" 2>/dev/null) || offset=4096
flip "$segment" $((offset + 64 * 3 + 20))
must_run 65 1 journal
expect_text run.out "$(basename "$segment")"

# Tokens outside the vocabulary, found when they are read: file and token named, 65.
sed 's/tokenizer: bytes/tokenizer: bytes\nvocab: 100/' shards.yaml >small.yaml
sed 's/shards.yaml/small.yaml/' job.yaml >small-job.yaml
code=0
within 100 reeve run small-job.yaml -n 2 --run-dir vocab -q >run.out 2>&1 || code=$?
[ "$code" = 65 ] || { cat run.out; fail "token outside the vocabulary: exit code $code"; }
expect_text run.out 'vocab|token'

# A limit on the size of files is an error of writing, told once, and no process that was killed and is started again.
expect_exit 74 bash -c "ulimit -f 100; reeve run job.yaml -n 1 --run-dir '$PWD/limited' -q 2>&1 | cat; exit \${PIPESTATUS[0]}"
expect_text stdout 'limit on the size of a file: raise it .ulimit -f.'
expect_equal "words about it" "$(wc -l <stdout)" 1

# A full disk, where a small file system can be had: 74, and nothing that was committed is lost.
mkdir small
if mount -t tmpfs -o size=6m tmpfs small 2>/dev/null; then
    trap 'umount -l small 2>/dev/null' EXIT
    must_run 75 1 small/run --stop-at 12
    head -c 100m /dev/zero >small/filler 2>/dev/null
    code=0
    within 100 reeve run job.yaml -n 1 --run-dir small/run -q >run.out 2>&1 || code=$?
    [ "$code" = 74 ] || [ "$code" = 73 ] || { cat run.out; fail "full disk: exit code $code"; }
    expect_text run.out 'No space|full|space'
    rm small/filler
    must_run 0 2 small/run
    expect_equal "digest after a full disk" "$(digest_of small/run)" "$first"
    audit_ok small/run
    umount small
else
    echo "no tmpfs can be mounted here: the full disk was left out"
fi
