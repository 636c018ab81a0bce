#!/usr/bin/env bash
# Goal: kill -9 of a worker, of rank 0 and of all, while gradients are on GPUs: the run is started again and ends with the
# bits of an undisturbed one. Under the supervisor alone (REEVE_IN_JOB=off): in the job is lose_ranks.sh.
# shellcheck source=tests/device/double.sh
. "$REEVE_SOURCE/tests/device/double.sh"
# shellcheck source=tests/fault/supervised.sh
. "$REEVE_SOURCE/tests/fault/supervised.sh"
make_tiny
sed -i 's/steps: 40/steps: 100000/; s/every: 10,/every: 20,/; s/eval_every: 20/eval_every: 500/; s/device: cpu/device: cuda/' job.yaml
sed -i 's/warmup: 5/warmup: 5, decay_steps: 20000/' job.yaml
echo 'faults: {restarts_max: 1000, restart_wait_s: 1}' >>job.yaml
export REEVE_IN_JOB=off
RANDOM=${SEED:-$$}
echo "seed ${SEED:-$$}"

begin_run 3 run
wait_for 60 some_rank run || { tail run.out; fail "the run did not begin"; }
learn_identity run
for victim in worker master worker all; do
    before=$(restarts_told run)
    wait_for 60 steps_past run "$(committed_step run)" || { tail run.out; fail "no step before the kill of $victim"; }
    sleep "0.$((RANDOM % 10))$((RANDOM % 10))"
    mapfile -t ranks < <(ranks_of run)
    case $victim in
    worker) kill -KILL "$(worker_of run)" ;;
    master) kill -KILL "${ranks[0]}" ;;
    all) kill -KILL "${ranks[@]}" ;;
    esac 2>/dev/null
    wait_for 60 more_restarts run "$before" || { tail run.out; fail "the kill of $victim was not followed by a restart"; }
done
past=$(committed_step run)
wait_for 60 steps_past run "$past" || { tail run.out; fail "no progress after the last kill"; }
touch run/STOP
end_run 60 75
nothing_left run

reeve inspect run --json >inspect.json
last=$(($(json inspect.json step) + 20))
must_run 0 2 run --set train.steps=$last
audit_ok run
digest=$(digest_of run)
expected_of undisturbed --set train.steps=$last
expect_equal "digest after the kills, $last steps" "$digest" "$expected"
