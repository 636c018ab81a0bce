#!/usr/bin/env bash
# `reeve run --json` prints one JSON value however it ends, also where the ranks never began; and --stop-at is refused where
# there are no steps. mpirun is played by a script.
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
make_tiny
mkdir bin
printf '#!/bin/sh\necho "no such plug-in" >&2\nexit 1\n' >bin/mpirun
chmod +x bin/mpirun

PATH=$PWD/bin:$PATH expect_exit 69 reeve run job.yaml -n 2 --run-dir a --json
expect_text stderr 'could not be started'
expect_equal "exit code in JSON" "$(json stdout exit_code)" 69
expect_equal "state of what never began" "$(json stdout state)" null
[ "$(json stdout run_dir)" -ef a ] || fail "run_dir: $(json stdout run_dir)"

# A host that nobody reaches is told once: nothing was lost that a second attempt would bring back. Played as by Open MPI.
printf '#!/bin/sh\necho x >>starts\necho "ssh: Could not resolve hostname n9" >&2\nexit 255\n' >bin/mpirun
PATH=$PWD/bin:$PATH expect_exit 69 reeve run job.yaml -n 2 --hosts n9,n8 --run-dir a --json --set faults.restarts_max=2 \
    --set faults.restart_wait_s=1
expect_equal "attempts" "$(wc -l <starts)" 1
expect_text stderr 'could not be started on n9,n8: .*exit code 255.*ssh HOST mpirun'
expect_equal "exit code in JSON" "$(json stdout exit_code)" 69
printf '#!/bin/sh\necho x >>starts\nexit 243\n' >bin/mpirun # a setting that it refuses
PATH=$PWD/bin:$PATH expect_exit 69 reeve run job.yaml -n 2 --run-dir a --set faults.restarts_max=2
expect_equal "attempts" "$(wc -l <starts)" 2

# No launcher at all: the error is the one value.
ln -s "$REEVE_BIN/reeve" "$REEVE_BIN/reeve-rank" bin/
rm bin/mpirun
PATH=$PWD/bin expect_exit 69 "$REEVE_BIN/reeve" run job.yaml -n 2 --run-dir a --json
expect_equal "exit code in JSON" "$(json stdout exit_code)" 69
expect_text stdout 'mpirun is not on PATH'

# The folder is in use by another supervisor: once told, not twice.
reeve run job.yaml -n 1 --run-dir b -q --set train.steps=1000000 --set optimizer.decay_steps=40 2>first.err &
first=$!
begun() { [ -e b/LOCK.supervisor ] && [ -e b/LOCK ]; }
wait_for 30 begun || { cat first.err; fail "the run did not begin"; }
expect_exit 73 reeve run job.yaml -n 1 --run-dir b --json --set train.steps=1000000 --set optimizer.decay_steps=40
expect_equal "exit code in JSON" "$(json stdout exit_code)" 73
touch b/STOP
wait "$first"

# A list of commands has no steps.
cat >tasks.yaml <<'YAML'
name: sweep
workload: exec
tasks:
  - command: "true"
YAML
expect_exit 64 reeve run tasks.yaml --stop-at 3 --run-dir c --json
expect_text stderr 'workload exec has none'
expect_equal "exit code in JSON" "$(json stdout exit_code)" 64
[ ! -e c ] || fail "a refused command left something behind"
