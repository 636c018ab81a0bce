# What a stranger should never find in the sources: promises put off, places of one machine, files that hold two things.
# shellcheck source=tests/tools/expect.sh
. "$REEVE_TOOLS/expect.sh"

cd "$REEVE_SOURCE" || fail "no source tree in $REEVE_SOURCE"
if git rev-parse --is-inside-work-tree >"$OLDPWD/git" 2>/dev/null; then
    mapfile -t files < <(git -c safe.directory='*' ls-files)
else
    mapfile -t files < <(find . -type f -not -path './build*' -not -path './runs/*' -not -path './.git/*')
fi
[ "${#files[@]}" -gt 50 ] || fail "only ${#files[@]} files found"
complaints=0

complain() {
    printf '%s\n' "$*"
    complaints=$((complaints + 1))
}

# Written apart, so that this file does not find itself.
marks='TO''DO|FIX''ME|XX''X|not imple''mented|for no''w,|HA''CK'
for file in "${files[@]}"; do
    case $file in *.png | *.bin | *.h5 | *.json) continue ;; esac
    [ -f "$file" ] || continue
    while IFS= read -r line; do complain "$file:$line: put off; do it or file it"; done \
        < <(grep -nE "\\b($marks)\\b" "$file")
    case $file in
    *.c | *.h)
        lines=$(wc -l <"$file") limit=600
        case $file in tests/*) limit=900 ;; esac
        [ "$lines" -le "$limit" ] || complain "$file: $lines lines: it holds more than one thing; split it ($limit at most)"
        long=$(awk 'length($0) > 140 {print FNR; exit}' "$file")
        [ -z "$long" ] || complain "$file:$long: more than 140 columns; 120 is the aim"
        # What a header says need not be said again by the .c beside it.
        [ -f "${file%.c}.h" ] || head -n 3 "$file" | grep -q '/\*' || complain "$file: open it with a few lines on what it is for"
        ;;
    *.sh | .ci/run)
        bash -n "$file" || complain "$file: not even bash can read it"
        ;;
    esac
    if grep -qP '\t' "$file"; then complain "$file: has tabs; indent with spaces"; fi
    if grep -qE ' +$' "$file"; then complain "$file: has blanks at the end of a line"; fi
done

# Every public header can be included alone.
if command -v gcc >/dev/null; then
    for header in include/reeve/*.h; do
        gcc -std=c11 -Wall -Wextra -Werror -Iinclude -I"$REEVE_BUILD/include" -fsyntax-only -x c "$header" ||
            complain "$header: cannot be included alone"
    done
fi

if command -v shellcheck >/dev/null; then
    mapfile -t scripts < <(printf '%s\n' "${files[@]}" | grep -E '\.sh$|^\.ci/run$')
    shellcheck --external-sources --shell=bash --severity=warning "${scripts[@]}" || complain "shellcheck has objections"
fi

[ "$complaints" = 0 ] || fail "$complaints complaints"
echo "${#files[@]} files read"
