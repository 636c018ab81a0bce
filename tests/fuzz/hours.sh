#!/usr/bin/env bash
# Let the fuzz targets run for hours, in turns and out of everybody's way, and add up what each of them had.
#
#   tests/fuzz/hours.sh run SECONDS [TARGET...]    for that long: always the target that had least of the processor
#   tests/fuzz/hours.sh table                      what each target had so far, as docs/testing.md shows it
#
# It runs at the lowest priority (SCHED_IDLE), so on a machine with work to do it gets what is left; start it as often as
# there are processors to spare. Time is the processor's, not the clock's. Each turn is a line in the ledger (ledger.tsv:
# date, commit, target, inputs, processor's seconds, edges, 1 = a finding), so turns of many days add up.
#
#   REEVE_FUZZ_BIN     the targets (default: build-sanitize/fuzz/fuzz, where `tests/sanitize.sh fuzz` builds them)
#   REEVE_FUZZ_STATE   corpora, findings, logs and the ledger (default: build-sanitize/hours)
#   REEVE_FUZZ_TURN    seconds of a turn, by the clock (default: 120)
#
# Exit codes: 0 no finding; 1 a finding (its input is in findings/); 64 usage.
set -euo pipefail

source_dir=$(dirname "$(dirname "$(dirname "$(realpath "${BASH_SOURCE[0]}")")")")
bin=${REEVE_FUZZ_BIN:-$source_dir/build-sanitize/fuzz/fuzz}
state=${REEVE_FUZZ_STATE:-$source_dir/build-sanitize/hours}
turn=${REEVE_FUZZ_TURN:-120}
ledger=$state/ledger.tsv
found=0

say() { printf 'hours: %s\n' "$*"; }

# had TARGET: seconds of the processor so far.
had() { awk -F'\t' -v t="$1" '$3 == t {s += $5} END {printf "%d", s}' "$ledger"; }

by_need() { # by_need TARGET...: the one that had least first
    local name
    for name in "$@"; do printf '%s %s\n' "$(had "$name")" "$name"; done | sort -n | cut -d' ' -f2
}

# next TARGET...: of those that nobody has in hand, the one that had least. Holds its lock (descriptor 7).
next() {
    for target in $(by_need "$@"); do
        exec 7>"$state/$target.lock"
        if flock -n 7; then return 0; fi
    done
    return 1
}

take_turn() { # take_turn TARGET SECONDS
    local name=$1 log=$state/log/$1 kept=() finding=0 cpu edges
    mkdir -p "$state/corpus/$name" "$state/findings" "$state/log"
    [ ! -d "$source_dir/tests/fuzz/kept/$name" ] || kept=("$source_dir/tests/fuzz/kept/$name")
    [ ! -d "$source_dir/tests/fuzz/corpus/$name" ] || kept+=("$source_dir/tests/fuzz/corpus/$name")
    TIMEFORMAT='%U %S'
    # A starved process is no slow input: the limit of one input is long.
    { time chrt -i 0 "$bin/fuzz_$name" -max_total_time="$2" -timeout=300 -rss_limit_mb=2048 -max_len=70000 \
        -print_final_stats=1 -artifact_prefix="$state/findings/$name-" "$state/corpus/$name" "${kept[@]}" \
        >"$log" 2>&1 || finding=1; } 2>"$log.time"
    cpu=$(awk '{print $1 + $2}' "$log.time")
    edges=$(sed -n 's/.*cov: \([0-9]*\).*/\1/p' "$log" | tail -1)
    printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$(date -u +%FT%TZ)" "$(git -C "$source_dir" rev-parse --short HEAD)" "$name" \
        "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" "$cpu" "$edges" "$finding" >>"$ledger"
    if [ "$finding" = 1 ]; then
        found=1
        cp "$log" "$state/findings/$name.$(date +%s).log"
        say "a FINDING in $name: $(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1); again: $bin/fuzz_$name FILE"
    fi
}

run() { # run SECONDS TARGET...
    local end=$((SECONDS + $1)) left target=
    shift
    export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1
    export LSAN_OPTIONS=suppressions=$source_dir/tests/tools/suppressions/lsan.txt:print_suppressions=0
    "$bin/seed_corpora" "$state/corpus"
    cp "$source_dir"/jobs/*.yaml "$state/corpus/job/"
    while left=$((end - SECONDS)) && [ "$left" -gt 5 ] && next "$@"; do
        take_turn "$target" $((left < turn ? left : turn))
    done
}

table() {
    echo '| target | inputs | minutes of a processor | edges | findings |'
    echo '| --- | --- | --- | --- | --- |'
    awk -F'\t' '{i[$3] += $4; s[$3] += $5; if ($6 > e[$3]) e[$3] = $6; f[$3] += $7}
        END {for (t in i) printf "| `%s` | %d | %.1f | %d | %d |\n", t, i[t], s[t] / 60, e[t], f[t]}' "$ledger" | sort
}

mkdir -p "$state"
touch "$ledger"
case ${1:-} in
run)
    [ $# -ge 2 ] || exit 64
    [ -x "$bin/seed_corpora" ] || { say "no targets in $bin: tests/sanitize.sh fuzz builds them"; exit 64; }
    seconds=$2
    shift 2
    if [ $# = 0 ]; then set -- "$bin"/fuzz_*; fi
    run "$seconds" "${@##*/fuzz_}"
    ;;
table) table ;;
*)
    sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
    [ "${1:-}" = --help ] || exit 64
    ;;
esac
exit "$found"
