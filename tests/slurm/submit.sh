#!/usr/bin/env bash
# `reeve submit` from the first word to the last: it trains on four hosts with either launcher, to the bits of this machine
# alone; it says what Slurm says where that refuses; and a dry run leaves nothing behind.
# shellcheck source=tests/slurm/on_cluster.sh
. "$REEVE_SOURCE/tests/slurm/on_cluster.sh"
make_tiny
must_run 0 4 alone
first=$(digest_of alone)

expect_exit 0 slurm reeve submit job.yaml --nodes 4 --dry-run
cp stdout script.sh
expect_text script.sh '^#SBATCH --nodes=4$'
expect_text stderr 'Slurm says: Job .* to start'
bash -n script.sh || fail "the script is no bash"
if command -v shellcheck >/dev/null; then shellcheck --external-sources --source-path="$REEVE_SOURCE" script.sh || fail "shellcheck"; fi
[ ! -e runs ] || fail "a dry run left something behind"

for launcher in mpirun srun; do
    expect_exit 0 slurm reeve submit job.yaml --nodes 4 --tasks-per-node 1 --time 5 --launcher $launcher \
        --run-dir "$PWD/by-$launcher" --wait --json
    expect_equal "exit code in JSON" "$(json stdout exit_code)" 0
    job=$(json stdout job_id)
    expect_equal "digest of by-$launcher" "$(digest_of "by-$launcher")" "$first"
    audit_ok "by-$launcher"
    expect_equal "hosts of by-$launcher" "$(sed -n 's/.*"hosts":"\([^"]*\)".*/\1/p' "by-$launcher/starts.jsonl" |
        tr ' ' '\n' | sort | tr '\n' ' ')" "n1 n2 n3 n4 "
    expect_text "by-$launcher/starts.jsonl" "\"event\":\"start\".*\"workers\":4,\"job_id\":$job,\"restart_count\":0"
done

# Two workers on each of two nodes, and a job that says so itself; words with blanks and quotes travel whole.
sed -i 's/resources: .*/resources: {workers: 4, threads: 1, nodes: 2, time: "0:05:00"}/' job.yaml
expect_exit 0 slurm reeve submit job.yaml --run-dir "$PWD/a run's" --set "name=it's" --wait
expect_equal "digest of two on two" "$(digest_of "a run's")" "$first"
expect_equal "hosts of two on two" "$(sed -n 's/.*"hosts":"\([^"]*\)".*/\1/p' "a run's/starts.jsonl" | wc -w)" 2
expect_exit 0 slurm reeve submit job.yaml --run-dir "$PWD/a run's" --wait # complete: at once
expect_text "a run's/submit/slurm-$(tail -n 1 stdout).out" 'is complete'

# Refused by the run itself, on the node: its code, not that of the start that wrote status.json.
expect_exit 65 slurm reeve submit job.yaml --run-dir "$PWD/a run's" --set seed=99 --wait --json
expect_equal "exit code of a refused run in JSON" "$(json stdout exit_code)" 65

# Refused: Slurm's words, ours, and the code.
expect_exit 69 slurm reeve submit job.yaml --partition gpu
expect_text stderr '[Ii]nvalid partition.*sinfo -s'
expect_exit 69 slurm reeve submit job.yaml --dry-run --nodes 40
expect_exit 69 slurm reeve submit job.yaml --sbatch --gres=nothing:1 --json
expect_text stdout '"exit_code": 69'
expect_exit 65 slurm reeve submit job.yaml --time tomorrow
expect_exit 64 slurm reeve submit job.yaml --sbatch main
expect_exit 66 slurm reeve submit job.yaml --set data.manifest=none.yaml
# More nodes than there are: 22.05 takes the job and never starts it, 24.11 refuses it.
code=0
slurm reeve submit job.yaml --nodes 40 --run-dir "$PWD/never" >stdout 2>stderr || code=$?
if [ "$code" = 0 ]; then
    expect_text stderr 'as things are, Slurm would not start it'
    slurm scancel "$(tail -n 1 stdout)"
else
    expect_equal "exit code for too many nodes" "$code" 69
    expect_text stderr 'Slurm refused the job'
fi

# Where there is no Slurm.
mkdir bin && ln -s "$REEVE_BIN/reeve" bin/reeve
PATH=$PWD/bin expect_exit 69 "$REEVE_BIN/reeve" submit job.yaml --run-dir nowhere
expect_text stderr 'sbatch is not on PATH'
[ ! -e nowhere ] || fail "a refused submission left something behind"
