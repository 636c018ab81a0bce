#!/usr/bin/env bash
# The scripts of slurm/ as they are, submitted with sbatch: a chain of ten links trains to the end over two of them, and the
# others end at once. Master and workers lie where docs/slurm.md says. And `reeve doctor --slurm` of this cluster.
# shellcheck source=tests/slurm/on_cluster.sh
. "$REEVE_SOURCE/tests/slurm/on_cluster.sh"
never_ending
cp "$REEVE_SOURCE"/slurm/* .

chain=$(slurm sbatch --parsable chain.sbatch) || fail "sbatch chain.sbatch"
wait_for 40 beyond runs/train 100 || { tell_job "$chain"; fail "the chain did not begin"; }

# One worker on each node, and the master beside that of the first; each node gives 8 cores to workers, and one to a master.
ranks_on() { cluster on "$PWD/cluster" "$1" pgrep -c -x reeve-rank || true; }
expect_equal "ranks on n1 ... n4" "$(for host in n1 n2 n3 n4; do ranks_on $host; done | paste -sd ' ')" "2 1 1 1"
expect_equal "host of the master" "$(json runs/train/status.json host)" n1
link=$(slurm squeue --noheader --states=RUNNING --jobs "$chain" --format=%A)
expect_equal "cores" "$(job_field "$link" NumCPUs)" 36

# The next link begins at once, and reads the job anew.
last=$(($(committed_step runs/train) + 400))
end_at $last
# In the background: for a link of an array scancel 22.05 hears "try again later" although the signal went out, and tries.
slurm scancel --signal=USR2 --batch "$link" 2>/dev/null &
wait_for 40 has_ends runs/train 1 || { tell_job "$link"; fail "the first link did not end"; }
all_ended() { [ -z "$(slurm squeue --noheader --jobs "$chain" 2>/dev/null)" ]; }
wait_for 120 all_ended || { tell_job "$chain"; fail "the chain does not end"; }
slurm scontrol --oneliner show job "$chain" | sed -n 's/.* JobState=\([A-Z]*\) .*ExitCode=\([0-9:]*\).*/\1 \2/p' |
    sort | uniq -c | tr -s ' ' | paste -sd , >states
expect_equal "how the links ended" "$(cat states)" " 9 COMPLETED 0:0, 1 FAILED 75:0"
expect_equal "starts of the chain" "$(lives runs/train)" 2
expect_text "train-$chain.out" 'runs/train is complete'
must_run 0 1 undisturbed --set train.steps=$last
expect_equal "digest" "$(digest_of runs/train)" "$(digest_of undisturbed)"
audit_ok runs/train

for script in train train-srun; do # what they do below their heads, slurm.submit tests
    slurm sbatch --test-only $script.sbatch 2>says || fail "sbatch --test-only $script.sbatch: $(cat says)"
done

expect_exit 0 slurm reeve doctor --slurm --json
cp stdout doctor.json
value() { json doctor.json "slurm.$1.value"; } # of a finding
expect_equal "cluster" "$(value cluster)" reeve
expect_equal "PMIx" "$(value mpi_plugins | tr ' ' '\n' | grep -cx pmix)" 1
expect_equal "PMIx's fence" "$(value pmix_fence)" mixed
expect_equal "requeue" "$(value requeue)" "by default"
expect_equal "kill_wait" "$(value kill_wait)" "5 sec from SIGTERM to SIGKILL"
expect_equal "preemption" "$(value preemption)" none
expect_equal "gpu_binding" "$(value gpu_binding)" "this cluster gives out no GPUs"
case $(slurm sbatch --version) in
*" 22."*) expect_equal "job_end_time" "$(value job_end_time)" "from squeue" ;;
*) expect_equal "job_end_time" "$(value job_end_time)" "in the environment of the job, and from squeue" ;;
esac
