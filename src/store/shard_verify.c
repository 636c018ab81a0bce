/* Whether an open file holds the bytes that were locked; see shard.h for the invariant. */
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "store/shard_cache.h"
#include "store/shard_file.h"
#include "store/shard_record.h"

#define TRIES_MAX 3

void reeve_shard_slow_begin(reeve_shard_cache *c)
{
    if (c->slow_depth++ == 0 && c->config.takes_long != NULL) c->config.takes_long(c->config.arg, true);
}

void reeve_shard_slow_end(reeve_shard_cache *c)
{
    if (--c->slow_depth == 0 && c->config.takes_long != NULL) c->config.takes_long(c->config.arg, false);
}

static uint64_t identity(const reeve_shard_cache *c, const struct open_shard *file, const struct stat *info)
{
    return reeve_shard_identity(info, &file->place, &reeve_shard_locked(c, (reeve_shard_id){file->shard})->digest);
}

bool reeve_shard_is_as_verified(const reeve_shard_cache *c, const struct open_shard *file, bool asked)
{
    struct stat info;
    return reeve_shard_stat(file->fd, asked, &info) && identity(c, file, &info) == file->word;
}

/* The file as it is now: place and word. */
static reeve_status look(reeve_shard_cache *c, struct open_shard *file, const char *path, struct stat *info,
                         struct reeve_error *err)
{
    struct reeve_shard_place *place = &c->places[file->copy];
    if (!reeve_shard_stat(file->fd, true, info)) return reeve_fail(err, REEVE_STORE_READ, "shard %s: stat: %m", path);
    if (!place->known || place->device != (uint64_t)info->st_dev) reeve_shard_place_of(file->fd, info, place);
    file->place = *place;
    file->word = identity(c, file, info);
    return REEVE_OK;
}

static void remember(reeve_shard_cache *c, const struct open_shard *file)
{
    c->words[file->shard] = file->word;
    reeve_shard_record_write(c->run_dir, &file->place, file->shard, file->word);
}

static bool was_verified(reeve_shard_cache *c, const struct open_shard *file)
{
    if (file->word == c->words[file->shard]) return true;
    if (file->word != reeve_shard_record_read(c->run_dir, &file->place, file->shard)) return false;
    c->words[file->shard] = file->word;
    return true;
}

static reeve_status read_whole(reeve_shard_cache *c, const struct open_shard *file, const struct stat *info,
                               const char *path, struct reeve_error *err)
{
    const struct reeve_shard *locked = reeve_shard_locked(c, (reeve_shard_id){file->shard});
    struct reeve_digest digest;
    int64_t settles_ns = reeve_shard_settles_in(info, &file->place, reeve_clock_wall_ns());
    reeve_shard_slow_begin(c);
    reeve_clock_sleep(settles_ns < c->settle_ns ? settles_ns : c->settle_ns);
    reeve_status st = reeve_shard_file_digest(file->fd, path, locked->file_bytes, -1, NULL, &digest, err);
    reeve_shard_slow_end(c);
    (void)posix_fadvise(file->fd, 0, 0, POSIX_FADV_NORMAL); /* samples are read from anywhere */
    return st == REEVE_OK ? reeve_shard_file_check_digest(path, digest, locked, err) : st;
}

reeve_status reeve_shard_verify(reeve_shard_cache *c, struct open_shard *file, const char *path,
                                enum reeve_shard_effort effort, struct reeve_error *err)
{
    const struct reeve_shard *locked = reeve_shard_locked(c, (reeve_shard_id){file->shard});
    for (int tries = 0; tries < TRIES_MAX; tries++) {
        struct stat info;
        reeve_status st = look(c, file, path, &info, err);
        if (st == REEVE_OK) st = reeve_shard_file_check_size(path, (uint64_t)info.st_size, locked, err);
        if (st != REEVE_OK) return st;
        if (effort != REEVE_SHARD_READ && was_verified(c, file)) return REEVE_OK;
        if (effort == REEVE_SHARD_ASK)
            return reeve_fail(err, REEVE_INPUT_CHANGED, "shard %s: nobody has read it since it was changed", path);
        st = read_whole(c, file, &info, path, err);
        if (st != REEVE_OK) return st;
        if (!reeve_shard_is_as_verified(c, file, true)) continue; /* touched meanwhile: which bytes are there now? */
        remember(c, file);
        return REEVE_OK;
    }
    return reeve_fail(err, REEVE_INPUT_CHANGED,
                      "shard %s: is being changed while it is read; nothing may write to it during a run", path);
}

void reeve_shard_note_verified(reeve_shard_cache *c, struct open_shard *file)
{
    struct stat info;
    if (look(c, file, "", &info, NULL) == REEVE_OK) remember(c, file); /* else it is read when it is looked at again */
}
