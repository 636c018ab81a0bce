# What people see of a run is no command to their terminal: not its tasks' commands and output, and not a status.json that somebody
# else wrote. Method: all of these carry escapes, as one byte and as a character of C1; the exact words stay in --json.
# shellcheck source=tests/cli/data.sh
. "$REEVE_SOURCE/tests/cli/data.sh"

escape=$'\033|\302\233'
printf "name: loud\nworkload: exec\ntasks: commands.txt\n" >job.yaml
printf 'echo "\033[31mred"; printf "\033]0;title\007\302\2332J" >&2; exit 3\n' >commands.txt
quiet() { # quiet CODE ARGUMENT...: neither stream has an escape
    expect_exit "$@"
    expect_no_text stdout "$escape"
    expect_no_text stderr "$escape"
}
quiet 0 reeve plan job.yaml
quiet 3 reeve run job.yaml -n 1 -q --set faults.attempts_max=1
expect_text stderr 'title'
quiet 0 reeve tasks runs/loud
quiet 0 reeve explain runs/loud line.1
quiet 0 reeve inspect runs/loud
# Nor are the names of folders that somebody else made.
name=$'\033[31mred'
cp -r runs/loud "runs/$name"
for verb in status inspect verify audit plan tasks; do quiet 0 reeve "$verb" "runs/$name"; done
quiet 0 reeve status
expect_text stdout 'runs/ \[31mred$'
rm -r "runs/$name"
expect_exit 0 reeve explain runs/loud line.1 --json
case $(json stdout task.command) in *$'\033[31m'*) ;; *) fail "--json changes the command" ;; esac
sed -i 's/"message": "[^"]*"/"message": "\\u001b[2J\\u009b31m"/; s/"job": "loud"/"job": "\\u001b[1mloud"/' runs/loud/status.json
quiet 0 reeve status runs/loud
expect_text stdout 'job  \[1mloud'
