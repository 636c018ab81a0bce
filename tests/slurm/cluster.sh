#!/usr/bin/env bash
# A real Slurm cluster of several hosts on one machine, for tests: a controller and N hosts, each with processes, network,
# name, mounts, shared memory and temporary files (TMPDIR) of its own, so that a program sees what it would see on N
# machines.
#
#   cluster.sh can                    can one be made here? If not: exit code 77 after a line with the reason
#   cluster.sh up DIR [N]             start the controller `ctl` and the hosts n1 ... nN (default 4); DIR is made
#   cluster.sh run DIR COMMAND...     run a command on the controller: sbatch, squeue, scontrol ...
#   cluster.sh on DIR HOST COMMAND... run a command on a host
#   cluster.sh lose DIR HOST          lose a host: first its link is silent, then everything on it is dead
#   cluster.sh back DIR HOST          switch it on again
#   cluster.sh down DIR               end it all; DIR/log stays until the caller removes DIR
#
# REEVE_CLUSTER_GPUS: how many GPUs, which are none, each host has for Slurm to give out (default 0).
# Needs root, and the packages of `install_packages.sh slurm`. Works with Slurm 22.05 and 24.11, and in a chroot.
#
# How: a host is the first process of a PID namespace; when it ends, the kernel ends all that runs on the host. The
# bridge that joins the hosts lies in the network namespace of `ctl`, not in that of the machine. So nothing of the
# machine is changed, several clusters can be there at once, and none outlives REEVE_CLUSTER_SECONDS (default 1200),
# whatever becomes of the test that started it.
set -euo pipefail

self=$(realpath "${BASH_SOURCE[0]}")
network=10.77.0 # inside the namespaces only
controller=$network.254

usage() {
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$self"
}

die() { # die EXIT_CODE WORD...
    local code=$1
    shift
    printf 'cluster: %s\n' "$*" >&2
    exit "$code"
}

# ---- hosts -----------------------------------------------------------------------------------------------------------

pid_of() { # pid_of HOST: its first process, as the machine numbers it
    cat "$dir/host.$1" 2>/dev/null || die 66 "$dir has no host $1"
}

enter() { # enter HOST COMMAND...: in the same folder, with the environment of the caller
    local pid
    pid=$(pid_of "$1")
    shift
    nsenter --target "$pid" --net --uts --mount --pid --root --wd \
        env -C "$PWD" SLURM_CONF="$dir/slurm.conf" "$@"
}

# Empty whenever the host is switched on. Process numbers of a host begin at 1 each time, and Open MPI 5 makes folders
# named after host and process: prted ends at once, without a word, where one of a killed prted with its number is left.
own_temporary_files() {
    local folder
    folder=$(realpath -m "${TMPDIR:-/tmp}")
    case $dir/ in
    "$folder"/*) ;; # the cluster's own files lie there
    *) mount -t tmpfs -o mode=1777 tmp "$folder" ;;
    esac
}

# A host, from inside its namespaces. Until it mounts its own, /proc numbers processes as the machine does.
live() { # live HOST ADDRESS
    local pid
    read -r pid _ </proc/self/stat
    mount -t proc proc /proc
    mount -t tmpfs -o mode=1777 shm /dev/shm
    own_temporary_files
    mount --bind "$dir/hosts" /etc/hosts
    hostname "$1"
    ip link set lo up
    if [ "$1" = ctl ]; then
        ip link add name switch type bridge
        ip address add "$2/24" dev switch
        ip link set switch up
    fi
    printf '%s\n' "$pid" >"$dir/host.$1.new"
    mv "$dir/host.$1.new" "$dir/host.$1"
    # Orphans become children of this process, and bash buries them as it waits.
    while :; do sleep 3600 & wait; done
}

start_host() { # start_host HOST ADDRESS
    rm -f "$dir/host.$1"
    # An environment without Slurm's words: the host is not part of a job, even if this script is.
    setsid timeout --signal=KILL "${REEVE_CLUSTER_SECONDS:-1200}" \
        unshare --net --uts --mount --pid --fork --kill-child=KILL bash "$self" live "$dir" "$1" "$2" \
        </dev/null >>"$dir/log/host.$1" 2>&1 &
    for _ in $(seq 1200); do # a minute: a host is there in a tenth of a second, where the machine has time for it
        [ ! -s "$dir/host.$1" ] || break
        sleep 0.05
    done
    [ -s "$dir/host.$1" ] || die 77 "host $1 did not start: $(tail -n 1 "$dir/log/host.$1")"
}

plug_in() { # plug_in HOST ADDRESS: a cable from the host to the controller's switch
    # The cable of a lost host is there until the kernel has cleared its network away.
    enter ctl ip link delete "to-$1" 2>/dev/null || true
    nsenter --target "$(pid_of ctl)" --net \
        ip link add name "to-$1" type veth peer name eth0 netns "$(pid_of "$1")"
    enter ctl ip link set "to-$1" master switch up
    enter "$1" ip address add "$2/24" dev eth0
    enter "$1" ip link set eth0 up
}

start_node() { # start_node I
    start_host "n$1" "$network.$1"
    plug_in "n$1" "$network.$1"
    enter "n$1" slurmd -N "n$1"
}

stop_host() { # stop_host HOST: at once, with all that runs on it
    [ -s "$dir/host.$1" ] || return 0
    local pid
    pid=$(pid_of "$1")
    rm -f "$dir/host.$1"
    kill -KILL "$pid" 2>/dev/null || return 0
    for _ in $(seq 1200); do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.05
    done
    die 70 "host $1 does not end"
}

# ---- the cluster -----------------------------------------------------------------------------------------------------

# Why there cannot be one, in one line; nothing if there can.
reason_against() {
    local program missing=()
    [ "$(id -u)" = 0 ] || { echo "a cluster needs root, for namespaces and a network"; return; }
    for program in slurmctld slurmd sbatch munged ip nsenter unshare; do
        command -v "$program" >/dev/null || missing+=("$program")
    done
    [ ${#missing[@]} = 0 ] || { echo "not installed: ${missing[*]} (install_packages.sh slurm)"; return; }
    unshare --net --uts --mount --pid --fork --kill-child=KILL bash -c '
        mount -t proc proc /proc && ip link add name switch type bridge && ip link add name from type veth peer name to' \
        >/dev/null 2>&1 || echo "namespaces, bridges or virtual cables are not allowed here"
}

write_settings() { # write_settings N
    local i
    {
        echo "127.0.0.1 localhost"
        echo "$controller ctl"
        for ((i = 1; i <= $1; i++)); do echo "$network.$i n$i"; done
    } >"$dir/hosts"
    (umask 077 && head -c 1024 /dev/urandom >"$dir/munge.key")
    # Hosts are taken as they are described, whatever the machine has. A requeued job may start again when credentials
    # of its first life have lapsed: 5 s instead of two minutes. A host that is silent for 10 s is down.
    cat >"$dir/slurm.conf" <<SETTINGS
ClusterName=reeve
SlurmctldHost=ctl($controller)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge.sock,cred_expire=5
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool-%n
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd-%n.pid
SlurmctldLogFile=$dir/log/slurmctld
SlurmdLogFile=$dir/log/slurmd.%n
TmpFS=$dir/tmp-%n
ProctrackType=proctrack/linuxproc
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/filetxt
JobCompLoc=$dir/log/jobs-ended
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
MpiDefault=none
MailProg=/bin/true
ReturnToService=2
SlurmdTimeout=10
KillWait=5
SchedulerParameters=bf_interval=1,sched_interval=2,sched_min_interval=0
NodeName=n[1-$1] NodeAddr=$network.[1-$1] CPUs=10 RealMemory=1000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES DefaultTime=10 MaxTime=1-00:00:00 State=UP
SETTINGS
    # 22.05 wants a working control group, but not if it is told to expect the older kind; 24.11 can do without.
    case $(slurmd -V) in
    *" 22."*) echo "CgroupPlugin=cgroup/v1" ;;
    *) echo "CgroupPlugin=disabled" ;;
    esac >"$dir/cgroup.conf"
}

# GPUs for Slurm to give out: any device does. CUDA_VISIBLE_DEVICES then says which of them a job has.
describe_gpus() { # describe_gpus COUNT
    local i
    for ((i = 0; i < $1; i++)); do ln -s /dev/null "$dir/gpu$i"; done
    sed -i "s/^NodeName=.*/& Gres=gpu:$1/" "$dir/slurm.conf"
    echo "GresTypes=gpu" >>"$dir/slurm.conf"
    echo "Name=gpu File=$dir/gpu[0-$(($1 - 1))]" >"$dir/gres.conf"
}

