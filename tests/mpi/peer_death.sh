# What happens to a job when a rank dies or stays away: it is told of, or the job ends. It never hangs.
# shellcheck source=tests/tools/expect.sh
. "$REEVE_TOOLS/expect.sh"

program=$REEVE_BUILD/tests/test_mpi_peer_death
[ -x "$program" ] || fail "$program is not there"

# run RANKS [MPIRUN_OPTION...] PROGRAM [ARGUMENT]: keeps the output in ./stdout and ./stderr and the exit code in $code
run() {
    code=0
    within 90 bash "$REEVE_TOOLS/mpi_run.sh" "$@" >stdout 2>stderr || code=$?
    [ "$code" != 124 ] || { tail -n 20 stdout stderr; fail "hung: $*"; }
}

# Goal: close leaves at its deadline with the code that was decided. Method: rank 1 sleeps for minutes.
run 2 "$program" absent
expect_equal "exit code of a job with an absent rank" "$code" 5
expect_text stderr 'not all ranks came to the end'

# Goal: without ULFM a death ends the job. Method: the last rank kills itself; the others wait for its next word.
for how in death sum sum-ring; do
    run 3 "$program" "$how"
    [ "$code" != 0 ] || fail "a job that lost a rank ended with 0"
    expect_no_text stderr 'FAILED'
done

# Goal: with ULFM the others are told, give up what cannot end, and go on. Method: count who says so.
survive() { # survive RANKS HOW
    run "$1" --with-ft ulfm "$program" "$2"
    expect_no_text stderr 'FAILED'
    expect_equal "$2: ranks that know of the loss" "$(grep -c 'is lost$' stdout)" $(($1 - 1))
    expect_equal "$2: ranks that went on" "$(grep -c 'goes on$' stdout)" $(($1 - 1))
}

if mpirun --version | grep 'Open MPI) [5-9]' >/dev/null; then # not -q: mpirun would not outlive a closed pipe
    survive 3 death
    survive 5 death
    for how in sum sum-ring; do
        survive 4 "$how"
        expect_equal "$how: workers that gave it up" "$(grep -c 'gave the sum up$' stdout)" 2
    done
    # Goal: they come together whenever another one dies meanwhile. Method: all but two die, one in each regrouping.
    seed=${REEVE_TEST_SEED:-$$}
    echo "seed $seed"
    run 8 --with-ft ulfm "$program" regroup "$seed"
    expect_no_text stderr 'FAILED|Caught signal|did not come together'
    expect_equal "ranks left of 8" "$(grep -c 'goes on$' stdout)" 2
    echo "with ULFM: told and survived"
else
    echo "no ULFM here: the death of a rank ends the job"
fi
