#!/usr/bin/env bash
# Promises P1, P2 and P4 under kill -9 of everything at random moments, each time resumed with another number of workers:
# the run ends with the digest of the undisturbed run, and the audit says exactly once.
#
#   KILLS=200 SEED=5 reeve's tests/tools/in_fresh_folder.sh tests/fault/kill_everything.sh    by hand, longer
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
make_tiny
# More steps than can be done between the kills; where the run really ends is decided after the last of them.
sed -i 's/steps: 40/steps: 1000000/; s/every: 10,/every: 50,/; s/eval_every: 20/eval_every: 1500/' job.yaml
sed -i 's/warmup: 5/warmup: 5, decay_steps: 20000/' job.yaml
kills=${KILLS:-50}
RANDOM=${SEED:-$$}
echo "seed ${SEED:-$$}"

rank_alive() { pgrep -f -- "^[^ ]*reeve-rank --run-dir $PWD/run" >/dev/null; }
none_alive() { ! pgrep -f -- "reeve-rank --run-dir $PWD/run" >/dev/null; } # nor a launcher
moved() { [ "$(committed_step run)" != "$before" ]; }
early=0
for ((k = 1; k <= kills; k++)); do
    workers=$((1 + RANDOM % 5)) before=$(committed_step run)
    setsid reeve run job.yaml -n "$workers" --run-dir run -q >run.out 2>&1 &
    run=$!
    # From before the first word to hundreds of steps later; how long a launch takes depends on the machine.
    case $((k % 3)) in
    0) ;;
    1) wait_for 60 rank_alive || { tail run.out; fail "no rank before kill $k"; } ;;
    2) wait_for 60 moved || { tail run.out; fail "no step before kill $k"; } ;;
    esac
    sleep "0.$((RANDOM % 10))$((RANDOM % 10))"
    kill -0 "$run" 2>/dev/null || { tail run.out; fail "kill $k came too late: the run had ended by itself"; }
    pkill -KILL -f -- "reeve-rank --run-dir $PWD/run" || early=$((early + 1))
    pkill -KILL -P "$run"
    kill -KILL "$run" 2>/dev/null
    wait "$run" 2>/dev/null
    wait_for 20 none_alive || { ps -ww -eo pid,ppid,stat,wchan:20,etimes,args | grep -F -- "$PWD/run"; fail "ranks outlived kill -9, number $k"; }
    [ ! -e run/job.yaml ] || reeve verify run >verify.out 2>&1 || { cat verify.out; fail "verify after kill $k"; }
    [ $((k % 10)) != 0 ] || echo "after $k kills: step $(reeve inspect run --json >i.json && json i.json step)"
done
reeve inspect run --json >inspect.json
last=$(($(json inspect.json step) + 100))
must_run 0 3 run --set train.steps=$last
audit_ok run
echo "$kills kills ($early before any rank was there), $(json audit.json restarts) restarts on record," \
    "$(json audit.json rolled_back_steps) steps rolled back and done again, $last steps in all"
[ $((kills - early)) -ge $((kills / 2)) ] || fail "too few kills met a rank"

must_run 0 1 undisturbed --set train.steps=$last
expect_equal "digest after the kills" "$(digest_of run)" "$(digest_of undisturbed)"
