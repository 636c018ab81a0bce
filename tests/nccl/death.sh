# Workers that sum on GPUs and die, in each phase of a sum and of coming together: with ULFM the others regroup and have the
# right sums, without it the job ends. Nobody hangs. Against the double, whose survivors wait for ever for a dead one, as
# NCCL's do.
# shellcheck source=tests/tools/expect.sh
. "$REEVE_TOOLS/expect.sh"

program=$REEVE_BUILD/tests/test_nccl_death
[ -x "$program" ] || fail "$program is not there"
export REEVE_DOUBLE_DIR=$PWD/double
mkdir "$REEVE_DOUBLE_DIR"

# run RANKS [MPIRUN_OPTION...] PROGRAM [ARGUMENT...]: output in ./stdout and ./stderr, the exit code in $code
run() {
    code=0
    within 90 bash "$REEVE_TOOLS/mpi_run.sh" "$@" >stdout 2>stderr || code=$?
    [ "$code" != 124 ] || { tail -n 20 stdout stderr; fail "hung: $*"; }
    if grep -q -e FAILED -e 'NCCL double' stderr; then
        tail -n 20 stdout stderr
        fail "$*"
    fi
}

# Goal: the test can fail, and needs no death to pass.
run 3 "$program"
expect_equal "exit code without a death" "$code" 0
expect_equal "workers with all sums" "$(grep -c 'all sums after 0 losses' stdout)" 3
expect_no_text stderr 'is known to'

# Goal: versions of NCCL with known defects are told of. Method: the double says that it is one.
REEVE_DOUBLE_NCCL_VERSION=22501 run 3 "$program"
expect_text stderr 'NCCL 2.25.1 is known to fail at aborts'
REEVE_DOUBLE_NCCL_VERSION=22805 run 3 "$program"
expect_text stderr 'NCCL 2.28.5 is known to crash'

phases="early card birth trial agree begun sum after"

if ! mpirun --version | grep 'Open MPI) [5-9]' >/dev/null; then # not -q: mpirun would not outlive a closed pipe
    for when in $phases; do
        run 4 "$program" last "$when"
        [ "$code" != 0 ] || fail "a job that lost a worker ($when) ended with 0"
    done
    run 4 "$program" first id
    [ "$code" != 0 ] || fail "a job that lost a worker (id) ended with 0"
    # Goal: an abort that hangs ends the process with the code that was given. Method: nobody else ends before it.
    # It is in the middle of the sum that it gives up, however late the other comes.
    run 3 "$program" first abort last late
    expect_equal "exit code of a job with an abort that hangs" "$code" 9
    expect_text stderr 'could not be aborted in time'
    echo "no ULFM here: the death of a worker ends the job"
    exit 0
fi

# survive RANKS LEFT LOSSES WHO WHEN...: so many have all sums in the end
survive() {
    local ranks=$1 left=$2 losses=$3
    shift 3
    run "$ranks" --with-ft ulfm "$program" "$@"
    expect_equal "$ranks ranks, $*: have all sums" "$(grep -c "has all sums after $losses losses" stdout)" "$left"
    expect_equal "$ranks ranks, $*: files left" "$(find "$REEVE_DOUBLE_DIR" -type f | wc -l)" 0
}
for when in $phases; do
    survive 4 3 1 last "$when"
done
survive 4 3 1 first id
survive 4 3 1 first sum
survive 6 5 1 before sum
# One worker is left, and sums without NCCL.
survive 3 2 1 last sum
# Two in a row: while the survivors of the first come together, and together.
for when in again-card again-birth; do
    survive 5 3 2 last sum before "$when"
done
run 5 --with-ft ulfm "$program" last sum before sum
expect_equal "two at once: have all sums" "$(grep -c 'has all sums' stdout)" 3
# Goal: who hangs in an abort counts as dead, in time, and the others go on.
run 4 --with-ft ulfm "$program" last abort first late
expect_text stderr 'could not be aborted in time'
expect_equal "a hanging abort: have all sums" "$(grep -c 'has all sums' stdout)" 3
echo "with ULFM: the survivors have the right sums"
