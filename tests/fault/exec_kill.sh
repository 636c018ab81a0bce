# Goal: kill -9 of everything at random moments loses nothing: every task is done, each counted exactly once in the journal,
# and nothing outlives the run. Method: some hundred short commands, of which each hundred may begin only after another kill;
# KILLS times kill -9 of all ranks; resume; audit.
#
#   KILLS=100 SEED=5 tests/tools/in_fresh_folder.sh tests/fault/exec_kill.sh    by hand, longer
# shellcheck source=tests/fault/exec_run.sh
. "$REEVE_SOURCE/tests/fault/exec_run.sh"

kills=${KILLS:-6}
tasks=$(((kills + 1) * 120))
RANDOM=${SEED:-$$}
echo "seed ${SEED:-$$}"
for ((i = 0; i < tasks; i++)); do
    echo "until [ -e gate/$((i / 120)) ]; do sleep 0.02; done; sleep 0.00\$((RANDOM % 9)); echo done >>effects/\$REEVE_TASK"
done >list.txt
mkdir effects gate
exec_job 'shell: /bin/bash' <<<'  list.txt'

rank_alive() { pgrep -f -- "^[^ ]*reeve-rank --run-dir $PWD/run" >/dev/null; }
none_alive() { ! pgrep -f -- "reeve-rank --run-dir $PWD/run" >/dev/null; } # nor a launcher
some_effects() { [ "$(find effects -type f | wc -l)" -ge 20 ]; }
met=0
for ((k = 1; k <= kills; k++)); do
    touch "gate/$((k - 1))"
    setsid reeve run job.yaml -n $((1 + RANDOM % 4)) --run-dir run -q >run.out 2>&1 &
    run=$!
    wait_for 60 rank_alive || { cat run.out; fail "no rank before kill $k"; }
    [ "$k" != 1 ] || wait_for 60 some_effects || { cat run.out; fail "no command ended"; }
    sleep "0.$((RANDOM % 6))$((RANDOM % 10))"
    pkill -KILL -f -- "reeve-rank --run-dir $PWD/run" && met=$((met + 1))
    pkill -KILL -P "$run"
    kill -KILL "$run" 2>/dev/null
    wait "$run" 2>/dev/null
    wait_for 20 none_alive || fail "ranks outlived kill -9"
    [ ! -e run/job.yaml ] || reeve verify run >verify.out 2>&1 || { cat verify.out; fail "verify after kill $k"; }
done
touch "gate/$kills"
expect_exit 0 within 100 reeve run job.yaml -n 3 --run-dir run -q
exactly_once run "$tasks"
expect_equal "files of effects" "$tasks" "$(find effects -type f | wc -l)"
again=$(($(cat effects/* | wc -l) - tasks))
echo "$kills kills ($met met a rank), $(json audit.json restarts) restarts, $(json audit.json released) leases ended without a" \
    "verdict, $again commands begun again of $tasks"
expect_equal "kills that met a rank" "$met" "$kills"

# One worker is killed while its command has a child of its own: the warden ends both.
exec_job <<<'  [{name: deep, command: "sleep 54321 & echo $! >child; wait"}]'
setsid reeve run job.yaml -n 2 --run-dir deep -q >run.out 2>&1 &
run=$!
wait_for 60 test -s child || fail "the command never began"
child=$(cat child)
parent=$(ps -o ppid= -p "$(ps -o ppid= -p "$child" | tr -d ' ')" | tr -d ' ')
kill -KILL "$parent"
gone() { ! kill -0 "$child" 2>/dev/null; }
wait_for 20 gone || fail "the command's child outlived its worker"
kill -KILL "$run" 2>/dev/null
wait "$run" 2>/dev/null
true
