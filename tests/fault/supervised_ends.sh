#!/usr/bin/env bash
# What the supervisor does with each other end of a launch: a hang is ended and started again; a limit is kept, with a
# clear last word; what a restart cannot mend is not restarted; and when the supervisor itself is killed, the job ends.
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
# shellcheck source=tests/fault/supervised.sh
. "$REEVE_SOURCE/tests/fault/supervised.sh"
make_tiny
sed -i 's/steps: 40/steps: 1000000/; s/every: 10,/every: 50,/; s/eval_every: 20/eval_every: 0/' job.yaml
sed -i 's/warmup: 5/warmup: 5, decay_steps: 20000/' job.yaml

echo "$SECONDS s: part 1"
# 1. A hang of the master, and of everything: nobody dies, and nothing moves.
begin_run 2 run --set faults.hang_min_s=4
for victims in master all; do
    past=$(committed_step run)
    wait_for 60 steps_past run "$past" || { tail run.out; fail "no progress before the $victims stopped"; }
    [ "$victims" = master ] || past=$(committed_step run)
    before=$(restarts_told run)
    mapfile -t ranks < <(ranks_of run)
    if [ "$victims" = master ]; then kill -STOP "${ranks[0]}"; else kill -STOP "${ranks[@]}" "$(launcher_of run)"; fi
    wait_for 90 more_restarts run "$before" || { tail run.out; fail "a stopped $victims was not found"; }
done
wait_for 60 some_rank run || fail "no rank after the hangs"
learn_identity run
past=$(committed_step run)
wait_for 60 steps_past run "$past" || { tail run.out; fail "no progress after the hangs"; }
expect_text run/log/supervisor.log 'hung: nothing moved for [0-9]+ s'

echo "$SECONDS s: part 2"
# 2. SIGTERM to the supervisor: a checkpoint, 75, and nothing is left.
kill -TERM "$run"
end_run 60 75
[ "$(restarts_told run)" -ge 2 ] || fail "fewer restarts than hangs" # more, where the machine itself stood still
nothing_left run

echo "$SECONDS s: part 3"
# 3. The supervisor itself is killed: the job ends, and until it has, the folder is in use.
begin_run 2 run
past=$(committed_step run)
wait_for 60 steps_past run "$past" || { tail run.out; fail "no progress"; }
kill -KILL "$run"
wait "$run" 2>/dev/null
code=0
reeve run job.yaml -n 2 --run-dir "$PWD/run" -q --stop-at 1 >second.out 2>&1 || code=$?
[ "$code" = 73 ] || [ "$code" = 75 ] || { cat second.out; fail "second run: exit code $code"; }
[ "$code" = 75 ] || expect_text second.out 'in use by'
wait_for 30 no_rank run || fail "ranks outlived the supervisor"

echo "$SECONDS s: part 4"
# 4. A second `reeve run` beside a living supervisor is refused, also while it waits between two launches.
begin_run 2 run --set faults.restart_wait_s=60 --set faults.restarts_max=100
past=$(committed_step run)
wait_for 60 steps_past run "$past" || { tail run.out; fail "no progress"; }
run_job 2 run
expect_equal "exit code of a second run" "$code" 73
kill -TERM "$run"
end_run 60 75

echo "$SECONDS s: part 5"
# 5. restarts_max: a run without a checkpoint that never gets as far again is given up, and says so.
begin_run 2 fruitless --set checkpoint.every=0 --set 'faults={restarts_max: 2, crash_limit: 1000}'
wait_for 60 steps_past fruitless 300 || { tail run.out; fail "no progress"; }
sleep 5 # so far that no launch below gets there before it is killed
restarted_or_gone() { run_is_gone || more_restarts "$dir" "$before"; }
dir=fruitless
for k in 1 2 3 4 5 6; do
    before=$(restarts_told fruitless)
    wait_for 60 some_rank fruitless || break
    mapfile -t ranks < <(ranks_of fruitless)
    kill -KILL "${ranks[@]}" 2>/dev/null
    wait_for 60 restarted_or_gone || { tail run.out; fail "kill $k was not followed by a restart"; }
    ! run_is_gone || break
done
end_run 60 70
expect_text run.out 'giving up: 2 restarts in a row brought no progress \(faults.restarts_max\)'
expect_text run.out 'logs: .*fruitless/log'

echo "$SECONDS s: part 6"
# 6. crash_limit: three deaths in the same step. One step that takes half a minute on a fast machine, minutes on a slow
# one: 4096 tasks, and no kill below comes so late that it hits the next.
sed -e 's/global_batch: 8/global_batch: 16384/; s/micro_batch: 2/micro_batch: 4/; s/width: 16/width: 256/' \
    -e 's/sequence: 16/sequence: 64/' job.yaml >long.yaml
mv long.yaml job.yaml
# Both workers of this launch have joined, and have computed some of the step's tasks.
worker_in_the_step() {
    victim=$(ranks_of poison | tail -n 1)
    [ -n "$victim" ] && grep -q '"workers": 2,' poison/status.json &&
        [ "$(sed -n 's/.*"tasks_done": *\([0-9]*\).*/\1/p' poison/status.json)" -gt 3 ]
} 2>/dev/null
begin_run 2 poison
dir=poison
# A kill that comes too early hits no step, and does not count: so there may be more than three.
for k in 1 2 3 4 5 6; do
    before=$(restarts_told poison)
    wait_for 90 worker_in_the_step || { tail run.out; fail "no step under way before death $k"; }
    kill -KILL "$victim"
    wait_for 60 restarted_or_gone || { tail run.out; fail "death $k: no restart"; }
    ! run_is_gone || break
    rm -f poison/status.json # of the launch that is gone: the next one has to say how far it is
done
end_run 60 70
expect_text run.out 'giving up: the run died in step 1 3 times in a row \(faults.crash_limit\)'
expect_text run.out 'was killed by signal 9 \(SIGKILL\)'

echo "$SECONDS s: part 7"
# 7. Bad data is not tried again: a shard that has changed since it was locked.
make_tiny
must_run 0 2 bad
tr a e <text-6.txt >changed && cat changed >text-6.txt
must_run 65 2 bad --set train.steps=80
expect_equal "restarts on bad data" "$(restarts_told bad)" 0
