# To be sourced by the steps of run.sh.
# shellcheck shell=bash
set -uo pipefail

# Each step judges several things, says each in a line, and goes on after one that failed; `verdict` ends it.
complaints=0
good() { printf 'ok      %s\n' "$*"; }
bad() { printf 'FAILED  %s\n' "$*"; complaints=$((complaints + 1)); }
verdict() {
    [ "$complaints" = 0 ] || { echo "$complaints failed"; exit 1; }
    exit 0
}

# wait_until SECONDS COMMAND...: until it succeeds; fails when the time is up.
wait_until() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.05
    done
}

# gpu_count: that a program started here would see.
gpu_count() {
    local seen
    if [ -n "${CUDA_VISIBLE_DEVICES+set}" ]; then
        seen=$(tr ',' '\n' <<<"$CUDA_VISIBLE_DEVICES" | grep -c .)
    else
        seen=$(nvidia-smi --list-gpus 2>/dev/null | grep -c '^GPU')
    fi
    echo "$seen"
}

needs_gpu() { [ "$(gpu_count)" -ge 1 ] || { echo "no GPU here"; exit 77; }; }

# job_words: the words of `reeve run` that every run here has: the job, its data, no more output than needed.
job=${REEVE_GPU_JOB:-$REEVE_SOURCE/jobs/gpt2-124m.yaml}
read -ra more_words <<<"${REEVE_GPU_WORDS:-}"
# shellcheck disable=SC2034 # for the steps
job_words=("$job" -q --set "data.manifest=$REEVE_DATA/shards.yaml" "${more_words[@]}")

# value FILE KEY: of a JSON object.
value() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$@"; }
