#!/usr/bin/env bash
# Asked to stop, a run checkpoints at the next step boundary and exits with 75; the same command goes on, with any number
# of workers, to the same bits. By --stop-at, SIGTERM, Ctrl-C, a file STOP; a file SAVE; and a second Ctrl-C.
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
make_tiny
must_run 0 2 run-a
first=$(digest_of run-a)

# The log of a worker that had nothing to complain of says where it was, and what it had done when it ended.
for worker in 1 2; do
    log=run-a/log/rank-0000$worker.log
    expect_equal "lines of $log" "$(wc -l <$log)" 2
    expect_text $log " info worker $worker: begun: worker $worker of 2, process [0-9]+ on host $(uname -n), workload gpt, 1 thread; reeve [0-9]"
    expect_text $log " info worker $worker: ended after [0-9.]+ s, at step 40: 40 steps applied in [0-9.]+ s, [0-9]+ micro-batches"
done
told=$(sed -nE 's/.* ([0-9]+) micro-batches computed.*/\1/p' run-a/log/rank-0000[12].log | awk '{n += $1} END {print n}')
reeve audit run-a --json >audit.json
expect_equal "micro-batches that the workers tell of" "$told" "$(($(json audit.json leases) - 6))" # and six shards

must_run 75 3 run-b --stop-at 17
expect_equal "stopped at" "$(committed_step run-b)" 17
expect_text run.out 'run the same command again'
audit_ok run-b
must_run 0 5 run-b
expect_equal "digest after 17 steps on 3 workers and the rest on 5" "$(digest_of run-b)" "$first"
audit_ok run-b
expect_equal "workers seen" "$(json inspect.json workers_seen)" 5

# Again: it is complete, and says so.
must_run 0 2 run-b
expect_text run.out 'complete'
expect_equal "digest after running a complete run again" "$(digest_of run-b)" "$first"
# Asked for fewer steps than it has done: what is true, what to do, and what is on record stays.
must_run 0 2 run-b --set train.steps=30
expect_text run.out 'it has done 40 steps \(train.steps asks for 30\)'
expect_text run.out 'raise train.steps beyond 40'
expect_text run-b/job.yaml '^ *steps: 40 '
# Given more steps: the cosine ends where it ended, and that is told.
must_run 0 2 run-b --set train.steps=41
expect_text run.out 'optimizer.decay_steps stays 40, as when the run began'
expect_text run-b/job.yaml 'decay_steps: 40'

# Signals, in the middle of a run with more steps than can be done; where it ends is decided after the last of them.
sed -i 's/steps: 40/steps: 100000000/; s/every: 10,/every: 500,/; s/eval_every: 20/eval_every: 0/' job.yaml
sed -i 's/warmup: 5/warmup: 5, decay_steps: 12000/' job.yaml
some_steps() { [ "$(committed_step run-c)" -ge "$goal" ]; }
goal=3
for how in TERM INT file; do
    within 200 reeve run job.yaml -n 2 --run-dir "$PWD/run-c" -q >run.out 2>&1 &
    run=$!
    wait_for 60 some_steps || { tail run.out; fail "no progress"; }
    child=$(reeve_of reeve run job.yaml -n 2 --run-dir "$PWD/run-c" -q)
    case $how in
    file)
        touch run-c/SAVE
        taken() { [ ! -e run-c/SAVE ]; }
        wait_for 60 taken || fail "SAVE was not seen"
        touch run-c/STOP
        ;;
    *) kill "-$how" "$child" ;;
    esac
    code=0
    wait "$run" || code=$?
    [ "$code" = 75 ] || { tail run.out; fail "$how: exit code $code, expected 75"; }
    goal=$(($(committed_step run-c) + 30))
    if [ -e run-c/STOP ] || [ -e run-c/SAVE ]; then fail "STOP or SAVE was left behind"; fi
    echo "$how: stopped at step $(committed_step run-c)"
done

# Twice: at once, without a checkpoint, and nothing committed is lost.
within 200 reeve run job.yaml -n 2 --run-dir "$PWD/run-c" -q >run.out 2>&1 &
run=$!
wait_for 60 some_steps || { tail run.out; fail "no progress"; }
child=$(reeve_of reeve run job.yaml -n 2 --run-dir "$PWD/run-c" -q)
kill -INT "$child"; sleep 0.5; kill -INT "$child"
code=0
wait "$run" || code=$?
[ "$code" = 130 ] || [ "$code" = 75 ] || { tail run.out; fail "twice: exit code $code"; }
reeve inspect run-c --json >inspect.json
last=$(($(json inspect.json step) + 100))
must_run 0 3 run-c --set train.steps=$last
audit_ok run-c
none_left() { ! pgrep -f -- "reeve-rank --run-dir $PWD/" >/dev/null; }
wait_for 20 none_left || fail "a rank was left behind"
must_run 0 1 run-long --set train.steps=$last
expect_equal "digest after four interruptions" "$(digest_of run-c)" "$(digest_of run-long)"
