# What a stranger should never find in the sources: promises put off, places of one machine, files that hold two things.
# shellcheck source=tests/tools/expect.sh
. "$REEVE_TOOLS/expect.sh"

cd "$REEVE_SOURCE" || fail "no source tree in $REEVE_SOURCE"
if git rev-parse --is-inside-work-tree >"$OLDPWD/git" 2>/dev/null; then
    mapfile -t files < <(git -c safe.directory='*' ls-files)
else
    mapfile -t files < <(find . -type f -not -path './build*' -not -path './runs/*' -not -path './.git/*' -printf '%P\n')
fi
[ "${#files[@]}" -gt 50 ] || fail "only ${#files[@]} files found"
complaints=0

complain() {
    printf '%s\n' "$*"
    complaints=$((complaints + 1))
}

mapfile -t texts < <(printf '%s\n' "${files[@]}" | grep -vE '\.(png|bin|h5|json)$')
mapfile -t sources < <(printf '%s\n' "${files[@]}" | grep -E '\.(c|h|cu|cuh)$')
mapfile -t scripts < <(printf '%s\n' "${files[@]}" | grep -E '\.(sh|sbatch)$|^\.ci/run$')

# Written apart, so that this file does not find itself.
marks='TO''DO|FIX''ME|XX''X|not imple''mented|for no''w,|HA''CK'
while IFS= read -r line; do complain "$line: put off; do it or file it"; done \
    < <(grep -nE "\\b($marks)\\b" "${texts[@]}")
while IFS= read -r line; do complain "$line: has tabs; indent with spaces"; done < <(grep -lP '\t' "${texts[@]}")
while IFS= read -r line; do complain "$line: has blanks at the end of a line"; done < <(grep -lE ' +$' "${texts[@]}")

while IFS= read -r line; do complain "$line: more than 140 columns; 120 is the aim"; done \
    < <(awk 'length($0) > 140 {print FILENAME ":" FNR}' "${sources[@]}")
while read -r lines file; do
    [ "$file" != total ] || continue
    limit=600
    case $file in tests/*) limit=900 ;; esac
    [ "$lines" -le "$limit" ] || complain "$file: $lines lines: it holds more than one thing; split it ($limit at most)"
done < <(wc -l "${sources[@]}")
while IFS= read -r file; do
    # What a header says need not be said again by the .c beside it.
    [ -f "${file%.c}.h" ] && [ "$file" != "${file%.c}.h" ] || complain "$file: open it with a few lines on what it is for"
done < <(awk 'FNR == 1 {said = 0} FNR <= 3 && /\/\*/ {said = 1} FNR == 3 && !said {print FILENAME}' "${sources[@]}")
for file in "${scripts[@]}"; do
    bash -n "$file" || complain "$file: not even bash can read it"
done

# Every public header can be included alone.
if command -v gcc >/dev/null; then
    for header in include/reeve/*.h; do
        gcc -std=c11 -Wall -Wextra -Werror -Iinclude -I"$REEVE_BUILD/include" -fsyntax-only -x c "$header" ||
            complain "$header: cannot be included alone"
    done
fi

if command -v shellcheck >/dev/null; then
    shellcheck --external-sources --shell=bash --severity=warning "${scripts[@]}" || complain "shellcheck has objections"
fi

[ "$complaints" = 0 ] || fail "$complaints complaints"
echo "${#files[@]} files read"
