# Goal: the example of the documents does what it says. Method: the sweep of jobs/ on three workers, its plan, its report.
# shellcheck source=tests/fault/exec_run.sh
. "$REEVE_SOURCE/tests/fault/exec_run.sh"

expect_exit 0 reeve plan "$REEVE_SOURCE/jobs/exec-sweep.yaml" --json
cp stdout plan.json
expect_equal "tasks of the sweep" 30 "$(python3 -c 'import json; print(len(json.load(open("plan.json"))["tasks"]))')"
expect_exit 0 within 100 reeve run "$REEVE_SOURCE/jobs/exec-sweep.yaml" -n 3 --run-dir run
expect_text stdout "done 30/30"
expect_text stdout "complete: 30 of 30 tasks done"
exactly_once run 30
expect_equal "packed files in the report" 28 "$(wc -l <run/output/00000/report.a1.out)"
[ ! -e run/data ] || fail "the sweep left its data"
expect_exit 0 reeve status run
expect_text stdout "tasks +30 of 30 done"
expect_exit 0 reeve inspect run --json
expect_exit 0 reeve plan run
expect_text stdout "pack.27 .*\[done\]"
