#!/usr/bin/env bash
# Reeve in one command: install what is missing, build, and train a small GPT on real text with one master and two
# workers for about a minute. Run it again, and it resumes where it was, or says that it is complete.
#
#   bash jobs/quickstart.sh [ARGUMENT OF `reeve run`...]
#
#   bash jobs/quickstart.sh --set train.steps=1800    go on for longer
#   rm -r runs/quickstart                             start again from nothing
#
#   REEVE_BUILD_DIR   the build folder (default: build/ in the source tree)
#   REEVE_BIN         use the programs in this folder, and neither install nor build anything
#
# Works as root or as a user with sudo, on Debian 12 and 13. Everything it makes lies in build/ and runs/. Exit codes:
# those of `reeve run` (75: stopped, run me again), or those of tests/tools/install_packages.sh.
set -euo pipefail

source_dir=$(dirname "$(dirname "$(realpath "${BASH_SOURCE[0]}")")")
build_dir=${REEVE_BUILD_DIR:-$source_dir/build}
run_dir=$source_dir/runs/quickstart
data_dir=$source_dir/runs/quickstart-data

say() {
    printf '\n== %s\n' "$*"
}

die() { # die EXIT_CODE WORD...
    local code=$1
    shift
    printf 'quickstart: %s\n' "$*" >&2
    exit "$code"
}

build() {
    local log=$build_dir/quickstart-build.log
    bash "$source_dir/tests/tools/install_packages.sh" build quickstart || {
        local code=$?
        command -v cmake >/dev/null || exit "$code"
        echo "going on with what is there"
    }
    mkdir -p "$build_dir"
    { cmake -S "$source_dir" -B "$build_dir" &&
        cmake --build "$build_dir" --target programs --parallel "$(nproc)"; } 2>&1 | tee "$log" | show_percent ||
        { grep -E 'error|Error' "$log" | head -n 20 >&2; die 70 "the build failed: see $log"; }
}

# How far the build is, on one line of a terminal; elsewhere nothing.
show_percent() {
    local line percent='^\[ *([0-9]+%)\]'
    while IFS= read -r line; do
        if [ -t 1 ] && [[ $line =~ $percent ]]; then printf '\rbuilding: %s  ' "${BASH_REMATCH[1]}"; fi
    done
    [ ! -t 1 ] || printf '\r                 \r'
}

# Real English text: the manual pages in Debian's perl-doc, as plain text. They are copied, so that an upgrade of the
# package between two runs does not change the data under a run that is to be resumed.
make_data() {
    local scratch=$data_dir.new-$$ pages=() page
    [ ! -d "$data_dir" ] || return 0
    while IFS= read -r page; do
        case ${page##*/} in
        perl[0-9]*delta.pod) ;;                             # lists of changes rather than prose
        perlcn.pod | perljp.pod | perlko.pod | perltw.pod) ;; # in other languages
        perl*.pod) pages+=("$page" "$scratch/$(basename "$page" .pod).txt") ;;
        esac
    done < <(dpkg -L perl-doc 2>/dev/null | sort)
    [ ${#pages[@]} -gt 100 ] || die 66 "the package perl-doc has no manual pages here: does /etc/dpkg exclude them?"
    rm -rf "$scratch"
    mkdir -p "$scratch"
    pod2text --utf8 --width=100 "${pages[@]}" 2>/dev/null || die 66 "pod2text (package perl) failed on perl-doc's pages"
    mv "$scratch" "$data_dir"   # all of it, or none
}

case ${1:-} in
-h | --help)
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
    exit 0
    ;;
esac

if [ -n "${REEVE_BIN:-}" ]; then
    reeve=$REEVE_BIN/reeve
else
    say "Installing what is missing, and building into $build_dir"
    build
    reeve=$build_dir/bin/reeve
fi

say "The text"
make_data
printf '%s manual pages, %s of text, in %s\n' "$(find "$data_dir" -type f | wc -l)" \
    "$(du -sh --apparent-size "$data_dir" | cut -f1)" "$data_dir"

if [ "$(id -u)" = 0 ]; then
    # Open MPI wants to hear twice that root means it. In a container there is often nobody else.
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi

say "Training: reeve run jobs/quickstart.yaml -n 2 --run-dir runs/quickstart $*"
code=0
"$reeve" run "$source_dir/jobs/quickstart.yaml" -n 2 --run-dir "$run_dir" "$@" || code=$?
case $code in
0 | 3) ;;
75) die 75 "stopped at a checkpoint: the same command goes on from there" ;;
*) exit "$code" ;;
esac

say "Was every sample used exactly once? reeve audit runs/quickstart"
"$reeve" audit "$run_dir"

say "Its files"
(cd "$source_dir" && find runs/quickstart -maxdepth 2 | sort)
shown=$(printf '%q' "$(realpath -s --relative-base="$source_dir" "$reeve")") # to be copied, blanks in it or not
cat <<TEXT

Look around, in $source_dir:
    $shown inspect runs/quickstart
    $shown verify runs/quickstart
    h5dump -H runs/quickstart/checkpoint/*/index.h5      (package hdf5-tools)
Go on:
    bash jobs/quickstart.sh --set train.steps=1800
TEXT
exit "$code"
