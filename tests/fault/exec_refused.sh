# Goal: what cannot be run is refused before anything starts, with file, line, key and remedy. Method: a job of each kind.
# shellcheck source=tests/fault/exec_run.sh
. "$REEVE_SOURCE/tests/fault/exec_run.sh"

refuses() { # refuses CODE PATTERN <<tasks
    exec_job
    expect_exit "$1" reeve run job.yaml -n 1 --run-dir run
    expect_text stderr "$2"
    [ ! -e run ] || fail "a refused job left a run folder"
}
refuses 65 'job.yaml: tasks that wait for each other can never run: a waits for b waits for a' <<<'  [{name: a, command: x, after: b}, {name: b, command: y, after: a}]'
refuses 65 "job.yaml:8:.*: no task is named 'fitt'; did you mean 'fit'" <<<'  [{name: fit, command: x}, {command: y, after: fitt}]'
refuses 65 "job.yaml:8:.*: key 'comand': unknown; did you mean 'command'" <<<'  [{comand: x}]'
refuses 65 "expected either 'command' or 'file', found none" <<<'  [{name: a}]'
refuses 65 "parameter 'beta': the command has no .beta. in it" <<<'  [{command: "x {alpha}", matrix: {alpha: [1], beta: [2]}}]'
refuses 65 "two entries are named 'a'" <<<'  [{name: a, command: x}, {name: a, command: y}]'
refuses 66 "job.yaml:8:.*no-such-list.txt" <<<'  no-such-list.txt'
refuses 65 "expected a list of tasks, or the name of a file" <<<'  []'
printf 'true\n\n# no command\nfalse\n' >list.txt
exec_job <<<'  list.txt'
expect_exit 0 reeve plan job.yaml
expect_text stdout "2 tasks"
expect_exit 3 reeve run job.yaml -n 1 --run-dir run --set faults.attempts_max=1
# What is complete stays as it was done: other settings change nothing on record.
mkdir before elsewhere
cp run/tasks.h5 run/job.yaml before
expect_exit 3 reeve run job.yaml -n 1 --run-dir run --set faults.attempts_max=1 --set exec.folder=elsewhere
for name in tasks.h5 job.yaml; do
    cmp "before/$name" "run/$name" || fail "another exec.folder changed $name of a complete run"
done
printf 'true\ntrue\n' >list.txt
expect_exit 65 reeve run job.yaml -n 1 --run-dir run --set faults.attempts_max=1
expect_text stderr 'task line.2 is `true` now, but .* was begun with `false`: change it back, or choose another --run-dir'
printf 'workload: gpt\nname: t\ntasks: list.txt\n' >bad.yaml
expect_exit 65 reeve run bad.yaml -n 1 --run-dir other
expect_text stderr "bad.yaml:3:1: key 'tasks': has no meaning for workload 'gpt'"
printf 'workload: exec\nname: t\ntrain: {steps: 4}\ntasks: list.txt\n' >bad.yaml
expect_exit 65 reeve run bad.yaml -n 1 --run-dir other
expect_text stderr "key 'train.steps': has no meaning for workload 'exec'"