idle_hosts() {
    enter ctl sinfo --noheader --states=idle --format=%D 2>/dev/null | head -n 1
}

up() { # up N
    local why i
    why=$(reason_against)
    [ -z "$why" ] || die 77 "$why"
    [ ! -e "$dir/slurm.conf" ] || die 73 "there is a cluster in $dir already"
    mkdir -p "$dir"/{log,state}
    for ((i = 1; i <= $1; i++)); do mkdir -p "$dir/tmp-n$i" "$dir/spool-n$i"; done
    write_settings "$1"
    [ -z "${REEVE_CLUSTER_GPUS:-}" ] || describe_gpus "$REEVE_CLUSTER_GPUS"
    start_host ctl "$controller"
    enter ctl munged --force --key-file="$dir/munge.key" --socket="$dir/munge.sock" --pid-file="$dir/munged.pid" \
        --log-file="$dir/log/munged" --seed-file="$dir/munge.seed" 2>/dev/null
    enter ctl slurmctld
    for ((i = 1; i <= $1; i++)); do start_node "$i"; done
    for _ in $(seq 600); do
        [ "$(idle_hosts)" != "$1" ] || return 0
        sleep 0.2
    done
    tail -n 5 "$dir"/log/slurm* >&2
    die 70 "not all $1 hosts came up; see $dir/log"
}

[ $# -ge 1 ] || { usage >&2; exit 64; }
verb=$1
shift
case $verb in
-h | --help) usage; exit 0 ;;
can)
    why=$(reason_against)
    [ -z "$why" ] || { printf '%s\n' "$why"; exit 77; }
    exit 0
    ;;
esac
[ $# -ge 1 ] || { usage >&2; exit 64; }
dir=$(realpath -m "$1")
shift
# This script may be called from within a job; what it starts is not part of that job.
for name in ${!SLURM_@}; do unset "$name"; done

case $verb in
up) up "${1:-4}" ;;
run) enter ctl "$@" ;;
on) host=${1:?a host}; shift; enter "$host" "$@" ;;
lose)
    enter ctl ip link set "to-${1:?a host}" down
    stop_host "$1"
    ;;
back) start_node "${1#n}" ;;
down)
    for file in "$dir"/host.n* "$dir"/host.ctl; do
        [ ! -e "$file" ] || stop_host "${file##*/host.}"
    done
    ;;
live) live "$@" ;;
*) die 64 "unknown verb '$verb'; try --help" ;;
esac
