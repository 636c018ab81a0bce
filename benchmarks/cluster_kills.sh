#!/usr/bin/env bash
# Kills on a cluster: a batch job on four hosts (made on this machine, tests/slurm/cluster.sh) loses ranks on any of them, one
# after the other, each time as a seed picks. Printed is the time from each kill to the next step of the job; in the end the
# bits must be those of an undisturbed run, the audit exactly once, and no process may be left on any host.
#
#   benchmarks/cluster_kills.sh [KILLS] [SEED] [SUBMIT_ARGUMENT...]
#
#   benchmarks/cluster_kills.sh 50 1
#   benchmarks/cluster_kills.sh 50 2 --tasks-per-node 2
#
# One kill in four is the master's. REEVE_BUILD: the build folder (default: build/). JSON, if set: a file for the figures. Needs
# what the tests slurm.* need.
REEVE_SOURCE=$(dirname "$(dirname "$(realpath "${BASH_SOURCE[0]}")")")
REEVE_BUILD=$(realpath "${REEVE_BUILD:-$REEVE_SOURCE/build}")
export REEVE_SOURCE REEVE_BUILD REEVE_BIN=$REEVE_BUILD/bin
if [ -z "${REEVE_BENCH_INSIDE:-}" ]; then
    export REEVE_BENCH_INSIDE=1 JSON=${JSON:+$(realpath -m "$JSON")}
    exec bash "$REEVE_SOURCE/tests/tools/in_fresh_folder.sh" "$(realpath "${BASH_SOURCE[0]}")" "$@"
fi
kills=${1:-50} seed=${2:-1}
export REEVE_CLUSTER_SECONDS=${REEVE_CLUSTER_SECONDS:-3600}
shift $(($# < 2 ? $# : 2))
# shellcheck source=tests/slurm/on_cluster.sh
. "$REEVE_SOURCE/tests/slurm/on_cluster.sh"
never_ending
RANDOM=$seed
submit --nodes 4 --time 60 --run-dir "$PWD/run" "$@"
wait_for 60 beyond run 250 || fail "the run did not begin"

# The newest row of metrics.jsonl: its time, and the membership that committed it.
epoch() { tail -n 1 run/metrics.jsonl | sed -n 's/.*"membership_epoch": *\([0-9]*\).*/\1/p' | grep . || echo 0; }
another_epoch() { [ "$(epoch)" -gt "$before" ]; }
# A rank of that host: the master if $1 is 0 (it is on the first host), else any of them.
kill_rank() { # kill_rank HOST INDEX: prints who was killed
    # shellcheck disable=SC2016 # for the shell over there
    cluster on "$PWD/cluster" "$1" bash -c '
        pids=($(pgrep -x reeve-rank)) || exit 1
        pid=${pids[$(($1 % ${#pids[@]}))]}
        rank=$(tr "\0" "\n" <"/proc/$pid/environ" | sed -n "s/^PMIX_RANK=//p")
        kill -KILL "$pid" && echo "rank $rank (process $pid)"' - "$2"
}
strike() { # strike NUMBER
    local host=n$((1 + RANDOM % 4)) index=$RANDOM further=$((RANDOM % 100 + 1)) who
    [ $((RANDOM % 4)) = 0 ] && host=n1 index=0 # the oldest rank of the first host is the master
    # A run that never gets any further is given up, and rightly so.
    wait_for 120 beyond run $((reached + further)) || fail "no step beyond $((reached + further)) before kill $1"
    reached=$(committed_step run)
    before=$(epoch)
    struck=$(date +%s.%N)
    who=$(kill_rank "$host" "$index") || { echo "$1/$kills nobody on $host"; return 1; }
    wait_for 120 another_epoch || {
        tell_job "${job:?}"
        cat run/submit/slurm-* run/log/supervisor.log
        fail "not back after kill $1 on $host"
    }
    echo "$struck $before $host" >>strikes
    echo "$1/$kills $host $who: goes on after step $(committed_step run)"
}

done_kills=0 reached=0
for ((tries = 0; done_kills < kills && tries < 3 * kills; tries++)); do
    strike $((done_kills + 1)) && done_kills=$((done_kills + 1))
done
[ "$done_kills" = "$kills" ] || fail "only $done_kills kills hit somebody"
touch run/STOP # it saves, and ends
wait_for 180 job_ended "$job" || { tell_job "$job"; fail "the job does not stop"; }
reeve inspect run --json >inspect.json || fail "inspect"
last=$(json inspect.json step)
for host in n1 n2 n3 n4; do
    left=$(cluster on "$PWD/cluster" "$host" pgrep -c -x reeve-rank)
    [ "$left" = 0 ] || fail "$left ranks are left on $host"
done
must_run 0 2 undisturbed --set train.steps=$last
expect_equal "digest" "$(digest_of run)" "$(digest_of undisturbed)"
audit_ok run
python3 - "$last" "${JSON:-}" <<'PYTHON'
import json, statistics, sys
rows = [json.loads(line) for line in open("run/metrics.jsonl")]
rows = [row for row in rows if "event" not in row]
step = statistics.median(row["step_seconds"] for row in rows if row["step_seconds"])
times = []
for line in open("strikes"):
    struck, before, host = line.split()
    back = next(row["time"] for row in rows if row["membership_epoch"] > int(before))
    times.append(max(0.0, back - float(struck) - step))
ordered = sorted(times)
audit = json.load(open("audit.json"))
result = {"kills": len(times), "median_s": statistics.median(times), "p99_s": ordered[-(-99 * len(times) // 100) - 1],
          "longest_s": ordered[-1], "step_s": step, "steps": int(sys.argv[1]), "steps_again": audit["rolled_back_steps"],
          "recoveries_s": times}
print("| kills | median | p99 | longest |\n|---|---|---|---|")
print(f"| {result['kills']} | {result['median_s']:.2f} s | {result['p99_s']:.2f} s | {result['longest_s']:.2f} s |")
print(f"\n{result['steps']} steps of {1000 * step:.1f} ms, {result['steps_again']} computed again; the same bits, exactly once")
if sys.argv[2]:
    json.dump(result, open(sys.argv[2], "w"), indent=1)
PYTHON
