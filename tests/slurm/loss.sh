#!/usr/bin/env bash
# Done when 3: a worker is only stopped, a host is lost in the middle, and a rank dies on another one. The job goes on in the
# same allocation, on the hosts that are left, and takes the host back when it is there again. With fewer workers left than it
# wants it is queued again, as it is by Slurm when all hosts are lost. In the end the bits are those of an undisturbed run.
# shellcheck source=tests/slurm/on_cluster.sh
. "$REEVE_SOURCE/tests/slurm/on_cluster.sh"
never_ending

slurmd_timeout() { # slurmd_timeout SECONDS: what Slurm calls down, it takes from the job
    sed -i "s/^SlurmdTimeout=.*/SlurmdTimeout=$1/" cluster/slurm.conf
    slurm scontrol reconfigure
}
# On a machine that stands still for seconds itself a host may be taken for lost once more than the test takes away: then there
# is another start. So what counts is the newest one, not its number.
hosts_now() { # of the newest start, sorted
    sed -n 's/.*"hosts":"\([^"]*\)".*/\1/p' run/starts.jsonl | tail -n 1 | tr ' ' '\n' | sort | paste -sd ' '
}
goes_on() { # goes_on WHAT: the run has begun again since there were $had starts, and gets on
    wait_for 90 has_lives run "$((had + 1))" || { tell_job "$job"; cat run/submit/slurm-*; fail "not started again after $1"; }
    wait_for 60 beyond run "$(($(committed_step run) + 50))" ||
        { tell_job "$job"; cat run/submit/slurm-*; fail "no step after $1"; }
}

slurmd_timeout 300 # as clusters have it: Slurm notices nothing here, nor does mpirun for one minute or two
submit --nodes 4 --time 10 --run-dir "$PWD/run" --set resources.min_workers=3 \
    --set faults.host_silence_s=5
wait_for 40 beyond run 250 || { tell_job "$job"; fail "the run did not begin"; }

# A worker that is only stopped: its host is asked, starts a process, and is left alone.
cluster on "$PWD/cluster" n4 pkill -STOP -f bin/reeve-rank || fail "no rank on n4"
silent() { [ "$(json run/status.json silent_host)" = n4 ]; }
wait_for 30 silent || { cat run/status.json; fail "the silence of n4 is not told"; }
expect_exit 0 reeve status run
expect_text stdout '^silent +host n4 for [0-9]+ s'
sleep 8 # longer than it takes to find out that a host is lost
cluster on "$PWD/cluster" n4 pkill -CONT -f bin/reeve-rank || fail "the stopped rank is gone"
wait_for 60 beyond run "$(($(committed_step run) + 50))" || fail "no step after a stopped worker went on"
expect_equal "starts after a stopped worker" "$(lives run)" 1
expect_no_text run/log/supervisor.log 'is lost'

# A host. MPI may not miss it for minutes; the job has to.
lost=$SECONDS
had=$(lives run)
cluster lose "$PWD/cluster" n3
goes_on "a lost host"
echo "lost a host; $((SECONDS - lost)) s later the job has gone on"
expect_equal "state after a lost host" "$(job_state "$job")" RUNNING
expect_equal "hosts after a lost host" "$(hosts_now)" "n1 n2 n4"
expect_text run/log/supervisor.log 'host n3 was lost, after step'
expect_text run/starts.jsonl "\"event\":\"start\".*\"epoch\":2,.*\"job_id\":$job,\"restart_count\":0"

# It comes back, and the next start has it: that after a process died on another host. No MPI survives that inside the job
# here (REEVE_IN_JOB): it is started again.
cluster back "$PWD/cluster" n3
sleep 1
had=$(lives run)
cluster on "$PWD/cluster" n2 pkill -KILL -f bin/reeve-rank || fail "no rank on n2"
goes_on "a lost rank"
expect_equal "hosts with one that came back" "$(hosts_now)" "n1 n2 n3 n4"

# Two hosts at once: two workers are left, and three are wanted.
had=$(lives run)
cluster lose "$PWD/cluster" n3
cluster lose "$PWD/cluster" n2
wait_for 60 grep -q '"event":"requeued"' run/starts.jsonl || { tell_job "$job"; cat run/submit/slurm-*; fail "not queued again"; }
expect_equal "cause" "$(ends run | tail -n 1)" "node failure"
cluster back "$PWD/cluster" n2
cluster back "$PWD/cluster" n3
goes_on "the loss of two hosts"
expect_equal "hosts after it was queued again" "$(hosts_now)" "n1 n2 n3 n4"
expect_equal "restarts" "$(job_field "$job" Restarts)" 1

# All of them: then there is nobody but Slurm.
slurmd_timeout 10
for host in n2 n3 n4 n1; do cluster lose "$PWD/cluster" $host; done
wait_for 60 job_is "$job" PENDING || { tell_job "$job"; fail "not queued again after all hosts were lost"; }
reeve inspect run --json >inspect.json
last=$(($(json inspect.json step) + 100))
end_at $last
for host in n1 n2 n3 n4; do cluster back "$PWD/cluster" $host; done
wait_job 120 "$job" COMPLETED
expect_equal "hosts that came back" "$(hosts_now)" "n1 n2 n3 n4"
must_run 0 2 undisturbed --set train.steps=$last
expect_equal "digest" "$(digest_of run)" "$(digest_of undisturbed)"
audit_ok run
