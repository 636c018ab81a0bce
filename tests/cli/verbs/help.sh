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

# The manual page has every verb and option, and troff no objection; the completion knows them too.
expect_exit 0 reeve help --man
cp stdout page
sed 's/\\-/-/g' page >plain_page
for heading in VERBS 'EXIT STATUS' ENVIRONMENT FILES 'SEE ALSO'; do expect_text page "^\.SH $heading\$"; done
if command -v groff >/dev/null; then groff -man -Tutf8 -ww page >/dev/null 2>objections || true; fi
[ ! -s objections ] || { cat objections; fail "groff has objections to the manual page"; }
expect_exit 0 reeve help --bash
cp stdout completion
completes() { # completes WORD...: prints what bash would offer for the last of these words
    bash -c '. ./completion; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _reeve; printf "%s\n" "${COMPREPLY[@]}"' - "$@"
}
completes reeve '' | sort >offered
{ printf '%s\n' help "${verbs[@]}"; } | sort >wanted
cmp offered wanted || fail "bash completes other verbs than there are"
for verb in "${verbs[@]}"; do
    expect_exit 0 reeve "$verb" --help
    grep -oE '^  (-[a-zA-Z], |    )--[a-z-]+' stdout | grep -oE -- '--[a-z-]+' | sort >wanted
    completes reeve "$verb" -- | sort >offered
    cmp offered wanted || fail "bash completes other options of $verb than there are"
    for option in $(grep -vxE -- '--(help|no-color)' wanted); do
        grep -qF -- "$option" plain_page || fail "the manual page lacks $option of $verb"
    done
done
expect_equal "words of manifest" "$(completes reeve manifest '' | xargs)" "lock check show"
expect_equal "files are left to bash" "$(completes reeve run job | xargs)" ""
expect_equal "a verb begun" "$(completes reeve stat | xargs)" "status"

# The keys of a job file: for people, and the same ones as one JSON value.
expect_exit 0 reeve run --help-keys
grep -oE '^[a-z][a-z0-9_.]*' stdout | sort >wanted
expect_exit 0 reeve run --help-keys --json
one_json stdout
python3 - stdout >keys <<'PY' || fail "the keys are not as they should be"
import json, sys
rows = {row["key"]: row for row in json.load(open(sys.argv[1]))["keys"]}
print("\n".join(rows))
steps, shuffle = rows["train.steps"], rows["data.shuffle"]
assert steps["type"] == "integer" and steps["minimum"] == 1 and steps["required"] and steps["default"] is None, steps
assert shuffle["choices"] == ["none", "block", "global"] and shuffle["default"] == "block", shuffle
assert rows["data.holdout"]["maximum"] == 0.9 and rows["data.holdout"]["default"] == 0.0
assert rows["optimizer.decay_steps"]["default"] == "train.steps"
assert all(row["meaning"] and row["expected"] for row in rows.values())
PY
sort keys | cmp - wanted || fail "--help-keys has other keys in JSON than for people"

expect_exit 0 reeve help help
expect_exit 0 reeve help
expect_exit 0 reeve --version
expect_text stdout '^reeve [0-9]+\.[0-9]+\.[0-9]+$'
expect_exit 0 reeve version --json
one_json stdout
expect_equal schema_version "$(json stdout schema_version)" 1
expect_text stdout '"mpi"'
echo "${#verbs[@]} verbs explain themselves"
