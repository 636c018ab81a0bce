#!/usr/bin/env bash
# Each worker computes on the locked bytes or on none. Method: one worker sees other bytes of the same size behind a shard's
# name, by a mount of its own; a shard is changed while a run computes, and between two starts; a cache folder of a node.
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
make_tiny
# Every shard in every step, so that each worker has read them all early.
sed -i 's/shuffle: block, block_shards: 2/shuffle: global/' job.yaml
must_run 0 3 whole
first=$(digest_of whole)
[ -d whole/verified ] || fail "whole/verified is not there"
reeve verify whole >verify.out || { cat verify.out; fail "verify of a run with a folder verified/"; }

spoil() { # spoil FILE...: another byte in place, the time of the last write as it was
    python3 - "$@" <<'PYTHON'
import os, sys
for path in sys.argv[1:]:
    was = os.stat(path)
    with open(path, "r+b") as f:
        f.seek(100); b = f.read(1); f.seek(100); f.write(bytes([b[0] ^ 1]))
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
PYTHON
}

expect_changed() { # expect_changed SHARD: what run.out says of the end
    expect_text run.out "host $(hostname): shard .*$1: changed since the manifest was locked: digest [0-9a-f]{32}, locked with"
    expect_text run.out 'restore the file, or lock the manifest again'
}

# A stale replica on one node. Which worker stages it is not ours to say, hence two runs with another shard each.
if unshare --mount true 2>stderr; then
    for shard in text-2.txt text-5.txt; do
        cp "$shard" stale; spoil stale
        cat >rank.sh <<RANK
if [ "\${OMPI_COMM_WORLD_RANK:-0}" = 3 ]; then
    exec unshare --mount sh -c 'mount --bind stale $shard && exec reeve run job.yaml --run-dir replica-$shard -q'
fi
exec reeve run job.yaml --run-dir replica-$shard -q
RANK
        code=0
        within 100 mpirun -n 4 bash rank.sh >run.out 2>&1 || code=$?
        [ "$code" = 65 ] || { tail -n 30 run.out; fail "worker 3 has another $shard: exit code $code"; }
        expect_changed "$shard"
    done
    must_run 0 3 replica-text-2.txt # all have the same now
    expect_equal "digest after a stale replica" "$(digest_of replica-text-2.txt)" "$first"
    audit_ok replica-text-2.txt
else
    echo "no mount of one's own here: the stale replica was left out"
fi

# Changed while the run computes: nothing is committed of what was read since.
sed 's/steps: 40/steps: 100000/' job.yaml >long.yaml
within 100 reeve run long.yaml -n 2 --run-dir long -q >run.out 2>&1 &
run=$!
goes() { [ "$(committed_step long)" -ge 5 ]; }
wait_for 30 goes || { cat run.out; fail "the long run did not begin"; }
cp -p text-4.txt kept
spoil text-4.txt
code=0
wait "$run" || code=$?
[ "$code" = 65 ] || { tail -n 30 run.out; fail "a shard changed in place during the run: exit code $code"; }
expect_changed text-4.txt
must_run 65 2 long --set train.steps=100000 # and between two starts
expect_changed text-4.txt
cp -p kept text-4.txt
stopped=$(reeve inspect long --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["step"])')
must_run 75 2 long --set train.steps=100000 --stop-at $((stopped + 20))
must_run 75 1 calm --set train.steps=100000 --stop-at $((stopped + 20))
expect_equal "digest after the shard was put back" "$(digest_of long)" "$(digest_of calm)"

# With a cache folder each node copies what it reads, and a copy that was damaged is made again.
must_run 75 2 cached --set data.cache="$PWD/cache" --stop-at 10
expect_equal "copies" "$(find cache -type f ! -name '.*' | wc -l)" 6
for copy in cache/*; do spoil "$copy"; done
must_run 0 3 cached --set data.cache="$PWD/cache"
expect_equal "digest with damaged copies" "$(digest_of cached)" "$first"
sums() { sha256sum "$@" | cut -d' ' -f1 | sort; }
expect_equal "copies made again" "$(sums cache/*)" "$(sums text-*.txt)"

# A copy that takes three times faults.hang_min_s is no hang. Method: the shards come one after the other, and somebody has
# the turn of the second for so long; the byte is told by its digest, which is the name of its copy.
mkdir held
for copy in cache/*; do cmp -s "$copy" text-2.txt && second=$(basename "$copy"); done
python3 - "$second" >turn <<'PYTHON' &
import fcntl, os, sys, time
with open("held/.turns", "w") as f:
    fcntl.lockf(f, fcntl.LOCK_EX, 1, int.from_bytes(bytes.fromhex(sys.argv[1])[:8], "little") >> 2)
    print("taken", flush=True)
    end = time.time() + 300
    while not os.path.exists("let-go") and time.time() < end: time.sleep(0.05)
PYTHON
wait_for 10 test -s turn || fail "nobody takes the turn"
within 100 reeve run job.yaml -n 2 --run-dir slow -q --set data.shuffle=none --set train.eval_every=0 \
    --set data.cache="$PWD/held" --set faults.hang_min_s=5 >run.out 2>&1 &
run=$!
waits() { [ "$(committed_step slow)" -ge 1 ] && grep -q '"workers_long": *[12]' slow/status.json; }
wait_for 30 waits || { cat run.out slow/status.json; fail "nobody waits for a copy"; }
sleep 16 # one that was not told of would have ended it by now
touch let-go
code=0
wait "$run" || code=$?
[ "$code" = 0 ] || { tail -n 30 run.out; fail "a copy that takes long: exit code $code"; }
expect_no_text slow/log/supervisor.log 'hung'
audit_ok slow

if unshare --mount true 2>stderr; then # another node: its folder is its own, and empty
    rm -f cache/*
    mkdir -p node
    cat >rank.sh <<RANK
if [ "\${OMPI_COMM_WORLD_RANK:-0}" = 2 ]; then
    exec unshare --mount sh -c 'mount --bind node cache && exec reeve run job.yaml --run-dir nodes -q --set data.cache=cache'
fi
exec reeve run job.yaml --run-dir nodes -q --set data.cache=cache
RANK
    code=0
    within 100 mpirun -n 3 bash rank.sh >run.out 2>&1 || code=$?
    [ "$code" = 0 ] || { tail -n 30 run.out; fail "two nodes with a cache folder each: exit code $code"; }
    expect_equal "digest with two cache folders" "$(digest_of nodes)" "$first"
    # Of six shards each node has those that it read: together more than six, whoever was the faster.
    copies=$(find node cache -type f ! -name '.*' | wc -l)
    [ "$copies" -gt 6 ] || fail "$copies copies on two nodes: each has only what it staged"
fi
