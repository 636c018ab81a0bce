#!/usr/bin/env bash
# Promise P7: h5dump and h5py open the lock, every checkpoint file and the journal; the journal also while it grows.
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
command -v h5dump >/dev/null || skip "h5dump is not installed (Debian: hdf5-tools)"
python3 -c 'import h5py' 2>/dev/null || skip "h5py is not installed (Debian: python3-h5py)"
make_tiny
sed -i 's/steps: 40/steps: 100000/; s/every: 10,/every: 200,/' job.yaml
within 150 reeve run job.yaml -n 2 --run-dir run -q >run.out 2>&1 &
run=$!
some_steps() { [ "$(committed_step run)" -ge 12 ]; }
wait_for 60 some_steps || { tail run.out; fail "the run did not begin"; }

reads=0
for _ in 1 2 3 4; do
    for f in run/journal/*.h5; do
        h5dump -H "$f" >dump.out 2>&1 || { cat dump.out; fail "h5dump of $f while the run writes"; }
        python3 - "$f" <<'PYTHON' || fail "h5py of $f while the run writes"
import sys, h5py
def sound():
    with h5py.File(sys.argv[1], "r") as f:
        e = f["events"][:]
        lsn = e["lsn"][e["lsn"] > 0]
        # A segment that has just been made is empty still; in all others the numbers follow each other.
        return (lsn[1:] == lsn[:-1] + 1).all() and (len(lsn) > 0 or f.attrs["first_lsn"] > 1)
# The kernel copies page by page: a read beside a write may have the page behind that write, and the one before it not.
assert any(sound() for _ in range(3))
PYTHON
        reads=$((reads + 1))
    done
done
kill -0 "$run" 2>/dev/null || echo "the run ended before all reads were done"
touch run/STOP
code=0
wait "$run" || code=$?
[ "$code" = 75 ] || [ "$code" = 0 ] || fail "exit code $code"
echo "$reads reads of the journal while it grew"

find run -name '*.h5' >files
while IFS= read -r f; do
    h5dump -H "$f" >dump.out 2>&1 || { cat dump.out; fail "h5dump $f"; }
    python3 -c 'import h5py, sys; h5py.File(sys.argv[1], "r").visit(lambda name: None)' "$f" || fail "h5py $f"
done <files
python3 - run <<'PYTHON' || fail "weights through h5py"
import glob, sys, h5py, numpy
newest = sorted(glob.glob(sys.argv[1] + "/checkpoint/step-*"))[-1]
count = 0
for path in sorted(glob.glob(newest + "/rank-*.h5")):
    with h5py.File(path, "r") as f:
        for name, tensor in f["model"].items() if "model" in f else []:
            assert numpy.isfinite(tensor[...]).all(), name
            count += tensor.size
print(count, "parameters read with h5py from", newest)
assert count > 1000
PYTHON
