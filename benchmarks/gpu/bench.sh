#!/usr/bin/env bash
# Step of run.sh: the model alone, by bench-gpt_cuda: micro-batches of several sizes, and the settings that can be chosen.
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
# shellcheck source=benchmarks/gpu/common.sh
. "$here/common.sh"
needs_gpu
measure() { # measure WORD...
    echo "--- bench-gpt_cuda $*"
    timeout --kill-after=5 40 "$REEVE_BIN/bench-gpt_cuda" --steps 5 --micro 4 "$@" || bad "bench-gpt_cuda $*: exit code $?"
}
for micro in 8 16 "$REEVE_GPU_MICRO"; do
    measure --batch "$micro"
done
measure --batch "$REEVE_GPU_MICRO" --bgrad
measure --batch "$REEVE_GPU_MICRO" --publish
measure --batch 8 --precision fp32 --profile
verdict
