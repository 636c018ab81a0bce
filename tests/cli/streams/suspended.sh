# After Ctrl-Z of `reeve run`, and in the background, the prompt is the user's: the ranks train on, and draw nothing there. With
# `fg` the line is back. Method: a shell with job control on a terminal of Python's; a run with and one without mpirun.
# shellcheck source=tests/cli/data.sh
. "$REEVE_SOURCE/tests/cli/data.sh"

make_text
MPI=$(mpirun --version | sed -n 's/.* \([0-9]*\)\.[0-9.]*.*/\1/p' | head -n 1)
export MPI
python3 - <<'PY' || fail "the terminal of a run that is suspended is not left alone"
import json, os, pty, re, select, sys, time
end = time.time() + 100
# mpirun 5 hands on whole lines only: with it there is no line that could be in the way, but one every few seconds.
for workers in ("1", "2") if os.environ["MPI"] == "4" else ("1",):
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(TERM="xterm", PS1="PROMPT ")
        os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
    said = b""
    def read():
        global said
        while time.time() < end and select.select([terminal], [], [], 0.05)[0]:
            said += os.read(terminal, 65536)
    def step():
        try: return json.load(open(f"run-{workers}/status.json"))["step"]
        except (OSError, ValueError): return 0
    def until(what, true):
        while not true() and time.time() < end: read(); time.sleep(0.05)
        if not true(): sys.exit(f"{workers} workers: {what}; the terminal: {said[-600:]!r}")
    def type_in(text):
        global said
        said = b""
        os.write(terminal, text)
    until("no prompt", lambda: b"PROMPT" in said)
    type_in(f"reeve run job.yaml -n {workers} --run-dir run-{workers} --set train.steps=100000000 "
            "--set checkpoint.every=100000000\r".encode())
    until("no line is drawn", lambda: b"step " in said and step() > 2)
    for suspend in (b"\x1a", b"bg\r"):
        type_in(suspend)
        until("it is not suspended", lambda: b"PROMPT" in said)
        # What was drawn before may come late, through mpirun, and is told apart by its step: what status.json says has been
        # committed by now cannot be in it. (It is written once a second; the second word is later than the prompt.)
        for _ in range(2):
            seen = step()
            until("it does not train on", lambda: step() > seen)
        seen = step()
        until("it does not train on", lambda: step() > seen)
        drawn = [int(n) for n in re.findall(rb"step (\d+)/", said)]
        if max(drawn, default=0) > seen: sys.exit(f"{workers} workers: drawn over the prompt after {suspend!r}: {said!r}")
    type_in(b"fg\r")
    until("the line is not back", lambda: b"step " in said)
    type_in(b"\x03")
    until("Ctrl-C does not end it", lambda: b"PROMPT" in said)
    type_in(b"echo code $?\r")
    until("not the exit code of a run that was stopped", lambda: b"code 75" in said)
    os.close(terminal)
    os.waitpid(child, 0)
PY
