# A bad job is refused before anything starts: one line with file, place, key and what was expected, and 65.
# shellcheck source=tests/cli/data.sh
. "$REEVE_SOURCE/tests/cli/data.sh"

make_text
cp job.yaml good.yaml
expect_exit 0 reeve plan job.yaml

bad() { # bad PATTERN SED: the job changed by a sed script is refused with a line that matches
    sed -E "$2" good.yaml >job.yaml
    cmp -s good.yaml job.yaml && fail "the sed script changed nothing: $2"
    expect_exit 65 reeve plan job.yaml
    one_line stderr "^reeve: .*job.yaml:[0-9]+:[0-9]+: .*$1"
    expect_exit 65 reeve plan job.yaml --json
    one_json stdout
    cp good.yaml job.yaml
}

bad "train.step'?.*did you mean.*train.steps" 's/steps: 40/step: 40/'
bad 'sequence' 's/sequence: 16/sequence: sixteen/'
bad 'sequence' 's/sequence: 16/sequence: 0/'
bad 'sequence' 's/sequence: 16/sequence: -5/'
bad 'shuffle' 's/shuffle: block/shuffle: riffle/'
bad 'holdout' 's/holdout: 0.05/holdout: 1.0/'
bad 'global_batch' 's/global_batch: 8/global_batch: 7/'
bad 'heads|width' 's/heads: 2/heads: 3/'
bad 'lr' 's/lr: 3.0e-3/lr: -1/'
bad 'seed' 's/seed: 7/seed: [7]/'
bad 'seed|twice|already' 's/^seed: 7/seed: 7\nseed: 8/'
bad '' 's/^train: .*/train: {steps: 40/'

: >job.yaml
expect_exit 65 reeve plan job.yaml
one_line stderr 'job.yaml'
head -c 4096 /dev/urandom >job.yaml
expect_exit 65 reeve plan job.yaml
one_line stderr 'job.yaml'
cp good.yaml job.yaml

set_refused() { # set_refused CODE PATTERN SETTING
    expect_exit "$1" reeve plan job.yaml --set "$3"
    one_line stderr "^reeve: .*$2"
}
set_refused 65 'train.stps' train.stps=5
set_refused 65 'train.steps' train.steps=many
set_refused 64 'set' train.steps
expect_exit 0 reeve plan job.yaml --set train.steps=5 --set train.steps=6 --json   # the last one counts
expect_equal steps "$(json stdout steps)" 6

sed 's/shards.yaml/elsewhere.yaml/' good.yaml >job.yaml
expect_exit 66 reeve plan job.yaml
one_line stderr 'elsewhere.yaml'
sed 's/sequence: 16/sequence: 65536/' good.yaml >job.yaml
expect_exit 65 reeve plan job.yaml       # not one sample in all of the data
one_line stderr 'sample'
