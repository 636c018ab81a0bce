#!/usr/bin/env bash
# Goal: with an MPI that survives losses, a worker or the master dies while gradients are on GPUs, by kill -9 or by a fault
# of its GPU, and the job goes on without it: no step is lost, the same bits. Method: a run with more steps than can be done,
# stopped when it has got on after the last loss, and finished by two.
# shellcheck source=tests/device/double.sh
. "$REEVE_SOURCE/tests/device/double.sh"
# shellcheck source=tests/fault/ranks.sh
. "$REEVE_SOURCE/tests/fault/ranks.sh"
need_ulfm
make_tiny
sed -i 's/steps: 40/steps: 1000000/; s/every: 10,/every: 250,/; s/eval_every: 20/eval_every: 500/; s/device: cpu/device: cuda/' job.yaml
sed -i 's/warmup: 5/warmup: 5, decay_steps: 20000/' job.yaml
RANDOM=${SEED:-$$}
echo "seed ${SEED:-$$}"

get_on() { # get_on WHERE: another step is committed
    before=$(committed_step "$dir")
    more_steps() { [ "$(committed_step "$dir")" -gt $((before + 1)) ] || ! kill -0 "$run" 2>/dev/null; }
    wait_for 60 more_steps || { tail run.out; fail "run $runs stands still: $1"; }
    kill -0 "$run" 2>/dev/null || { tail run.out; fail "run $runs ended: $1"; }
}

lose() { # lose WORKERS LOSS...
    local workers=$1 dir="$PWD/run-$((++runs))" loss victim last
    shift
    begin_run "$workers" "$dir"
    for loss in "$@"; do
        get_on "before $loss"
        sleep 0.$((RANDOM % 90 + 10))
        case $loss in
        worker) victim=$(worker_pids "$dir" | head -n 1) ;;
        master) victim=$(master_pid "$dir") ;;
        gpu)
            wait_for 60 test -e failed || { tail run.out; fail "no GPU failed"; }
            continue
            ;;
        esac
        [ -n "$victim" ] || fail "run $runs: no $loss to kill"
        kill_ranks "$dir" "$victim"
    done
    get_on "after $*"
    get_on "after $*" # the first may have been committed before the loss was seen
    touch "$dir/STOP"
    end_run 75 "$dir"
    reeve inspect "$dir" --json >inspect.json || fail "inspect $dir"
    last=$(($(json inspect.json step) + 20))
    cp run.out "lost-$runs.out"
    must_run 0 2 "$dir" --set train.steps=$last
    digest=$(digest_of "$dir")
    audit_ok "$dir"
    expect_equal "rolled back steps of run $runs ($*)" "$(json audit.json rolled_back_steps)" 0
    expected_of "calm-$runs" --set train.steps=$last
    expect_equal "digest of run $runs ($*)" "$digest" "$expected"
    echo "run $runs: $workers workers, lost: $*; $last steps"
}

runs=0
lose 3 worker worker
lose 3 master worker
export REEVE_DEVICE_FAULT=end:100:$PWD/failed
lose 3 gpu
expect_text lost-3.out 'device_end on GPU .: an illegal memory access'

# Beside a loss the GPU of another process fails: found out while they come together, it costs that process alone.
unset REEVE_DEVICE_FAULT
export REEVE_DOUBLE_DIR=$PWD/double REEVE_DOUBLE_FAULTS=2:cudaDeviceGetPCIBusId:fail:2
mkdir "$REEVE_DOUBLE_DIR"
lose 3 master
[ -e "$REEVE_DOUBLE_DIR/struck-0" ] || fail "no GPU failed beside the loss"
expect_text lost-4.out 'after a loss: sum over GPUs: take the GPU: .*; this process ends'
