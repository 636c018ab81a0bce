#!/usr/bin/env bash
# Goal: a run that goes on with other BLAS kernels, or another number of threads, says that P1 no longer covers it; one
# that goes on where it was says nothing of the kind. Method: OPENBLAS_CORETYPE takes the place of another processor.
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
make_tiny
unset OPENBLAS_CORETYPE
must_run 75 2 run --stop-at 10
reeve inspect run >inspect.txt || fail "inspect run"
expect_text inspect.txt 'OpenBLAS [0-9.]+'

must_run 75 2 run --stop-at 20
expect_no_text run.out 'The run goes on, but'

# Where there is a choice: kernels that every x86-64 processor can run.
if [ "$(uname -m)" = x86_64 ]; then
    export OPENBLAS_CORETYPE=Prescott
    must_run 75 2 run --stop-at 30
    expect_text run.out 'checkpoint of step 20 was written by: .*; this is: .* Prescott.*The run goes on, but'
    must_run 75 1 run --stop-at 35
    expect_no_text run.out 'The run goes on, but'
    unset OPENBLAS_CORETYPE
fi
[ "$(nproc)" -ge 2 ] || skip "one core: no worker can have two threads"
must_run 0 1 run --set resources.threads=2
expect_text run.out 'computed with resources.threads 1; now it is 2\. The run goes on, but'
audit_ok run
