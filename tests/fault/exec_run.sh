# To be sourced by the fault tests of `workload: exec`: a job in a few words, and what they ask of a run.
# shellcheck shell=bash
# shellcheck source=tests/tools/expect.sh
. "$REEVE_TOOLS/expect.sh"

# exec_job [KEY: VALUE]... <<tasks: job.yaml with these keys of exec, and `tasks` from stdin.
exec_job() {
    { printf 'name: t\nworkload: exec\nexec:\n  retry_s: 0.05\n  grace_s: 1\n'; printf '  %s\n' "$@"; printf 'tasks:\n'; cat; } >job.yaml
}

# task RUN NAME KEY: what `reeve tasks` says of one task.
task() {
    reeve tasks "$1" --json >tasks.json || fail "reeve tasks $1"
    python3 - "$2" "$3" <<'PYTHON'
import json, sys
print(next(t[sys.argv[2]] for t in json.load(open("tasks.json"))["tasks"] if t["name"] == sys.argv[1]))
PYTHON
}

exactly_once() { # exactly_once RUN DONE
    expect_exit 0 reeve audit "$1" --json
    cp stdout audit.json
    expect_equal "exactly once" true "$(json audit.json exactly_once)"
    expect_equal "tasks done" "$2" "$(json audit.json "done")"
}
