#!/usr/bin/env bash
# Goal: a process that was to take the place of a lost one ends at once when its starter is dead, also while nobody has waited for
# that one. Method: reeve-rank as it would be started, with the number of a zombie, and with that of a process that lives.
# shellcheck source=tests/tools/expect.sh
. "$REEVE_TOOLS/expect.sh"
PATH=$REEVE_BIN:$PATH
[ "$(reeve version --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["ulfm"])')" = True ] ||
    skip "without ULFM nobody is replaced"
(exec python3 -c '
import os, time
child = os.fork()
if child == 0: os._exit(0)
print(child, flush=True)
time.sleep(600)') >number &
parent=$!
trap 'kill $parent' EXIT
wait_for 10 test -s number
zombie() { grep -q '^State:.*Z' "/proc/$(cat number)/status"; }
wait_for 10 zombie || fail "the child is no zombie"
expect_exit 137 within 30 reeve-rank --run-dir nowhere --place "2:1:$(cat number)"
expect_no_text stderr 'for processes that a job has started' # so far it did not come
expect_exit 137 within 30 reeve-rank --run-dir nowhere --place "2:1:$parent"
expect_text stderr 'for processes that a job has started itself'
