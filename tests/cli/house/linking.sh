# The layer rule, asked of the linker: `reeve` runs on a login node without MPI, and core needs nothing but memory.
# shellcheck source=tests/tools/expect.sh
. "$REEVE_TOOLS/expect.sh"

needs() { # needs PROGRAM: every shared library that it loads, directly or not
    ldd "$1" | awk '{print $1}'
}

[ -x "$REEVE_BIN/reeve" ] || fail "$REEVE_BIN/reeve is not there"
needs "$REEVE_BIN/reeve" >reeve.libraries
expect_no_text reeve.libraries '^lib(mpi|open-rte|open-pal|pmix|nccl|cuda)'

[ -x "$REEVE_BIN/reeve-rank" ] || fail "$REEVE_BIN/reeve-rank is not there"
needs "$REEVE_BIN/reeve-rank" >rank.libraries
expect_text rank.libraries '^libmpi'   # else the line above would prove nothing
expect_text rank.libraries '^libopenblas'

# OpenBLAS in its OpenMP build: the pthread build starts threads of its own beside those of OpenMP.
ldd "$REEVE_BIN/reeve-rank" | grep libopenblas >blas
if [ -d "$(dirname "$(gcc -print-file-name=libc.so.6)")/openblas-openmp" ]; then
    expect_text blas 'openblas-openmp'
fi

count=0
for program in "$REEVE_BUILD"/tests/test_unit_core_*; do
    [ -x "$program" ] || continue
    needs "$program" >core.libraries
    expect_no_text core.libraries '^lib(mpi|hdf5|openblas|yaml|jansson|cuda|nccl)'
    count=$((count + 1))
done
[ "$count" -gt 0 ] || fail "no test program of core in $REEVE_BUILD/tests"

# What core's objects ask of others, less what core and base define, must be pure.
archive=$(find "$REEVE_BUILD/src/core" -name libreeve_core.a)
nm --undefined-only --format=just-symbols "$archive" 2>/dev/null | grep -E '^[A-Za-z_]' | sort -u >undefined
expect_text undefined '^reeve_'
expect_no_text undefined '^(MPI_|H5|pthread_|open(64)?$|close$|read$|write$|p(read|write)|fopen|fwrite|fread|printf$|puts$|time$|clock|gettimeofday|getenv|rand$|random$|sleep|usleep|nanosleep|system$|exit$|mmap|socket)'
echo "reeve: $(wc -l <reeve.libraries) libraries, none of them MPI; $count test programs of core, pure"
