/* Which bytes an open file holds, told without reading them: one word of its inode, its size, its times, and the digest
 * that it is to have. Who has read a file remembers the word; as long as the file has it, its bytes are those that were
 * read. A change in place sets the time of change (ctime), which nobody can set back. One that comes so soon after
 * another that the clock of the file system has not moved in between leaves no trace: hence reeve_shard_settles_in().
 *
 * On a file system that hosts share, all of them see the same word. On any other the word is of this boot of this host
 * and of the device as well: images that were copied to many nodes may have the same inodes and times everywhere. */
#ifndef REEVE_STORE_SHARD_IDENTITY_H
#define REEVE_STORE_SHARD_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/digest.h"

/* The file system on which a file lies. */
struct reeve_shard_place {
    bool known;      /* the rest was found out */
    bool shared;     /* it is the same one on other hosts */
    bool inodes;     /* its inodes keep their numbers */
    uint64_t device; /* as this host calls it */
    uint64_t host;   /* of this boot of this host; 0: shared, or it does not say */
};

/* Inode, device, size and times as they are now. asked: of the file system, past what this host keeps of them: NFS and FUSE
 * answer fstat() from a cache, for up to a minute or for longer, while bytes are read anew. Where files are this host's own
 * that costs no more. */
bool reeve_shard_stat(int fd, bool asked, struct stat *out);
void reeve_shard_place_of(int fd, const struct stat *info, struct reeve_shard_place *out);
/* Never 0. */
uint64_t reeve_shard_identity(const struct stat *info, const struct reeve_shard_place *place,
                              const struct reeve_digest *locked);
/* How long to wait before a file is read, so that each change after the reading gets a later time than it has now, ns. */
int64_t reeve_shard_settles_in(const struct stat *info, const struct reeve_shard_place *place, int64_t wall_ns);

#endif
