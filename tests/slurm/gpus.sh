#!/usr/bin/env bash
# GPUs under Slurm. Goal: `reeve submit --gpus-per-node` gives each worker a GPU of its own on every node, with either
# launcher, to the bits of a CPU; what Slurm gave is what counts. Method: nodes with two GPUs that are none (Slurm hands out
# /dev/null), and the double of NCCL and CUDA in the ranks, which counts what CUDA_VISIBLE_DEVICES shows.
export REEVE_CLUSTER_GPUS=2
# shellcheck source=tests/slurm/on_cluster.sh
. "$REEVE_SOURCE/tests/slurm/on_cluster.sh"
# shellcheck source=tests/device/double.sh
. "$REEVE_SOURCE/tests/device/double.sh"
make_tiny
sed -i 's/device: cpu/device: cuda/' job.yaml
expected_of on-cpu
mkdir double
export REEVE_DOUBLE_DIR=$PWD/double # where all hosts see it

for launcher in mpirun srun; do
    expect_exit 0 slurm reeve submit job.yaml --nodes 2 --gpus-per-node 2 --time 5 --launcher $launcher \
        --run-dir "$PWD/by-$launcher" --wait
    expect_equal "digest by $launcher" "$(digest_of "by-$launcher")" "$expected"
    expect_equal "workers by $launcher" "$(json inspect.json workers_seen)" 4
    audit_ok "by-$launcher"
    cat "by-$launcher"/submit/slurm-*.out "by-$launcher"/log/* >told
    expect_text told 'computing on 4 GPUs'
done

# Fewer GPUs than workers: refused before anything is asked of Slurm; and where Slurm gave fewer than was said, on the node.
expect_exit 64 slurm reeve submit job.yaml --nodes 2 --tasks-per-node 2 --gpus-per-node 1 --run-dir "$PWD/refused"
expect_text stderr '2 workers on a node, but 1 GPU; NCCL does not share a GPU'
[ ! -e refused ] || fail "a refused job left a folder"
submit --nodes 2 --tasks-per-node 2 --sbatch --gpus-per-node=1 --time 5 --run-dir "$PWD/too-few"
wait_job 60 "$job" FAILED
expect_equal "exit code of too few" "$(job_field "$job" ExitCode)" 69:0
expect_text too-few/submit/slurm-*.out 'host n[1-4]: 2 workers, 1 GPU; NCCL does not share a GPU'
expect_text too-few/submit/slurm-*.out 'is not queued again: the next start would fail in the same way'
expect_exit 0 slurm reeve submit job.yaml --nodes 2 --tasks-per-node 2 --gpus-per-node 0 --dry-run
expect_no_text stdout 'SBATCH --gpus'
expect_exit 0 slurm reeve doctor --slurm --json
expect_equal "gpu_binding" "$(json stdout slurm.gpu_binding.value)" "GPUs are given out by Slurm"
