#!/usr/bin/env bash
# Goal: a worker that is stuck in a workload's code is put out of the job, and its micro-batch is computed by another; a
# micro-batch that hangs whoever computes it ends the run with that reason. Method: the example's library with a gradient
# that never returns in step 7: once, and for one micro-batch always. Judged by exit code, words, digest and audit.
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
# shellcheck source=tests/fault/plugin.sh
. "$REEVE_SOURCE/tests/fault/plugin.sh"
# shellcheck source=tests/fault/ranks.sh
. "$REEVE_SOURCE/tests/fault/ranks.sh"
need_ulfm
build_example
build_so faulty.so "$REEVE_SOURCE/tests/fault/plugin_faulty.c"
sed -i -e 's|\./libridge.so|faulty.so|; s/steps: 60/steps: 12/; s/every: 20,/every: 3,/; s/eval_every: 20/eval_every: 0/' \
    job.yaml
printf 'faults: {crash_limit: 2, evict_min_s: 2, restarts_max: 0}\n' >>job.yaml

must_run 0 1 whole
whole=$(digest_of whole)

export REEVE_TEST_FAULT=hang-once REEVE_TEST_MARK=$PWD/hung
must_run 0 3 once
[ -e hung ] || fail "nothing hung"
expect_text once/log/rank-00000.log 'worker [123] has not ended the gradient of a micro-batch for [0-9.]+ s, and'
expect_equal "digest after a hang" "$(digest_of once)" "$whole"
audit_ok once
expect_equal "restarts after a hang" "$(json audit.json restarts)" 0

export REEVE_TEST_FAULT=hang
must_run 70 3 always
expect_text run.out 'gradient task 1 of step 7 lost its worker 2 times in a row \(faults.crash_limit\); the last to be put'
unset REEVE_TEST_FAULT
must_run 0 2 always # mended
expect_equal "digest, mended" "$(digest_of always)" "$whole"
audit_ok always
