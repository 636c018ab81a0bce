#!/usr/bin/env bash
# Do the scripts of this folder that time whole runs work? As short as they go; nobody looks at their times here.
# shellcheck source=tests/tools/expect.sh
. "$REEVE_TOOLS/expect.sh"
export PYTHONDONTWRITEBYTECODE=1 REEVE_BENCH_FOLDER=$PWD
for what in first-step slow-worker checkpoint; do
    python3 "$REEVE_SOURCE/benchmarks/run_times.py" $what 0 >$what.out || fail "run_times.py $what"
done
expect_text first-step.out 'to the end of the first step: [0-9.]+ s'
expect_text slow-worker.out '12 tasks of 2 ms a step: .* times'
expect_text checkpoint.out 'the steps during a checkpoint together'
"$REEVE_SOURCE/benchmarks/exec_true.sh" 40 1 >exec.out || fail exec_true.sh
expect_text exec.out 'reeve -n 1, exec.slots 2 +[0-9]+'
