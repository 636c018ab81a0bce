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

# Goal: a gradient that is not finite costs its step and nothing else, and the same for any number of workers.
for workers in 1 2 3; do
    export REEVE_DEVICE_FAULT=nan:20:$PWD/failed-nan-$workers
    must_run 0 "$workers" "run-nan-$workers" --set resources.device=cuda
    expect_text run.out 'step 20 was refused: its gradient holds NaN'
    audit_ok "run-nan-$workers"
    digest=$(digest_of "run-nan-$workers")
    [ "$digest" != "$expected" ] || fail "the refused step was applied"
    expect_equal "digest with a refused step, $workers workers" "$digest" "${refused:=$digest}"
done
