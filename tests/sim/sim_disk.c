/* The disk under the journal: segments in memory, each as the page cache has it and as the disk has it.
 * A kill leaves the page cache (and of a write under way a prefix, cut at any byte). A power cut leaves what was synced;
 * of the rest some 512-byte sectors, or a prefix cut at any byte, or all, or nothing. A sync that failed is such a
 * lottery too; in half of them what has not come to the disk stays readable, and no sync brings it there any more, until it
 * is written again. Names are durable once a segment is created, as reeve_segment_create() promises. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "checkers.h"
#include "sim.h"
#include "store/disk.h"
#include "store/journal_ahead.h"

#define SEGMENTS_MAX 4096u
#define FD_FIRST 100000
#define EVENTS_OFFSET 4096u
#define RECORD_BYTES sizeof(struct reeve_event)

struct sim_segment {
    struct reeve_segment_name name;
    uint64_t run_id;
    uint32_t launch, rank; /* of the process that writes it */
    uint32_t capacity;
    uint32_t written, durable; /* records, in order */
    uint64_t start_cached, start_durable;
    bool unlinked, dirty;
    unsigned char *cached, *disk; /* (capacity * RECORD_BYTES,) owned */
};

struct sim_disk {
    struct sim_segment *segment[SEGMENTS_MAX]; /* owned */
    uint32_t count;
};

struct sim_disk *sim_disk_create(struct sim *s)
{
    (void)s;
    struct sim_disk *d = calloc(1, sizeof(*d));
    REEVE_ASSERT(d != NULL);
    return d;
}

void sim_disk_destroy(struct sim_disk *d)
{
    for (uint32_t i = 0; i < d->count; i++) {
        free(d->segment[i]->cached);
        free(d->segment[i]);
    }
    free(d);
}

static struct sim_disk *here(void)
{
    return sim_running->sim->disk;
}

static reeve_status dead(struct reeve_error *err)
{
    return reeve_fail(err, REEVE_STORE_WRITE, "the process is dead");
}

/* ---- making and opening (store/journal_segment.h) ---- */

reeve_status reeve_segment_path(const char *run_dir, const struct reeve_segment_name *name, char *out, size_t out_bytes,
                                struct reeve_error *err)
{
    (void)err;
    (void)snprintf(out, out_bytes, "%s/journal/%08x-%016llx.h5", run_dir, name->epoch,
                   (unsigned long long)name->first_lsn);
    return REEVE_OK;
}

static void describe(const struct sim_segment *g, uint32_t index, struct reeve_segment *out)
{
    *out = (struct reeve_segment){.name = g->name,
                                  .run_id = g->run_id,
                                  .capacity = g->capacity,
                                  .events_offset = EVENTS_OFFSET,
                                  .fd = FD_FIRST + (int)index};
    (void)reeve_segment_path(SIM_RUN_DIR, &g->name, out->path, sizeof(out->path), NULL);
}

reeve_status reeve_segment_create(const char *run_dir, const struct reeve_segment_name *name, uint32_t capacity,
                                  uint64_t run_id, uint64_t chain_start, struct reeve_segment *out,
                                  struct reeve_error *err)
{
    (void)run_dir;
    struct sim *s = sim_running->sim;
    enum sim_seam_outcome seam = sim_seam(sim_running, "create segment");
    if (seam == SIM_SEAM_DEAD || seam == SIM_SEAM_DIE_WITHIN) return dead(err);
    struct sim_disk *d = here();
    if (s->now_ns < s->disk_full_until_ns) return reeve_fail(err, REEVE_STORE_CREATE, "create segment: disk full");
    for (uint32_t i = 0; i < d->count; i++)
        if (!d->segment[i]->unlinked && d->segment[i]->name.epoch == name->epoch &&
            d->segment[i]->name.first_lsn == name->first_lsn)
            return reeve_fail(err, REEVE_STORE_CREATE, "create segment: it is there already");
    if (d->count == SEGMENTS_MAX) {
        sim_violate(s, "progress", "%u segments, and the run is not complete", SEGMENTS_MAX);
        return dead(err);
    }
    struct sim_segment *g = calloc(1, sizeof(*g));
    REEVE_ASSERT(g != NULL);
    if (capacity > 192) capacity = 64 * (1 + (uint32_t)sim_below(s, 3)); /* small ones, so that histories cross them */
    *g = (struct sim_segment){.name = *name,
                              .run_id = run_id,
                              .launch = sim_running->launch->number,
                              .rank = sim_running->rank,
                              .capacity = capacity,
                              .start_cached = chain_start,
                              .start_durable = chain_start,
                              .cached = calloc(2 * capacity, RECORD_BYTES)};
    REEVE_ASSERT(g->cached != NULL);
    g->disk = g->cached + capacity * RECORD_BYTES;
    d->segment[d->count++] = g;
    describe(g, d->count - 1, out);
    sim_trace(s, "segment %08x-%llu created", name->epoch, (unsigned long long)name->first_lsn);
    return seam == SIM_SEAM_PASS ? REEVE_OK : dead(err);
}

