#!/usr/bin/env bash
# All that has to be checked and measured where a GPU is, in one command: a few minutes on one GPU.
#
#   benchmarks/gpu/run.sh [STEP...]         without steps: all of them, but fp32 and nccl
#
#   kernels attention gpt    each kernel, and the model, against the CPU's mathematics in fp64 (tests/gpu)
#   sanitizer                compute-sanitizer over a small model: memcheck, racecheck
#   bench                    gradient and optimiser step alone (bench-gpt_cuda), with several micro-batches and settings
#   speed                    PyTorch, bench-gpt_cuda, Reeve through its dispatcher, PyTorch again: jobs/gpt2-124m.yaml, bf16
#   fp32                     the same in fp32
#   train                    equal bits from run to run and through kill -9, under mpirun too; what must be refused
#   nccl                     sums over NCCL, on as many GPUs as there are
#
# Whatever the order of the words: checks run first, and what is measured runs alone, but for PyTorch's compiler, which
# works beside the checks. A step that fails does not stop the others. The last thing printed is a table.
#
#   OUT              where the log of each step and results.txt go (default: gpu-results)
#   REEVE_BIN        folder of the programs (default: build/bin)        REEVE_TEST_BIN   of the tests (build/tests)
#   REEVE_DATA       shards.yaml and train.bin, as make_tokens.py writes them (default: runs/gpt2-124m-data)
#   REEVE_GPU_MICRO  samples of a micro-batch (default 32; 16 where less than 80 GB are there)
#   REEVE_GPU_BATCH  samples of a step, for the speed (512)             REEVE_GPU_STEPS  measured steps (10)
#
# Exit codes: 0; 1 a step failed; 64 usage; 66 no programs or data.
set -uo pipefail

here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
source_dir=$(dirname "$(dirname "$here")")
declare -A limit=([kernels]=120 [attention]=120 [gpt]=180 [sanitizer]=600 [bench]=90 [speed]=240 [fp32]=300 [train]=240 [nccl]=120)
order=(kernels attention gpt sanitizer nccl bench speed fp32 train)
usual=(kernels attention gpt sanitizer bench speed train)

case ${1:-} in
-h | --help)
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
    exit 0
    ;;
esac
declare -A wanted=()
for step in "${@:-${usual[@]}}"; do
    [ -n "${limit[$step]:-}" ] || { echo "run.sh: no step '$step'; there are: ${order[*]}" >&2; exit 64; }
    wanted[$step]=1
done

export REEVE_BIN=${REEVE_BIN:-$source_dir/build/bin} REEVE_TEST_BIN=${REEVE_TEST_BIN:-$source_dir/build/tests}
export REEVE_DATA=${REEVE_DATA:-$source_dir/runs/gpt2-124m-data} REEVE_SOURCE=$source_dir
export REEVE_GPU_MICRO=${REEVE_GPU_MICRO:-32} REEVE_GPU_BATCH=${REEVE_GPU_BATCH:-512} REEVE_GPU_STEPS=${REEVE_GPU_STEPS:-10}
export PATH=$REEVE_BIN:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
out=${OUT:-$PWD/gpu-results}
mkdir -p "$out" || exit 73
[ -x "$REEVE_BIN/reeve" ] || { echo "run.sh: no programs in $REEVE_BIN: build with CUDA (docs/gpu.md)" >&2; exit 66; }
if [ ! -f "$REEVE_DATA/shards.yaml" ] && [ -n "${wanted[speed]:-}${wanted[fp32]:-}${wanted[train]:-}" ]; then
    echo "run.sh: no data in $REEVE_DATA: make it with benchmarks/gpu/make_tokens.py (see jobs/gpt2-124m.yaml)" >&2
    exit 66
fi
work=$(mktemp -d)
export REEVE_WORK=$work REEVE_RESULTS=$work/results.jsonl
torch_pid=
stop_torch() {
    [ -z "$torch_pid" ] || kill "$torch_pid" 2>/dev/null
}
trap 'stop_torch; rm -rf "$work"' EXIT
: >"$REEVE_RESULTS"

if [ -n "${wanted[train]:-}${wanted[speed]:-}${wanted[fp32]:-}" ] && [ "$(id -u)" = 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
nvidia-smi --query-gpu=name,driver_version,memory.total,memory.free,clocks.sm,clocks.max.sm --format=csv,noheader 2>/dev/null ||
    echo "nvidia-smi: no GPU to be seen"
"$REEVE_BIN/reeve" version 2>/dev/null | head -n 12

# PyTorch's compiler takes longest of all: it begins now, and says when it is ready.
if [ -n "${wanted[speed]:-}" ]; then
    export REEVE_TURNS=$work/turns
    mkdir "$REEVE_TURNS"
    if python3 -c 'import torch' 2>/dev/null; then
        python3 "$here/pytorch_gpt2.py" --micro "$REEVE_GPU_MICRO" --batch "$REEVE_GPU_BATCH" --steps "$REEVE_GPU_STEPS" \
            --tokens "$REEVE_DATA/train.bin" --turns "$REEVE_TURNS" >"$work/torch.log" 2>&1 &
        torch_pid=$!
        export REEVE_TORCH_PID=$torch_pid
    fi
fi

# The command of a step, in $command.
command_of() {
    case $1 in
    kernels | attention | gpt) command=("$REEVE_TEST_BIN/test_gpu_$1") ;;
    fp32) command=(bash "$here/speed.sh" fp32) ;;
    *) command=(bash "$here/$1.sh") ;;
    esac
}

failed=0
declare -A ended=() took=()
for step in "${order[@]}"; do
    [ -n "${wanted[$step]:-}" ] || continue
    command_of "$step"
    begin=$SECONDS code=0
    printf '== %s\n' "$step"
    timeout --kill-after=10 "${limit[$step]}" "${command[@]}" >"$out/$step.log" 2>&1 || code=$?
    took[$step]=$((SECONDS - begin))
    case $code in
    0) ended[$step]=passed ;;
    77) ended[$step]=skipped ;;
    124 | 137) ended[$step]="out of time (${limit[$step]} s)" failed=1 ;;
    *) ended[$step]="FAILED ($code)" failed=1 ;;
    esac
    tail -n "$([ "$code" = 0 ] && echo 4 || echo 25)" "$out/$step.log" | cut -c1-300 | sed 's/^/   /'
    if [ "$step" = speed ]; then
        stop_torch
        { echo "--- pytorch_gpt2.py"; tail -n 40 "$work/torch.log"; } >>"$out/speed.log" 2>/dev/null
    fi
done

{
    for step in "${order[@]}"; do
        [ -z "${wanted[$step]:-}" ] || printf '%-10s %4s s  %s\n' "$step" "${took[$step]}" "${ended[$step]}"
    done
    python3 "$here/table.py" "$REEVE_RESULTS"
    cat "$REEVE_RESULTS"
} >"$out/results.txt" 2>&1
echo
grep -v '^{' "$out/results.txt"
exit "$failed"
