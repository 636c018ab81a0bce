#!/usr/bin/env bash
# Build Reeve so that it watches itself, and run it: address and undefined-behaviour sanitizers, thread sanitizer,
# valgrind, and the fuzz targets. What each of them covers: docs/testing.md, "Sanitizers and fuzzers".
#
#   tests/sanitize.sh [STAGE...]
#
#   address    unit and golden tests, the simulator, and a run on one and on two workers, with ASan + LSan + UBSan
#   faults     the tests of several ranks, of faults and of sums over GPUs, with ASan + UBSan; half an hour
#   thread     what has threads, with TSan: journal, checkpoints, all of run/, log, and a training run in one process
#   valgrind   the unit tests and a run of two steps, with the ordinary build under memcheck
#   fuzz       each fuzz target for REEVE_FUZZ_SECONDS (default 10) on top of its corpus
#   Without a stage: all five.
#
#   REEVE_SANITIZE_DIR   where the builds go (default: build-sanitize/ in the source tree)
#   REEVE_BUILD_DIR      the ordinary build, for valgrind (default: build/)
#   REEVE_JOBS           programs compiled, and tests run, at the same time (default: 2)
#   REEVE_INSTALL=0      install nothing, use what is there
#   REEVE_FUZZ_SEED      of libFuzzer's random numbers (default: other ones each time)
#   REEVE_FUZZ_ONLY      one target: job shards shard_text shard_llmc shard_nanogpt shard_hdf5 lock tasks checkpoint
#                        journal frames list audit status words
#
# A stage that lacks its tool says so and is skipped. Exit codes: 0 clean; 1 a finding, or a build that failed.
# shellcheck disable=SC2317 # the stages are called by name
set -euo pipefail

source_dir=$(dirname "$(dirname "$(realpath "${BASH_SOURCE[0]}")")")
builds=${REEVE_SANITIZE_DIR:-$source_dir/build-sanitize}
ordinary=${REEVE_BUILD_DIR:-$source_dir/build}
jobs=${REEVE_JOBS:-2}
seconds=${REEVE_FUZZ_SECONDS:-10}
supp=$source_dir/tests/tools/suppressions
reports=$builds/reports
bad=0

# shellcheck source=tests/tools/mpi_environment.sh
. "$source_dir/tests/tools/mpi_environment.sh"

say() { printf 'sanitize: %s\n' "$*"; }
skip() { say "skipped: $*"; }
fail() { say "FAILED: $*"; bad=1; }

build() { # build NAME OPTION...: configure and build builds/NAME; false: it failed
    local name=$1 log=$builds/$1.log
    shift
    mkdir -p "$builds"
    if ! { cmake -S "$source_dir" -B "$builds/$name" -DREEVE_WERROR=ON -DREEVE_CUDA=OFF -DREEVE_BENCHMARKS=OFF "$@" &&
        cmake --build "$builds/$name" --parallel "$jobs" ${target:+--target "$target"}; } >"$log" 2>&1; then
        grep -E '(error|warning): |undefined reference' "$log" | head -n 20
        tail -n 20 "$log"
        fail "the build of $name"
        return 1
    fi
}

tests() { # tests NAME CTEST_ARGUMENT...: what of builds/NAME is run
    local name=$1
    shift
    ctest --test-dir "$builds/$name" --parallel "$jobs" --timeout 600 --no-tests=error --output-on-failure "$@" </dev/null |
        awk '/^test [0-9]|Passed|^ *Start / {next} {print}' || fail "$name: ctest $*"
}

# Reports go to files: a rank that a finding ends is, for all others, one that was lost, and a job that outlives it passes its test.
begin_reports() { # begin_reports STAGE: sets log
    mkdir -p "$reports"
    log=$reports/$1
    rm -f "$log".*
}

end_reports() {
    local report
    for report in "$log".*; do
        [ -s "$report" ] || continue
        head -n 40 "$report"
        fail "a finding: $report"
    done
}

