# A wrong command line ends with 64 and one line that says what is wrong, and what was meant.
# shellcheck source=tests/cli/data.sh
. "$REEVE_SOURCE/tests/cli/data.sh"

wrong() { # wrong PATTERN ARGUMENT...
    local pattern=$1
    shift
    expect_exit 64 reeve "$@"
    one_line stderr "^reeve: .*$pattern"
    expect_equal "stdout of reeve $*" "$(cat stdout)" ""
}

wrong "unknown verb 'statsu'; did you mean 'status'" statsu
wrong "unknown verb 'frobnicate'; see" frobnicate
wrong "unknown verb 'verfiy'; did you mean 'verify'" help verfiy
wrong "unknown option '--frobnicate'" --frobnicate
wrong "unknown option --jsn; did you mean --json" status --jsn
wrong "unknown option --frobnicate; see .reeve help audit" audit --frobnicate .
wrong "unknown option -x" inspect -x .
wrong "option --step needs a value" plan job.yaml --step
wrong "option --json takes no value" status --json=yes
wrong "JOB.* is missing" plan
wrong "RUN is missing" inspect
wrong "one argument too many: 'b'" audit a b
wrong "an argument is empty .a variable of the shell that is not set" run ""
wrong "an argument is empty" status ""
wrong "--hosts: empty" run job.yaml --hosts ""
wrong "unknown word 'lok'; did you mean 'lock'" manifest lok shards.yaml
wrong "unknown word 'frobnicate'; expected lock, check or show" manifest frobnicate shards.yaml
wrong "--jobs 0: expected a whole number from 1" manifest lock shards.yaml --jobs 0
wrong "--jobs -3: expected a whole number" manifest lock shards.yaml --jobs=-3
wrong "--jobs many: expected a whole number" manifest lock shards.yaml -j many
wrong "--checkpoint 99999999999999999999" inspect . --checkpoint 99999999999999999999
wrong "--output belongs to .lock." manifest show x.h5 -o y.h5
wrong "the name of a lock ends in .h5" manifest lock shards.yaml -o shards.yaml

# Inside mpirun or srun, what only a launch of its own can do is refused, not passed over.
export PMIX_RANK=0
wrong "-n has no meaning inside mpirun" run job.yaml -n 2
wrong "--hosts has no meaning inside mpirun" run job.yaml --hosts n1,n2
expect_exit 64 reeve run job.yaml --json
one_json stdout
expect_text stderr '^reeve: run: --json has no meaning inside mpirun'
unset PMIX_RANK

expect_exit 64 reeve                       # nothing asked: the help, where it does not look like a result
expect_equal stdout "$(cat stdout)" ""
expect_text stderr '^Verbs:'

# With --json the error is one JSON value too, on stdout, and still in words on stderr.
expect_exit 64 reeve status --json --jsn
one_json stdout
expect_equal exit_code "$(json stdout exit_code)" 64
expect_equal status "$(json stdout status)" INPUT_USAGE
expect_text stdout '"error": "status: unknown option'
one_line stderr '^reeve: status: unknown option'

# A shortened option is the same option, also where it is an error.
expect_exit 66 reeve inspect --js no-such-run
one_json stdout
expect_equal exit_code "$(json stdout exit_code)" 66

# After -- nothing is an option.
expect_exit 66 reeve inspect -- --json
expect_equal stdout "$(cat stdout)" ""
