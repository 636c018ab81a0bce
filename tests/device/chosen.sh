#!/usr/bin/env bash
# Goal: what computes is chosen as docs/job.md says, the same on all ranks, and what cannot be is refused with the numbers
# and the remedy before anything is computed.
# shellcheck source=tests/device/double.sh
. "$REEVE_SOURCE/tests/device/double.sh"
make_tiny
sed -i 's/steps: 40/steps: 4/' job.yaml

refused() { # refused WORKERS PATTERN [ARGUMENT...]: exit 69, and the line once
    local workers=$1 pattern=$2
    shift 2
    rm -rf refused
    must_run 69 "$workers" refused "$@"
    expect_text run.out "$pattern"
    expect_equal "lines of it" "$(grep -Ec -- "$pattern" run.out)" 1
}
cuda=(--set resources.device=cuda)
for workers in 1 2; do
    REEVE_DOUBLE_GPUS=0 refused "$workers" 'resources.device is cuda, but host .*: CUDA finds no GPU, and says: no CUDA-capable device is detected: look at nvidia-smi' "${cuda[@]}"
done
REEVE_DOUBLE_GPUS=2 refused 3 'host .*: 3 workers, 2 GPUs; NCCL does not share a GPU: lower resources.workers' "${cuda[@]}"
REEVE_DOUBLE_GPUS=2 must_run 0 2 enough "${cuda[@]}"

# A build without CUDA.
for workers in 1 2; do
    PATH=$REEVE_BIN:$PATH
    [ -x "$REEVE_BIN/reeve-rank-cuda" ] || refused "$workers" 'host .* runs reeve-rank, which has no CUDA' "${cuda[@]}"
    PATH=${PATH#*:}
done

# auto: started by mpirun as what can use GPUs, since this machine shows none to `reeve run`
auto() { # auto COUNT WORKERS RUN [ARGUMENT...]
    local count=$1 workers=$2 dir=$3
    shift 3
    code=0
    REEVE_DOUBLE_GPUS=$count within 120 mpirun -n $((workers + 1)) "$double_bin/reeve-rank-cuda" --job job.yaml \
        --set resources.device=auto "$@" --run-dir "$dir" --quiet >run.out 2>&1 || code=$?
}
auto 2 2 auto-cuda
expect_equal "exit code" "$code" 0
expect_text run.out 'computing on 2 GPUs: of unknown type'
auto 1 2 auto-short
expect_equal "exit code" "$code" 0
expect_text run.out 'computing on CPUs: host .*: 2 workers, 1 GPU; NCCL does not share'
auto 0 2 auto-none
expect_equal "exit code" "$code" 0
[ -e /dev/nvidiactl ] || expect_no_text run.out 'computing on' # with a driver, finding nothing is worth a word
auto 0 2 auto-bf16 --set train.precision=bf16
expect_equal "exit code" "$code" 69
expect_text run.out 'train.precision is bf16, which only GPUs compute: host .*: CUDA finds no GPU'

# A rank with CUDA among ranks without: all on CPUs, or none at all. By a script, for mpirun of Open MPI 5.0.7 crashes where
# it is to start two programs and PRTE_MCA_rmaps_default_mapping_policy is :oversubscribe.
cat >mixed.sh <<'SH'
[ "$OMPI_COMM_WORLD_RANK" = 2 ] && exec "$double_bin/reeve-rank" "$@"
exec "$double_bin/reeve-rank-cuda" "$@"
SH
code=0
export double_bin
within 120 mpirun -n 3 bash mixed.sh --job job.yaml --set resources.device=auto --run-dir mixed --quiet >run.out 2>&1 ||
    code=$?
[ "$code" = 0 ] || { tail run.out; fail "mixed: exit code $code"; }
expect_text run.out 'computing on CPUs: host .* runs reeve-rank, which has no CUDA'
