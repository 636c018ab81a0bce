#!/usr/bin/env bash
# Goal: a shared object that is none, or is no workload, or not of this ABI, is refused in one line with the documented
# exit code, before a step is taken. Method: files that are wrong, and the example's library with one fault in its table.
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
# shellcheck source=tests/fault/plugin.sh
. "$REEVE_SOURCE/tests/fault/plugin.sh"
build_example
sed -i 's/steps: 60/steps: 10/' job.yaml

refused() { # refused CODE WORKLOAD PATTERN [WORKERS]: and nothing was trained
    local code=$1 workload=$2 pattern=$3 workers=${4:-1}
    runs=$((${runs:-0} + 1))
    must_run "$code" "$workers" "refused-$runs" --set "workload=$workload"
    expect_text run.out "$pattern"
    expect_equal "steps of refused-$runs" "$(committed_step "refused-$runs")" 0
}

# As files: `reeve run` itself says it, and makes no run folder.
printf 'this is text, and long enough to hold the header of an ELF file, if it only were one of those\n' >text.so
printf '\177ELF' >short.so
mkdir folder.so
mkfifo pipe.so
printf 'int main(void) { return 0; }\n' >main.c
"$compiler" -c main.c -o object.so
cp libridge.so foreign.so
printf '\366\000' | dd of=foreign.so bs=1 seek=18 conv=notrunc 2>dd.log # e_machine: 246, a processor of its own
for workers in 1 2; do
    refused 66 gone.so "^reeve: workload $PWD/gone.so: there is no such file; build it, or correct" "$workers"
    refused 65 text.so '^reeve: workload .*/text.so: no ELF file; expected a shared object' "$workers"
done
refused 65 short.so 'short.so: too short for a shared object'
refused 65 folder.so 'folder.so: no ordinary file'
refused 65 pipe.so 'pipe.so: no ordinary file'
refused 65 object.so 'object.so: an ELF file, but no shared object'
refused 65 foreign.so 'foreign.so: built for another kind of processor'
cp libridge.so cut.so
truncate -s 4096 cut.so
refused 65 cut.so 'cut.so: its end is missing \(was it copied whole\?\)'
refused 65 ./text "key 'workload': expected gpt, exec, or a path that ends in .so, found './text'"
refused 65 ridge "key 'workload': expected gpt, exec, or a path that ends in .so, found 'ridge'"
[ ! -e refused-1 ] || fail "a refused library left a run folder"

# As libraries.
build_so nothing.so main.c
refused 65 nothing.so 'workload .*/nothing.so: exports no function reeve_workload\(\)' 2
printf 'int missing(void); int here(void); int here(void) { return missing(); }\n' >undefined.c
build_so undefined.so undefined.c
refused 69 undefined.so 'cannot be loaded here: .*undefined symbol: missing; `ldd '

# Their tables, and their lists of tensors.
build_so faulty.so "$REEVE_SOURCE/tests/fault/plugin_faulty.c"
faulty() { # faulty FAULT PATTERN [WORKERS]
    REEVE_TEST_FAULT=$1 refused 65 faulty.so "$2" "${3:-1}"
}
faulty table-null 'faulty.so: reeve_workload\(\) gave NULL'
faulty abi-major 'faulty.so: built for workload ABI 2\.0; expected 1\.x: build it against the headers of this Reeve' 2
faulty size 'faulty.so: its table has [0-9]+ bytes; expected at least [0-9]+: set .size'
faulty name "the name in its table: expected 1 to 63 characters of \[a-z0-9_-\], found 'Ridge Regression'"
faulty name-null "the name in its table: expected 1 to 63 characters of .*, found ''"
faulty name-taken "the name in its table: 'gpt' is a built-in workload"
faulty slot 'faulty.so: its table has no apply\(\)'
faulty tensors-none 'workload ridge, tensors: a list of 0 tensors'
faulty tensors-null 'workload ridge, tensors: a list of 6 tensors at NULL'
faulty tensors-twice "workload ridge, tensors: tensor 'last.weight' is there twice" 2
faulty tensors-data "tensors: tensor 2 of 6 \('before.weight'\): its data is NULL"
faulty tensors-zero "tensors: tensor 2 of 6 \('before.weight'\): expected rank 1 to 4 and a shape without zeros"
faulty tensors-overflow "tensors: tensor 2 of 6 .* of at most 2\^40 elements"
faulty open 'workload ridge, open: model.width is not to its taste'

# A later minor version, with a slot that this Reeve does not know: taken as it is.
must_run 0 1 plain
REEVE_TEST_FAULT=abi-minor must_run 0 2 newer --set workload=faulty.so
expect_equal "digest of a newer minor" "$(digest_of newer)" "$(digest_of plain)"
