#!/usr/bin/env bash
# Promise P1 on four hosts: started by mpirun in a batch job and by srun with PMIx, a run ends in the bits of one on this
# machine alone. Method: the tiny job, five ranks on four hosts, and the digest of the weights. Under srun the master is late
# in MPI_Init, and the others have to wait for it; who has not asked Slurm for that is told.
# shellcheck source=tests/slurm/on_cluster.sh
. "$REEVE_SOURCE/tests/slurm/on_cluster.sh"
make_tiny
must_run 0 4 alone
first=$(digest_of alone)

batch() { # batch NAME COMMAND: a job of four hosts that runs one line of shell
    slurm sbatch --parsable --nodes=4 --ntasks-per-node=2 --time=5 --output="$1.out" --job-name="$1" \
        --wrap "$2" || fail "sbatch $1"
}

by_mpirun=$(batch by-mpirun "mpirun -n 5 --map-by node reeve run job.yaml --run-dir by-mpirun -q")
wait_job 90 "$by_mpirun" COMPLETED
mpicc -shared -fPIC -o late.so "$REEVE_SOURCE/tests/slurm/late_fence.c" || fail "late_fence.c"
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0 # of a build that watches itself: late.so comes before it
by_srun=$(batch by-srun "export SLURM_PMIX_FENCE=ring LD_PRELOAD=$PWD/late.so
    srun --mpi=pmix -n 5 --distribution=cyclic reeve run job.yaml --run-dir by-srun -q")
wait_job 90 "$by_srun" COMPLETED
not_asked=$(slurm sbatch --parsable --nodes=2 --time=5 --output=not-asked.out \
    --wrap "srun --mpi=pmix -n 2 reeve run job.yaml --run-dir by-srun --stop-at 1")
wait_for 90 job_ended "$not_asked" || fail "job $not_asked does not end"
expect_equal "words of srun's fences" "$(grep -c 'export SLURM_PMIX_FENCE=ring' not-asked.out by-srun.out by-mpirun.out)" \
    "$(printf '%s\n' not-asked.out:1 by-srun.out:0 by-mpirun.out:0)"

for run in by-mpirun by-srun; do
    expect_equal "digest of $run" "$(digest_of $run)" "$first"
    expect_equal "workers of $run" "$(json inspect.json workers_seen)" 4
    audit_ok $run
done
