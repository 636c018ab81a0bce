#!/usr/bin/env bash
# Goal: who is lost while all come together with a new process makes that try void, and nothing else: the others go on
# without a restart and without a step that is done twice, and all places are taken later.
# Method: a worker is killed; another one ends itself (a library before MPI's) in the middle of the first one's replacement.
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
# shellcheck source=tests/fault/ranks.sh
. "$REEVE_SOURCE/tests/fault/ranks.sh"
need_ulfm
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0 # of a build that watches itself: lost.so comes before it

make_tiny
printf 'faults: {replace: true}\n' >>job.yaml
sed -i 's/steps: 40/steps: 100000000/; s/every: 10,/every: 250,/; s/eval_every: 20/eval_every: 500/' job.yaml
mpicc -shared -fPIC -o lost.so "$REEVE_SOURCE/tests/fault/lost_on_the_way.c" || fail "lost_on_the_way.c"

workers=5 dir=$PWD/run
workers_now() { sed -n 's/.*"workers": *\([0-9]*\).*/\1/p' "$dir/status.json" 2>/dev/null | head -1; }
new_processes() { cat "$dir"/log/* | grep -c 'is replaced by a new process'; }
under_way() { [ "$(committed_step "$dir")" -gt 5 ] || ! kill -0 "$run" 2>/dev/null; }
complete() { { [ "$(workers_now)" = "$workers" ] && [ "$(new_processes)" -ge 2 ]; } || ! kill -0 "$run" 2>/dev/null; }

export REEVE_TEST_LOST=$PWD/lost
export LD_PRELOAD=$PWD/lost.so
begin_run "$workers" "$dir"
unset LD_PRELOAD
wait_for 60 under_way || fail "no step is committed"
kill_ranks "$dir" "$(worker_pids "$dir" | head -n 1)"
wait_for 90 complete || { tail -n 20 run.out; fail "$(workers_now) of $workers workers are there"; }
[ -d lost ] || fail "nobody was lost on the way"
touch "$dir/STOP"
end_run 75 "$dir"
expect_equal "new processes" "$(new_processes)" 2
audit_ok "$dir"
expect_equal "steps rolled back" "$(json audit.json rolled_back_steps)" 0
expect_equal "restarts" "$(grep -c 'starting again' run.out)" 0
