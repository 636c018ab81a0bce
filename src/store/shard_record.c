/* See shard_record.h. A file is opened for each word: on NFS that is when others' writes are seen, and a shard comes here
 * once in a process. Nothing is synced: a power cut costs a reading. */
#include "store/shard_record.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/path.h"
#include "store/shard.h"

#define FOLDER "verified"
#define SHARED "shared"
#define FILE_NAME_BYTES 48

static bool file_of(const char *run_dir, const struct reeve_shard_place *place, char path[REEVE_PATH_BYTES_MAX])
{
    char name[FILE_NAME_BYTES];
    if (run_dir[0] == '\0' || (!place->shared && place->host == 0)) return false;
    if (place->shared) (void)snprintf(name, sizeof(name), FOLDER "/" SHARED);
    else (void)snprintf(name, sizeof(name), FOLDER "/%016" PRIx64, place->host);
    return reeve_path_join(path, REEVE_PATH_BYTES_MAX, run_dir, name, NULL) == REEVE_OK;
}

/* A regular file, or none: whatever else has the name shall neither hold us up nor lead elsewhere. */
static int open_file(const char *path, int flags)
{
    struct stat info;
    int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, 0666);
    if (fd < 0 || (fstat(fd, &info) == 0 && S_ISREG(info.st_mode))) return fd;
    (void)close(fd);
    return -1;
}

uint64_t reeve_shard_record_read(const char *run_dir, const struct reeve_shard_place *place, uint32_t shard)
{
    char path[REEVE_PATH_BYTES_MAX];
    uint64_t word = 0;
    int fd = file_of(run_dir, place, path) ? open_file(path, O_RDONLY) : -1;
    if (fd < 0) return 0;
    ssize_t n;
    do
        n = pread(fd, &word, sizeof(word), (off_t)shard * (off_t)sizeof(word));
    while (n < 0 && errno == EINTR);
    (void)close(fd);
    return n == (ssize_t)sizeof(word) ? le64toh(word) : 0;
}

void reeve_shard_record_write(const char *run_dir, const struct reeve_shard_place *place, uint32_t shard, uint64_t word)
{
    char path[REEVE_PATH_BYTES_MAX], folder[REEVE_PATH_BYTES_MAX];
    if (!file_of(run_dir, place, path)) return;
    int fd = open_file(path, O_WRONLY | O_CREAT);
    if (fd < 0 && errno == ENOENT) { /* the first of this launch */
        reeve_path_dirname(path, folder, sizeof(folder));
        if (mkdir(folder, 0777) == 0 || errno == EEXIST) fd = open_file(path, O_WRONLY | O_CREAT);
    }
    if (fd < 0) return;
    word = htole64(word);
    (void)reeve_pwrite_all(fd, &word, sizeof(word), (uint64_t)shard * sizeof(word), path, NULL);
    (void)close(fd);
}

void reeve_shards_forget_verified(const char *run_dir)
{
    char path[REEVE_PATH_BYTES_MAX];
    struct reeve_error err;
    reeve_status st = reeve_path_join(path, sizeof(path), run_dir, FOLDER, &err);
    if (st == REEVE_OK) st = reeve_remove_tree(path, &err);
    if (st != REEVE_OK) reeve_log(REEVE_LOG_WARN, "%s", err.text); /* what is left there is no less true */
}
