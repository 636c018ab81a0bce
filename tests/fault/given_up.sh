#!/usr/bin/env bash
# Goal: a master that was given up while it did not run, and wakes up, leaves the run alone: its files are another's now.
# Method: it is stopped; LOCK, status.json and starts.jsonl become those of a successor elsewhere; it wakes up, and must end
# with 73 and have changed none of them. The journal's segments are its own, and nobody reads one behind its successor's
# first record.
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
make_tiny
sed -i 's/steps: 40/steps: 1000000/' job.yaml

for workers in 1 2; do
    run=run-$workers
    reeve run job.yaml -n "$workers" --run-dir "$run" -q >"$run.out" 2>&1 &
    supervisor=$!
    wait_for 60 grep -q '"state": *"running"' "$run/status.json" || { cat "$run.out"; fail "the run did not begin"; }
    master=$(json "$run/LOCK" pid)
    kill -STOP "$master" || fail "no master to stop"
    cat >taken <<'JSON'
{"host": "node17", "pid": 7, "start": 12, "boot": "b/1", "since": "2026-01-01T00:00:00Z", "nonce": "0123456789abcdef"}
JSON
    mv taken "$run/LOCK"
    sed 's/"step": *[0-9]*/"step": 999999/' "$run/status.json" >successor && mv successor "$run/status.json"
    cp "$run/status.json" "$run/starts.jsonl" .
    sleep 3 # longer than a master can be busy with one turn
    kill -CONT "$master"
    code=0
    wait "$supervisor" || code=$?
    expect_equal "exit code of the run that was taken over" "$code" 73
    expect_text "$run.out" 'the run was taken over by process 7 on node17'
    cmp status.json "$run/status.json" || fail "$workers workers: status.json was written by a master that was given up"
    cmp starts.jsonl "$run/starts.jsonl" || fail "$workers workers: starts.jsonl was written by a master that was given up"
    grep -q '"pid": 7' "$run/LOCK" || fail "LOCK was taken away from its owner"
done
