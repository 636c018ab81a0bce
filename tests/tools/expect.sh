# To be sourced by a script test: the few words in which tests say what they expect.
# shellcheck shell=bash

# Nothing here waits without an end: a test's own limit is CTest's, and `within` is for a single command. The seconds that
# are named are ample for an idle machine. A deadline ends a hang and judges nothing else, so all have PATIENCE times that.
set -uo pipefail
PATIENCE=${REEVE_TEST_PATIENCE:-4}

fail() { # fail WORD...: what was promised and did not happen
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

skip() { # skip REASON...: the machine cannot give what the test needs
    printf 'skipped: %s\n' "$*"
    exit 77
}

# expect_exit CODE COMMAND...: run it, keep what it printed in ./stdout and ./stderr, and compare its exit code.
expect_exit() {
    local expected=$1 got=0
    shift
    "$@" >stdout 2>stderr || got=$?
    [ "$got" = "$expected" ] && return 0
    printf -- '--- stdout (its end)\n'; tail -n 40 stdout
    printf -- '--- stderr (its end)\n'; tail -n 40 stderr
    fail "exit code $got, expected $expected: $*"
}

# expect_text FILE PATTERN: an extended regular expression that some line must match.
expect_text() {
    grep -Eq -- "$2" "$1" && return 0
    printf -- '--- %s (its end)\n' "$1"; tail -n 40 "$1"
    fail "$1 has no line that matches: $2"
}

expect_no_text() {
    if grep -Eq -- "$2" "$1"; then
        grep -En -- "$2" "$1" | head -5
        fail "$1 has a line that matches: $2"
    fi
}

expect_equal() { # expect_equal WHAT A B
    [ "$2" = "$3" ] || fail "$1: '$2' is not '$3'"
}

# within SECONDS COMMAND...: a deadline for one command; 124 when it passed.
within() {
    local seconds=$(($1 * PATIENCE))
    shift
    timeout --kill-after=5 "$seconds" "$@"
}

# wait_for SECONDS COMMAND...: until the command succeeds; fails when the time is up.
wait_for() {
    local end=$((SECONDS + $1 * PATIENCE))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.1
    done
}

# json FILE KEY: the value at a dotted path, as plain text (true, false, null, numbers, strings without quotes).
json() {
    python3 - "$1" "$2" <<'PYTHON'
import json, sys
value = json.load(open(sys.argv[1]))
for key in sys.argv[2].split("."):
    value = value[int(key)] if isinstance(value, list) else value[key]
print(value if isinstance(value, str) else json.dumps(value))
PYTHON
}

# The system's Python, which is the one that Debian's packages (h5py, numpy) belong to, whatever stands first on PATH.
if [ -x /usr/bin/python3 ]; then
    python3() { /usr/bin/python3 "$@"; }
fi
