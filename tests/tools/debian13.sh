#!/usr/bin/env bash
# A Debian 13 beside the system that runs: Open MPI 5 (with ULFM), HDF5 1.14 and gcc 14 for the tests.
#
#   debian13.sh up ROOT                make it if it is not there (about half a minute), and mount what it needs
#   debian13.sh bind ROOT PATH         show PATH of this system inside, at the same path
#   debian13.sh run ROOT FOLDER CMD... run a command inside, in FOLDER
#   debian13.sh down ROOT              unmount everything; ROOT stays, to be used again
#
# Needs root; debootstrap is installed if it is missing. Packages come from the mirror that this system's apt uses, so
# nothing is configured here and nothing is written down. Exit codes: 77 not root, or mounting is not allowed here; 69
# no debootstrap, or no mirror; otherwise that of the command.
#
# Invariant: no file below a mount point is ever removed. A root file system that was left half made is deleted only
# after everything in it is unmounted, and on its own file system only.
set -euo pipefail

suite=trixie

usage() {
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
}

die() { # die EXIT_CODE WORD...
    local code=$1
    shift
    printf 'debian13: %s\n' "$*" >&2
    exit "$code"
}

# Every mount point at or below $root, the deepest first.
mounts_below() {
    awk -v root="$root" '$5 == root || index($5, root "/") == 1 {print $5}' /proc/self/mountinfo | sort -r
}

unmount_all() {
    local point
    while read -r point; do
        umount --lazy "$point" || die 77 "cannot unmount $point"
    done < <(mounts_below)
    [ -z "$(mounts_below)" ] || die 77 "something is still mounted below $root"
}

mirror_of_this_system() {
    # shellcheck disable=SC2016 # $(...) is apt's own notation
    apt-get indextargets --format '$(CODENAME) $(SITE)' 'Created-By: Packages' |
        awk '$1 !~ /security|updates|backports/ && !told++ {print $2}' # to its end: apt-get would not outlive a closed pipe
}

make_root() {
    command -v debootstrap >/dev/null ||
        { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
            debootstrap; } >/dev/null 2>&1 || die 69 "cannot install debootstrap"
    local mirror
    mirror=$(mirror_of_this_system)
    [ -n "$mirror" ] || { apt-get -qq update >&2 && mirror=$(mirror_of_this_system); } || true
    [ -n "$mirror" ] || die 69 "apt knows no mirror here: run apt-get update first"
    unmount_all
    rm -rf --one-file-system "$root"
    mkdir -p "$(dirname "$root")"
    local log
    log=$(mktemp)
    if ! debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        die 69 "debootstrap failed; its last words are above"
    fi
    rm -f "$log"
    # Whole only now: an interrupted making is started again from nothing.
    : >"$root/.complete"
}

# The network as this system has it: names, and apt's own settings for proxies and keys of its mirror.
configure_root() {
    cp /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
    printf '127.0.0.1 localhost %s\n' "$(hostname)" >"$root/etc/hosts"
    local settings
    while read -r settings; do
        cp "$settings" "$root/etc/apt/apt.conf.d/"
    done < <(grep -rlsiE 'proxy|Verify-Peer|Acquire::http' /etc/apt/apt.conf.d /etc/apt/apt.conf || true)
}

mounted() {
    awk -v point="$1" '$5 == point {found = 1} END {exit !found}' /proc/self/mountinfo
}

mount_root() {
    # A private mount of its own, so that nothing done inside travels back to this system.
    mounted "$root" || { mount --bind "$root" "$root" && mount --make-private "$root"; } ||
        die 77 "mounting is not allowed here"
    local kernel
    for kernel in proc sys dev; do
        mounted "$root/$kernel" && continue
        mount --rbind "/$kernel" "$root/$kernel" || die 77 "mounting /$kernel is not allowed here"
        mount --make-rslave "$root/$kernel"
    done
}

[ $# -ge 1 ] || { usage >&2; exit 64; }
case $1 in -h | --help) usage; exit 0 ;; esac
[ $# -ge 2 ] || { usage >&2; exit 64; }
verb=$1
root=$(realpath -m "$2")
shift 2
[ "$root" != / ] || die 64 "ROOT must not be /"
[ "$(id -u)" = 0 ] || die 77 "this needs root"

case $verb in
up)
    [ -e "$root/.complete" ] || make_root
    configure_root
    mount_root
    ;;
bind)
    path=$(realpath "${1:?a path to show inside}")
    mkdir -p "$root$path"
    mounted "$root$path" || { mount --bind "$path" "$root$path" && mount --make-private "$root$path"; } ||
        die 77 "mounting $path is not allowed here"
    ;;
run)
    folder=${1:?a folder inside}
    shift
    exec chroot "$root" /usr/bin/env -C "$folder" "$@"
    ;;
down) unmount_all ;;
*) die 64 "unknown verb '$verb'; try --help" ;;
esac
