#!/usr/bin/env bash
# Done when 3: a rank dies on another host, and a host is lost in the middle. The job goes on in the same allocation, on the
# hosts that are left; saved and started again it takes the host back. Then all hosts are lost: Slurm queues the job again,
# and it goes on. In the end the bits are those of an undisturbed run.
# shellcheck source=tests/slurm/on_cluster.sh
. "$REEVE_SOURCE/tests/slurm/on_cluster.sh"
never_ending

submit --nodes 4 --time 10 --run-dir "$PWD/run"
wait_for 40 beyond run 250 || { tell_job "$job"; fail "the run did not begin"; }

# A process on another host. No MPI survives that inside the job here (REEVE_IN_JOB): it is started again, on all hosts.
# (By its command line: where it has started itself anew for better kernels, it is called `exe`.)
cluster on "$PWD/cluster" n2 pkill -KILL -f bin/reeve-rank || fail "no rank on n2"
wait_for 60 has_lives run 2 || { tell_job "$job"; cat run/submit/slurm-*; fail "not started again after a lost rank"; }
wait_for 60 beyond run "$(($(committed_step run) + 50))" || { tell_job "$job"; cat run/submit/slurm-*; fail "no step after a lost rank"; }
expect_equal "hosts after a lost rank" "$(sed -n 's/.*"epoch":2,"hosts":"\([^"]*\)".*/\1/p' run/starts.jsonl | wc -w)" 4

# A host.
lost=$SECONDS
cluster lose "$PWD/cluster" n3
wait_for 90 has_lives run 3 || { tell_job "$job"; cat run/submit/slurm-*; fail "not started again after a lost host"; }
wait_for 60 beyond run "$(($(committed_step run) + 50))" || { tell_job "$job"; cat run/submit/slurm-*; fail "no step after a lost host"; }
echo "lost a host; $((SECONDS - lost)) s later the job has gone on"
expect_equal "state after a lost host" "$(job_state "$job")" RUNNING
expect_equal "hosts after a lost host" "$(sed -n 's/.*"epoch":3,"hosts":"\([^"]*\)".*/\1/p' run/starts.jsonl |
    tr ' ' '\n' | sort | tr '\n' ' ')" "n1 n2 n4 "
expect_text run/starts.jsonl "\"event\":\"start\".*\"epoch\":3,.*\"job_id\":$job,\"restart_count\":0"

# All of them.
for host in n2 n4 n1; do cluster lose "$PWD/cluster" $host; done
wait_for 60 job_is "$job" PENDING || { tell_job "$job"; fail "not queued again after all hosts were lost"; }
reeve inspect run --json >inspect.json
last=$(($(json inspect.json step) + 100))
end_at $last
for host in n1 n2 n3 n4; do cluster back "$PWD/cluster" $host; done
wait_job 120 "$job" COMPLETED
expect_equal "hosts that came back" "$(sed -n 's/.*"epoch":4,"hosts":"\([^"]*\)".*/\1/p' run/starts.jsonl | wc -w)" 4
must_run 0 2 undisturbed --set train.steps=$last
expect_equal "digest" "$(digest_of run)" "$(digest_of undisturbed)"
audit_ok run
