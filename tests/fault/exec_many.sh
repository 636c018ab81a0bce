# Goal: a long list is no trouble, and a full disk is told and not fatal. Method: COUNT commands `true` on three workers; then
# a run folder on a small file system that its outputs fill.
# shellcheck source=tests/fault/exec_run.sh
. "$REEVE_SOURCE/tests/fault/exec_run.sh"

count=${COUNT:-20000}
yes true | head -n "$count" >list.txt
exec_job <<<'  list.txt'
expect_exit 0 within 300 reeve run job.yaml -n 3 --run-dir run -q
exactly_once run "$count"
[ "$(find run/output -type f 2>/dev/null | wc -l)" = 0 ] || fail "silent tasks left files"

# A full disk for the outputs, where a small file system can be had: told, no hang, and the silent tasks are done.
mkdir -p full/output
if mount -t tmpfs -o size=64k,nr_inodes=6 tmpfs full/output 2>/dev/null; then
    trap 'umount -l full/output 2>/dev/null' EXIT
    exec_job <<'TASKS'
  - {name: large, command: head -c 200000 /dev/zero, attempts: 2}
  - {name: talks, command: 'echo {n}', matrix: {n: [1, 2, 3, 4, 5, 6, 7, 8]}, attempts: 1, after_any: large}
TASKS
    expect_exit 3 within 100 reeve run job.yaml -n 2 --run-dir full -q
    expect_text full/log/rank-00000.log "task talks.*its output file .*No space left on device"
    expect_exit 0 reeve audit full --json
    cp stdout audit.json
    expect_equal "every task ended" true "$(json audit.json complete)"
    umount full/output
else
    echo "no tmpfs can be mounted here: the full disk was left out"
fi
