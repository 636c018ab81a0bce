#!/usr/bin/env bash
# The job that `reeve chaos` breaks here: steps that take long enough for strikes to fall into all their parts.
#
#   tests/fault/chaos_job.sh FOLDER [STEPS]      makes FOLDER with job.yaml, shards.yaml and the text
REEVE_TOOLS=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../tools")
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_TOOLS/../fault/tiny.sh"

make_chaos_job() { # make_chaos_job [STEPS]: in the current folder
    make_tiny
    sed -i "s/steps: 40/steps: ${1:-4000}/; s/every: 10,/every: 50,/; s/eval_every: 20/eval_every: 1000/" job.yaml
    sed -i 's/global_batch: 8/global_batch: 32/; s/width: 16/width: 32/' job.yaml
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    mkdir -p "${1:?a folder}" && cd "$1" && make_chaos_job "${2:-4000}"
fi
