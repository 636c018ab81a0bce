#!/usr/bin/env bash
# `reeve status` of a run whose batch job has ended: what the accounting says of it, and nothing where there is none. Slurm is
# played by scripts: squeue knows no job any more.
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
make_tiny
must_run 75 1 run --stop-at 12
echo '{"event":"submitted","time":1795696318.1,"epoch":0,"job_id":17}' >>run/starts.jsonl
mkdir bin
play() { # play PROGRAM: with the script of standard input
    { echo '#!/bin/sh'; cat; } >"bin/$1"
    chmod +x "bin/$1"
}
play sbatch <<<'exit 1'
play squeue <<<'echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1'
play sacct <<'SCRIPT'
case " $* " in *" --jobs 17 "*) cat sacct.says ;; *) exit 1 ;; esac
SCRIPT
export PATH=$PWD/bin:$PATH

# What Slurm has refused is not submitted; on a machine of no cluster that is said.
play sbatch <<<'echo "sbatch: fatal: Could not establish a configuration source" >&2; exit 1'
expect_exit 69 reeve submit job.yaml --run-dir refused
expect_text stderr 'belongs to no cluster'
expect_exit 0 reeve status refused
expect_text stdout '^refused: prepared'
expect_text stdout '^to begin +sbatch refused/submit/train.sbatch'
# A site's warnings stand around the answers, and are none.
play sbatch <<'SCRIPT'
echo "sbatch: warning: 3 jobs of yours wait" >&2
echo 4711
echo "sbatch: warning: see https://hpc.example" >&2
SCRIPT
play squeue <<'SCRIPT'
echo "squeue: warning: maintenance on Monday|Tuesday" >&2
echo "RUNNING|None|1:00:00|n[1-4]"
echo "squeue: warning: again" >&2
SCRIPT
expect_exit 0 reeve submit job.yaml --run-dir taken
expect_equal "number of the job" "$(cat stdout)" 4711
expect_exit 0 reeve status taken
expect_text stdout '^slurm +job 4711 RUNNING on n\[1-4\], 1:00:00 left$'
play squeue <<<'echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1'
play sbatch <<<'exit 1'

echo 'NODE_FAIL|0:0|None|n[1-4]' >sacct.says
expect_exit 0 reeve status run
expect_text stdout '^slurm +job 17 NODE_FAIL on n\[1-4\], exit code 0$'
expect_text stdout '^to go on +run the same command again'
echo 'FAILED|75:0|Priority|n1' >sacct.says
expect_exit 0 reeve status run
expect_text stdout '^slurm +job 17 FAILED on n1, exit code 75, reason Priority$'
echo 'CANCELLED by 0|0:9|None|None assigned' >sacct.says
expect_exit 0 reeve status run --json
expect_equal "state" "$(json stdout slurm.state)" CANCELLED
expect_equal "signal" "$(json stdout slurm.signal)" 9
expect_equal "exit code" "$(json stdout slurm.exit_code)" 0
expect_equal "time left" "$(json stdout slurm.time_left)" null

# No accounting, an answer that is none, no such program: not a word about it.
no_word() {
    expect_exit 0 reeve status run
    expect_no_text stdout '^slurm'
    [ ! -s stderr ] || fail "said on stderr: $(cat stderr)"
}
echo 'rubbish' >sacct.says
no_word
play sacct <<<'echo "Slurm accounting storage is disabled" >&2; exit 1'
no_word
rm bin/sacct
command -v sacct >/dev/null || no_word
