# To be sourced: a cluster of four hosts for the test, the tiny job, and words for Slurm.
# shellcheck shell=bash

# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"

cluster() { bash "$REEVE_SOURCE/tests/slurm/cluster.sh" "$@"; }
slurm() { cluster run "$PWD/cluster" "$@"; }

why=$(cluster can) || skip "$why"
# What the scripts in slurm/ have to set by themselves must not come from here.
unset OMPI_MCA_rmaps_base_oversubscribe PRTE_MCA_rmaps_default_mapping_policy \
    OMPI_MCA_hwloc_base_binding_policy PRTE_MCA_hwloc_default_binding_policy
cluster up "$PWD/cluster" 4 || fail "the cluster did not start"
trap 'cluster down "$PWD/cluster"' EXIT

job_state() { # job_state ID: PENDING, RUNNING, COMPLETED ... ; nothing if Slurm has forgotten it
    slurm scontrol --oneliner show job "$1" 2>/dev/null | sed -n 's/.* JobState=\([A-Z_]*\).*/\1/p' | head -n 1
}

job_field() { # job_field ID NAME: of `scontrol show job`
    slurm scontrol --oneliner show job "$1" 2>/dev/null | tr ' ' '\n' | sed -n "s/^$2=//p" | head -n 1
}

job_is() { # job_is ID STATE
    [ "$(job_state "$1")" = "$2" ]
}

job_ended() { # job_ended ID
    case $(job_state "$1") in PENDING | CONFIGURING | RUNNING | COMPLETING | SUSPENDED | REQUEUED) return 1 ;; esac
}

# wait_job SECONDS ID STATE: until the job has ended, which must be in this state
wait_job() {
    wait_for "$1" job_ended "$2" ||
        { tell_job "$2"; fail "job $2 did not end within $1 s: $(job_state "$2")"; }
    [ "$(job_state "$2")" = "$3" ] || { tell_job "$2"; fail "job $2 ended as $(job_state "$2"), expected $3"; }
}

tell_job() { # what there is to say about a job that went wrong
    slurm scontrol show job "$1"
    tail -n 90 ./*.out 2>/dev/null
    tail -n 15 cluster/log/slurmctld
}

# submit ARGUMENT...: `reeve submit` on the controller; the number of the job in $job
# shellcheck disable=SC2034 # for the test that sources this
submit() {
    job=$(slurm reeve submit job.yaml "$@" 2>submit.err) || { cat submit.err; fail "reeve submit $*"; }
}

# never_ending: the tiny job with more steps than can be done; where it ends is decided later, with end_at
never_ending() {
    make_tiny
    sed -i 's/steps: 40/steps: 100000000/; s/every: 10,/every: 200,/; s/eval_every: 20/eval_every: 0/' job.yaml
    sed -i 's/warmup: 5/warmup: 5, decay_steps: 20000/' job.yaml
}

end_at() { # end_at STEP: of the next start of the job
    sed -i "s/{steps: [0-9]*/{steps: $1/" job.yaml
}

beyond() { # beyond RUN STEP: has it committed more?
    [ "$(committed_step "$1")" -gt "$2" ]
}

# lives RUN: how many starts are on record; ends RUN: their causes, in order, one a line
lives() { grep -c '"event":"start"' "$1/starts.jsonl" 2>/dev/null || true; }
ends() { sed -n 's/.*"event":"end".*"cause":"\([^"]*\)".*/\1/p' "$1/starts.jsonl"; }
has_lives() { [ "$(lives "$1")" -ge "$2" ]; }
has_ends() { [ "$(ends "$1" | wc -l)" -ge "$2" ]; }
