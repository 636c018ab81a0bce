#!/usr/bin/env bash
# Run a test script in an empty folder of its own, with the environment that every script test may count on:
#
#   $PWD            the empty folder; removed afterwards (REEVE_KEEP=1 keeps it and prints where it is)
#   REEVE_BIN       where reeve and reeve-rank are       REEVE_SOURCE   the source tree
#   REEVE_BUILD     the build tree                       REEVE_TOOLS    this folder: `. "$REEVE_TOOLS/expect.sh"`
#   PATH            starts with REEVE_BIN
#
# mpirun works as root and with more ranks than cores, whatever the user has set. Standard input is empty: a program
# that waits for it would otherwise wait for a person. TMPDIR is a folder of the test's own. Whatever the test has
# started and left running is ended with it: it carries REEVE_TEST_FOLDER in its environment, and nothing else does.
#
#   in_fresh_folder.sh SCRIPT [ARGUMENT...]
set -uo pipefail

script=$(realpath "${1:?a test script}")
shift
tools=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
base=$(mktemp -d "${TMPDIR:-/tmp}/reeve-test-XXXXXX") || exit 73
folder=$base/here

end_what_is_left() {
    local pids
    mapfile -t pids < <(grep -slzxF "REEVE_TEST_FOLDER=$folder" /proc/[0-9]*/environ | tr -dc '0-9\n')
    [ ${#pids[@]} = 0 ] || kill -KILL "${pids[@]}" 2>/dev/null
}

finish() {
    # Twice: a process may have been started while the first round was looking.
    end_what_is_left
    end_what_is_left
    if [ "${REEVE_KEEP:-0}" = 1 ]; then
        echo "kept: $folder"
    else
        chmod -R u+rwX "$base" 2>/dev/null
        rm -rf --one-file-system "$base" 2>/dev/null || { sleep 1 && rm -rf --one-file-system "$base"; }
    fi
}
trap finish EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

export REEVE_TOOLS=$tools
export REEVE_SOURCE=${REEVE_SOURCE:-$(dirname "$(dirname "$tools")")}
export REEVE_BUILD=${REEVE_BUILD:-$REEVE_SOURCE/build}
export REEVE_BIN=${REEVE_BIN:-$REEVE_BUILD/bin}
export PATH=$REEVE_BIN:$PATH
# shellcheck source=tests/tools/mpi_environment.sh
. "$tools/mpi_environment.sh"

mkdir "$folder" "$base/tmp" && cd "$folder" || exit 73
REEVE_TEST_FOLDER=$folder TMPDIR=$base/tmp bash "$script" "$@" </dev/null
