#!/usr/bin/env bash
# Goal: workers that would compute different bits from the same input are refused before a step is taken, in one line that names
# both and the remedy, and the run is as it was; that remedy is one; what the master is does not matter, and is not on record;
# where no bits are promised it is told; and commands run anywhere.
# Method: OPENBLAS_CORETYPE on some ranks takes the place of other processors. Judged by exit code, digest, journal and record.
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
# shellcheck source=tests/fault/ranks.sh
. "$REEVE_SOURCE/tests/fault/ranks.sh"
make_tiny
sed -i 's/steps: 40/steps: 12/; s/every: 10/every: 6/' job.yaml
unset OPENBLAS_CORETYPE

core() { reeve doctor --json >doctor.json; json doctor.json libraries.openblas_core.value; }
other=Prescott own=$(core)
if [ "$(OPENBLAS_CORETYPE=$other core)" != "$other" ] || [ "$(OPENBLAS_CORETYPE=Haswell core)" = "$other" ]; then
    skip "this OpenBLAS ($own) has one set of kernels only"
fi

# mixed "RANK..." RUN [ARGUMENT...]: three workers, and those ranks with other kernels; sets $code, output in ./run.out
cat >some.sh <<'SH'
case " $others " in *" $OMPI_COMM_WORLD_RANK "*) export OPENBLAS_CORETYPE=$other ;; esac
exec "$@"
SH
export others other
mixed() {
    others=$1
    local dir=$2
    shift 2
    code=0
    within 120 mpirun -n 4 bash some.sh reeve run "${job:-job.yaml}" --run-dir "$dir" -q "$@" >run.out 2>&1 || code=$?
}
lines_of() { grep -Ec -- "$1" run.out || true; }

mixed "2" run
[ "$code" = 69 ] || { cat run.out; fail "exit code $code with another kind of worker"; }
differ='worker 1 on host .* and worker 2 on host .* would not compute the same bits, which train.reduce: exact promises: '
expect_equal "lines of it" "$(lines_of "$differ")" 1
expect_text run.out "$differ.* OpenBLAS [^ ]+ [^ ]+, .*; and .* OpenBLAS [^ ]+ $other, .*: let all ranks have one environment, or kernels"
expect_text run.out "export OPENBLAS_CORETYPE=$other before"
expect_equal "files of a run that did not begin" "$(find run/journal run/checkpoint -type f)" ""

# The same folder, on one kind: as if nothing had been. The master's kind changes nothing, and is not what is recorded.
must_run 0 3 run
must_run 0 1 calm
expect_equal "digest" "$(digest_of run)" "$(digest_of calm)"
build=$(json inspect.json checkpoint.build)
mixed "0" master
[ "$code" = 0 ] || { cat run.out; fail "exit code $code with another kind of master"; }
expect_equal "digest beside another kind of master" "$(digest_of master)" "$(digest_of calm)"
reeve inspect master --json >inspect.json || fail "inspect master"
expect_equal "build on record" "$(json inspect.json checkpoint.build)" "$build"

# The remedy; and then the record says those kernels.
mixed "0 1 2 3" same
[ "$code" = 0 ] || { cat run.out; fail "exit code $code with the same kernels on all"; }
expect_text <(reeve inspect same) " build .* OpenBLAS [^ ]+ $other,"
OPENBLAS_CORETYPE=$other must_run 0 2 alike
expect_equal "digest with the same kernels" "$(digest_of same)" "$(digest_of alike)"

mixed "3" fast --set train.reduce=fast
[ "$code" = 0 ] || { cat run.out; fail "exit code $code with the sum that promises no bits"; }
differ='worker 1 on host .* and worker 3 on host .* do not compute the same bits: '
expect_equal "warnings" "$(lines_of "$differ")" 1
expect_text <(reeve inspect fast) " build +mixed: .* OpenBLAS [^ ]+ [^ ]+, .*; .* OpenBLAS [^ ]+ $other,"

# Who comes later, in the place of a lost worker, is no exception: it is started with mpirun's environment, not with a rank's.
if [ "$(reeve version --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["ulfm"])')" = True ]; then
    sed -e 's/steps: 12/steps: 100000000/; s/every: 6,/every: 500,/; s/eval_every: 20/eval_every: 500/' \
        -e 's/warmup: 5/warmup: 5, decay_steps: 20000/; $ a faults: {replace: true}' job.yaml >endless.yaml
    others="0 1 2 3"
    within 120 mpirun -n 4 --with-ft ulfm bash some.sh reeve run endless.yaml --run-dir "$PWD/late" -q >run.out 2>&1 &
    gets_on() { [ "$(committed_step late)" -gt $((${before:-0} + 5)) ]; }
    is_refused() { [ "$(lines_of ' would not compute the same bits')" -ge 1 ]; }
    wait_for 30 gets_on || { cat run.out; fail "no steps"; }
    kill_ranks "$PWD/late" "$(worker_pids "$PWD/late" | head -n 1)"
    wait_for 30 is_refused || { cat run.out; fail "a worker with other kernels was let in"; }
    before=$(committed_step late)
    wait_for 30 gets_on || { cat run.out; fail "no steps with those who are left"; }
    touch late/STOP
    wait $! || true # mpirun's own code: of a killed process
    export OPENBLAS_CORETYPE=$other
    last=$(($(committed_step late) + 20))
    for dir in late calm-late; do
        within 120 reeve run endless.yaml -n 1 --run-dir $dir -q --set train.steps=$last >run.out 2>&1 || fail "$dir"
    done
    expect_equal "digest with those who were left" "$(digest_of late)" "$(digest_of calm-late)"
    unset OPENBLAS_CORETYPE
fi

printf 'name: commands\nworkload: exec\ntasks:\n  - command: "true"\n' >list.yaml
job=list.yaml mixed "2" commands
[ "$code" = 0 ] || { cat run.out; fail "exit code $code of commands"; }
expect_no_text run.out 'OpenBLAS'
