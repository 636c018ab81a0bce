/* See shard_identity.h. */
#include "store/shard_identity.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"

#define BOOT_FILE "/proc/sys/kernel/random/boot_id"
#define BOOT_BYTES 36
/* The clock of this kernel ticks every 10 ms at the slowest. Others may tick once a second, or be a little behind. */
#define TICKS_NS (20 * REEVE_MILLISECOND_NS)
#define COARSE_TICKS_NS (2 * REEVE_SECOND_NS)

/* Those on which all hosts see the same inodes and times (linux/magic.h lacks most). One that is missing here costs a
 * reading for each host, no more. */
static const uint64_t shared_magics[] = {
    NFS_SUPER_MAGIC, CEPH_SUPER_MAGIC, AFS_SUPER_MAGIC, OCFS2_SUPER_MAGIC, 0x0bd00bd0, /* Lustre */
    0x47504653,                                                                        /* GPFS */
    0x19830326,                                                                        /* BeeGFS */
    0x20030528,                                                                        /* OrangeFS */
    0x01161970,                                                                        /* GFS2 */
    0xaad7aaea,                                                                        /* PanFS */
};

static bool is_shared(uint64_t magic)
{
    for (size_t i = 0; i < sizeof(shared_magics) / sizeof(shared_magics[0]); i++)
        if (shared_magics[i] == magic) return true;
    return false;
}

/* 0: this host does not say. Containers of one host say the same, and have devices of their own. */
static uint64_t boot_word(void)
{
    char boot[BOOT_BYTES];
    int fd = open(BOOT_FILE, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t n = read(fd, boot, sizeof(boot));
    (void)close(fd);
    return n == (ssize_t)sizeof(boot) ? reeve_digest64(boot, sizeof(boot), 0) : 0;
}

bool reeve_shard_stat(int fd, bool asked, struct stat *out)
{
    struct statx x;
    const unsigned wanted = STATX_TYPE | STATX_INO | STATX_SIZE | STATX_MTIME | STATX_CTIME;
    if (!asked) return fstat(fd, out) == 0;
    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, wanted, &x) != 0)
        return (errno == ENOSYS || errno == EPERM) &&
               fstat(fd, out) == 0; /* an old kernel, or a filter of system calls */
    *out = (struct stat){.st_dev = makedev(x.stx_dev_major, x.stx_dev_minor),
                         .st_ino = x.stx_ino,
                         .st_mode = x.stx_mode,
                         .st_size = (off_t)x.stx_size,
                         .st_mtim = {.tv_sec = x.stx_mtime.tv_sec, .tv_nsec = x.stx_mtime.tv_nsec},
                         .st_ctim = {.tv_sec = x.stx_ctime.tv_sec, .tv_nsec = x.stx_ctime.tv_nsec}};
    return true;
}

void reeve_shard_place_of(int fd, const struct stat *info, struct reeve_shard_place *out)
{
    struct statfs fs;
    bool asked = fstatfs(fd, &fs) == 0;
    uint64_t magic = asked ? (uint64_t)fs.f_type & UINT32_MAX : 0;
    *out = (struct reeve_shard_place){.known = true,
                                      .shared = asked && is_shared(magic),
                                      .inodes = magic != FUSE_SUPER_MAGIC,
                                      .device = (uint64_t)info->st_dev};
    if (!out->shared) out->host = boot_word();
}

uint64_t reeve_shard_identity(const struct stat *info, const struct reeve_shard_place *place,
                              const struct reeve_digest *locked)
{
    uint64_t words[10] = {
        place->host,
        place->shared ? 0 : place->device,
        place->inodes ? (uint64_t)info->st_ino : 0,
        (uint64_t)info->st_size,
        (uint64_t)info->st_mtim.tv_sec,
        (uint64_t)info->st_mtim.tv_nsec,
        (uint64_t)info->st_ctim.tv_sec,
        (uint64_t)info->st_ctim.tv_nsec,
    };
    memcpy(&words[8], locked->bytes, sizeof(locked->bytes));
    uint64_t word = reeve_digest64(words, sizeof(words), 0);
    return word != 0 ? word : 1;
}

int64_t reeve_shard_settles_in(const struct stat *info, const struct reeve_shard_place *place, int64_t wall_ns)
{
    bool fine = !place->shared && place->inodes && info->st_ctim.tv_nsec != 0;
    int64_t ticks_ns = fine ? TICKS_NS : COARSE_TICKS_NS;
    int64_t age_ns = wall_ns - ((int64_t)info->st_ctim.tv_sec * REEVE_SECOND_NS + info->st_ctim.tv_nsec);
    if (age_ns >= ticks_ns || age_ns <= -ticks_ns)
        return 0; /* in the future: a clock is wrong, and waiting mends nothing */
    return ticks_ns - age_ns;
}
