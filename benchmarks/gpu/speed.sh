#!/usr/bin/env bash
# Step of run.sh: tokens/s of PyTorch, of bench-gpt_cuda, and of Reeve through its dispatcher, in one go on one GPU.
#
#   speed.sh [bf16|fp32]
#
# PyTorch is measured first and, where run.sh has it waiting (bf16), last as well: what the GPU does in between, hot or
# cold, shows. Figures go to $REEVE_RESULTS, one JSON object each; table.py sets them side by side.
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
# shellcheck source=benchmarks/gpu/common.sh
. "$here/common.sh"
needs_gpu
precision=${1:-bf16}
run=$REEVE_WORK/speed-$precision

torch_alive() { kill -0 "$REEVE_TORCH_PID" 2>/dev/null; }
torch_made() { [ -e "$REEVE_TURNS/$1" ] || ! torch_alive; }

torch_turn() { # torch_turn N
    local n=$1
    if [ "$precision" = bf16 ] && [ -n "${REEVE_TORCH_PID:-}" ]; then
        wait_until 150 torch_made ready && [ -e "$REEVE_TURNS/ready" ] || { bad "PyTorch is not ready"; return; }
        : >"$REEVE_TURNS/go-$n"
        wait_until 90 torch_made "done-$n" && [ -e "$REEVE_TURNS/done-$n" ] || { bad "PyTorch's turn $n"; return; }
        cat "$REEVE_TURNS/done-$n" >>"$REEVE_RESULTS"
        good "PyTorch, turn $n: $(value "$REEVE_TURNS/done-$n" tokens_per_s) tokens/s"
    elif [ "$precision" = fp32 ] && [ "$n" = 1 ] && python3 -c 'import torch' 2>/dev/null; then
        python3 "$here/pytorch_gpt2.py" --precision fp32 --micro "$REEVE_GPU_MICRO" --batch "$REEVE_GPU_BATCH" --steps 3 \
            --tokens "$REEVE_DATA/train.bin" >"$run.torch" || { bad "PyTorch in fp32"; return; }
        tail -n 1 "$run.torch" >>"$REEVE_RESULTS"
        good "$(head -n 1 "$run.torch")"
    else
        echo "        no PyTorch here"
    fi
}

bench() { # bench WHAT WORD...
    local what=$1 code=0
    shift
    "$REEVE_BIN/bench-gpt_cuda" --batch "$REEVE_GPU_MICRO" --micro "$((REEVE_GPU_BATCH / REEVE_GPU_MICRO))" \
        --steps "$REEVE_GPU_STEPS" --precision "$precision" "$@" >"$run.bench" || code=$?
    cat "$run.bench"
    [ "$code" = 0 ] || { bad "bench-gpt_cuda $*: exit code $code"; return; }
    python3 "$here/figures.py" bench "$run.bench" "$precision" "$what" >>"$REEVE_RESULTS" || bad "no figures of bench-gpt_cuda"
    good "bench-gpt_cuda $*"
}

# So few checkpoints that each is written before the next one begins: else it is the disk that is measured.
dispatched() {
    local code=0 steps=$((REEVE_GPU_STEPS + 2)) row
    reeve run "${job_words[@]}" -n 1 --run-dir "$run" --set "train.steps=$steps" --set "train.precision=$precision" \
        --set "train.global_batch=$REEVE_GPU_BATCH" --set "train.micro_batch=$REEVE_GPU_MICRO" \
        --set "checkpoint={every: $((REEVE_GPU_STEPS / 2 > 0 ? REEVE_GPU_STEPS / 2 : 1)), keep: 1}" || code=$?
    [ "$code" = 0 ] || { bad "reeve run: exit code $code"; tail -n 20 "$run"/log/*; return; }
    row=$(python3 "$here/figures.py" run "$run" "$precision") || { bad "no figures"; return; }
    echo "$row" >>"$REEVE_RESULTS"
    good "reeve run -n 1: $row"
    cat "$run/metrics.jsonl"
    rm -rf "$run"
}

torch_turn 1
bench "bare loop" --profile
[ "$precision" = fp32 ] || bench "fp32 sums" --reduce fast
dispatched
torch_turn 2
verdict