static struct sim_segment *of_fd(int fd)
{
    REEVE_ASSERT(fd >= FD_FIRST && (uint32_t)(fd - FD_FIRST) < here()->count);
    return here()->segment[fd - FD_FIRST];
}

reeve_status reeve_segment_start(const struct reeve_segment *seg, uint64_t chain_start, struct reeve_error *err)
{
    enum sim_seam_outcome seam = sim_seam(sim_running, "start segment");
    if (seam == SIM_SEAM_DEAD || seam == SIM_SEAM_DIE_WITHIN) return dead(err);
    of_fd(seg->fd)->start_cached = chain_start;
    of_fd(seg->fd)->dirty = true;
    return seam == SIM_SEAM_PASS ? REEVE_OK : dead(err);
}

static int by_name(const void *a, const void *b)
{
    const struct reeve_segment_name *x = a, *y = b;
    if (x->epoch != y->epoch) return x->epoch < y->epoch ? -1 : 1;
    return x->first_lsn < y->first_lsn ? -1 : x->first_lsn > y->first_lsn;
}

reeve_status reeve_segment_list(const char *run_dir, struct reeve_segment_name **names, size_t *count,
                                struct reeve_error *err)
{
    (void)run_dir, (void)err;
    struct sim_disk *d = here();
    *names = calloc(d->count + 1, sizeof(**names));
    REEVE_ASSERT(*names != NULL);
    *count = 0;
    for (uint32_t i = 0; i < d->count; i++)
        if (!d->segment[i]->unlinked) (*names)[(*count)++] = d->segment[i]->name;
    qsort(*names, *count, sizeof(**names), by_name);
    return REEVE_OK;
}

reeve_status reeve_segment_open(const char *run_dir, const struct reeve_segment_name *name, struct reeve_segment *out,
                                struct reeve_error *err)
{
    (void)run_dir;
    struct sim_disk *d = here();
    for (uint32_t i = 0; i < d->count; i++) {
        const struct sim_segment *g = d->segment[i];
        if (g->unlinked || by_name(&g->name, name) != 0) continue;
        describe(g, i, out);
        return REEVE_OK;
    }
    return reeve_fail(err, REEVE_INPUT_MISSING, "no such segment");
}

reeve_status reeve_segment_read_start(const struct reeve_segment *seg, uint64_t *chain_start, struct reeve_error *err)
{
    (void)err;
    *chain_start = of_fd(seg->fd)->start_cached;
    return REEVE_OK;
}

reeve_status reeve_segment_read(const struct reeve_segment *seg, uint32_t from, struct reeve_event *slots,
                                struct reeve_error *err)
{
    (void)err;
    const struct sim_segment *g = of_fd(seg->fd);
    memcpy(slots + from, g->cached + from * RECORD_BYTES, (g->capacity - from) * RECORD_BYTES);
    return REEVE_OK;
}

void reeve_segment_close(struct reeve_segment *seg)
{
    seg->fd = -1;
}

uint64_t reeve_h5_file_bytes(const reeve_h5 *h)
{
    (void)h;
    return EVENTS_OFFSET;
}

/* The next segment is made by a thread in the program; here at once, or only when it is needed: both happen there. */
void reeve_ahead_begin(struct reeve_ahead *a, const char *run_dir, const struct reeve_segment_name *name,
                       uint32_t capacity, uint64_t run_id)
{
    struct reeve_error err;
    (void)snprintf(a->run_dir, sizeof(a->run_dir), "%s", run_dir);
    a->segment = (struct reeve_segment){.name = *name, .capacity = capacity, .run_id = run_id, .fd = -1};
    a->status = REEVE_TASK_NONE_READY;
    if (sim_below(sim_running->sim, 2) == 0)
        a->status = reeve_segment_create(run_dir, name, capacity, run_id, 0, &a->segment, &err);
}

bool reeve_ahead_is_late(const struct reeve_ahead *a)
{
    (void)a;
    return false; /* how long segments are is drawn when they are created */
}

