# To be sourced: a cluster of four hosts for the test, the tiny job, and words for Slurm.
# shellcheck shell=bash

# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"

cluster() { bash "$REEVE_SOURCE/tests/slurm/cluster.sh" "$@"; }
slurm() { cluster run "$PWD/cluster" "$@"; }

why=$(cluster can) || skip "$why"
# What the scripts in slurm/ have to set by themselves must not come from here.
unset OMPI_MCA_rmaps_base_oversubscribe PRTE_MCA_rmaps_default_mapping_policy
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
    tail -n 40 ./*.out 2>/dev/null
    tail -n 15 cluster/log/slurmctld
}
