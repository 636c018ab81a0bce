#!/usr/bin/env bash
# A training that begins with the weights of another run: exactly those, on any number of workers, before and after kills,
# whatever happens to the other run meanwhile; and what is no such thing is refused before anything is made.
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
make_tiny
must_run 0 2 run-a
first=$(digest_of run-a)
newest="run-a/checkpoint/step-0000000040"
cp job.yaml scratch.yaml

# Steps with a learning rate of 0 change nothing: what such a run ends with it began with, by the name of a run or of its
# checkpoint. The optimizer and the step begin anew.
still='--set optimizer.lr=0 --set optimizer.min_lr=0 --set train.steps=3'
ln -s run-a link
for from in run-a $newest link/checkpoint/../checkpoint/step-0000000040/; do
    mkdir -p run-still/initial/checkpoint/step-0000000000.tmp-1 # what a start that was cut short leaves
    head -c 1000 /dev/urandom >run-still/initial/checkpoint/step-0000000000.tmp-1/rank-00000.h5
    cp -r $newest run-still/initial/checkpoint/step-0000000000
    # shellcheck disable=SC2086 # a list
    must_run 0 2 run-still --set model.init_from=$from $still
    expect_equal "weights after three steps without learning" "$(digest_of run-still)" "$first"
    expect_equal "init_weights" "$(json inspect.json init_weights)" "$first"
    expect_equal "init_from" "$(json inspect.json init_from)" "$PWD/$from"
    expect_text run-still/job.yaml "init_weights: \"?$first"
    reeve inspect run-still >inspect.txt
    expect_text inspect.txt "^begun with +$first of .*$from\$"
    audit_ok run-still
    rm -rf run-still
done
# shellcheck disable=SC2086
must_run 0 1 run-seed $still
[ "$(digest_of run-seed)" != "$first" ] || fail "the seed gives the weights of a trained model"

# Other data order, other rate: any number of workers, kills before the first checkpoint and after it; the other run is gone.
sed -i "s/^seed: 7/seed: 8/; s/^model: .*/model: {layers: 1, heads: 2, width: 16, init_from: run-a}/; s/lr: 3.0e-3/lr: 1.0e-3/" job.yaml
must_run 0 1 run-calm
calm=$(digest_of run-calm)
[ "$calm" != "$first" ] || fail "nothing was learnt"
must_run 75 3 run-b --stop-at 3 --set checkpoint.every=0
mv run-a elsewhere
rm -rf run-b/checkpoint run-b/journal # as if nothing had been done yet
within 100 reeve run job.yaml -n 2 --run-dir run-b -q --set faults.restarts_max=0 >run.out 2>&1 &
run=$!
begun() { [ "$(committed_step run-b)" -ge 1 ]; }
wait_for 60 begun || { tail run.out; fail "no progress"; }
pkill -KILL -f -- "reeve-rank --run-dir $PWD/run-b" || true
wait "$run" || true
must_run 0 5 run-b
expect_equal "digest after a kill, without the run that it began with" "$(digest_of run-b)" "$calm"
audit_ok run-b
reeve verify run-b >verify.txt || { cat verify.txt; fail "verify run-b"; }
expect_text verify.txt 'initial/checkpoint/step-0000000000'

# By its new name it is the same training; another checkpoint of it, or none, is another one.
must_run 0 2 run-b --set model.init_from=elsewhere
must_run 65 2 run-b --set model.init_from=elsewhere/checkpoint/step-0000000030
expect_text run.out 'was begun with model.init_weights='
must_run 65 2 run-b --set 'model.init_from=""'
expect_text run.out 'was begun with .*/run-a, the job says those of its seed'
cp scratch.yaml job.yaml
must_run 65 2 run-seed --set model.init_from=elsewhere --set optimizer.lr=0 --set optimizer.min_lr=0
expect_text run.out 'was begun with the weights of its seed, the job says .*/elsewhere'

# What is no checkpoint, and what is not the one that was meant, is refused before anything is made.
refused() { # refused CODE TEXT ARGUMENT...
    local expected=$1 text=$2
    shift 2
    must_run "$expected" 2 run-none "$@"
    expect_text run.out "$text"
    [ ! -e run-none/job.yaml ] || fail "$*: left a run behind"
}
mkdir -p empty
refused 66 "key 'model.init_from': .*/nowhere: No such file or directory" --set model.init_from=nowhere
refused 65 "/empty is neither a run that has a checkpoint, nor a checkpoint of one" --set model.init_from=empty
refused 65 "text-1.txt is neither a run" --set model.init_from=text-1.txt
refused 65 'has the weights [0-9a-f]{32} after step 40, model.init_weights asks for 0{32}' --set model.init_from=elsewhere \
    --set model.init_weights='"00000000000000000000000000000000"'
refused 65 "key 'model.init_weights': expected the weights_digest" --set model.init_from=elsewhere --set model.init_weights=abc
refused 65 "model.init_from not where they are" --set model.init_weights="\"$first\""
cp -r elsewhere broken
part=$(printf '%s\n' broken/checkpoint/step-0000000040/rank-*.h5 | head -n 1)
printf '\377\377' | dd of="$part" bs=1 seek=$(($(stat -c %s "$part") - 600)) conv=notrunc status=none
truncate -s -512 broken/checkpoint/step-0000000040/index.h5
refused 65 "key 'model.init_from': .*broken/checkpoint/step-0000000040" --set model.init_from=broken

# Of another model: told by the first worker that reads it.
must_run 65 2 run-wide --set model.init_from=elsewhere --set model.width=32
expect_text run.out "key 'model.init_from': .*belongs to another model"

# The copy in the run is damaged before its first checkpoint: it does not begin with something else.
must_run 0 1 run-c --set model.init_from=elsewhere --set train.steps=1
rm -rf run-c/checkpoint run-c/journal
copy="run-c/initial/checkpoint/step-0000000000/rank-00000.h5"
printf '\377\377' | dd of=$copy bs=1 seek=$(($(stat -c %s $copy) - 600)) conv=notrunc status=none
must_run 65 2 run-c --set model.init_from=elsewhere --set train.steps=1
expect_text run.out 'initial/checkpoint/step-0000000000/rank-00000.h5: tensor [a-z0-9._]+ is damaged'
code=0
reeve verify run-c >verify.txt || code=$?
expect_equal "verify of a damaged copy" "$code" 65
