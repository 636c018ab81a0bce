#!/usr/bin/env bash
# A wish to stop is not lost with a launch: one that comes while nothing runs, between a launch that was lost and the next, and
# a file STOP whose master dies before the end. Method: for the first the supervisor is stopped for longer than it would
# wait, so that it hears of the signal when the wait is over; for the other a command is running that takes long.
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
# shellcheck source=tests/fault/supervised.sh
. "$REEVE_SOURCE/tests/fault/supervised.sh"
make_tiny
sed -i 's/steps: 40/steps: 1000000/; s/every: 10,/every: 50,/; s/eval_every: 20/eval_every: 0/' job.yaml
sed -i 's/warmup: 5/warmup: 5, decay_steps: 20000/' job.yaml

# lose_and_ask RUN SIGNAL
lose_and_ask() {
    begin_run 1 "$1"
    wait_for 60 steps_past "$1" 50 || { tail run.out; fail "no progress"; }
    kill -KILL "$(ranks_of "$1")"
    wait_for 60 more_restarts "$1" 0 || { tail run.out; fail "the loss was not followed by a restart"; }
    kill -STOP "$run"
    sleep 1
    kill "-$2" "$run"
    kill -CONT "$run"
    end_run 20 75
}

# 1. It is heeded: the run does not go on without an end.
lose_and_ask run TERM
expect_text run.out 'not started again, since it was asked to stop'
must_run 75 1 run --stop-at "$(($(committed_step run) + 1))"

# 2. In a batch job it is Slurm's, whose job is to be queued again for what its launch died of; or a person's.
mkdir slurm
printf '#!/bin/sh\necho "$@" >>"%s/requeued"\n' "$PWD" >slurm/scontrol
printf '#!/bin/sh\nexit 1\n' >slurm/squeue
chmod +x slurm/*
PATH=$PWD/slurm:$PATH
export SLURM_JOB_ID=77 SLURM_RESTART_COUNT=0
lose_and_ask batch USR2
code=0
reeve requeue batch --after 75 >requeue.out 2>&1 || code=$?
expect_equal "exit code of requeue" "$code" 75
expect_text requeue.out 'it crashed: job 77 is queued again'
expect_text requeued 'requeue 77'
rm requeued
lose_and_ask person INT
reeve requeue person --after 75 >requeue.out 2>&1
expect_text requeue.out 'not queued again: somebody asked the run to stop'
[ ! -e requeued ] || fail "queued again, though a person asked it to stop"
unset SLURM_JOB_ID SLURM_RESTART_COUNT

# 3. The file STOP, and the master dies while what runs is waited for: the next one begins nothing either.
cat >job.yaml <<'YAML'
name: naps
workload: exec
resources: {workers: 1}
exec: {drain_s: 600, slots: 1}
tasks:
  - {name: first, command: "echo >>first; [ $(wc -l <first) -gt 1 ] || exec sleep 500"}
  - {name: second, command: "echo >>second"}
YAML
begin_run 1 list
wait_for 60 test -s first || { tail run.out; fail "the first command never began"; }
touch list/STOP
sleep 1 # the master knows of it by now; where the machine is slower than that the test says nothing
kill -KILL "$(ranks_of list)"
end_run 20 75
[ ! -e second ] || fail "another command was begun after the stop"
[ ! -e list/STOP ] || fail "STOP was left behind"
