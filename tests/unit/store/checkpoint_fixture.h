/* What the tests of checkpoints share: a state with every kind of tensor, and how it is saved and verified. */
#ifndef REEVE_TEST_CHECKPOINT_FIXTURE_H
#define REEVE_TEST_CHECKPOINT_FIXTURE_H

#include "store_fixture.h"

#include "store/checkpoint.h"

#define TENSORS 9

/* --- a state to save ---------------------------------------------------------------------------------------------- */

struct state {
    struct reeve_tensor tensors[TENSORS];
    uint64_t bytes[TENSORS];
};

static const struct {
    const char *name;
    uint32_t group, rank;
    uint64_t shape[4];
} shapes[TENSORS] = {
    {"wte.weight", 0, 2, {33, 7}},
    {"h.0.attn.c_attn.weight", 0, 2, {48, 16}},
    {"h.0.ln_1.bias", 0, 1, {1}},
    {"h.10.mlp", 0, 3, {3, 2, 5}},
    {"h.2.mlp", 0, 4, {2, 1, 3, 2}},
    {"big", 0, 1, {17 * 262144 + 1}}, /* blocks of 1 MiB: 17 whole ones and 4 bytes, over one 16 MiB piece */
    {"wte.weight", 1, 2, {33, 7}},    /* the same name in another group */
    {"block", 1, 1, {262144}},        /* exactly one block */
    {"h.2.mlp", 1, 4, {2, 1, 3, 2}},
};

static inline void state_create(struct state *s, struct fixture *f, bool with_big)
{
    memset(s, 0, sizeof(*s));
    for (uint32_t i = 0; i < TENSORS; i++) {
        struct reeve_tensor *t = &s->tensors[i];
        (void)snprintf(t->name, sizeof(t->name), "%s", shapes[i].name);
        t->group = shapes[i].group;
        t->rank = shapes[i].rank;
        memcpy(t->shape, shapes[i].shape, sizeof(t->shape));
        if (!with_big && t->shape[0] > 1000) t->shape[0] = 3;
        s->bytes[i] = sizeof(float);
        for (uint32_t d = 0; d < t->rank; d++)
            s->bytes[i] *= t->shape[d];
        t->data = aligned_alloc(64, (s->bytes[i] + 63) / 64 * 64);
        uint64_t first = draw(f, 1u << 30);
        for (uint64_t e = 0; e < s->bytes[i] / 4; e++) {
            uint32_t bits = (uint32_t)((first + e) * 2654435761u); /* any bits: NaN and infinity come back too */
            memcpy(&t->data[e], &bits, 4);
        }
    }
}

static inline void state_destroy(struct state *s)
{
    for (uint32_t i = 0; i < TENSORS; i++)
        free(s->tensors[i].data);
}

/* The same shapes with other contents, to be read into. */
static inline void state_like(struct state *copy, const struct state *s)
{
    *copy = *s;
    for (uint32_t i = 0; i < TENSORS; i++) {
        copy->tensors[i].data = aligned_alloc(64, (s->bytes[i] + 63) / 64 * 64);
        memset(copy->tensors[i].data, 0xa5, s->bytes[i]);
    }
}

static inline void assert_same_state(const struct state *a, const struct state *b)
{
    for (uint32_t i = 0; i < TENSORS; i++)
        if (memcmp(a->tensors[i].data, b->tensors[i].data, a->bytes[i]) != 0)
            fail_msg("tensor %s differs", a->tensors[i].name);
}

static inline struct reeve_checkpoint_meta meta_of(const struct state *s, uint64_t step)
{
    struct reeve_checkpoint_meta meta;
    memset(&meta, 0, sizeof(meta)); /* padding too: it is compared with memcmp */
    meta.step = step;
    meta.run_id = 0xfeedfacecafef00du;
    meta.lsn = 12345;
    meta.queue_digest = UINT64_MAX;
    meta.epoch = 7;
    meta.workers = 3;
    meta.manifest_digest = reeve_digest_of("manifest", 8);
    meta.job_digest = reeve_digest_of("job", 3);
    meta.weights_digest = reeve_weights_digest(s->tensors, TENSORS);
    meta.wall_ns = 1764000000123456789;
    meta.threads = 2;
    (void)snprintf(meta.build, sizeof(meta.build), "reeve 0.1.0, gcc, OpenBLAS Haswell");
    return meta;
}

static const char queue[] = "a snapshot of the queue, opaque here";

static inline reeve_status write_parts(const char *dir, uint64_t step, uint32_t epoch, const struct state *s,
                                       uint32_t part_count, struct reeve_checkpoint_part *parts,
                                       struct reeve_error *err)
{
    uint32_t part_of[TENSORS];
    reeve_checkpoint_assign(s->tensors, TENSORS, part_count, part_of);
    reeve_status st = REEVE_OK;
    for (uint32_t p = part_count; p-- > 0 && st == REEVE_OK;) { /* the last first: order does not matter */
        struct reeve_tensor mine[TENSORS];
        uint32_t count = 0;
        for (uint32_t i = 0; i < TENSORS; i++)
            if (part_of[i] == p) mine[count++] = s->tensors[i];
        st = reeve_checkpoint_write_part(dir, step, epoch, p, mine, count, &parts[p], err);
    }
    return st;
}

static inline reeve_status save(const char *dir, uint64_t step, uint32_t epoch, const struct state *s,
                                uint32_t part_count, struct reeve_digest *digest, struct reeve_error *err)
{
    struct reeve_checkpoint_part parts[16];
    struct reeve_checkpoint_meta meta = meta_of(s, step);
    reeve_status st = reeve_checkpoint_begin(dir, step, epoch, err);
    if (st == REEVE_OK) st = write_parts(dir, step, epoch, s, part_count, parts, err);
    if (st == REEVE_OK)
        st = reeve_checkpoint_commit(dir, step, epoch, &meta, parts, part_count, queue, sizeof(queue), digest, err);
    return st;
}

static inline void path_in(const char *dir, uint64_t step, const char *file, char path[512])
{
    char folder[400];
    reeve_checkpoint_dir(dir, step, folder, sizeof(folder));
    (void)snprintf(path, 512, "%s/%s", folder, file);
}

/* Open, and verify every byte. */
static inline reeve_status verify(const char *dir, uint64_t step, struct reeve_error *err)
{
    reeve_checkpoint *c;
    reeve_status st = reeve_checkpoint_open(dir, step, NULL, &c, err);
    if (st != REEVE_OK) return st;
    st = reeve_checkpoint_verify(c, NULL, err);
    reeve_checkpoint_close(c);
    return st;
}

#endif
