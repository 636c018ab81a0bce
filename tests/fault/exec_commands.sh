# Goal: whatever a command does, the run says what happened and ends as it should. Method: commands that fail, crash, hang,
# ignore SIGTERM, leave children behind, print megabytes, cannot be started, wait for dead ones; one run, judged by its files.
# shellcheck source=tests/fault/exec_run.sh
. "$REEVE_SOURCE/tests/fault/exec_run.sh"

printf 'not a program\n' >plain && chmod a-x plain
exec_job 'ahead: 1' <<'TASKS' # nothing waits at a worker, so nothing is given back, and attempts are what they seem
  - {name: good, command: 'echo "$REEVE_TASK $REEVE_ATTEMPT $REEVE_WORKER"; echo oops >&2'}
  - {name: plain, command: true}
  - {name: complains, command: echo oops >&2}
  - {name: fails, command: exit 7, attempts: 2}
  - {name: crashes, command: kill -SEGV $$, attempts: 1}
  - {name: hangs, command: sleep 300, time_limit_s: 1, attempts: 1}
  - {name: deaf, command: 'trap "" TERM; while :; do sleep 1; done', time_limit_s: 2, attempts: 1}
  - {name: talks, command: 'head -c 5000000 /dev/zero | tr "\0" x'}
  - {name: missing, command: ./no-such-program, attempts: 2}
  - {name: forbidden, command: ./plain, attempts: 1}
  - {name: second, command: 'test "$REEVE_ATTEMPT" != 1', attempts: 3}
  - {name: leaves, command: 'sleep 77777 & echo $!'}
  - {name: reads, command: 'read x || echo nothing'}
  - {name: quiet_env, command: 'env | grep -c "^OMPI_COMM\|^PMIX" || true'}
  - {name: behind_dead, command: touch never, after: fails}
  - {name: behind_any, command: touch always, after_any: [fails, hangs], after: good}
TASKS
expect_exit 3 within 100 reeve run job.yaml -n 3 --run-dir run
expect_text stderr "finished, but 7 tasks are dead"
exactly_once run 9
expect_text run/output/00000/good.a1.out '^good 1 [123]$'
expect_text run/output/00000/good.a1.err '^oops$'
[ ! -e run/output/00000/plain.a1.out ] || fail "an empty file of output was left"
expect_equal "exit code" 7 "$(task run fails exit_code)"
expect_equal "failures" 2 "$(task run fails failures)"
expect_equal "signal" 11 "$(task run crashes signal)"
expect_equal "time limit" "time limit of the task passed" "$(task run hangs reason)"
expect_equal "TERM" 15 "$(task run hangs signal)"
expect_equal "then KILL" 9 "$(task run deaf signal)"
expect_equal "megabytes" 5000000 "$(wc -c <run/output/00000/talks.a1.out)"
expect_equal "missing program" 127 "$(task run missing exit_code)"
expect_equal "why" "task could not be started" "$(task run missing reason)"
expect_equal "missing program is tried again" 2 "$(task run missing failures)"
expect_text run/log/rank-00000.log "task missing .attempt 1.: cannot start: ./no-such-program: No such file"
expect_text run/log/rank-00000.log "task forbidden .attempt 1.: cannot start: ./plain: Permission denied"
expect_equal "second attempt" "done" "$(task run second state)"
! kill -0 "$(cat run/output/00000/leaves.a1.out)" 2>/dev/null || fail "a child outlived its command"
expect_text run/output/00000/reads.a1.out nothing
expect_text run/output/00000/quiet_env.a1.out '^0$'
expect_equal "dependency" "a task that it waits for is dead" "$(task run behind_dead reason)"
[ -e always ] && [ ! -e never ] || fail "after and after_any"
expect_exit 3 reeve run job.yaml -n 2 --run-dir run
expect_text stdout "is complete: all 16 tasks have ended, 7 of them dead"
expect_exit 0 reeve verify run
expect_exit 0 reeve explain run behind_dead
expect_text stdout "it was never given to a worker"
expect_text stdout "behind_dead: is dead: one that it waits for is dead"
expect_text stdout "after +fails .dead."
expect_exit 0 reeve explain run second
expect_text stdout "attempt 1 +failed by worker [123], exit code 1"
expect_text stdout "attempt 2 +done by worker [123], exit code 0"
expect_exit 0 reeve explain run missing
expect_text stdout "^missing: is dead: task could not be started"
expect_text stdout "attempt 1 +failed by worker [123]: task could not be started$"
expect_text stdout "^why it could not be started: grep 'task missing ' run/log/rank-\*.log$"
bash -c "$(sed -n 's/^why it could not be started: //p' stdout)" >why
expect_text why "cannot start: ./no-such-program: No such file"
expect_exit 0 reeve explain run missing --json
expect_equal "reason of an attempt" "task could not be started" "$(json stdout history.1.reason)"
expect_equal "exit code of an attempt" 127 "$(json stdout history.1.exit_code)"
expect_exit 64 reeve explain run secnd
expect_text stderr "no task is named 'secnd'; did you mean 'second'"
expect_exit 0 reeve tasks run --state dead
expect_text stdout "^dead +deaf +1 +signal 9"
expect_text stdout "^dead +missing .* -$"
expect_exit 0 reeve tasks run --state "done"
expect_text stdout "^done +good .* output/00000/good.a1.out$"
expect_text stdout "^done +plain .* -$"
expect_text stdout "^done +complains .* output/00000/complains.a1.err$"
