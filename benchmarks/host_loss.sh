#!/usr/bin/env bash
# How long does a batch job stand still when it loses a host? A Slurm cluster of four hosts on this machine, the tiny job of
# the tests on all four, hosts lost one after the other, and each time the seconds until the next step is committed.
#
#   benchmarks/host_loss.sh [ROUNDS] [SUBMIT_ARGUMENT...]
#
#   benchmarks/host_loss.sh 5
#   benchmarks/host_loss.sh 3 --set faults.host_silence_s=0      as if nobody but mpirun noticed
#
# REEVE_BUILD: the build folder (default: build/). Needs what the tests slurm.* need.
REEVE_SOURCE=$(dirname "$(dirname "$(realpath "${BASH_SOURCE[0]}")")")
REEVE_BUILD=$(realpath "${REEVE_BUILD:-$REEVE_SOURCE/build}")
export REEVE_SOURCE REEVE_BUILD REEVE_BIN=$REEVE_BUILD/bin
if [ -z "${REEVE_BENCH_INSIDE:-}" ]; then
    export REEVE_BENCH_INSIDE=1
    exec bash "$REEVE_SOURCE/tests/tools/in_fresh_folder.sh" "$(realpath "${BASH_SOURCE[0]}")" "$@"
fi
rounds=${1:-3}
shift || true
# shellcheck source=tests/slurm/on_cluster.sh
. "$REEVE_SOURCE/tests/slurm/on_cluster.sh"
never_ending
# Slurm takes from a job what it calls down. By its own default that is after five minutes, not after the tests' ten seconds.
sed -i 's/^SlurmdTimeout=.*/SlurmdTimeout=300/' cluster/slurm.conf
slurm scontrol reconfigure
submit --nodes 4 --time 60 --run-dir "$PWD/run" "$@"
wait_for 60 beyond run 250 || fail "the run did not begin"

starts() { grep -c '"event":"joined"' run/starts.jsonl; }
on_all() { [ "$(grep '"event":"joined"' run/starts.jsonl | tail -n 1 | grep -o 'n[1-4]' | sort -u | wc -l)" = 4 ]; }
for ((i = 1; i <= rounds; i++)); do
    host=n$((2 + i % 3))
    began=$(starts)
    struck=$(date +%s.%N)
    cluster lose "$PWD/cluster" "$host"
    more_starts() { [ "$(starts)" -gt "$began" ]; }
    wait_for 150 more_starts || { tell_job "$job"; cat run/submit/slurm-*; fail "not back after the loss of $host"; }
    wait_for 30 beyond run "$(($(committed_step run) + 100))" || fail "no steps after the loss of $host"
    python3 - "$struck" "$host" <<'PYTHON'
import json, sys
struck, host = float(sys.argv[1]), sys.argv[2]
resumed, last, first = None, struck, None
for line in open("run/metrics.jsonl"):
    row = json.loads(line)
    if row["time"] < struck: continue
    if row.get("event") == "resumed": resumed = row["time"]
    elif "step" in row and resumed is None: last = row["time"]
    elif "step" in row and first is None: first = row["time"]
print(f"lost {host}: last step {last - struck:.1f} s later, master back after {resumed - struck:.1f} s, next step after {first - struck:.1f} s", flush=True)
PYTHON
    # The host comes back, and a killed rank makes the job take it back.
    cluster back "$PWD/cluster" "$host"
    sleep 3
    for ((try = 0; try < 5; try++)); do
        began=$(starts)
        cluster on "$PWD/cluster" n1 pkill -KILL -o -x reeve-rank || true
        wait_for 60 more_starts || fail "not back after the loss of a rank"
        wait_for 30 beyond run "$(($(committed_step run) + 250))" || fail "no steps after the loss of a rank"
        on_all && break
    done
    on_all || { cat run/log/supervisor.log; tail -30 run/submit/slurm-*; slurm sinfo; fail "$host was not taken back"; }
done
cat run/log/supervisor.log >&2
