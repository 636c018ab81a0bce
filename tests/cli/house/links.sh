# Every link from one document to another leads somewhere: to a file that is there, and a heading that it has. And documents
# can be read as they are printed: no table has a row with more or fewer cells than its head, no line is too wide.
# shellcheck source=tests/tools/expect.sh
. "$REEVE_TOOLS/expect.sh"

cd "$REEVE_SOURCE" || fail "no source tree in $REEVE_SOURCE"
cat >"$OLDPWD/links.py" <<'PYTHON'
import glob, os, re, sys

def anchor(heading):  # as GitHub makes them
    return re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", heading.strip().lower())).replace(" ", "-")

def anchors(text):
    prose = re.sub(r"```.*?```", "", text, flags=re.S)
    return {anchor(h) for h in re.findall(r"^#+ (.*)$", prose, flags=re.M)} | set(re.findall(r'<a name="([^"]+)"', text))

files = {f: open(f, encoding="utf-8").read() for f in sys.argv[1:]}
known = {f: anchors(text) for f, text in files.items()}
links, wrong = 0, []
for f, text in files.items():
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        links += 1
        path, _, heading = target.partition("#")
        other = os.path.normpath(os.path.join(os.path.dirname(f), path)) if path else f
        if not os.path.exists(other):
            wrong.append(f"{f}: {target}: there is no such file")
        elif heading and other in known and heading not in known[other]:
            wrong.append(f"{f}: {target}: it has no such heading")
print(*wrong, sep="\n")
unlisted = [f for f in files if re.fullmatch(r"docs/(format/)?[a-z-]+\.md", f) and f[5:] not in files["docs/README.md"]]
print(*[f"{f}: docs/README.md does not name it" for f in unlisted], sep="\n")
def cells(row):  # a bar that is not escaped ends a cell, also within code
    return len(re.findall(r"(?<!\\)\|", row)) - 1

def ragged(text):
    head = None
    for number, line in enumerate(text.split("\n"), 1):
        head = (head or cells(line)) if line.startswith("|") else None
        if head and cells(line) != head:
            yield f"{number}: {cells(line)} cells in a table of {head}; write \\| for a bar that is none of its own"
        elif not head and len(line) > 140:
            yield f"{number}: more than 140 columns; 120 is the aim"

assert list(ragged("| a | b |\n|---|---|\n| `c|d` | e |")) and list(ragged("x" * 141)) and not list(ragged("| `a\\|b` |"))
unfit = [f"{f}:{complaint}" for f, text in files.items() for complaint in ragged(text)]
print(*unfit, sep="\n")
print(f"{links} links in {len(files)} documents")
sys.exit(bool(wrong or unlisted or unfit) or links < 50)
PYTHON
mapfile -t documents < <(find . -name '*.md' -not -path './build*' -not -path './runs/*' -not -path './.git/*' -printf '%P\n')
python3 "$OLDPWD/links.py" "${documents[@]}" || fail "a link leads nowhere, a document is not listed, or not fit to be read"
