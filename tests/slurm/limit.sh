#!/usr/bin/env bash
# Done when 2: a run longer than its time limit finishes by itself over three requeues, with no step lost, to the bits of an
# undisturbed run. Each life ends in another way: an end that was moved nearer while it ran, a signal to the batch script,
# and the limit of one minute. Then the same in links of a chain, under srun.
# shellcheck source=tests/slurm/on_cluster.sh
. "$REEVE_SOURCE/tests/slurm/on_cluster.sh"
never_ending

submit --nodes 4 --time 1 --run-dir "$PWD/run" --sbatch --signal=B:USR2@1
wait_for 30 beyond run 10 || { tell_job "$job"; fail "the run did not begin"; }
slurm scontrol update "JobId=$job" EndTime=now+25
wait_for 60 has_ends run 1 || { tell_job "$job"; fail "an end that was moved nearer was not seen"; }
wait_for 60 has_lives run 2 || { tell_job "$job"; fail "not queued again after its time was up"; }
wait_for 30 beyond run "$(($(committed_step run) + 10))" || { tell_job "$job"; fail "the second life did not begin"; }
slurm scancel --signal=USR2 --batch "$job"
wait_for 60 has_lives run 3 || { tell_job "$job"; fail "not queued again after a signal"; }
wait_for 90 has_ends run 3 || { tell_job "$job"; fail "the limit of a minute was not kept"; }
wait_for 30 job_is "$job" PENDING || { tell_job "$job"; fail "not queued again after a minute"; }
reeve inspect run --json >inspect.json
last=$(($(json inspect.json step) + 100))
end_at $last
wait_job 90 "$job" COMPLETED
expect_equal "Restarts" "$(job_field "$job" Restarts)" 3
expect_equal "causes" "$(ends run | tr '\n' ',')" "time limit,time limit,time limit,complete,"
audit_ok run
expect_equal "steps rolled back" "$(json audit.json rolled_back_steps)" 0
expect_equal "lives in one output" "$(grep -c 'is queued again' run/submit/slurm-"$job".out)" 3
expect_no_text cluster/log/jobs-ended 'JobState=TIMEOUT'
must_run 0 3 undisturbed --set train.steps=$last
expect_equal "digest" "$(digest_of run)" "$(digest_of undisturbed)"
echo "$last steps over $(lives run) lives"

# A chain: links that are not queued again, one after the other; the rest end at once when the run is complete.
never_ending
first_link=''
submit --nodes 2 --launcher srun --time 5 --chain 4 --run-dir "$PWD/chain"
mapfile -t links <<<"$job"
expect_equal "links" "${#links[@]}" 4
first_link=${links[0]}
wait_for 30 beyond chain 10 || { tell_job "$first_link"; fail "the chain did not begin"; }
slurm scancel --signal=USR2 --batch "$first_link"
wait_for 60 has_ends chain 1 || { tell_job "$first_link"; fail "the first link did not end"; }
reeve inspect chain --json >inspect.json
last=$(($(json inspect.json step) + 100))
end_at $last
wait_job 30 "$first_link" FAILED # 75 is no success to Slurm
for link in "${links[@]:1}"; do wait_job 60 "$link" COMPLETED; done
expect_equal "starts of the chain" "$(lives chain)" 2
must_run 0 1 undisturbed-chain --set train.steps=$last
expect_equal "digest of the chain" "$(digest_of chain)" "$(digest_of undisturbed-chain)"
audit_ok chain
