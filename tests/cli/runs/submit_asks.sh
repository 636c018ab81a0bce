#!/usr/bin/env bash
# `reeve submit` asks Slurm before it submits, and leaves nothing anywhere for that: the script goes to sbatch's standard input, so a
# login node whose /tmp is full is no obstacle. A script that cannot be written is not submitted. Method: sbatch played by a script.
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
make_tiny
mkdir bin
cat >bin/sbatch <<'SH'
#!/bin/sh
echo "$*" >>asked
if [ "$*" = --test-only ]; then cat >given; echo 'sbatch: Job 7 to start tomorrow' >&2; else echo 8; fi
SH
chmod +x bin/sbatch
PATH=$PWD/bin:$PATH

expect_exit 0 reeve submit job.yaml --nodes 2 --dry-run
cmp stdout given || fail "sbatch was asked about another script than the one that is shown"
expect_text stderr '^reeve: Slurm says: Job 7 to start tomorrow$'
[ ! -e runs ] || fail "a dry run left something behind"

expect_exit 0 reeve submit job.yaml --nodes 2
expect_equal "the number of the job" "$(cat stdout)" 8
cmp given runs/*/submit/train.sbatch || fail "sbatch was asked about another script than the one that was submitted"
expect_equal "what sbatch was asked" "$(sed 's/ .*submit/ submit/' asked)" \
    $'--test-only\n--test-only\n--parsable submit/train.sbatch'

# Nothing is submitted that is not whole.
rm -r asked runs
mkdir -p runs/small && : >runs/small/submit
expect_exit 73 reeve submit job.yaml --nodes 2 --run-dir runs/small
[ ! -e asked ] || fail "sbatch was called: $(cat asked)"

PATH=$REEVE_BIN expect_exit 0 "$REEVE_BIN/reeve" submit job.yaml --nodes 2 --dry-run
expect_text stderr 'nobody was asked what Slurm would say: sbatch is not on PATH'
