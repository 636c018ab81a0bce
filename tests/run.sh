#!/usr/bin/env bash
# Install what is missing, build with warnings as errors, run the whole test suite, and end with CTest's summary.
#
#   tests/run.sh [CTEST_ARGUMENT...]
#
#   tests/run.sh                     everything
#   tests/run.sh -L unit             one family: unit sim golden mpi nccl device gpu cli crash fault slurm bench
#   tests/run.sh -R cli.house        tests whose name matches
#   tests/run.sh -L unit --rerun-failed
#
#   REEVE_BUILD_DIR   the build folder (default: build/ in the source tree; another one for each system that shares it)
#   REEVE_JOBS        programs compiled, and tests run, at the same time (default: 2)
#   REEVE_INSTALL=0   install nothing, use what is there
#
# A test that needs what this machine cannot give is skipped; the reasons are listed before the summary. Exit codes: 0
# all that ran passed; 8 a test failed; 1 the build failed; 69 or 77 what the build needs is missing (see the message).
set -euo pipefail

source_dir=$(dirname "$(dirname "$(realpath "${BASH_SOURCE[0]}")")")
build_dir=${REEVE_BUILD_DIR:-$source_dir/build}
jobs=${REEVE_JOBS:-2}

say() {
    printf 'tests: %s\n' "$*"
}

install_missing() {
    [ "${REEVE_INSTALL:-1}" = 0 ] && return 0
    local code=0
    bash "$source_dir/tests/tools/install_packages.sh" build || code=$?
    if [ "$code" != 0 ]; then
        command -v cmake >/dev/null || exit "$code"
        say "going on with what is there: CMake names what it does not find"
    fi
    # What only some tests need is worth asking for, but not worth stopping for: those tests are skipped.
    bash "$source_dir/tests/tools/install_packages.sh" test || say "some tests will be skipped for want of packages"
    bash "$source_dir/tests/tools/install_packages.sh" slurm || say "the tests with Slurm will be skipped"
}

build() {
    cmake -S "$source_dir" -B "$build_dir" -DREEVE_WERROR=ON -DREEVE_TESTS=ON >"$1" 2>&1 ||
        { tail -n 40 "$1"; say "the configuration failed"; exit 1; }
    grep -E '^-- Reeve' "$1" || true
    cmake --build "$build_dir" --parallel "$jobs" >"$1" 2>&1 ||
        { grep -E '(error|warning): |undefined reference' "$1" | head -n 40; tail -n 20 "$1"; say "the build failed"; exit 1; }
}

# list_skipped SUMMARY: the summary names the tests that were skipped; CTest's log has their words, the reason among them.
list_skipped() {
    local log=$build_dir/Testing/Temporary/LastTest.log
    awk '
        FNR == NR { if ($NF == "(Skipped)") skipped[$3] = "it did not say why"; next }
        /^[0-9]+\/[0-9]+ Testing: / { name = $3 }
        (name in skipped) && tolower($0) ~ /^skip(ped)?:/ { sub(/^[^:]*: */, ""); skipped[name] = $0 }
        END { for (name in skipped) print "  " name ": " skipped[name] }
    ' "$1" "$log" | sort >"$scratch"
    [ -s "$scratch" ] || return 0
    say "skipped, and why:"
    cat "$scratch"
}

case ${1:-} in
-h | --help)
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
    exit 0
    ;;
esac

scratch=$(mktemp)
summary=$(mktemp)
trap 'rm -f "$scratch" "$summary"' EXIT
# shellcheck source=tests/tools/mpi_environment.sh
. "$source_dir/tests/tools/mpi_environment.sh"

started=$SECONDS
install_missing
say "packages took $((SECONDS - started)) s"
started=$SECONDS
build "$scratch"
say "the build took $((SECONDS - started)) s"

started=$SECONDS
result=0
# The summary is held back, so that it is the end of what is printed.
ctest --test-dir "$build_dir" --output-on-failure --no-tests=error --parallel "$jobs" "$@" </dev/null |
    awk -v summary="$summary" '/% tests passed,/ {held = 1} held {print >summary; next} {print; fflush()}' ||
    result=${PIPESTATUS[0]}
list_skipped "$summary"
say "ran for $((SECONDS - started)) s"
cat "$summary"
exit "$result"
