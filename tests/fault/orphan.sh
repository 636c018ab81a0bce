#!/usr/bin/env bash
# Goal: a rank whose launcher was killed before the rank's first instruction ends too; MPI_Init would wait for it for ever.
# Method: the launcher is played by a shell that has ended by the time its child becomes the rank.
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"

# shellcheck disable=SC2016 # for the other shell, whose process $$ is in its child, too
setsid bash -c '(
    while kill -0 $$ 2>/dev/null; do sleep 0.02; done
    ps -o ppid= -p $BASHPID >parent
    PMIX_RANK=1 exec reeve-rank --run-dir run
) >orphan.out 2>&1 &'
has_ended() { [ -s parent ] && ! pgrep -f -- "^reeve-rank --run-dir run" >/dev/null && [ -s orphan.out ]; }
wait_for 60 has_ended || { cat orphan.out; fail "the rank goes on without its launcher"; }
[ "$(tr -d ' ' <parent)" = 1 ] || skip "here process $(cat parent) takes the children of who has ended"
expect_text orphan.out 'the launcher ended before this rank began'
