#!/usr/bin/env bash
# Promise P3, level 2: kill -9 of workers, the master, mpirun, or all of them, at random moments, and no hand touches the
# run in between: it is started again each time, once, and ends with the digest of the undisturbed run.
#
#   KILLS=50 SEED=5 reeve's tests/tools/in_fresh_folder.sh tests/fault/supervised_kills.sh    by hand, longer
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
# shellcheck source=tests/fault/supervised.sh
. "$REEVE_SOURCE/tests/fault/supervised.sh"
make_tiny
# More steps than can be done between the kills; where the run really ends is decided after the last of them.
sed -i 's/steps: 40/steps: 1000000/; s/every: 10,/every: 50,/; s/eval_every: 20/eval_every: 1500/' job.yaml
sed -i 's/warmup: 5/warmup: 5, decay_steps: 20000/' job.yaml
# Kills during the start, several in a row, bring no progress; here that is no reason to give up.
echo 'faults: {restarts_max: 1000, restart_wait_s: 1}' >>job.yaml
kills=${KILLS:-8}
RANDOM=${SEED:-$$}
echo "seed ${SEED:-$$}"

begin_run 3 run
wait_for 60 some_rank run || { tail run.out; fail "the run did not begin"; }
learn_identity run
worker_kills=0 master_kills=0 launcher_kills=0 all_kills=0
for ((k = 1; k <= kills; k++)); do
    before=$(restarts_told run)
    sleep "$((RANDOM % 2)).$((RANDOM % 10))$((RANDOM % 10))" # from before the first word to hundreds of steps later
    wait_for 60 some_rank run || { tail run.out; fail "no rank before kill $k"; }
    mapfile -t ranks < <(ranks_of run)
    case $((RANDOM % 8)) in
    0 | 1) launcher_kills=$((launcher_kills + 1)); kill -KILL "$(launcher_of run)" ;;
    2) all_kills=$((all_kills + 1)); kill -KILL "${ranks[@]}" "$(launcher_of run)" ;;
    3 | 4) master_kills=$((master_kills + 1)); kill -KILL "${ranks[0]}" ;;
    *) worker_kills=$((worker_kills + 1)); kill -KILL "$(worker_of run)" ;;
    esac 2>/dev/null
    wait_for 60 more_restarts run "$before" || { tail run.out; fail "kill $k was not followed by a restart"; }
    kill -0 "$run" 2>/dev/null || { tail run.out; fail "the supervisor ended after kill $k"; }
done
past=$(committed_step run)
wait_for 60 steps_past run "$past" || { tail run.out; fail "no progress after the last kill"; }
touch run/STOP
end_run 60 75
expect_equal "restarts" "$(restarts_told run)" "$kills"
nothing_left run

reeve inspect run --json >inspect.json
[ "$(json inspect.json workers_lost)" -gt 0 ] || fail "inspect has not seen that workers were lost"
last=$(($(json inspect.json step) + 100))
must_run 0 2 run --set train.steps=$last
audit_ok run
echo "$kills kills ($worker_kills workers, $master_kills masters, $launcher_kills launchers, $all_kills of all at once)," \
    "$(json audit.json rolled_back_steps) steps rolled back and done again, $last steps in all"
must_run 0 1 undisturbed --set train.steps=$last
expect_equal "digest after the kills" "$(digest_of run)" "$(digest_of undisturbed)"
