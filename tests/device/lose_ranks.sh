#!/usr/bin/env bash
# Goal: with an MPI that survives losses, a worker or the master dies while gradients are on GPUs, by kill -9 or by a fault
# of its GPU, and the job goes on without it: no step is lost, the same bits.
# shellcheck source=tests/device/double.sh
. "$REEVE_SOURCE/tests/device/double.sh"
# shellcheck source=tests/fault/ranks.sh
. "$REEVE_SOURCE/tests/fault/ranks.sh"
need_ulfm
make_tiny
sed -i 's/steps: 40/steps: 3000/; s/every: 10,/every: 250,/; s/eval_every: 20/eval_every: 500/' job.yaml
RANDOM=${SEED:-$$}
echo "seed ${SEED:-$$}"
expected_of calm
sed -i 's/device: cpu/device: cuda/' job.yaml

lose() { # lose WORKERS KILL...
    local workers=$1 dir="$PWD/run-$((++runs))" kill victim before
    shift
    begin_run "$workers" "$dir"
    for kill in "$@"; do
        before=$(committed_step "$dir")
        more_steps() { [ "$(committed_step "$dir")" -gt $((before + 1)) ] || ! kill -0 "$run" 2>/dev/null; }
        wait_for 60 more_steps || { tail run.out; fail "run $runs stands still before: $kill"; }
        kill -0 "$run" 2>/dev/null || fail "run $runs ended before: $kill"
        sleep 0.$((RANDOM % 90 + 10))
        case $kill in
        worker) victim=$(worker_pids "$dir" | head -n 1) ;;
        master) victim=$(master_pid "$dir") ;;
        esac
        [ -n "$victim" ] || fail "run $runs: no $kill to kill"
        kill_ranks "$dir" "$victim"
    done
    end_run 0 "$dir"
    expect_equal "digest of run $runs ($*)" "$(digest_of "$dir")" "$expected"
    audit_ok "$dir"
    expect_equal "rolled back steps of run $runs ($*)" "$(json audit.json rolled_back_steps)" 0
    echo "run $runs: $workers workers, lost: $*"
}

runs=0
lose 3 worker worker
lose 3 master worker
export REEVE_DEVICE_FAULT=end:700:$PWD/failed
lose 3 # its GPU fails
[ -e failed ] || fail "no GPU failed"
expect_text run.out 'device_end on GPU .: an illegal memory access'

# Beside a loss the GPU of another process fails: found out while they come together, it costs that process alone.
unset REEVE_DEVICE_FAULT
export REEVE_DOUBLE_DIR=$PWD/double REEVE_DOUBLE_FAULTS=2:cudaDeviceGetPCIBusId:fail:2
mkdir "$REEVE_DOUBLE_DIR"
lose 3 master
[ -e "$REEVE_DOUBLE_DIR/struck-0" ] || fail "no GPU failed beside the loss"
expect_text run.out 'after a loss: sum over GPUs: take the GPU: .*; this process ends'