reeve_status reeve_ahead_take(struct reeve_ahead *a, struct reeve_segment *out, struct reeve_error *err)
{
    const struct reeve_segment order = a->segment;
    if (a->status != REEVE_OK)
        a->status = reeve_segment_create(a->run_dir, &order.name, order.capacity, order.run_id, 0, &a->segment, err);
    if (a->status == REEVE_OK) *out = a->segment;
    return a->status;
}

void reeve_ahead_drop(struct reeve_ahead *a)
{
    if (a->status == REEVE_OK && a->segment.fd >= 0 && sim_running->alive) of_fd(a->segment.fd)->unlinked = true;
}

/* ---- writing (store/disk.h) ---- */

reeve_status reeve_disk_fail(struct reeve_error *err, int errnum, const char *doing, const char *path, uint64_t bytes)
{
    (void)errnum, (void)bytes;
    return reeve_fail(err, REEVE_STORE_WRITE, "%s %s: failed", doing, path);
}

reeve_status reeve_disk_write(int fd, const void *bytes, size_t n, uint64_t offset, const char *path,
                              struct reeve_error *err)
{
    (void)path;
    struct sim *s = sim_running->sim;
    enum sim_seam_outcome seam = sim_seam(sim_running, "write");
    if (seam == SIM_SEAM_DEAD) return dead(err);
    struct sim_segment *g = of_fd(fd);
    uint64_t at = offset - EVENTS_OFFSET;
    REEVE_ASSERT(at + n <= g->capacity * RECORD_BYTES);
    bool fails = seam == SIM_SEAM_PASS && s->fail_next_write > 0 && --s->fail_next_write == 0;
    if (s->mutation == SIM_MUTATE_SPEAK_FIRST && s->mutation_count++ > 9) return REEVE_OK;
    size_t most = fails || seam == SIM_SEAM_DIE_WITHIN ? sim_below(s, n + 1) : n;
    memcpy(g->cached + at, bytes, most);
    uint32_t end = (uint32_t)((at + most) / RECORD_BYTES);
    if (end > g->written) g->written = end; /* else a successor writes again what is there */
    g->dirty = true;
    sim_trace(s, "journal: %zu of %zu bytes written to %08x-%llu", most, n, g->name.epoch,
              (unsigned long long)g->name.first_lsn);
    if (seam != SIM_SEAM_PASS) return dead(err);
    return fails ? reeve_fail(err, REEVE_STORE_WRITE, "write: no space left on device") : REEVE_OK;
}

/* Only what is on the disk is there. */
static void forget_cached(struct sim_segment *g)
{
    memcpy(g->cached, g->disk, g->capacity * RECORD_BYTES);
    g->start_cached = g->start_durable;
}

/* What is not synced goes to the disk or not. */
static void lottery(struct sim *s, struct sim_segment *g)
{
    size_t bytes = g->capacity * RECORD_BYTES;
    uint64_t mode = sim_below(s, 4);
    size_t first = g->durable * RECORD_BYTES, last = g->written * RECORD_BYTES;
    if (last < bytes) last += RECORD_BYTES; /* a record that was cut by a kill before */
    if (mode == 0) memcpy(g->disk, g->cached, bytes);
    if (mode == 1 && last > first) memcpy(g->disk, g->cached, first + sim_below(s, last - first + 1));
    for (size_t at = 0; mode == 2 && at < bytes; at += REEVE_SEGMENT_SECTOR_BYTES)
        if (sim_below(s, 2) == 0) memcpy(g->disk + at, g->cached + at, REEVE_SEGMENT_SECTOR_BYTES);
    if (sim_below(s, 2) == 0) g->start_durable = g->start_cached;
    g->dirty = false;
}

/* By a process that lives: what it has in memory there is no business of whoever syncs the same file here. */
static bool written_elsewhere(struct sim *s, const struct sim_segment *g)
{
    for (struct sim_launch *l = sim_newest(s); l != NULL; l = l->next)
        if (l->number == g->launch) return &l->proc[g->rank] != sim_running && sim_runs(&l->proc[g->rank]);
    return false;
}

