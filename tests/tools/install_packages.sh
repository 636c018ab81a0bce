#!/usr/bin/env bash
# Install what is missing for building Reeve (and, with `test`, for its test suite) on Debian 12 or 13.
#
#   install_packages.sh [build] [test] [slurm] [quickstart] [--check]
#
# Without a set: build. --check only says what is missing (exit 1 if anything is). Nothing is downloaded, and no right is
# asked for, when everything is there. Exit codes: 0 all there; 69 no apt, or it failed; 77 something is missing, and
# this user may not install it.
set -euo pipefail

# OpenBLAS in its OpenMP build on purpose: beside OpenMP code the pthread build is several times slower.
packages_build=(build-essential cmake pkg-config openmpi-bin libopenmpi-dev libhdf5-dev libopenblas-openmp-dev
    libyaml-dev libjansson-dev libxxhash-dev libcmocka-dev)
# h5py and h5dump are the independent readers that the files are opened with; perl-doc is the text that is trained on.
packages_test=(hdf5-tools python3 python3-h5py perl-doc procps shellcheck)
# For tests/slurm: the daemons of a cluster, and what makes several hosts of one machine. Nothing of it is configured.
packages_slurm=(slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge iproute2 util-linux)
packages_quickstart=(perl-doc)
# For tests/sanitize.sh: libFuzzer comes with clang, whose runtime libraries carry its version in their name.
packages_sanitize=(clang libomp-dev valgrind)
clang_runtime() {
    local version
    version=$(apt-cache depends clang 2>/dev/null | sed -n 's/^ *Depends: clang-\([0-9]*\)$/\1/p')
    [ -z "$version" ] || printf 'libclang-rt-%s-dev' "$version"
}

usage() {
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
}

say() {
    printf 'install: %s\n' "$*" >&2
}

wanted=() check_only=false
for word in "$@"; do
    case $word in
    build) wanted+=("${packages_build[@]}") ;;
    test) wanted+=("${packages_test[@]}") ;;
    slurm) wanted+=("${packages_slurm[@]}") ;;
    sanitize)
        runtime=$(clang_runtime)
        wanted+=("${packages_sanitize[@]}" ${runtime:+"$runtime"})
        ;;
    quickstart) wanted+=("${packages_quickstart[@]}") ;;
    --check) check_only=true ;;
    -h | --help) usage; exit 0 ;;
    *) say "unknown word '$word'"; usage >&2; exit 64 ;;
    esac
done
[ ${#wanted[@]} -gt 0 ] || wanted=("${packages_build[@]}")

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    say "this is no Debian (no apt-get): install by hand what the top of tests/tools/install_packages.sh lists"
    exit 69
fi

missing=()
for package in "${wanted[@]}"; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
say "missing: ${missing[*]}"
if $check_only; then exit 1; fi

as_root=()
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
        say "not root, and there is no sudo: ask an administrator for"
        say "    apt-get install --no-install-recommends ${missing[*]}"
        exit 77
    fi
    # Without a terminal sudo must not ask: it would wait for ever.
    as_root=(sudo)
    if [ ! -t 0 ]; then as_root=(sudo --non-interactive); fi
    if ! "${as_root[@]}" true; then
        say "sudo refused: ask an administrator for: apt-get install --no-install-recommends ${missing[*]}"
        exit 77
    fi
fi

apt() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 \
        -o Acquire::Retries=3 "$@"
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
started=$SECONDS
install_all() {
    apt update && apt install --yes --no-install-recommends "${missing[@]}"
}
# Another apt may hold the lists, and a mirror may fail to answer once: a second time, a while later.
if ! { install_all || { sleep 30 && install_all; }; } >"$log" 2>&1 </dev/null; then
    tail -n 30 "$log" >&2
    say "apt-get failed; its last words are above"
    exit 69
fi
say "installed ${#missing[@]} packages in $((SECONDS - started)) s"
