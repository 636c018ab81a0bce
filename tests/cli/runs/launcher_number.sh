#!/usr/bin/env bash
# Open MPI 5 names a folder among the temporary files after the number of mpirun's process, and ends with 213 where one is that a
# killed mpirun has left. Goal: the launcher never gets such a number, and nothing of others is removed. Method: every second
# number from here on is taken, and mpirun, which a script plays, says which it got; the job is started four times. Once all are
# taken it is not started at all, and the error names a folder and what to do.
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
make_tiny
mkdir bin temporary
export TMPDIR=$PWD/temporary
cat >bin/mpirun <<'SH'
#!/bin/sh
host=$(uname -n)
folder=$TMPDIR/prterun.${host%%.*}.$$.$(id -u)
if [ -e "$folder" ]; then echo "$folder" >>taken; exit 213; fi
echo $$ >>free
exit 1
SH
chmod +x bin/mpirun
host=$(uname -n)
python3 - "$TMPDIR/prterun.${host%%.*}" "$(id -u)" $$ <<'PY'
import os, sys
for number in range(int(sys.argv[3]) | 1, int(sys.argv[3]) + 8000, 2):
    os.mkdir(f"{sys.argv[1]}.{number}.{sys.argv[2]}")
PY
folders=$(find temporary -name 'prterun.*' | wc -l)
for n in 1 2 3 4; do
    PATH=$PWD/bin:$PATH expect_exit 69 reeve run job.yaml -n 2 --run-dir "run-$n"
done
[ ! -e taken ] || fail "mpirun was started where a folder of its number was: $(cat taken)"
expect_equal "launches" "$(wc -l <free)" 4
expect_equal "folders of others" "$(find temporary -name 'prterun.*' | wc -l)" "$folders"

rm -r temporary
mkdir temporary
host=${host%%.*} python3 - "$(cat /proc/sys/kernel/pid_max)" <<'PY'
import os, sys
user, here = os.getuid(), os.getpid()
for n in range(1, 3000):
    os.mkdir(f"temporary/prterun.{os.environ['host']}.{(here + n) % int(sys.argv[1])}.{user}")
PY
PATH=$PWD/bin:$PATH expect_exit 73 reeve run job.yaml -n 2 --run-dir run-5
expect_text stderr "^reeve: mpirun cannot make its folder: 1000 process numbers .* by $TMPDIR/prterun\\..*set TMPDIR to another"
expect_equal "lines of the error" "$(wc -l <stderr)" 1
expect_equal "launches" "$(wc -l <free)" 4
