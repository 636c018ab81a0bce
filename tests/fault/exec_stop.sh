# Goal: a stop begins nothing more, lets running commands end within exec.drain_s, ends the others, exits with 75, and the
# same command goes on with what is not done. Method: one command that ends once the stop is known, an endless one and many
# that wait; TERM; again.
# shellcheck source=tests/fault/exec_run.sh
. "$REEVE_SOURCE/tests/fault/exec_run.sh"

exec_job 'drain_s: 3' 'ahead: 1' <<'TASKS'
  - {name: ends, command: 'touch begun1; until test -e told; do sleep 0.05; done; touch ended1', priority: 2}
  - {name: endless, command: 'touch begun2; test -e go_on || sleep 500; touch ended2', priority: 2}
  - {name: rest, command: 'echo {n} >>rest.txt', matrix: {n: [1, 2, 3, 4, 5]}, after: ends}
TASKS
reeve run job.yaml -n 2 --run-dir run >run.out 2>&1 &
run=$!
both_begun() { [ -e begun1 ] && [ -e begun2 ]; }
wait_for 60 both_begun || { cat run.out; fail "the first two never began"; }
kill -TERM "$run"
wait_for 60 grep -q 'nothing more is begun' run.out || { cat run.out; fail "the stop was not heard"; }
touch told
wait "$run"
expect_equal "exit code of a stopped run" 75 $?
expect_text run.out "stopped: 1 of 7 tasks are done; run the same command again"
[ -e ended1 ] && [ ! -e ended2 ] && [ ! -e rest.txt ] || fail "what the stop should let end, end, and not begin"
exactly_once run 1
expect_equal "ended by the stop" 1 "$(task run endless released)"
expect_equal "not charged" 0 "$(task run endless failures)"
touch go_on
expect_exit 0 within 60 reeve run job.yaml -n 3 --run-dir run
exactly_once run 7
expect_equal "each of the rest once" "1 2 3 4 5" "$(sort -n rest.txt | tr '\n' ' ' | sed 's/ $//')"
