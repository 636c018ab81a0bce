# `reeve verify` names what is damaged or missing, says what follows, and does not take leftovers for damage.
# shellcheck source=tests/cli/data.sh
. "$REEVE_SOURCE/tests/cli/data.sh"

make_text
# Stopped twice, because a periodic checkpoint is passed over while the one before is still being written.
set -- --run-dir good --set train.steps=15 --set checkpoint.every=100 -q
expect_exit 75 within 100 reeve run job.yaml -n 1 "$@" --stop-at 5
expect_exit 75 within 100 reeve run job.yaml -n 1 "$@" --stop-at 10
expect_exit 0 within 100 reeve run job.yaml -n 1 "$@"
expect_exit 0 reeve verify good
expect_equal "lines that are not ok" "$(grep -vc '^ok ' stdout)" 1     # the last: the verdict

fresh() {
    rm -rf run
    cp -r good run
}
newest=checkpoint/step-0000000015
older=checkpoint/step-0000000010

damaged() { # damaged CODE PATTERN
    expect_exit "$1" reeve verify run
    expect_text stdout "^DAMAGE +$2"
    expect_text stdout '; so '
    expect_exit "$1" reeve verify run --json
    one_json stdout
    expect_equal ok "$(json stdout ok)" false
}

fresh; flip run/$newest/rank-00000.h5 30000
damaged 65 "$newest: .*falls back to the one before, at most step 10"
expect_text stdout '"damaged": 1'
expect_exit 65 reeve verify run/$newest                   # a part alone
expect_exit 65 reeve verify run/$newest/rank-00000.h5
expect_exit 0 reeve verify run/$older
expect_exit 0 reeve verify run/journal
flip run/$older/index.h5 900
damaged 65 "$older: "
expect_text stdout '"damaged": 2'

fresh; rm run/$newest/rank-00000.h5
damaged 65 "$newest: "
fresh; rm -r run/$newest
damaged 65 "$newest: .*gone"
fresh; rm -r run/$older                                   # as retention does
expect_exit 0 reeve verify run
fresh; rm run/manifest.h5
damaged 66 "manifest.h5: "
fresh; echo 'name: [' >run/job.yaml
damaged 65 "job.yaml: "
fresh; flip run/journal/00000001-0000000000000001.h5 3000
damaged 65 "journal: .*00000001-0000000000000001.h5"
fresh; truncate -s 5000 run/journal/00000001-0000000000000001.h5
damaged 65 "journal: "
fresh; mv run/$newest moved; mv run/$older run/$newest; mv moved run/$older      # each sound, in the wrong place
damaged 65 "$newest: "

# Garbage by definition: noted, and no damage.
fresh
cp -r run/$newest run/checkpoint/step-0000000099
mkdir run/checkpoint/step-0000000016.tmp-1
echo '{"step":' >>run/metrics.jsonl
expect_exit 0 reeve verify run
expect_text stdout '^note +checkpoint/step-0000000099: no record'
expect_text stdout '^note +checkpoint/step-0000000016.tmp-1: no record'
expect_text stdout '^note +metrics.jsonl: 1 lines'

# Files made by an enemy: links that lead out, and what is no file at all. It must end.
fresh; ln -sf /etc/passwd run/manifest.h5
damaged 65 "manifest.h5: "
fresh; rm run/manifest.h5; mkfifo run/manifest.h5
expect_exit 65 within 20 reeve verify run
fresh; rm run/$newest/index.h5; mkdir run/$newest/index.h5
expect_exit 65 within 20 reeve verify run
# What may not be read is no damage, and nobody is sent for a backup of it.
other() { if [ "$(id -u)" = 0 ]; then setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; else "$@"; fi; }
fresh; chmod 000 run/$newest/index.h5
if other test -r run/job.yaml && other test -x "$REEVE_BIN/reeve"; then
    expect_exit 77 other reeve verify run
    expect_text stdout "^CLOSED  $newest: .*Permission denied; so nothing is known of it"
    expect_no_text stdout 'DAMAGE|backup'
    expect_text stdout 'run: [0-9] of .* are damaged, missing, or not to be read'
fi
expect_exit 0 reeve verify good     # nothing above changed what it read
