#!/usr/bin/env bash
# Goal: with faults.replace a list of commands gets another worker for a lost one, and gives it work; every task is counted
# once. Method: a worker is killed while the second half of the list waits; it goes on when all workers are there again.
# shellcheck source=tests/fault/exec_run.sh
. "$REEVE_SOURCE/tests/fault/exec_run.sh"
# shellcheck source=tests/fault/ranks.sh
. "$REEVE_SOURCE/tests/fault/ranks.sh"
need_ulfm

tasks=200
seq "$tasks" | sed 's|.*|[ & -le 100 ] \|\| until [ -e there ]; do sleep 0.05; done; sleep 0.02; echo done >>effects/$REEVE_TASK|' >list.txt
mkdir effects
exec_job <<<'  list.txt'
printf 'faults: {replace: true}\n' >>job.yaml
effects() { find effects -type f | wc -l; }
more_effects() { [ "$(effects)" -ge "$1" ] || ! kill -0 "$run" 2>/dev/null; }
workers_now() { sed -n 's/.*"workers": *\([0-9]*\).*/\1/p' run/status.json 2>/dev/null | head -1; }
replaced() { cat run/log/* | grep -q 'is replaced by a new process'; }
fewer() { [ "$(workers_now)" = 2 ] || replaced; } # status.json is written once a second: another one may be there by then
all_there() { [ "$(workers_now)" = 3 ] || ! kill -0 "$run" 2>/dev/null; }

begin_run 3 "$PWD/run"
wait_for 60 more_effects 20 || fail "no command ended"
wait_for 30 all_there || fail "the workers are not there"
kill_ranks "$PWD/run" "$(worker_pids "$PWD/run" | head -n 1)"
wait_for 30 fewer || fail "nobody misses the lost worker"
wait_for 60 all_there || fail "nobody came"
touch there
end_run 0 "$PWD/run"
exactly_once run "$tasks"
expect_equal "files of effects" "$tasks" "$(effects)"
replaced || fail "nobody came"
