#!/usr/bin/env bash
# Step of run.sh: the tests of sums over NCCL on the real library, with as many ranks as there are GPUs.
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
# shellcheck source=benchmarks/gpu/common.sh
. "$here/common.sh"
needs_gpu
gpus=$(gpu_count)
ran=0
for ranks in 1 2 3 5 8; do
    [ "$ranks" -le "$gpus" ] || continue
    for test in "$REEVE_TEST_BIN"/test_nccl_real_*; do
        [ -x "$test" ] || continue
        [ "$ranks" = 1 ] || [ "${test##*_}" != communicator ] || continue # a world of one
        ran=$((ran + 1))
        if timeout --kill-after=5 90 mpirun -n "$ranks" --oversubscribe --bind-to none "$test"; then
            good "$(basename "$test") with $ranks ranks"
        else
            bad "$(basename "$test") with $ranks ranks: exit code $?"
        fi
    done
done
[ "$ran" -gt 0 ] || { echo "no tests of NCCL in $REEVE_TEST_BIN"; exit 77; }
[ "$gpus" -gt 1 ] || echo "        one GPU: sums of a single rank, which need no NCCL, and a communicator of one"
verdict
