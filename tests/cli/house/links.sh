# Every link from one document to another leads somewhere: to a file that is there, and a heading that it has.
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
print(f"{links} links in {len(files)} documents")
sys.exit(bool(wrong or unlisted) or links < 50)
PYTHON
mapfile -t documents < <(find . -name '*.md' -not -path './build*' -not -path './runs/*' -not -path './.git/*' -printf '%P\n')
python3 "$OLDPWD/links.py" "${documents[@]}" || fail "a link leads nowhere, or a document is not listed"
