/* Sums through shared memory; see shared.h for the method and for why nothing here waits. */
#include "coll/shared.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"

#define CHUNK_BYTES ((size_t)256 << 10) /* with all slots of two members still within a core's cache */
#define DEPTH 4u                        /* chunks in a slot */
#define SLICE_ELEMENTS 16u              /* slices begin at multiples: no cache line has two writers */
#define LINE_BYTES 64

/* Written by its member alone, read by all; a cache line each. */
struct shared_member {
    _Alignas(LINE_BYTES) _Atomic uint64_t put;
    _Alignas(LINE_BYTES) _Atomic uint64_t added;
    _Alignas(LINE_BYTES) _Atomic uint64_t taken;
};

enum phase { PHASE_SUM = 0, PHASE_SHARE = 1 };

/* ---- the segment ---- */

static size_t control_bytes(uint32_t members)
{
    size_t page = 4096;
    return (members * sizeof(struct shared_member) + page - 1) / page * page;
}

/* All of it at once: a full /dev/shm is an error here, and would be SIGBUS later. Older kernels undo it for any signal, and
 * those of a profiler come faster than it gets through: they wait. Only a stop cannot. Returns an error number. */
static int take_all(int fd, size_t bytes)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc;
    do {
        rc = posix_fallocate(fd, 0, (off_t)bytes);
    } while (rc == EINTR);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

