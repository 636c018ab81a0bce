#!/usr/bin/env bash
# `reeve verify` finds every flipped byte: 500 tried, spread at random over checkpoint, journal and lock.
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
make_tiny
must_run 75 3 run --stop-at 12
expect_exit 0 reeve verify run
python3 - "${FLIPS:-500}" "${SEED:-$$}" <<'PYTHON' || fail "a flipped byte was not found"
import os, random, subprocess, sys
flips, seed = int(sys.argv[1]), int(sys.argv[2])
print("seed", seed)
random.seed(seed)
files = []
for top, _, names in os.walk("run"):
    for name in names:
        if name.endswith(".h5"):
            files.append(os.path.join(top, name))
files.sort()
# A third each: the lock, the journal's used part and skeleton, the checkpoints.
groups = {"lock": [f for f in files if f.endswith("manifest.h5")],
          "journal": [f for f in files if "/journal/" in f],
          "checkpoint": [f for f in files if "/checkpoint/" in f]}
missed = []
for n in range(flips):
    group = sorted(groups)[n % 3]
    path = random.choice(groups[group])
    at = random.randrange(os.path.getsize(path))
    bit = 1 << random.randrange(8)
    with open(path, "r+b") as f:
        f.seek(at); old = f.read(1)[0]
        f.seek(at); f.write(bytes([old ^ bit]))
    code = subprocess.run(["reeve", "verify", "run"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60).returncode
    if code != 65:
        missed.append((path, at, bit, code))
    with open(path, "r+b") as f:
        f.seek(at); f.write(bytes([old]))
for m in missed[:10]:
    print("missed: %s byte %d bit %d: exit code %d" % m)
print(flips - len(missed), "of", flips, "found")
sys.exit(1 if missed else 0)
PYTHON
expect_exit 0 reeve verify run