# train NAME BIN WORKERS STEPS: a job of a few seconds, checkpointed, stopped in the middle and resumed.
train() {
    local name=$1 bin=$2 workers=$3 steps=$4 folder code=0
    folder=$(mktemp -d)
    (
        cd "$folder"
        REEVE_TOOLS=$source_dir/tests/tools REEVE_BIN=$bin
        PATH=$bin:$PATH
        export REEVE_TOOLS REEVE_BIN PATH
        # shellcheck source=tests/fault/tiny.sh
        . "$source_dir/tests/fault/tiny.sh"
        make_tiny
        set -- --run-dir run -n "$workers" -q --set "train.steps=$steps" --set checkpoint.every=2 --set train.eval_every=4
        code=0
        reeve run job.yaml "$@" --stop-at $((steps / 2)) || code=$?
        [ "$code" = 75 ] || exit 1
        reeve run job.yaml "$@" && reeve verify run && reeve audit run && reeve inspect run && reeve status run
    ) >"$folder/out" 2>&1 || code=$?
    if [ "$code" != 0 ]; then
        grep -vE '^(ok|note)  ' "$folder/out" | head -n 80
        fail "$name: training on $workers worker(s), exit code $code"
    else
        say "$name: trained $steps steps on $workers worker(s), stopped and resumed in between"
    fi
    rm -rf --one-file-system "$folder"
}

# simulate NAME: a few hundred seeds of the mixes that reach most. ASan says of each process that it does not know fibers.
simulate() {
    local mix
    for mix in general hostile checkpoint all evict replace; do
        "$builds/$1/tests/reeve-sim" --mix "$mix" --seeds 300 >"$builds/sim.log" 2>&1 ||
            { head -n 60 "$builds/sim.log"; fail "$1: reeve-sim --mix $mix --seeds 300"; }
    done
}

address_options=strict_string_checks=1:detect_stack_use_after_return=1:allocator_may_return_null=1

stage_address() {
    local log
    build address -DREEVE_SANITIZE=address,undefined || return 0
    begin_reports address
    export ASAN_OPTIONS=$address_options:detect_leaks=1:log_path=$log
    export LSAN_OPTIONS=suppressions=$supp/lsan.txt:print_suppressions=0 UBSAN_OPTIONS=print_stacktrace=1:log_path=$log
    tests address -L 'unit|golden'
    ASAN_OPTIONS=$address_options:detect_leaks=1 simulate address
    train address "$builds/address/bin" 1 8
    # Open MPI unloads its plug-ins before it ends, so what they leak has no name to be suppressed by.
    ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0
    train address "$builds/address/bin" 2 8
    end_reports
}

stage_faults() {
    local log
    build address -DREEVE_SANITIZE=address,undefined || return 0
    begin_reports faults
    export ASAN_OPTIONS=$address_options:detect_leaks=0:log_path=$log
    export UBSAN_OPTIONS=print_stacktrace=1:log_path=$log REEVE_TEST_PATIENCE=16
    # PMIx 5 maps memory where its server says. In a process that comes later that is where ASan's own is: it dies in MPI_Init.
    export PMIX_MCA_gds=hash
    tests address -L 'mpi|nccl|fault|device'
    unset REEVE_TEST_PATIENCE PMIX_MCA_gds
    end_reports
}

stage_thread() {
    local log
    build thread -DREEVE_SANITIZE=thread || return 0
    begin_reports thread
    # Tests let processes die with their threads, on purpose: that is no finding.
    export TSAN_OPTIONS=suppressions=$supp/tsan.txt:halt_on_error=1:second_deadlock_stack=1:report_thread_leaks=0:log_path=$log
    tests thread -R '^unit\.(store\.(journal|checkpoint|make|shard)|run\.|base\.(log|clock|idle)|net\.|coll\.|export\.|cli\.(guard|processes))'
    train thread "$builds/thread/bin" 1 8
    end_reports
}

stage_valgrind() {
    if ! command -v valgrind >/dev/null; then skip "valgrind: not installed (Debian: valgrind)"; return 0; fi
    if [ ! -x "$ordinary/bin/reeve" ]; then
        ordinary=$builds/ordinary
        build ordinary || return 0
    fi
    mkdir -p "$builds"
    local log=$builds/valgrind.log
    local check=(valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite
        --suppressions="$supp/valgrind.txt") test folder
    folder=$(mktemp -d)
    for test in "$ordinary"/tests/test_unit_*; do
        # Those two compute for many minutes here, and the sums of the model are checked in unit_model_kernels as well.
        case $test in *_model_gpt | *_model_same_bits) continue ;; esac
        # A processor that valgrind knows all instructions of.
        if (cd "$folder" && OPENBLAS_CORETYPE=Haswell OMP_NUM_THREADS=1 REEVE_BIN=$ordinary/bin REEVE_SOURCE=$source_dir \
            REEVE_BUILD=$ordinary timeout 900 "${check[@]}" "$test") >"$log" 2>&1; then say "valgrind: ${test##*/}"
        else grep -A12 '^==' "$log" | head -n 60; fail "valgrind: ${test##*/}"; fi
    done
    rm -rf --one-file-system "$folder"
    folder=$(mktemp -d)
    if (
        cd "$folder"
        REEVE_TOOLS=$source_dir/tests/tools REEVE_BIN=$ordinary/bin
        export REEVE_TOOLS REEVE_BIN
        # shellcheck source=tests/fault/tiny.sh
        . "$source_dir/tests/fault/tiny.sh"
        make_tiny
        # A processor that valgrind knows all instructions of.
        OPENBLAS_CORETYPE=Haswell "${check[@]}" "$ordinary/bin/reeve-rank" --alone --job job.yaml --run-dir run --quiet \
            --set train.steps=2 --set checkpoint.every=1
    ) >"$log" 2>&1; then say "valgrind: a run of two steps"
    else head -n 60 "$log"; fail "valgrind: a run of two steps"; fi
    rm -rf --one-file-system "$folder"
}

