#!/usr/bin/env bash
# Step of run.sh: compute-sanitizer over training steps of a small model, in both precisions: bad accesses, and races in
# shared memory. What each said is in the log.
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
# shellcheck source=benchmarks/gpu/common.sh
. "$here/common.sh"
needs_gpu
tool=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null) ||
    { echo "compute-sanitizer is not here"; exit 77; }
small=(--layers 2 --heads 2 --width 128 --sequence 130 --vocab 1001 --batch 2 --micro 2 --steps 1)

# Its own limit ends first: what the limit of the whole step leaves running would be in the way of what is measured next.
watch() { # watch KIND PRECISION
    local log=$REEVE_WORK/$1-$2.log code=0
    timeout --kill-after=5 140 "$tool" --tool "$1" --error-exitcode 99 "$REEVE_BIN/bench-gpt_cuda" "${small[@]}" --precision "$2" \
        >"$log" 2>&1 || code=$?
    if [ "$code" = 0 ] && grep -q '^| 2 |' "$log"; then
        good "$1, $2: $(grep SUMMARY "$log" | tail -n 1)"
    else
        bad "$1, $2: exit code $code"
        head -n 60 "$log"
    fi
}
for kind in memcheck racecheck; do
    for precision in bf16 fp32; do
        watch $kind $precision
    done
done
verdict
