/* A small disk for `reeve chaos --disk-full`: a tmpfs in a mount name space of this process's own. It is full when its
 * size is set to what is in use; no other file system is ever filled. Needs root, or user name spaces. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cli/chaos.h"
#include "cli/output.h"
#include "reeve/status.h"

#define FILL_TRIES 100 /* somebody may write between the look and the new size */

static bool write_proc(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return false;
    bool good = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    return close(fd) == 0 && good;
}

/* As an ordinary user: a user name space in which this user is itself, and may mount. */
static bool enter_name_space(void)
{
    if (geteuid() == 0) return unshare(CLONE_NEWNS) == 0;
    char uid[64], gid[64];
    (void)snprintf(uid, sizeof(uid), "%u %u 1", (unsigned)geteuid(), (unsigned)geteuid());
    (void)snprintf(gid, sizeof(gid), "%u %u 1", (unsigned)getegid(), (unsigned)getegid());
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && write_proc("/proc/self/setgroups", "deny") &&
           write_proc("/proc/self/uid_map", uid) && write_proc("/proc/self/gid_map", gid);
}

int reeve_chaos_disk_make(const char *dir)
{
    if (enter_name_space() && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("reeve-chaos", dir, "tmpfs", MS_NOSUID | MS_NODEV, "size=50%") == 0)
        return 0;
    return reeve_cli_fail_text(REEVE_EXIT_PERMISSION,
                               "--disk-full: a small disk of its own cannot be mounted here: %m. Run it as root, or "
                               "where users may have name spaces of their own, or leave --disk-full out");
}

static bool set_size(const char *dir, const char *size)
{
    return mount("reeve-chaos", dir, "tmpfs", MS_REMOUNT | MS_NOSUID | MS_NODEV, size) == 0;
}

bool reeve_chaos_disk_fill(const char *dir)
{
    for (int n = 0; n < FILL_TRIES; n++) {
        struct statvfs fs;
        char size[64];
        if (statvfs(dir, &fs) != 0) return false;
        (void)snprintf(size, sizeof(size), "size=%llu",
                       (unsigned long long)(fs.f_blocks - fs.f_bfree) * (unsigned long long)fs.f_frsize);
        if (set_size(dir, size)) return true;
    }
    return false;
}

bool reeve_chaos_disk_make_room(const char *dir)
{
    return set_size(dir, "size=50%");
}
