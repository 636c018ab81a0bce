/* The sum itself, through a file that the members map: piece by piece, each puts its own into its slot, all add up all slots
 * in the order of ranks, and nobody goes on before all have. A member that is dead leaves the others waiting, as NCCL does. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "state.h"

struct place {
    _Alignas(64) _Atomic unsigned joined;
    _Atomic uint64_t put, taken; /* pieces */
    uint64_t count, type;        /* of the sum that it puts */
};
struct meeting {
    struct place places[RANKS_MAX];
    unsigned char slots[RANKS_MAX][SLOT_BYTES];
};

/* ---- the file ---- */

static void path_of(const char *name, char *path, size_t bytes)
{
    const char *folder = getenv("REEVE_DOUBLE_DIR");
    (void)snprintf(path, bytes, "%s/%.*s", folder != NULL ? folder : "/dev/shm", NCCL_UNIQUE_ID_BYTES, name);
}

struct meeting *meeting_open(const char *name, bool create)
{
    char path[512];
    path_of(name, path, sizeof(path));
    int file = open(path, O_RDWR | O_CLOEXEC | (create ? O_CREAT | O_EXCL : 0), 0600);
    if (file < 0 && !create && errno == ENOENT) return NULL;
    if (file < 0 || (create && ftruncate(file, sizeof(struct meeting)) != 0)) double_broken("%s: %m", path);
    void *map = mmap(NULL, sizeof(struct meeting), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    (void)close(file);
    if (map == MAP_FAILED) double_broken("%s: %m", path);
    double_counts.maps++;
    return map;
}

void meeting_close(struct meeting *m)
{
    if (m == NULL) return;
    (void)munmap(m, sizeof(*m));
    double_counts.maps--;
}

void meeting_unlink(const char *name)
{
    char path[512];
    path_of(name, path, sizeof(path));
    (void)unlink(path);
}

void meeting_join(struct meeting *m, int rank)
{
    if (atomic_exchange(&m->places[rank].joined, 1u) != 0) double_broken("rank %d joins twice", rank);
}

bool meeting_is_full(const struct meeting *m, int ranks)
{
    for (int r = 0; r < ranks; r++)
        if (atomic_load(&m->places[r].joined) == 0) return false;
    return true;
}

/* ---- numbers ---- */

size_t sum_element_bytes(ncclDataType_t type)
{
    if (type == ncclInt64) return 8;
    if (type == ncclFloat32) return 4;
    if (type == ncclBfloat16) return 2;
    double_broken("a sum of type %d", (int)type);
}

static float from_bf16(uint16_t half)
{
    uint32_t bits = (uint32_t)half << 16;
    float f;
    memcpy(&f, &bits, sizeof(f));
    return f;
}

static uint16_t to_bf16(float f) /* to nearest, ties to even; no NaN comes here */
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof(bits));
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

static void add(ncclDataType_t type, void *to, const void *from, size_t count)
{
    if (type == ncclInt64)
        for (size_t i = 0; i < count; i++)
            ((uint64_t *)to)[i] += ((const uint64_t *)from)[i];
    if (type == ncclFloat32)
        for (size_t i = 0; i < count; i++)
            ((float *)to)[i] += ((const float *)from)[i];
    if (type == ncclBfloat16)
        for (size_t i = 0; i < count; i++)
            ((uint16_t *)to)[i] = to_bf16(from_bf16(((uint16_t *)to)[i]) + from_bf16(((const uint16_t *)from)[i]));
}

/* ---- a sum ---- */

static bool all_put(const struct sum *s, const struct place *places, uint64_t turn)
{
    for (int r = 0; r < s->comm->ranks; r++) {
        if (atomic_load_explicit(&places[r].put, memory_order_acquire) < turn) return false;
        if (places[r].count != s->count || places[r].type != (uint64_t)s->type)
            double_broken("rank %d brings %zu elements of type %d to a sum, rank %d %llu of type %llu", s->comm->rank,
                          s->count, (int)s->type, r, (unsigned long long)places[r].count,
                          (unsigned long long)places[r].type);
    }
    return true;
}

static bool all_taken(const struct sum *s, const struct place *places, uint64_t turn)
{
    for (int r = 0; r < s->comm->ranks; r++)
        if (atomic_load_explicit(&places[r].taken, memory_order_acquire) < turn) return false;
    return true;
}

bool sum_move(struct op *op)
{
    struct sum *s = op->sum;
    if (s->fault == FAULT_HANG || s->fault == FAULT_ASYNC) return false;
    struct meeting *m = s->comm->meeting;
    struct place *own = &m->places[s->comm->rank];
    size_t bytes = sum_element_bytes(s->type);
    for (;;) {
        size_t left = s->count - s->at, count = left < SLOT_BYTES / bytes ? left : SLOT_BYTES / bytes;
        uint64_t turn = s->comm->turn + 1;
        unsigned char *to = (unsigned char *)op->dst + s->at * bytes;
        if (count == 0) return true;
        if (s->part == SUM_PUT) {
            memcpy(m->slots[s->comm->rank], (const unsigned char *)op->src + s->at * bytes, count * bytes);
            own->count = s->count;
            own->type = (uint64_t)s->type;
            atomic_store_explicit(&own->put, turn, memory_order_release);
            s->part = SUM_ADD;
        }
        if (s->fault == FAULT_DIE) fault_die(); /* half-way: the others may have this piece */
        if (s->part == SUM_ADD) {
            if (!all_put(s, m->places, turn)) return false;
            memcpy(to, m->slots[0], count * bytes);
            for (int r = 1; r < s->comm->ranks; r++)
                add(s->type, to, m->slots[r], count);
            atomic_store_explicit(&own->taken, turn, memory_order_release);
            s->part = SUM_TAKE;
        }
        if (!all_taken(s, m->places, turn)) return false;
        s->comm->turn = turn;
        s->at += count;
        s->part = SUM_PUT;
    }
}
