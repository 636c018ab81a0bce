#!/usr/bin/env bash
# Goal: a GPU that fails ends its process, and the run goes on without a hand to the same bits. Method: each function of
# the workload fails once, as CUDA does, in the middle of a run; those that others wait for, among two workers.
# shellcheck source=tests/device/double.sh
. "$REEVE_SOURCE/tests/device/double.sh"
make_tiny
expected_of on-cpu

fault() { # fault WORKERS FUNCTION STEP
    local dir="run-$1-$2"
    export REEVE_DEVICE_FAULT=$2:$3:$PWD/failed-$1-$2
    must_run 0 "$1" "$dir" --set resources.device=cuda
    [ -e "failed-$1-$2" ] || fail "$2 did not fail"
    expect_text run.out "workload gpt, (device_)?$2 on GPU [01]: an illegal memory access was encountered"
    expect_equal "digest after a fault in $2" "$(digest_of "$dir")" "$expected"
    audit_ok "$dir"
}

for function in begin prefetch end zero digest apply publish published; do
    fault 1 "$function" 20
done
for function in end digest; do
    fault 2 "$function" 20
done
