# `reeve status` tells a run that lives from one that stopped, was asked to, ended, or died; without RUN it lists ./runs.
# shellcheck source=tests/cli/data.sh
. "$REEVE_SOURCE/tests/cli/data.sh"

make_text
state_is() { # state_is RUN STATE
    reeve status "$1" --json >state.json 2>/dev/null || return 1
    [ "$(json state.json state)" = "$2" ]
}
step_from() { # step_from RUN STEP: it is running, and has come this far
    state_is "$1" running && [ "$(json state.json step)" -ge "$2" ]
}

# Long enough to be looked at; ended below by what is tested.
reeve run job.yaml -n 1 --run-dir runs/lives --set train.steps=1000000 --set checkpoint.every=50 -q >lives.out 2>&1 &
lives=$!
wait_for 60 step_from runs/lives 60 || { cat lives.out; fail "the run did not begin"; }
[ "$(json state.json owner)" != null ] || fail "a run that lives has an owner"
expect_exit 0 reeve status runs/lives
expect_text stdout '^runs/lives: running, job small'
expect_text stdout 'touch runs/lives/STOP'
expect_exit 0 reeve inspect runs/lives --json     # also while it is being written
one_json stdout
expect_equal "end of the start" "$(json stdout starts.0.end)" open
expect_exit 0 reeve audit runs/lives --json
expect_equal exactly_once "$(json stdout exactly_once)" true
expect_exit 0 reeve verify runs/lives
expect_exit 73 within 60 reeve run job.yaml -n 1 --run-dir runs/lives --set train.steps=1000000 --set checkpoint.every=50 -q

touch runs/lives/STOP
code=0
wait "$lives" || code=$?
expect_equal "exit code after STOP" "$code" 75
state_is runs/lives stopped || fail "state $(json state.json state), expected stopped"
expect_equal owner "$(json state.json owner)" null
expect_exit 0 reeve status runs/lives
expect_text stdout 'run the same command again'

# Killed without a word: every process of it, at once.
setsid reeve run job.yaml -n 1 --run-dir runs/dies --set train.steps=1000000 --set checkpoint.every=50 -q >dies.out 2>&1 &
dies=$!
wait_for 60 step_from runs/dies 60 || { cat dies.out; fail "the second run did not begin"; }
kill -9 -- "-$dies"
wait "$dies" 2>/dev/null || true
wait_for 10 state_is runs/dies died || fail "state $(json state.json state), expected died"
expect_exit 0 reeve status runs/dies
expect_text stdout 'it resumes after step [1-9]'
expect_exit 0 reeve verify runs/dies

expect_exit 0 reeve status
expect_text stdout '^died .*runs/dies$'
expect_text stdout '^stopped .*runs/lives$'
expect_exit 0 reeve status --json
one_json stdout
expect_equal "first run" "$(json stdout runs.0.run_dir)" runs/dies
expect_equal "second run" "$(json stdout runs.1.run_dir)" runs/lives

# status.json is a shadow: without it, or with a damaged one, nothing else is wrong.
printf 'x' >runs/dies/status.json
expect_exit 65 reeve status runs/dies
one_line stderr 'status.json'
expect_exit 0 reeve status
expect_exit 0 reeve verify runs/dies
rm runs/dies/status.json
expect_exit 0 reeve inspect runs/dies