# fuzz_one NAME: a target on top of its corpus. False: a finding.
fuzz_one() {
    local name=$1 bin=$builds/fuzz/fuzz corpus=$builds/corpus/$1 log=$builds/fuzz-$1.log kept=()
    mkdir -p "$corpus" "$builds/findings"
    # What once was a finding, or led far, is tried first and never changed; new inputs go to the working corpus.
    [ ! -d "$source_dir/tests/fuzz/kept/$name" ] || kept=("$source_dir/tests/fuzz/kept/$name")
    [ ! -d "$source_dir/tests/fuzz/corpus/$name" ] || kept+=("$source_dir/tests/fuzz/corpus/$name")
    # A starved process is no slow input: the limit of one input is long.
    if "$bin/fuzz_$name" -max_total_time="$seconds" -timeout=300 -seed="${REEVE_FUZZ_SEED:-0}" -rss_limit_mb=2048 \
        -max_len=70000 -print_final_stats=1 -artifact_prefix="$builds/findings/$name-" "$corpus" "${kept[@]}" >"$log" 2>&1; then
        say "fuzz: $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs in $seconds s, $(sed -n 's/.*cov: \([0-9]*\).*/\1/p' "$log" | tail -1) edges"
    else
        grep -E 'ERROR|SUMMARY|broken promise|runtime error|#[0-9]+ 0x|Test unit written|leak of' "$log" | head -n 30
        say "FAILED: fuzz: $name; again: $bin/fuzz_$name FILE"
        return 1
    fi
}

stage_fuzz() {
    if ! command -v clang >/dev/null; then skip "fuzz: no clang (Debian 12: clang libclang-rt-14-dev libomp-dev)"; return 0; fi
    target=fuzz build fuzz -DCMAKE_C_COMPILER=clang -DREEVE_FUZZ=ON -DREEVE_TESTS=OFF || return 0
    local name running=0
    "$builds/fuzz/fuzz/seed_corpora" "$builds/corpus" || { fail "the corpora"; return 0; }
    cp "$source_dir"/jobs/*.yaml "$builds/corpus/job/" 2>/dev/null || true
    export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 LSAN_OPTIONS=suppressions=$supp/lsan.txt:print_suppressions=0
    for name in ${REEVE_FUZZ_ONLY:-job shards shard_text shard_llmc shard_nanogpt shard_hdf5 lock tasks checkpoint journal \
        frames list audit status words}; do
        if [ "$running" -ge "$jobs" ]; then
            wait -n || bad=1
        else
            running=$((running + 1))
        fi
        fuzz_one "$name" &
    done
    while [ "$running" -gt 0 ]; do
        wait -n || bad=1
        running=$((running - 1))
    done
}

case ${1:-} in
-h | --help)
    sed -n '2,/^# shellcheck/{/^# shellcheck/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
    exit 0
    ;;
esac
# timed COMMAND: a stage, and how long it took.
timed() {
    local started=$SECONDS
    "$@"
    say "${1#stage_} took $((SECONDS - started)) s"
}

if [ "${REEVE_INSTALL:-1}" != 0 ]; then
    bash "$source_dir/tests/tools/install_packages.sh" build test sanitize || say "going on with what is there"
fi
[ $# -gt 0 ] || set -- address faults thread valgrind fuzz
for stage in "$@"; do
    case $stage in
    address) timed stage_address ;;
    faults) timed stage_faults ;;
    thread) timed stage_thread ;;
    valgrind) timed stage_valgrind ;;
    fuzz) timed stage_fuzz ;;
    *) say "unknown stage '$stage'"; exit 64 ;;
    esac
done
if [ "$bad" = 0 ]; then say "clean"; fi
exit "$bad"
