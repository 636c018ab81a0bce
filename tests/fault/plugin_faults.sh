#!/usr/bin/env bash
# Goal: a workload that fails while it trains ends the run clearly: which function, in which step, in its own words, and
# nothing committed is lost. Method: the example's library with a fault in step 7, on one worker and on two.
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
# shellcheck source=tests/fault/plugin.sh
. "$REEVE_SOURCE/tests/fault/plugin.sh"
# A library's crash ends a process by its signal, also in a build that watches itself.
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:handle_segv=0 TSAN_OPTIONS=${TSAN_OPTIONS:-}:handle_segv=0

build_example
build_so faulty.so "$REEVE_SOURCE/tests/fault/plugin_faulty.c"
sed -i -e 's|\./libridge.so|faulty.so|; s/steps: 60/steps: 12/; s/every: 20,/every: 3,/' \
    -e 's/eval_every: 20/eval_every: 0, refused_max: 2/' job.yaml
printf 'faults: {crash_limit: 2, attempts_max: 2, restart_wait_s: 1}\n' >>job.yaml

ulfm() { reeve version --json | grep '"ulfm": *true' >/dev/null; }

ends() { # ends FAULT CODE PATTERN [WORKERS [ARGUMENT...]]
    export REEVE_TEST_FAULT=$1
    must_run "$2" "${4:-1}" "$1-${4:-1}" "${@:5}"
    expect_text run.out "$3"
    case $1 in
    crash | gradient-nan | evaluate-nan) ;; # a crash may come before the first checkpoint; what was refused is over
    *)
        reeve inspect "$1-${4:-1}" --json >inspect.json || fail "inspect $1"
        [ "$(json inspect.json checkpoint.step)" -le 6 ] || fail "$1: step 7 was saved"
        ;;
    esac
    unset REEVE_TEST_FAULT
}
for workers in 1 2; do
    ends gradient 70 'workload ridge, gradient of step 7, batch [0-3]: the matrix is singular' "$workers"
    ends gradient-nan 65 'step 7 was refused: its gradient holds NaN' "$workers"
    ends crash 70 'giving up: the run died in step 7 2 times in a row \(faults.crash_limit\)' "$workers"
    # Where a job outlives its workers, mpirun does not say how they ended, and the master can only name them.
    if [ "$workers" = 1 ] || ! ulfm; then expect_text run.out 'was killed by signal 11 \(SIGSEGV\)'
    else expect_text run.out 'worker [12] is lost'; fi
done
rm -r gradient-nan-2
ends gradient-nan 65 'step 7 was refused: its gradient holds NaN' 2 --set train.reduce=fast
# What was refused is accounted for, but never said to have entered the model.
expect_exit 0 reeve audit gradient-nan-2
expect_text stdout '^EXACTLY ONCE: .* is accounted for once, and no other: [1-9][0-9,]* entered the model, [1-9][0-9,]* were refused'
# A loss that is not finite is none: not the sum of the others.
ends evaluate-nan 0 'step 12: the held-out loss is not finite' 2
expect_no_text run.out 'held-out loss [0-9]'
reeve inspect evaluate-nan-2 --json >inspect.json || fail "inspect evaluate-nan-2"
expect_equal "held-out loss" "$(json inspect.json eval_loss)" null
must_run 0 2 evaluate-nan-2
expect_text run.out 'is complete: all 12 steps are done'
expect_no_text run.out 'held-out loss'
ends gradient-silent 65 'gradient of step 7, batch [0-3]: returned 75, which is no status of a workload'
ends apply 70 'workload ridge, apply of step 7: no step today'

# Mended, each goes on from its checkpoint to the bits of a run that was never hurt.
must_run 0 1 whole
whole=$(digest_of whole)
for dir in gradient-1 gradient-2 crash-1 crash-2 apply-1; do
    must_run 0 2 "$dir"
    expect_equal "digest of $dir, mended" "$(digest_of "$dir")" "$whole"
    audit_ok "$dir"
done
