#!/usr/bin/env bash
# Done when 4 and 5: a job held and released, queued again by hand, cancelled, stopped by a person, and one whose disk is full:
# each ends as docs/slurm.md says, and after all of that, on two, four and three hosts, the run has the bits of one host.
# shellcheck source=tests/slurm/on_cluster.sh
. "$REEVE_SOURCE/tests/slurm/on_cluster.sh"
export REEVE_IN_JOB=off # a rank that dies is to end the job here
never_ending

# Held: it waits, and says why; released, it runs.
submit --nodes 2 --time 5 --run-dir "$PWD/run" --sbatch --hold
sleep 1
expect_equal "state of a held job" "$(job_state "$job")" PENDING
expect_exit 0 slurm reeve status run
expect_text stdout 'submitted'
expect_text stdout "^slurm +job $job PENDING, reason JobHeldUser"
slurm scontrol release "$job"
wait_for 40 beyond run 250 || { tell_job "$job"; fail "a released job did not begin"; }

# Queued again by hand, in the middle: Slurm kills it, and it comes back and goes on from its newest checkpoint.
slurm scontrol requeue "$job"
wait_for 60 has_lives run 2 || { tell_job "$job"; fail "not back after scontrol requeue"; }
wait_for 40 beyond run 450 || { tell_job "$job"; fail "the second life did not begin"; }

# Cancelled: it ends for good, and is not queued again by us.
slurm scancel "$job"
wait_job 40 "$job" CANCELLED
sleep 2
expect_equal "state of a cancelled job" "$(job_state "$job")" CANCELLED
reeve verify run >verify.out || { cat verify.out; fail "verify after scancel"; }
before=$(committed_step run)

# Stopped by a person: saved, 75, and left alone. Then again, on another number of nodes, with srun.
submit --nodes 4 --time 5 --run-dir "$PWD/run" --launcher srun
wait_for 60 beyond run "$((before + 50))" || { tell_job "$job"; fail "the third life did not begin"; }
expect_exit 0 slurm reeve status run --json
expect_equal "state for Slurm" "$(json stdout slurm.state)" RUNNING
expect_equal "nodes for Slurm" "$(json stdout slurm.nodes)" "n[1-4]"
touch run/STOP
wait_job 40 "$job" FAILED
expect_equal "exit code" "$(job_field "$job" ExitCode)" 75:0
expect_text "run/submit/slurm-$job.out" 'not queued again: somebody asked'
expect_equal "cause" "$(ends run | tail -n 1)" asked

# A crash that nobody on the node survives to mend: `reeve run` itself dies. It is queued again, because it had got on, and
# comes back on another first host within seconds, where it finds the locks of its own earlier life.
submit --nodes 3 --time 5 --run-dir "$PWD/run"
before=$(committed_step run)
wait_for 60 beyond run "$((before + 450))" || { tell_job "$job"; fail "the fourth life did not begin"; }
host=$(job_field "$job" BatchHost)
cluster on "$PWD/cluster" "$host" pkill -KILL -x reeve || fail "no reeve on $host"
wait_for 60 grep -q "\"event\":\"requeued\".*\"job_id\":$job,.*\"cause\":\"crash\"" run/starts.jsonl ||
    { tell_job "$job"; fail "not queued again after a crash"; }
wait_for 30 job_is "$job" PENDING || { tell_job "$job"; fail "the requeued job does not wait"; } # now nothing of it runs
slurm scontrol update "nodename=$host" state=drain reason=test
reeve inspect run --json >inspect.json
last=$(($(json inspect.json step) + 100))
end_at $last
wait_job 60 "$job" COMPLETED
[ "$(job_field "$job" BatchHost)" != "$host" ] || fail "the job came back on $host, which takes no jobs"
grep -q 'is in use by' "run/submit/slurm-$job.out" && fail "the job waited for its own earlier life"
slurm scontrol update "nodename=$host" state=resume
must_run 0 3 undisturbed --set train.steps=$last
expect_equal "digest" "$(digest_of run)" "$(digest_of undisturbed)"
audit_ok run
python3 - audit.json <<'PYTHON' || fail "the audit's list of starts"
import json, sys
starts = json.load(open(sys.argv[1]))["starts"]
got = [(s["restart_count"], len(s["hosts"]), s["workers"], s["cause"]) for s in starts]
print(*got, sep="\n")
assert [(g[0], g[1], g[2]) for g in got] == [(0, 2, 2), (1, 2, 2), (0, 4, 4), (0, 3, 3), (1, 3, 3)]
assert [g[3] for g in got[2:]] in (["asked", "crash", "complete"], ["asked", "pre-empted", "complete"])
assert len({s["job_id"] for s in starts}) == 3
PYTHON
expect_exit 0 reeve audit run
expect_text stdout '^ended by .*complete 1.*asked 1'

# A job that dies at once, again and again, is not queued for ever. (Its script is edited so that it does.)
make_tiny
submit --nodes 1 --run-dir "$PWD/broken" --sbatch --hold
slurm scancel "$job"
sed -i -e '/--hold/d' -e 's/^reeve run .*/bash -c "exit 70" \&/' broken/submit/train.sbatch
job=$(slurm sbatch --parsable broken/submit/train.sbatch)
wait_job 90 "$job" FAILED
expect_equal "restarts of a job that dies at once" "$(job_field "$job" Restarts)" 2
expect_text "broken/submit/slurm-$job.out" 'has saved nothing since'

# A full disk under the run: 74, the reason in the output, no requeue; with room again it goes on. The hosts share what
# the machine mounts before they start, so they are started anew.
cluster down "$PWD/cluster"
rm -rf cluster
mkdir small
mount -t tmpfs -o size=6m tmpfs small || { echo "no small file system can be had here: left out"; exit 0; }
trap 'cluster down "$PWD/cluster"; umount -l "$PWD/small"' EXIT
cluster up "$PWD/cluster" 2 || fail "the cluster did not start again"
make_tiny
must_run 75 2 small/run --stop-at 12
expect_exit 0 slurm reeve submit job.yaml --nodes 2 --run-dir "$PWD/small/run" --sbatch --hold --sbatch "--output=full.out"
job=$(tail -n 1 stdout)
head -c 100m /dev/zero >small/filler 2>/dev/null
slurm scontrol release "$job"
wait_job 60 "$job" FAILED
code=$(job_field "$job" ExitCode)
[ "$code" = 74:0 ] || [ "$code" = 73:0 ] || { cat full.out; fail "exit code of a job on a full disk: $code"; }
expect_text full.out 'No space|full|space'
expect_equal "restarts on a full disk" "$(job_field "$job" Restarts)" 0
rm small/filler
submit --nodes 2 --run-dir "$PWD/small/run"
wait_job 60 "$job" COMPLETED
must_run 0 1 undisturbed-small
expect_equal "digest after a full disk" "$(digest_of small/run)" "$(digest_of undisturbed-small)"
