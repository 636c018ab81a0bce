# Every verb explains itself with an example, on stdout, with exit code 0.
# shellcheck source=tests/cli/data.sh
. "$REEVE_SOURCE/tests/cli/data.sh"

expect_exit 0 reeve --help
mapfile -t verbs < <(sed -n '/^Verbs:/,/^$/p' stdout | awk 'NR > 1 && NF {print $1}')
expect_text stdout 'Exit codes'
for verb in run plan manifest status inspect verify audit chaos doctor version; do
    case " ${verbs[*]} " in *" $verb "*) ;; *) fail "reeve --help does not list $verb" ;; esac
done

for verb in "${verbs[@]}"; do
    expect_exit 0 reeve "$verb" --help
    expect_equal "stderr of reeve $verb --help" "$(cat stderr)" ""
    expect_text stdout '^Usage: reeve '"$verb"
    expect_text stdout '^Examples:'
    expect_text stdout "^  .*reeve $verb"
    expect_text stdout -- '--help'
    expect_no_text stdout '.{131}'     # fits a terminal, nearly
    expect_no_text stdout $'\033'      # no colours where there is no terminal
    cp stdout by_option
    expect_exit 0 reeve help "$verb"
    cmp stdout by_option || fail "reeve help $verb and reeve $verb --help differ"
    expect_exit 0 reeve "$verb" -h --no-such-option   # whoever asks for help gets it
done

expect_exit 0 reeve help
expect_exit 0 reeve --version
expect_text stdout '^reeve [0-9]+\.[0-9]+\.[0-9]+$'
expect_exit 0 reeve version --json
one_json stdout
expect_equal schema_version "$(json stdout schema_version)" 1
expect_text stdout '"mpi"'
echo "${#verbs[@]} verbs explain themselves"