reeve_status reeve_disk_sync(int fd, const char *path, struct reeve_error *err)
{
    (void)path;
    struct sim *s = sim_running->sim;
    enum sim_seam_outcome seam = sim_seam(sim_running, "sync");
    if (seam == SIM_SEAM_DEAD || seam == SIM_SEAM_DIE_WITHIN) return dead(err);
    struct sim_segment *g = of_fd(fd);
    if (s->fail_next_write > 0 && --s->fail_next_write == 0) {
        if (!written_elsewhere(s, g)) {
            lottery(s, g);
            if (sim_below(s, 2) == 0) forget_cached(g);
        }
        sim_check_forget_unsynced(s);
        return reeve_fail(err, REEVE_STORE_WRITE, "sync: input/output error");
    }
    bool lies = s->mutation == SIM_MUTATE_SYNC_NOTHING || s->mutation == SIM_MUTATE_UNSYNCED_TAIL;
    if (!lies && g->dirty) {
        memcpy(g->disk, g->cached, g->capacity * RECORD_BYTES);
        g->start_durable = g->start_cached;
        g->dirty = false;
    }
    g->durable = g->written;
    return seam == SIM_SEAM_PASS ? REEVE_OK : dead(err);
}

void reeve_disk_begin_sync(int fd, uint64_t offset, uint64_t bytes)
{
    (void)fd, (void)offset, (void)bytes; /* what is not synced goes to the disk or not: lottery() */
}

void sim_disk_power_cut(struct sim *s)
{
    for (uint32_t i = 0; i < s->disk->count; i++) {
        if (s->disk->segment[i]->dirty) lottery(s, s->disk->segment[i]);
        forget_cached(s->disk->segment[i]);
    }
}

/* What others wrote, on other hosts, stays. */
void sim_disk_host_dies(struct sim *s, const struct sim_proc *on)
{
    for (uint32_t i = 0; i < s->disk->count; i++) {
        struct sim_segment *g = s->disk->segment[i];
        if (g->launch != on->launch->number || g->rank != on->rank) continue;
        if (g->dirty) lottery(s, g);
        forget_cached(g);
    }
}

void sim_disk_reach(const struct sim *s, uint32_t epoch, uint64_t *written_lsn, uint64_t *durable_lsn)
{
    uint64_t first_lsn = UINT64_MAX;
    *written_lsn = *durable_lsn = 0;
    for (uint32_t i = 0; i < s->disk->count; i++) {
        const struct sim_segment *g = s->disk->segment[i];
        if (g->name.epoch != epoch) continue;
        if (g->written > 0) *written_lsn = g->name.first_lsn + g->written - 1;
        if (g->name.first_lsn < first_lsn) first_lsn = g->name.first_lsn;
        if (g->durable > 0) *durable_lsn = g->name.first_lsn + g->durable - 1;
    }
    /* What a new epoch goes on from was synced before its first segment was made. */
    if (first_lsn != UINT64_MAX && *durable_lsn < first_lsn - 1) *durable_lsn = first_lsn - 1;
}

/* ---- names of the C library and of base/path.h ---- */

int __wrap_open(const char *path, int flags, ...);
int __wrap_close(int fd);
int __wrap_unlink(const char *path);
void *__wrap_opendir(const char *path);

/* The journal opens the last segment of the one before it, to write its end again; the master looks for STOP, in which
 * there is nothing to read. */
#define STOP_FD INT_MAX
int __wrap_open(const char *path, int flags, ...)
{
    (void)flags;
    struct sim_disk *d = here();
    for (uint32_t i = 0; i < d->count; i++) {
        struct reeve_segment seg;
        describe(d->segment[i], i, &seg);
        if (strcmp(seg.path, path) == 0) return seg.fd;
    }
    bool stop = strstr(path, "STOP") != NULL && sim_running->sim->stop_file;
    errno = ENOENT;
    return stop ? STOP_FD : -1;
}

int __wrap_close(int fd)
{
    (void)fd;
    return 0;
}

/* The files STOP and SAVE. */
int __wrap_unlink(const char *path)
{
    struct sim *s = sim_running->sim;
    bool *file = strstr(path, "STOP") != NULL ? &s->stop_file : &s->save_file;
    bool there = *file;
    *file = false;
    return there ? 0 : -1;
}

void *__wrap_opendir(const char *path)
{
    (void)path;
    return NULL;
}

reeve_status reeve_path_join(char *out, size_t out_bytes, const char *dir, const char *name, struct reeve_error *err)
{
    (void)err;
    (void)snprintf(out, out_bytes, "%s/%s", dir, name);
    return REEVE_OK;
}

reeve_status reeve_mkdir_parents(const char *path, struct reeve_error *err)
{
    (void)path, (void)err;
    return REEVE_OK;
}

reeve_status reeve_fsync_dir(const char *path, struct reeve_error *err)
{
    (void)path, (void)err;
    return REEVE_OK;
}