reeve_status shared_make(struct shared *s, const char *name, uint32_t member, uint32_t members, bool create,
                         struct reeve_error *err)
{
    *s = (struct shared){.member = member, .members = members};
    s->map_bytes = control_bytes(members) + (size_t)members * DEPTH * CHUNK_BYTES;
    int fd = shm_open(name, create ? O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC : O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) return reeve_fail(err, REEVE_JOB_CONFIG, "shared memory %s: %m", name);
    int rc = create ? take_all(fd, s->map_bytes) : 0;
    void *map = MAP_FAILED;
    if (rc == 0) map = mmap(NULL, s->map_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    else errno = rc;
    reeve_status st = REEVE_OK;
    if (map == MAP_FAILED)
        st = reeve_fail(err, REEVE_JOB_CONFIG, "shared memory %s, %zu bytes: %m; make /dev/shm larger", name,
                        s->map_bytes);
    (void)close(fd);
    if (st != REEVE_OK) return st;
    s->map = map;
    s->control = map;
    s->slots = (unsigned char *)map + control_bytes(members);
    return REEVE_OK;
}

void shared_unlink(const char *name)
{
    (void)shm_unlink(name);
}

void shared_fini(struct shared *s)
{
    if (s->map != NULL) (void)munmap(s->map, s->map_bytes);
    s->map = NULL;
}

/* ---- where things are ---- */

static unsigned char *slot_of(const struct shared *s, uint32_t member, size_t chunk)
{
    return s->slots + ((size_t)member * DEPTH + chunk % DEPTH) * CHUNK_BYTES;
}

struct range {
    size_t first, count; /* elements */
};

static struct range chunk_range(const struct shared *s, size_t chunk)
{
    size_t max = CHUNK_BYTES / sum_type_bytes(s->type);
    size_t first = chunk * max;
    return (struct range){first, s->count - first < max ? s->count - first : max};
}

/* The slice of `member` in a chunk of `count` elements, from the start of the chunk. Not all are of one size. */
static struct range slice_range(const struct shared *s, uint32_t member, size_t count)
{
    size_t first = count * member / s->members / SLICE_ELEMENTS * SLICE_ELEMENTS;
    size_t end = count;
    if (member + 1 < s->members) end = count * (member + 1) / s->members / SLICE_ELEMENTS * SLICE_ELEMENTS;
    return (struct range){first, end - first};
}

/* ---- counters ---- */

static void publish(_Atomic uint64_t *counter, uint64_t value)
{
    atomic_store_explicit(counter, value, memory_order_release);
}

static bool has_reached(_Atomic uint64_t *counter, uint64_t value)
{
    return atomic_load_explicit(counter, memory_order_acquire) >= value;
}

#define ALL_HAVE(s, what, value) all_have((s), offsetof(struct shared_member, what), (value))
static bool all_have(const struct shared *s, size_t counter_offset, uint64_t value)
{
    for (uint32_t m = 0; m < s->members; m++)
        if (!has_reached((_Atomic uint64_t *)((unsigned char *)&s->control[m] + counter_offset), value)) return false;
    return true;
}

/* ---- the sum ---- */

static uint64_t tag_of(uint32_t sum, enum phase phase)
{
    REEVE_ASSERT(sum < UINT32_C(1) << 31);
    return ((uint64_t)sum << 1 | phase) << 32;
}

void shared_begin_sum(struct shared *s, uint32_t sum, enum sum_type type, const void *in, void *out, size_t count)
{
    size_t max = CHUNK_BYTES / sum_type_bytes(type);
    s->type = type;
    s->in = in;
    s->out = out;
    s->count = count;
    s->chunk_count = count / max + (count % max != 0);
    REEVE_ASSERT(s->chunk_count < UINT32_MAX);
    s->tag = tag_of(sum, PHASE_SUM);
    s->put = s->added = s->taken = 0;
}

/* (1) The slices of the others into this member's slot. */
static size_t put_chunk(struct shared *s)
{
    size_t c = s->put;
    if (c >= s->chunk_count) return 0;
    if (c >= DEPTH && !(ALL_HAVE(s, added, s->tag + c - DEPTH + 1) && ALL_HAVE(s, taken, s->tag + c - DEPTH + 1)))
        return 0;
    size_t bytes = sum_type_bytes(s->type);
    struct range chunk = chunk_range(s, c), own = slice_range(s, s->member, chunk.count);
    const unsigned char *from = s->in + chunk.first * bytes;
    unsigned char *to = slot_of(s, s->member, c);
    size_t own_end = own.first + own.count;
    memcpy(to, from, own.first * bytes);
    memcpy(to + own_end * bytes, from + own_end * bytes, (chunk.count - own_end) * bytes);
    publish(&s->control[s->member].put, s->tag + ++s->put);
    return chunk.count * bytes;
}

/* (2) This member's slice: the sum over all, member 0 first. */
static size_t add_chunk(struct shared *s)
{
    size_t c = s->added;
    if (c >= s->put || !ALL_HAVE(s, put, s->tag + c + 1)) return 0;
    size_t bytes = sum_type_bytes(s->type);
    struct range chunk = chunk_range(s, c), own = slice_range(s, s->member, chunk.count);
    unsigned char *result = slot_of(s, s->member, c) + own.first * bytes;
    const unsigned char *so_far = NULL;
    for (uint32_t m = 0; m < s->members; m++) {
        const unsigned char *part = slot_of(s, m, c) + own.first * bytes;
        if (m == s->member) part = s->in + (chunk.first + own.first) * bytes;
        if (so_far != NULL) sum_add(s->type, result, so_far, part, own.count);
        so_far = so_far == NULL ? part : result;
    }
    memcpy(s->out + (chunk.first + own.first) * bytes, result, own.count * bytes);
    publish(&s->control[s->member].added, s->tag + ++s->added);
    return own.count * bytes + 1; /* progress, also where the slice is empty */
}

/* (3) The slices of the others from theirs. */
static size_t take_chunk(struct shared *s)
{
    size_t c = s->taken;
    if (c >= s->added || !ALL_HAVE(s, added, s->tag + c + 1)) return 0;
    size_t bytes = sum_type_bytes(s->type);
    struct range chunk = chunk_range(s, c);
    for (uint32_t m = 0; m < s->members; m++) {
        struct range slice = slice_range(s, m, chunk.count);
        if (m == s->member) continue;
        memcpy(s->out + (chunk.first + slice.first) * bytes, slot_of(s, m, c) + slice.first * bytes,
               slice.count * bytes);
    }
    publish(&s->control[s->member].taken, s->tag + ++s->taken);
    return chunk.count * bytes;
}

size_t shared_step_sum(struct shared *s, bool *done)
{
    size_t moved = take_chunk(s);
    moved += add_chunk(s);
    moved += put_chunk(s);
    *done = s->taken == s->chunk_count;
    return moved;
}

/* ---- the sharing ---- */

void shared_begin_share(struct shared *s)
{
    s->summed_tag = s->tag;
    s->tag += (uint64_t)1 << 32; /* the next phase of the same sum */
    s->put = s->taken = 0;
}

static size_t share_put(struct shared *s)
{
    size_t c = s->put;
    if (c >= s->chunk_count) return 0;
    /* The first chunks go where chunks of the sum were; all must have taken those. */
    uint64_t free_from = c < DEPTH ? s->summed_tag + s->chunk_count : s->tag + c - DEPTH + 1;
    for (uint32_t m = 1; m < s->members; m++)
        if (!has_reached(&s->control[m].taken, free_from)) return 0;
    size_t bytes = sum_type_bytes(s->type);
    struct range chunk = chunk_range(s, c);
    memcpy(slot_of(s, 0, c), s->out + chunk.first * bytes, chunk.count * bytes);
    publish(&s->control[0].put, s->tag + ++s->put);
    return chunk.count * bytes;
}

static size_t share_take(struct shared *s)
{
    size_t c = s->taken;
    if (c >= s->chunk_count || !has_reached(&s->control[0].put, s->tag + c + 1)) return 0;
    size_t bytes = sum_type_bytes(s->type);
    struct range chunk = chunk_range(s, c);
    memcpy(s->out + chunk.first * bytes, slot_of(s, 0, c), chunk.count * bytes);
    publish(&s->control[s->member].taken, s->tag + ++s->taken);
    return chunk.count * bytes;
}

size_t shared_step_share(struct shared *s, bool *done)
{
    size_t moved = s->member == 0 ? share_put(s) : share_take(s);
    *done = (s->member == 0 ? s->put : s->taken) == s->chunk_count;
    return moved;
}
