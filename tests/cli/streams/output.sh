# Results that do not arrive are an error: a full disk, a closed pipe, no stdout at all. Colours are for terminals.
# shellcheck source=tests/cli/data.sh
. "$REEVE_SOURCE/tests/cli/data.sh"

make_text
code=0

reeve version >/dev/full 2>stderr || code=$?
expect_equal "exit code with a full disk" "$code" 74
one_line stderr '^reeve: stdout: .*No space'

code=0
reeve plan job.yaml --step 1-40 --json 2>stderr >/dev/full || code=$?
expect_equal "exit code of --json with a full disk" "$code" 74

# A reader that leaves early: an error of writing, no signal that kills.
code=$( (reeve plan job.yaml --set train.steps=4000 --step 1-4000 2>stderr; echo $? >code) | head -n 1 >/dev/null; cat code)
expect_equal "exit code with a closed pipe" "$code" 74
one_line stderr '^reeve: stdout: write failed: (Broken pipe|the reader has left)'

code=0
reeve version >&- 2>stderr || code=$?
expect_equal "exit code without stdout" "$code" 74
code=0
reeve manifest lock shards.yaml >&- 2>&- || code=$?
expect_equal "exit code of lock without stdout" "$code" 74
expect_exit 0 reeve verify shards.lock.h5      # what it printed did not go into the file

command -v script >/dev/null || skip "no script(1): colours were not tried"
on_terminal() { # on_terminal COMMAND: its output on a terminal
    TERM=xterm script -qec "$1" /dev/null </dev/null
}
on_terminal 'reeve verify shards.lock.h5' >out
expect_text out $'\033\\[32m'
NO_COLOR=1 on_terminal 'reeve verify shards.lock.h5' >out
expect_no_text out $'\033\\['
on_terminal 'reeve verify --no-color shards.lock.h5' >out
expect_no_text out $'\033\\['
