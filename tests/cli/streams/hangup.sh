# A terminal that is closed (a connection that breaks) is a wish to stop: the run checkpoints and ends with 75; with nohup it
# goes on. Method: a terminal of Python's, whose other end is closed once steps are committed; a run with and one without mpirun.
# shellcheck source=tests/cli/data.sh
. "$REEVE_SOURCE/tests/cli/data.sh"

make_text
step_of() { json "$1/status.json" step 2>/dev/null || echo 0; }
at_least() { [ "$(step_of "$1")" -ge "$2" ]; }

python3 - <<'PY' || fail "a terminal that is closed does not end the run well"
import json, os, pty, time
for workers in ("1", "2"):
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm"
        os.execvp("reeve", ["reeve", "run", "job.yaml", "-n", workers, "--run-dir", "run-" + workers,
                            "--set", "train.steps=100000000", "--set", "checkpoint.every=100000000"])
    os.set_blocking(terminal, False)
    end, step = time.time() + 100, 0
    while step < 2 and time.time() < end:
        try: os.read(terminal, 65536)
        except BlockingIOError: pass
        try: step = json.load(open(f"run-{workers}/status.json"))["step"]
        except (OSError, ValueError): pass
        time.sleep(0.05)
    os.close(terminal)
    done = 0
    while done == 0 and time.time() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        time.sleep(0.05)
    if done == 0: os.kill(child, 9)
    report = json.load(open(f"run-{workers}/status.json"))
    print(workers, "workers:", done != 0 and os.waitstatus_to_exitcode(status), report["state"], report["step"])
    assert done != 0 and os.waitstatus_to_exitcode(status) == 75
    assert report["state"] == "stopped" and report["last_checkpoint_step"] == report["step"] >= 2
PY

nohup "$REEVE_BIN/reeve" run job.yaml -n 1 --run-dir nohup -q --set train.steps=100000000 >out 2>&1 &
run=$!
wait_for 60 at_least nohup 2 || { kill -9 "$run"; cat out; fail "the run did not begin"; }
kill -HUP "$run"
seen=$(step_of nohup)
wait_for 60 at_least nohup $((seen + 20)) || { kill -9 "$run"; cat out; fail "the run does not go on"; }
touch nohup/STOP
code=0
wait "$run" || code=$?
expect_equal "exit code after STOP" "$code" 75
