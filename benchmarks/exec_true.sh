#!/usr/bin/env bash
# Commands a second, on /bin/true: `reeve run` of workload exec beside GNU parallel and xargs, interleaved in one run, medians.
# One process for each command. Reeve pays besides for a journal that survives a power cut, for output
# files, exit codes and times of each; xargs keeps nothing of all that.
#
#   benchmarks/exec_true.sh [TASKS [ROUNDS]]       default: 8000 tasks, 3 rounds; programs from build/bin, or REEVE_BIN
#
# Start-up is in all figures: mpirun takes 0.3 s and more of it where there are two workers, -n 1 has none. parallel, which is
# several times slower, gets an eighth of the tasks.
#
# Rows: reeve with two workers and the journal durable (the default), the same with journal.sync none, one process (-n 1)
# with two slots; xargs -P2 with one argument a process, and with two; parallel -j2 (left out where it is not installed).
set -euo pipefail
source=$(dirname "$(dirname "$(realpath "${BASH_SOURCE[0]}")")")
bin=${REEVE_BIN:-$source/build/bin}
tasks=${1:-8000}
rounds=${2:-3}
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
cd "$here"
yes /bin/true 2>/dev/null | head -n "$tasks" >list.txt || true
printf 'name: t\nworkload: exec\ntasks: list.txt\n' >job.yaml

reeve() { # reeve NAME ARGUMENT...
    local name=$1
    shift
    rm -rf run
    "$bin/reeve" run job.yaml --run-dir run -q "$@" >"$name.log" 2>&1 || { cat "$name.log"; exit 1; }
}
now() { date +%s.%N; }
measure() { # measure NAME COUNT COMMAND...
    local name=$1 count=$2 begin
    shift 2
    begin=$(now)
    "$@"
    echo "$name $(awk -v a="$begin" -v b="$(now)" -v n="$count" 'BEGIN { printf "%.1f", n / (b - a) }')" >>rates
}
by_xargs() { seq "$tasks" | xargs -P2 -n1 /bin/true; } # as in the literature: one argument, which true ignores
by_pairs() { seq $((2 * tasks)) | xargs -P2 -n 2 /bin/true; } # two arguments: as many processes
by_parallel() { head -n $((tasks / 8)) list.txt | parallel --will-cite -j2; }

for ((r = 1; r <= rounds; r++)); do
    measure "reeve -n 2, durable" "$tasks" reeve two -n 2
    measure "reeve -n 2, journal.sync none" "$tasks" reeve none -n 2 --set journal.sync=none
    measure "reeve -n 1, exec.slots 2" "$tasks" reeve one -n 1 --set exec.slots=2
    measure "xargs -P2 -n1" "$tasks" by_xargs
    measure "xargs -P2 -n2" "$tasks" by_pairs
    if command -v parallel >/dev/null && parallel --version 2>/dev/null | grep -q GNU; then
        measure "parallel -j2" $((tasks / 8)) by_parallel
    fi
done
echo "$tasks x /bin/true, $rounds rounds, interleaved; tasks/s, start-up included: median (lowest - highest)"
sed 's/ [0-9.]*$//' rates | sort -u | while IFS= read -r name; do
    grep -F "$name " rates | sed 's/.* //' | sort -n |
        awk -v name="$name" '{ v[NR] = $1 } END { printf "%-32s %8.0f (%.0f - %.0f)\n", name, v[int((NR + 1) / 2)], v[1], v[NR] }'
done
