#!/usr/bin/env bash
# Step of run.sh: what Reeve promises, on the GPU: equal bits from run to run, through kill -9 and a resume, under mpirun;
# and what must be refused is refused. jobs/gpt2-124m.yaml with short steps; figures are not taken here.
#
# To try the script itself without a GPU: REEVE_GPU_JOB=a small job, REEVE_GPU_WORDS="--set resources.device=cpu".
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
# shellcheck source=benchmarks/gpu/common.sh
. "$here/common.sh"
steps=${REEVE_GPU_TRAIN_STEPS:-24} batch=64 micro=16
every=${REEVE_GPU_TRAIN_EVERY:-$((steps / 3))}
runs=$REEVE_WORK/train
mkdir -p "$runs"
words=("${job_words[@]}" --set "train.steps=$steps" --set "checkpoint={every: $every, keep: 2}" --set "train.global_batch=$batch"
    --set "train.micro_batch=$micro")

complete() { # complete NAME COMMAND...: it ends with 0; its time is told
    local name=$1 code=0 begin=$SECONDS
    shift
    "$@" >"$runs/$name.out" 2>&1 || code=$?
    [ "$code" = 0 ] && { echo "        $name: $((SECONDS - begin)) s"; return 0; }
    bad "$name: exit code $code: $*"
    tail -n 20 "$runs/$name.out"
    tail -n 20 "$runs/$name"/log/* 2>/dev/null
    return 1
}

first=
same_digest() { # same_digest NAME WHAT
    local digest
    reeve inspect "$runs/$1" --json >"$runs/$1.json" || { bad "inspect $1"; return; }
    digest=$(value "$runs/$1.json" weights_digest)
    [ "$(value "$runs/$1.json" step)" = "$steps" ] || { bad "$1 ended at step $(value "$runs/$1.json" step)"; return; }
    [ -n "$first" ] || first=$digest
    if [ "$digest" = "$first" ]; then good "$2: weights $digest"; else bad "$2: weights $digest, and not $first"; fi
}

# ---- twice ----
for name in one again; do
    complete $name reeve run "${words[@]}" -n 1 --run-dir "$runs/$name" && same_digest $name "run $name"
done
rm -rf "$runs/again"

# ---- killed in the middle, and resumed ----
made() { cat "$runs/killed/metrics.jsonl" 2>/dev/null | grep -c '"loss"'; }
first_saved=$(printf 'step-%010d' "$every")
has_begun() { # behind its first checkpoint, so that there is something to go on from, and something to do again
    [ -d "$runs/killed/checkpoint/$first_saved" ] && [ "$(made)" -gt "$((every + 1))" ] ||
        ! kill -0 "$launcher" 2>/dev/null
}
# The launcher and its ranks, by the run folder among their words: none may be left to save anything. (The words of grep
# itself are without it.)
processes() {
    grep -lxzF -f <(echo "$runs/killed") /proc/[0-9]*/cmdline 2>/dev/null | tr -dc '0-9\n'
}
gone() { [ -z "$(processes)" ]; }
reeve run "${words[@]}" -n 1 --run-dir "$runs/killed" >"$runs/killed.out" 2>&1 &
launcher=$!
wait_until 90 has_begun || bad "the run to be killed has no checkpoint after 90 s"
mapfile -t pids < <(processes)
kill -KILL "${pids[@]}" 2>/dev/null
wait "$launcher" 2>/dev/null
wait_until 20 gone || bad "a process outlived kill -9"
if [ "$(made)" -lt "$steps" ] && [ ${#pids[@]} -gt 0 ]; then
    good "kill -9 of ${#pids[@]} processes after $(made) of $steps steps"
else
    bad "kill -9 came too late: $(made) steps, ${#pids[@]} processes"
fi
if complete killed reeve run "${words[@]}" -n 1 --run-dir "$runs/killed"; then
    same_digest killed "killed and resumed"
    [ "$(value "$runs/killed.json" restarts)" = 1 ] || bad "restarts: $(value "$runs/killed.json" restarts)"
    if reeve audit "$runs/killed" --json >"$runs/audit.json" && [ "$(value "$runs/audit.json" exactly_once)" = True ]; then
        good "audit: each sample entered exactly once, $(value "$runs/audit.json" rolled_back_steps) steps were done again"
    else
        bad "audit: $(head -c 600 "$runs/audit.json")"
    fi
    if reeve verify "$runs/killed" >"$runs/verify.out" 2>&1; then good "verify"; else bad "verify"; tail -n 5 "$runs/verify.out"; fi
fi
rm -rf "$runs/killed"

# ---- two processes: master and worker, over MPI ----
complete mpirun mpirun -n 2 --oversubscribe --bind-to none reeve run "${words[@]}" --run-dir "$runs/mpirun" &&
    same_digest mpirun "mpirun -n 2: a master and a worker"
rm -rf "$runs/mpirun"

# ---- a worker for each GPU ----
gpus=$(gpu_count)
for workers in 2 3 4 8; do
    if [ "$gpus" -ge "$workers" ]; then
        complete "workers-$workers" reeve run "${words[@]}" -n "$workers" --run-dir "$runs/workers-$workers" &&
            same_digest "workers-$workers" "$workers workers, NCCL"
        rm -rf "$runs/workers-$workers"
    elif [ "$workers" = 2 ]; then
        echo "        not run: 2 workers and more, for $gpus GPU is here"
    fi
done

# ---- refusals: by exit code and in words, of at most so many lines (mpirun has its own), before any step ----
refused() { # refused WHAT CODE LINES_MAX PATTERN COMMAND...
    local what=$1 expected=$2 lines_max=$3 pattern=$4 code=0
    shift 4
    timeout --kill-after=5 60 "$@" >"$runs/refused.out" 2>"$runs/refused.err" || code=$?
    if [ "$code" != "$expected" ]; then bad "$what: exit code $code, and $expected was expected"
    elif ! grep -q -- "$pattern" "$runs/refused.err"; then bad "$what: no line with '$pattern'"
    elif [ "$(grep -c 'error: ' "$runs/refused.err")" != 1 ]; then bad "$what: not one line that is the error"
    elif [ "$(wc -l <"$runs/refused.err")" -gt "$lines_max" ]; then bad "$what: $(wc -l <"$runs/refused.err") lines"
    elif grep -q '"loss"' "$runs/refused/metrics.jsonl" 2>/dev/null; then bad "$what: it had begun to train"
    else good "$what: $code"
    fi
    sed 's/^/        /' "$runs/refused.err" | head -n 6
    rm -rf "$runs/refused"
}
if [ "$gpus" -ge 1 ]; then
    refused "no GPU to be seen" 69 1 'GPU' env CUDA_VISIBLE_DEVICES= reeve run "${words[@]}" -n 1 --run-dir "$runs/refused"
    refused "a micro-batch too large for it" 65 4 'micro' reeve run "${words[@]}" -n 1 --run-dir "$runs/refused" \
        --set train.micro_batch=8192 --set train.global_batch=8192
    refused "$((gpus + 1)) workers on $gpus GPU" 69 20 'NCCL does not share a GPU' reeve run "${words[@]}" -n "$((gpus + 1))" --run-dir "$runs/refused"
else
    refused "device cuda without a GPU" 69 1 'CUDA' reeve run "${words[@]}" -n 1 --run-dir "$runs/refused" \
        --set resources.device=cuda
fi
verdict
