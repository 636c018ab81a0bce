# Whoever starts `reeve` may have SIGCHLD ignored, or signals blocked, as some daemons do. A run ends all the same, and hears a
# wish to stop. Method: Python hands such things on; a run with and one without mpirun, and one that SIGTERM stops.
# shellcheck source=tests/cli/data.sh
. "$REEVE_SOURCE/tests/cli/data.sh"

make_text
started_with() { # started_with COMMAND...
    exec python3 -c '
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD})
os.execvp(sys.argv[1], sys.argv[1:])' "$@"
}
for workers in 1 2; do
    (started_with reeve run job.yaml -n "$workers" --run-dir "run-$workers" -q --set train.steps=5) >out 2>&1 &
    run=$!
    ended() { ! kill -0 "$run" 2>/dev/null; }
    wait_for 60 ended || { kill -9 "$run"; cat out; fail "a run of $workers workers does not end"; }
    code=0
    wait "$run" || code=$?
    [ "$code" = 0 ] || { cat out; fail "exit code $code of a run of $workers workers"; }
done

(started_with reeve run job.yaml -n 1 --run-dir stops -q --set train.steps=1000000) >out 2>&1 &
run=$!
begun() { [ "$(json stops/status.json step 2>/dev/null || echo 0)" -ge 2 ]; }
wait_for 60 begun || { kill -9 "$run"; cat out; fail "the run did not begin"; }
kill -TERM "$run"
wait_for 60 ended || { kill -9 "$run"; cat out; fail "SIGTERM is not heard"; }
code=0
wait "$run" || code=$?
expect_equal "exit code after SIGTERM" "$code" 75
