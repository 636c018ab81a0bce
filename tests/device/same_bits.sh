#!/usr/bin/env bash
# Goal: a workload that sums on its GPU comes to the same bits for any number of workers: those of the same mathematics
# on the CPU. Method: 1, 2 and 3 workers, exact and fast, evaluations, a sample and a checkpoint every second step, so that
# the copy to the host, the writer and the next steps overlap; stop and resume with another number; then on CPUs.
# shellcheck source=tests/device/double.sh
. "$REEVE_SOURCE/tests/device/double.sh"
make_tiny
sed -i 's/every: 10,/every: 2,/' job.yaml
echo 'sample: {tokens: 8}' >>job.yaml
expected_of on-cpu
expect_no_text on-cpu/log/rank-00000.log 'computing on'

cuda=(--set resources.device=cuda)
for workers in 1 2 3; do
    rm -f counts
    export REEVE_DEVICE_COUNTS=$PWD/counts
    must_run 0 "$workers" "run-$workers" "${cuda[@]}"
    unset REEVE_DEVICE_COUNTS
    expect_equal "digest with $workers workers" "$(digest_of "run-$workers")" "$expected"
    audit_ok "run-$workers"
    expect_equal "lines of counts" "$(wc -l <counts)" "$workers"
    read -r begun ahead < <(awk '{ b += $1; a += $2 } END { print b, a }' counts)
    expect_equal "micro-batches" "$begun" 160
    echo "$workers workers: $ahead of $begun micro-batches were brought ahead"
    [ "$ahead" -gt 0 ] || fail "no micro-batch was brought ahead"
    reeve verify "run-$workers" >verify.out || { cat verify.out; fail "verify run-$workers"; }
done
expect_text run-3/log/rank-00000.log 'computing on 3 GPUs: of unknown type'

must_run 75 3 stopped "${cuda[@]}" --stop-at 13
must_run 75 1 stopped "${cuda[@]}" --stop-at 22
must_run 0 2 stopped "${cuda[@]}"
expect_equal "digest of the stopped run" "$(digest_of stopped)" "$expected"
audit_ok stopped
expect_no_text stopped/log/rank-00000.log 'was written by'

# With the weights of another run, and an optimizer that is as it was opened.
from=(--set model.init_from=on-cpu --set seed=9)
expected_of on-cpu-from "${from[@]}"
must_run 0 2 run-from "${cuda[@]}" "${from[@]}"
expect_equal "digest with the weights of another run" "$(digest_of run-from)" "$expected"
expected=$(digest_of on-cpu)

# The same mathematics here, but nobody promises that: a resume elsewhere is told.
must_run 75 2 moved "${cuda[@]}" --stop-at 13
must_run 0 2 moved --set resources.device=cpu
expect_equal "digest of the moved run" "$(digest_of moved)" "$expected"
expect_text moved/log/rank-00000.log 'was written by: .*GPU of unknown type, CUDA [0-9.]*, .*not to the bits'

code=0
within 120 mpirun -n 3 reeve run job.yaml "${cuda[@]}" --run-dir run-mpirun -q >run.out 2>&1 || code=$?
[ "$code" = 0 ] || { tail -n 20 run.out; fail "mpirun -n 3 reeve run: exit code $code"; }
expect_equal "digest under mpirun" "$(digest_of run-mpirun)" "$expected"
expect_text run-mpirun/log/rank-00000.log 'computing on 2 GPUs'

must_run 0 2 run-fast "${cuda[@]}" --set train.reduce=fast
audit_ok run-fast
