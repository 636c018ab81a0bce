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
run 3 "$program" death
[ "$code" != 0 ] || fail "a job that lost a rank ended with 0"
expect_no_text stderr 'FAILED'

# Goal: with ULFM the others are told, and go on.
if mpirun --version | grep -q 'Open MPI) [5-9]'; then
    for ranks in 3 5; do
        run "$ranks" --with-ft ulfm "$program" death
        expect_no_text stderr 'FAILED'
        expect_equal "ranks that know of the loss" "$(grep -c 'is lost$' stdout)" $((ranks - 1))
        expect_equal "ranks that went on" "$(grep -c 'goes on$' stdout)" $((ranks - 1))
    done
    echo "with ULFM: told and survived"
else
    echo "no ULFM here: the death of a rank ends the job"
fi
