# To be sourced instead of tests/fault/tiny.sh: the tiny job, and a `reeve` whose ranks find GPUs that are none.
# shellcheck shell=bash

# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
double_bin=$REEVE_BUILD/tests/device/bin
cmp -s "$REEVE_BIN/reeve" "$double_bin/reeve" || fail "$double_bin/reeve is not the one that was built: build all"
PATH=$double_bin:$PATH
export REEVE_DOUBLE_GPUS=8

# expected_of RUN [ARGUMENT...]: the digest of the same job on the CPU, with one worker
expected_of() {
    local dir=$1
    shift
    must_run 0 1 "$dir" --set resources.device=cpu "$@"
    expected=$(digest_of "$dir")
}
