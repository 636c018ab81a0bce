#!/usr/bin/env bash
# Goal: what the README promises holds for a workload from a shared object, built against the installed headers alone:
# the same bits for any number of workers, through a stop, with every sample once, and files that verify. Method: the
# example of jobs/, on 1, 2 and 3 workers; then stopped and resumed on another number, with the same and another library.
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
# shellcheck source=tests/fault/plugin.sh
. "$REEVE_SOURCE/tests/fault/plugin.sh"
build_example
readelf --dynamic libridge.so | grep NEEDED >needed
expect_no_text needed 'reeve|mpi|hdf5'

for workers in 1 2 3; do
    must_run 0 "$workers" "run-$workers"
    audit_ok "run-$workers"
    expect_exit 0 reeve verify "run-$workers"
    digest=$(digest_of "run-$workers")
    [ "$workers" = 1 ] && first=$digest
    expect_equal "digest with $workers workers" "$digest" "$first"
done
expect_text run-2/job.yaml "^workload: \"?$PWD/(\./)?libridge.so\"?( |\$)" # absolute: it means the same from anywhere
reeve inspect run-2 >inspect.txt || fail "inspect run-2"
expect_text inspect.txt 'reeve [0-9.]+, libridge\.so [0-9a-f]{32}, gcc'

# The loss falls: it learns something.
python3 - run-2/metrics.jsonl <<'PYTHON' || fail "the loss does not fall"
import json, sys
losses = [r["loss"] for r in map(json.loads, open(sys.argv[1])) if "loss" in r]
sys.exit(not losses[-1] < 0.6 * losses[0])
PYTHON

# Stopped, and resumed on another number of workers, from another folder: the job and its library have moved.
must_run 75 2 "$PWD/../stopped" --stop-at 25
mkdir ../moved && cp job.yaml shards.yaml rope.txt libridge.so ../moved && cd ../moved || fail "cannot move"
must_run 0 3 "$PWD/../stopped"
expect_no_text run.out 'The run goes on, but'
expect_equal "digest after stop and resume" "$(digest_of "$PWD/../stopped")" "$first"
audit_ok "$PWD/../stopped"

# Another library of that name: the run goes on, and says that the bits are no longer promised.
must_run 75 1 changed --stop-at 25
build_so libridge.so ../example/ridge.c -O1 -DANOTHER_BUILD -Wl,--build-id=0x1234
must_run 0 2 changed
expect_text run.out 'step 25 was written by: .*libridge\.so [0-9a-f]{32}.*; this is: .*libridge\.so .*The run goes on, but'
audit_ok changed

# Every host must see the same library. Method: one rank has another file at that path, by a mount of its own.
if unshare --mount true 2>stderr; then
    cp ../example/libridge.so other.so
    cat >rank.sh <<'RANK'
if [ "${OMPI_COMM_WORLD_RANK:-0}" = 2 ]; then
    exec unshare --mount sh -c 'mount --bind other.so libridge.so && exec reeve run job.yaml --run-dir two -q'
fi
exec reeve run job.yaml --run-dir two -q
RANK
    code=0
    within 60 mpirun -n 3 bash rank.sh >run.out 2>&1 || code=$?
    [ "$code" = 65 ] || { tail -n 30 run.out; fail "two libraries of one name: exit code $code"; }
    expect_text run.out 'libridge\.so: on host .* it is libridge\.so [0-9a-f]{32}, and the master read another one'
    expect_equal "steps with two libraries" "$(committed_step two)" 0
else
    echo "not tried, two libraries of one name: $(cat stderr)"
fi
