# What is not there, and what is no run, is told in one line with its exit code; nothing is made on the way.
# shellcheck source=tests/cli/data.sh
. "$REEVE_SOURCE/tests/cli/data.sh"

told() { # told CODE PATTERN ARGUMENT...
    local code=$1 pattern=$2
    shift 2
    expect_exit "$code" reeve "$@"
    one_line stderr "^reeve: .*$pattern"
    expect_exit "$code" reeve "$@" --json
    one_json stdout
    expect_equal "exit_code of $*" "$(json stdout exit_code)" "$code"
    expect_text stdout '"error": "'
}

mkdir empty
echo text >file.txt
for verb in inspect audit verify status; do
    told 66 'nowhere' "$verb" nowhere
    told 65 'empty.*is no run' "$verb" empty
done
for verb in inspect audit status; do told 65 'file.txt: is a file' "$verb" file.txt; done
told 65 'file.txt: is no lock, and no file of a journal' verify file.txt
expect_exit 0 cp file.txt file.h5          # one that should be some: then the damage is the answer
expect_exit 65 reeve verify file.h5
expect_text stdout '^DAMAGE +file.h5: '
rm file.h5
told 66 'nowhere.yaml' plan nowhere.yaml
told 66 'nowhere.yaml' manifest lock nowhere.yaml
told 66 'nowhere.yaml' manifest check nowhere.yaml
told 66 'nowhere.h5' manifest show nowhere.h5
told 65 'empty.*is no run' manifest show empty

# What `reeve submit` has left for a run that did not begin yet is no damaged run. Once there is a part of one, it is.
mkdir -p waits/submit waits/journal
: >waits/submit/train.sbatch
for verb in inspect verify tasks "manifest show"; do
    # shellcheck disable=SC2086
    told 66 'waits: has not begun.*see .reeve status waits' $verb waits
done
expect_exit 0 reeve status waits
expect_text stdout '^to begin +sbatch waits/submit/train.sbatch$'
rm -r waits/submit
expect_exit 0 reeve status waits
expect_text stdout '^to begin +run the command that prepared it again'
: >waits/journal/00000001-0000000000000001.h5
expect_exit 65 reeve verify waits
expect_text stdout '^DAMAGE +journal'
rm -r waits

# A run of another kind than the verb is about is named as what it is.
mkdir list
printf 'name: list\nworkload: exec\ntasks: [{command: "true"}]\n' >list/job.yaml
expect_exit 0 reeve run list/job.yaml -n 1 -q --run-dir list/run
told 65 'list/run: works a task list off, and reads no shards' manifest show list/run
told 64 '--checkpoint: list/run works a task list off' inspect list/run --checkpoint 1
expect_exit 0 reeve verify list/run/tasks.h5
expect_text stdout '^ok +list/run/tasks.h5: 1 task'
rm -r list

# A folder that holds runs, as `reeve chaos` makes it, is none itself: those are named, a few of them.
mkdir -p chaos/undisturbed/journal chaos/broken/journal chaos/other
for verb in inspect audit verify status tasks; do
    told 65 'chaos: is no run, but holds 2: chaos/broken, chaos/undisturbed; name the one that is meant' "$verb" chaos
done
mkdir -p chaos/run-{1..9}/submit
told 65 'holds 11: chaos/broken, chaos/run-1, chaos/run-2, chaos/run-3, \.\.\.; name' status chaos/
rm -r chaos

# A folder with files of somebody's own, a job.yaml among them or not, is no run, and none is begun among them.
mkdir mine
echo text >mine/thesis.txt
told 65 'mine.*is no run' status mine
(cd mine && make_text)
told 73 'mine is no run, and holds other files' run mine/job.yaml --run-dir mine
told 73 'new/\.\.: goes back \(\.\.\) from a folder that is not there' run mine/job.yaml --run-dir mine/new/..
mkdir beside
(cd beside && make_text)
expect_exit 75 reeve run beside/job.yaml -n 1 --run-dir mine/../beyond --stop-at 1 # back from one that is there
rm -r beside beyond
[ ! -e mine/new ] || fail "a folder was made on the way to one that is refused"
rm mine/thesis.txt mine/shards.yaml
told 65 'mine.*is no run' status mine
told 73 'holds other files' run mine/job.yaml --run-dir mine
rm -r mine
# Not seen is not missing.
mkdir -p closed/journal
chmod 0 closed
if [ "$(id -u)" != 0 ]; then told 77 'closed: Permission denied' status closed; fi
chmod 755 closed
rm -r closed

echo text >runs
told 66 'runs: Not a directory' status
rm runs
mkdir -p runs/closed/journal
chmod 0 runs/closed
if [ "$(id -u)" != 0 ]; then
    expect_exit 0 reeve status
    one_line stderr 'runs/closed: Permission denied'
    chmod 0 runs
    told 77 'runs: Permission denied' status
fi
chmod 755 runs runs/closed
rm -r runs

expect_exit 0 reeve status
expect_text stdout 'no runs below ./runs'
expect_exit 0 reeve status --json
expect_equal runs "$(json stdout runs)" "[]"
rm -f stdout stderr
expect_equal "files here" "$(find . -type f | sort | xargs)" "./file.txt"
