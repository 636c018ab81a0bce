# Goal: `reeve doctor` says truly whether training can run, what is missing, and what follows. Method: this machine as it
# is, then with a launcher that is missing, of another version, broken, and with a root that was not allowed.
# shellcheck source=tests/tools/expect.sh
. "$REEVE_TOOLS/expect.sh"
reeve=$REEVE_BIN/reeve

mkdir here && cd here || exit 1
expect_exit 0 "$reeve" doctor --json
expect_equal "can_train" "$(json stdout can_train)" true
cores=$(json stdout machine.cores.value)
[ "$cores" -ge 1 ] && [ "$cores" -le "$(nproc --all)" ] || fail "$cores cores, of $(nproc --all)"
expect_equal "HDF5 as loaded" "$(json stdout libraries.hdf5.grade)" good
rm stdout stderr
"$reeve" doctor >../text || fail "doctor without --json ends with $?"
expect_text ../text '^Training can run here\.$'
expect_equal "files that the doctor left" "$(find . -mindepth 1)" ""

fake_mpirun() { # fake_mpirun SCRIPT: a PATH on which mpirun is this
    mkdir -p fake
    printf '#!/bin/sh\n%s\n' "$1" >fake/mpirun
    chmod +x fake/mpirun
}

expect_exit 78 env PATH=/nowhere "$reeve" doctor
expect_text stdout 'BAD +mpirun +not on PATH'
expect_text stdout '-> nothing starts the ranks: apt-get install'
expect_text stdout '^Training cannot run here'

fake_mpirun 'echo "mpirun (Open MPI) 9.8.7"'
expect_exit 78 env PATH="$PWD/fake:$PATH" "$reeve" doctor --json
expect_equal "grade of another MPI's launcher" "$(json stdout launcher.mpirun.grade)" bad
json stdout launcher.mpirun.follows >follows
expect_text follows 'built with .*rebuild'

version=$(mpirun --version | head -n 1)
fake_mpirun "if [ \"\$1\" = --version ]; then echo '$version'; else echo no licence for a second process >&2; exit 9; fi"
expect_exit 78 env PATH="$PWD/fake:$PATH" "$reeve" doctor
expect_text stdout 'BAD +trial .*exit code 9'
expect_text stdout 'no licence for a second process'

# An sbatch without a cluster behind it, as Slurm's packages bring one.
printf '#!/bin/sh\necho "sbatch: fatal: no configuration source" >&2\nexit 1\n' >fake/sbatch
chmod +x fake/sbatch
rm fake/mpirun
env PATH="$PWD/fake:$PATH" "$reeve" doctor --json >stdout 2>stderr || fail "doctor beside a lone sbatch ends with $?"
expect_equal "grade of a lone sbatch" "$(json stdout cluster.slurm.grade)" missing
# With the GPU's program beside it the doctor says so, and never that this machine could not train for want of a GPU.
if [ -x "$REEVE_BIN/reeve-rank-cuda" ]; then
    expect_equal "grade of CUDA" "$(json stdout build.cuda.grade)" good
    "$reeve" version --json >version || fail "version ends with $?"
    expect_equal "CUDA of doctor and version" "$(json stdout build.cuda.value)" "CUDA $(json version cuda), NCCL $(json version nccl)"
fi

# Whether a loaded HDF5 will do is HDF5's to say: one that would end the program, and one of another release that would not.
if compiler=$(command -v cc || command -v gcc || command -v clang); then
    echo '#include <stdlib.h>
        int H5check_version(unsigned a, unsigned b, unsigned c) { (void)a; (void)b; (void)c; abort(); }' >stops.c
    echo 'int H5get_libversion(unsigned *a, unsigned *b, unsigned *c) { *a = 1; *b = 10; *c = 99; return 0; }' >other.c
    for shim in stops other; do
        "$compiler" -shared -fPIC "$shim.c" -o "$shim.so" || fail "$shim.c does not compile"
    done
    with() { env LD_PRELOAD="$PWD/$1.so" ASAN_OPTIONS="${ASAN_OPTIONS:-}:verify_asan_link_order=0" "$reeve" doctor --json; }
    expect_exit 78 with stops
    expect_equal "grade of an HDF5 that stops this program" "$(json stdout libraries.hdf5.grade)" bad
    expect_exit 0 with other
    expect_equal "another release" "$(json stdout libraries.hdf5)" '{"value": "1.10.99 loaded", "grade": "good"}'
else
    echo "no C compiler: only the HDF5 that is here was looked at"
fi

# With too little address space OpenBLAS hangs while it is loaded: the doctor says so, and does not hang itself. (A sanitizer's
# shadow does not fit into any.)
if ! grep -q fsanitize <("$reeve" version --json); then
    expect_exit 78 within 60 bash -c "ulimit -v 400000; exec '$reeve' doctor"
    expect_text stdout 'note +memory +0.4 GiB may be used: .ulimit -v.'
    expect_text stdout 'BAD +openblas +not tried: .ulimit -v. leaves 400000 KiB'
fi

if [ "$(id -u)" = 0 ]; then
    expect_exit 78 env -u OMPI_ALLOW_RUN_AS_ROOT -u OMPI_ALLOW_RUN_AS_ROOT_CONFIRM "$reeve" doctor
    expect_text stdout 'BAD +user +root, and OMPI_ALLOW_RUN_AS_ROOT is not 1'
    expect_text stdout 'export OMPI_ALLOW_RUN_AS_ROOT=1'
    # Open MPI takes no other word than 1: with that it would be started, and refuse, ten times.
    expect_exit 78 env OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=yes "$reeve" doctor
    expect_text stdout 'BAD +user +root, and OMPI_ALLOW_RUN_AS_ROOT_CONFIRM is not 1'
    expect_text stdout 'export OMPI_ALLOW_RUN_AS_ROOT=1'
fi
expect_exit 64 "$reeve" doctor --jsn
