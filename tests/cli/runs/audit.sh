# `reeve audit` proves, or says why it cannot: a journal that is damaged, gone, or of other data is no proof.
# shellcheck source=tests/cli/data.sh
. "$REEVE_SOURCE/tests/cli/data.sh"

make_text
expect_exit 75 within 100 reeve run job.yaml -n 1 --run-dir good --set train.steps=15 --set checkpoint.every=5 -q --stop-at 6
expect_exit 0 within 100 reeve run job.yaml -n 1 --run-dir good --set train.steps=15 --set checkpoint.every=5 -q
expect_exit 0 reeve audit good --json
expect_equal restarts "$(json stdout restarts)" 1
fresh() {
    rm -rf run
    cp -r good run
}
no_proof() { # no_proof CODE PATTERN
    expect_exit "$1" reeve audit run
    one_line stderr "^reeve: .*$2"
    expect_exit "$1" reeve audit run --json
    one_json stdout
}

fresh; flip "$(find run/journal -name '*.h5' | sort | head -n 1)" 3000
no_proof 65 'journal'
fresh; rm "$(find run/journal -name '*.h5' | sort | head -n 1)"
no_proof 65 'journal'
fresh; rm run/manifest.h5
no_proof 66 'manifest.h5'
fresh; flip run/manifest.h5 800
no_proof 65 'manifest.h5'
fresh; rm run/job.yaml
no_proof 66 'job.yaml'

# Another plan does not fit what the journal says was done.
fresh; sed -i 's/^seed: 7/seed: 8/' run/job.yaml
expect_exit 65 reeve audit run --json
one_json stdout
expect_equal exactly_once "$(json stdout exactly_once)" false
expect_exit 65 reeve audit run
expect_text stdout '^NOT EXACTLY ONCE'
expect_text stdout '^The first: '

# What is not there from the beginning: a run that never began has committed nothing, and is not proven wrong by that.
fresh; rm -r run/journal
expect_exit 0 reeve audit run --json
expect_equal samples_committed "$(json stdout samples_committed)" 0
expect_equal samples_expected "$(json stdout samples_expected)" 0
