# Goal: a list of commands goes on without a killed worker and without a killed master; every task is counted once, and a
# stop that was asked before the master died still winds running commands down. Method: one run of some hundred short
# commands that loses both; one of long commands whose master is killed between the stop and the end of the drain.
# shellcheck source=tests/fault/exec_run.sh
. "$REEVE_SOURCE/tests/fault/exec_run.sh"
# shellcheck source=tests/fault/ranks.sh
. "$REEVE_SOURCE/tests/fault/ranks.sh"
need_ulfm

tasks=600
# The second half waits until both are lost, so that the run cannot end before.
seq "$tasks" | sed 's|.*|[ & -le 300 ] \|\| until [ -e lost ]; do sleep 0.05; done; sleep 0.02; echo done >>effects/$REEVE_TASK|' >list.txt
mkdir effects
exec_job <<<'  list.txt'
effects() { find effects -type f | wc -l; }
more_effects() { [ "$(effects)" -ge "$1" ] || ! kill -0 "$run" 2>/dev/null; }

begin_run 4 "$PWD/run"
wait_for 60 more_effects 50 || fail "no command ended"
kill_ranks "$PWD/run" "$(worker_pids "$PWD/run" | head -n 1)"
wait_for 60 more_effects 200 || fail "the run stands still without a worker"
kill_ranks "$PWD/run" "$(master_pid "$PWD/run")"
touch lost
end_run 0 "$PWD/run"
expect_equal "killed" "$kills" 2
exactly_once run "$tasks"
expect_equal "restarts" "$(json audit.json restarts)" 0
expect_equal "files of effects" "$tasks" "$(effects)"

exec_job 'drain_s: 4' <<<'  [{name: a, command: "echo >began; sleep 300"}, {name: b, command: sleep 300}]'
begin_run 3 "$PWD/stop"
wait_for 60 test -s began || fail "the command never began"
touch stop/STOP
sleep 1.5 # the workers know of it by now; where the machine is slower than that the next master finds the file
kill_ranks "$PWD/stop" "$(master_pid "$PWD/stop")"
end_run 75 "$PWD/stop"
expect_text stop/starts.jsonl '"event":"end".*"cause":"asked","exit_code":75'
