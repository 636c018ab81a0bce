/* Checkpoints: what was saved comes back to the bit, whoever wrote it in how many parts; what was damaged is refused
 * and named; and there is no moment at which a name stands for half a checkpoint. */
#include <sched.h>

#include "store_fixture.h"

#include "store/checkpoint.h"

#define TENSORS 9

/* --- a state to save ------------------------------------------------------------------------------------------------
 */

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

static void state_create(struct state *s, struct fixture *f, bool with_big)
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

static void state_destroy(struct state *s)
{
    for (uint32_t i = 0; i < TENSORS; i++)
        free(s->tensors[i].data);
}

/* The same shapes with other contents, to be read into. */
static void state_like(struct state *copy, const struct state *s)
{
    *copy = *s;
    for (uint32_t i = 0; i < TENSORS; i++) {
        copy->tensors[i].data = aligned_alloc(64, (s->bytes[i] + 63) / 64 * 64);
        memset(copy->tensors[i].data, 0xa5, s->bytes[i]);
    }
}

static void assert_same_state(const struct state *a, const struct state *b)
{
    for (uint32_t i = 0; i < TENSORS; i++)
        if (memcmp(a->tensors[i].data, b->tensors[i].data, a->bytes[i]) != 0)
            fail_msg("tensor %s differs", a->tensors[i].name);
}

static struct reeve_checkpoint_meta meta_of(const struct state *s, uint64_t step)
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

static reeve_status write_parts(const char *dir, uint64_t step, uint32_t epoch, const struct state *s,
                                uint32_t part_count, struct reeve_checkpoint_part *parts, struct reeve_error *err)
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

static reeve_status save(const char *dir, uint64_t step, uint32_t epoch, const struct state *s, uint32_t part_count,
                         struct reeve_digest *digest, struct reeve_error *err)
{
    struct reeve_checkpoint_part parts[16];
    struct reeve_checkpoint_meta meta = meta_of(s, step);
    reeve_status st = reeve_checkpoint_begin(dir, step, epoch, err);
    if (st == REEVE_OK) st = write_parts(dir, step, epoch, s, part_count, parts, err);
    if (st == REEVE_OK)
        st = reeve_checkpoint_commit(dir, step, epoch, &meta, parts, part_count, queue, sizeof(queue), digest, err);
    return st;
}

static void path_in(const char *dir, uint64_t step, const char *file, char path[512])
{
    char folder[400];
    reeve_checkpoint_dir(dir, step, folder, sizeof(folder));
    (void)snprintf(path, 512, "%s/%s", folder, file);
}

/* Open, and verify every byte. */
static reeve_status verify(const char *dir, uint64_t step, struct reeve_error *err)
{
    reeve_checkpoint *c;
    reeve_status st = reeve_checkpoint_open(dir, step, NULL, &c, err);
    if (st != REEVE_OK) return st;
    st = reeve_checkpoint_verify(c, NULL, err);
    reeve_checkpoint_close(c);
    return st;
}

/* The same for a file of step 1 that is changed many times: a part does not need the index opened anew each time. */
static reeve_status verify_file(struct fixture *f, reeve_checkpoint *c, const char *file, struct reeve_error *err)
{
    return strcmp(file, "index.h5") == 0 ? verify(f->dir, 1, err) : reeve_checkpoint_verify(c, NULL, err);
}

/* --- promises -------------------------------------------------------------------------------------------------------
 */

static void checkpoint_comes_back_from_any_number_of_parts(void **state)
{ /* Goal: all bytes, all attributes, any division. Method: save in 1, 2, 3, 5 and 12 parts (some empty), read whole. */
    struct fixture *f = *state;
    struct reeve_error err;
    struct state s, back;
    const uint32_t counts[] = {1, 2, 3, 5, 12};
    state_create(&s, f, true);
    for (uint32_t n = 0; n < 5; n++) {
        struct reeve_digest digest;
        reeve_checkpoint *c;
        uint64_t step = 100 + n, digest64, bytes = 0;
        OK(save(f->dir, step, 7, &s, counts[n], &digest, &err));
        memcpy(&digest64, digest.bytes, 8);
        OK(reeve_checkpoint_open(f->dir, step, &digest64, &c, &err));
        OK(reeve_checkpoint_verify(c, &bytes, &err));
        assert_true(bytes > s.bytes[5]);
        struct reeve_checkpoint_meta meta = meta_of(&s, step);
        assert_memory_equal(reeve_checkpoint_meta(c), &meta, sizeof(meta));
        size_t queue_bytes;
        assert_memory_equal(reeve_checkpoint_queue(c, &queue_bytes), queue, sizeof(queue));
        assert_int_equal(queue_bytes, sizeof(queue));
        state_like(&back, &s);
        OK(reeve_checkpoint_read(c, back.tensors, TENSORS, &err));
        assert_same_state(&s, &back);
        state_destroy(&back);
        reeve_checkpoint_close(c);
        digest64 ^= 1;
        FAILS(reeve_checkpoint_open(f->dir, step, &digest64, &c, &err), REEVE_STORE_CORRUPT);
    }
    state_destroy(&s);
}

static void checkpoint_lists_its_tensors_model_first_by_name(void **state)
{
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_digest digest;
    struct state s;
    reeve_checkpoint *c;
    const char *names[TENSORS] = {
        "big",       "h.0.attn.c_attn.weight", "h.0.ln_1.bias", "h.10.mlp", "h.2.mlp", "wte.weight", "block", "h.2.mlp",
        "wte.weight"};
    state_create(&s, f, false);
    OK(save(f->dir, 1, 1, &s, 3, &digest, &err));
    OK(reeve_checkpoint_open(f->dir, 1, NULL, &c, &err));
    assert_int_equal(reeve_checkpoint_tensor_count(c), TENSORS);
    for (uint32_t i = 0; i < TENSORS; i++) {
        struct reeve_tensor t;
        reeve_checkpoint_tensor(c, i, &t);
        assert_string_equal(t.name, names[i]);
        assert_int_equal(t.group, i < 6 ? REEVE_TENSOR_MODEL : REEVE_TENSOR_OPTIMIZER);
        assert_null(t.data);
    }
    reeve_checkpoint_close(c);
    state_destroy(&s);
}

static void checkpoint_of_another_model_is_not_read(void **state)
{
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_digest digest;
    struct state s;
    reeve_checkpoint *c;
    state_create(&s, f, false);
    OK(save(f->dir, 1, 1, &s, 2, &digest, &err));
    OK(reeve_checkpoint_open(f->dir, 1, NULL, &c, &err));
    FAILS(reeve_checkpoint_read(c, s.tensors, TENSORS - 1, &err), REEVE_STORE_MISMATCH);
    s.tensors[0].shape[0] = 7;
    s.tensors[0].shape[1] = 33; /* as many bytes */
    FAILS(reeve_checkpoint_read(c, s.tensors, TENSORS, &err), REEVE_STORE_MISMATCH);
    assert_non_null(strstr(err.text, "wte.weight"));
    s.tensors[0].shape[0] = 33;
    s.tensors[0].shape[1] = 7;
    s.tensors[0].name[0] = 'x';
    FAILS(reeve_checkpoint_read(c, s.tensors, TENSORS, &err), REEVE_STORE_MISMATCH);
    reeve_checkpoint_close(c);
    state_destroy(&s);
}

static void find_every_flip(struct fixture *f, const char *file)
{
    struct reeve_error err;
    reeve_checkpoint *c;
    char path[512];
    path_in(f->dir, 1, file, path);
    size_t n;
    uint8_t *bytes = file_load(path, &n);
    OK(reeve_checkpoint_open(f->dir, 1, NULL, &c, &err));
    for (size_t i = 0; i < n; i++) {
        uint8_t flipped = bytes[i] ^ (uint8_t)(1 + draw(f, 255));
        file_poke(path, i, &flipped, 1);
        reeve_status st = verify_file(f, c, file, &err);
        if (st != REEVE_STORE_CORRUPT) fail_msg("byte %zu of %zu of %s: %s", i, n, path, reeve_status_name(st));
        assert_non_null(strstr(err.text, file));
        file_poke(path, i, &bytes[i], 1);
    }
    reeve_checkpoint_close(c);
    OK(verify(f->dir, 1, &err));
    free(bytes);
}

/* Step 1, in one part of two small tensors: few enough bytes to try every one. */
static void save_small(struct fixture *f, const struct state *s)
{
    struct reeve_error err;
    struct reeve_digest digest;
    struct reeve_checkpoint_part part;
    struct reeve_checkpoint_meta meta = meta_of(s, 1);
    OK(reeve_checkpoint_begin(f->dir, 1, 1, &err));
    OK(reeve_checkpoint_write_part(f->dir, 1, 1, 0, &s->tensors[3], 2, &part, &err));
    OK(reeve_checkpoint_commit(f->dir, 1, 1, &meta, &part, 1, queue, sizeof(queue), &digest, &err));
}

static void checkpoint_finds_every_flipped_byte(void **state)
{ /* Goal: no byte of index or part is unguarded. Method: small files, each byte changed by a random difference. */
    struct fixture *f = *state;
    struct state s;
    state_create(&s, f, false);
    save_small(f, &s);
    find_every_flip(f, "index.h5");
    find_every_flip(f, "rank-00000.h5");
    state_destroy(&s);
}

static void checkpoint_damage_is_met_when_it_is_read(void **state)
{ /* Goal: restoring does not need verify: the damaged block is named. Method: flip bytes in blocks of the big tensor.
   */
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_digest digest;
    struct state s, back;
    reeve_checkpoint *c;
    char path[512], expected[64];
    state_create(&s, f, true);
    OK(save(f->dir, 1, 1, &s, 1, &digest, &err));
    path_in(f->dir, 1, "rank-00000.h5", path);
    size_t n;
    uint8_t *bytes = file_load(path, &n);
    uint8_t *big = memmem(bytes, n, s.tensors[5].data, 4096);
    assert_non_null(big);
    state_like(&back, &s);
    const uint64_t blocks[] = {0, 1, 15, 16, 17};
    for (uint32_t i = 0; i < 5; i++) {
        size_t at =
            (size_t)(big - bytes) + blocks[i] * REEVE_CHECKPOINT_BLOCK_BYTES + (blocks[i] < 17 ? draw(f, 1u << 20) : 3);
        uint8_t flipped = bytes[at] ^ 0x10;
        file_poke(path, at, &flipped, 1);
        OK(reeve_checkpoint_open(f->dir, 1, NULL, &c, &err));
        FAILS(reeve_checkpoint_read(c, back.tensors, TENSORS, &err), REEVE_STORE_CORRUPT);
        (void)snprintf(expected, sizeof(expected), "tensor big is damaged in its block %llu ",
                       (unsigned long long)blocks[i]);
        assert_non_null(strstr(err.text, expected));
        assert_non_null(strstr(err.text, path));
        reeve_checkpoint_close(c);
        file_poke(path, at, &bytes[at], 1);
    }
    free(bytes);
    state_destroy(&back);
    state_destroy(&s);
}

static void checkpoint_finds_every_truncation_and_missing_file(void **state)
{ /* Goal: a shorter file, a longer one and none at all are refused. Method: each length of small files. */
    struct fixture *f = *state;
    struct reeve_error err;
    struct state s;
    reeve_checkpoint *c;
    const char *files[] = {"index.h5", "rank-00000.h5"};
    state_create(&s, f, false);
    save_small(f, &s);
    OK(reeve_checkpoint_open(f->dir, 1, NULL, &c, &err));
    for (int i = 0; i < 2; i++) {
        char path[512];
        path_in(f->dir, 1, files[i], path);
        size_t n;
        uint8_t *bytes = file_load(path, &n);
        for (size_t length = n; length-- > 0;) {
            assert_int_equal(truncate(path, (off_t)length), 0);
            FAILS(verify_file(f, c, files[i], &err), REEVE_STORE_CORRUPT);
        }
        assert_int_equal(unlink(path), 0);
        FAILS(verify(f->dir, 1, &err), i == 0 ? REEVE_INPUT_MISSING : REEVE_STORE_CORRUPT);
        file_store(path, bytes, n);
        assert_int_equal(truncate(path, (off_t)n + 1), 0);
        FAILS(verify(f->dir, 1, &err), REEVE_STORE_CORRUPT);
        file_store(path, bytes, n);
        OK(verify(f->dir, 1, &err));
        free(bytes);
    }
    reeve_checkpoint_close(c);
    state_destroy(&s);
}

static void checkpoint_parts_of_two_checkpoints_do_not_mix(void **state)
{ /* Goal: a part that is whole, but of another save, is refused. Method: exchange parts of equal shape. */
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_digest digest;
    struct state a, b;
    char of_a[512], of_b[512];
    state_create(&a, f, false);
    state_create(&b, f, false);
    OK(save(f->dir, 1, 1, &a, 2, &digest, &err));
    OK(save(f->dir, 2, 1, &b, 2, &digest, &err));
    path_in(f->dir, 1, "rank-00001.h5", of_a);
    path_in(f->dir, 2, "rank-00001.h5", of_b);
    assert_int_equal(rename(of_b, of_a), 0);
    FAILS(verify(f->dir, 1, &err), REEVE_STORE_CORRUPT); /* another step */
    OK(save(f->dir, 2, 1, &b, 2, &digest, &err));
    path_in(f->dir, 2, "rank-00000.h5", of_b);
    size_t n;
    uint8_t *bytes = file_load(of_b, &n);
    OK(save(f->dir, 2, 1, &a, 2, &digest, &err));
    file_store(of_b, bytes, n); /* the same step, saved from another state */
    FAILS(verify(f->dir, 2, &err), REEVE_STORE_CORRUPT);
    assert_non_null(strstr(err.text, "rank-00000.h5"));
    free(bytes);
    state_destroy(&a);
    state_destroy(&b);
}

static void checkpoint_commit_refuses_what_was_not_reported(void **state)
{ /* Goal: nothing is committed over a part that is not what its writer said. Method: lie in each field. */
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_digest digest;
    struct reeve_checkpoint_part parts[2], lie[2];
    struct state s;
    char folder[512];
    state_create(&s, f, false);
    struct reeve_checkpoint_meta meta = meta_of(&s, 1);
    OK(reeve_checkpoint_begin(f->dir, 1, 1, &err));
    OK(write_parts(f->dir, 1, 1, &s, 2, parts, &err));
    for (int i = 0; i < 4; i++) {
        memcpy(lie, parts, sizeof(lie));
        if (i == 0) lie[1].file_bytes++;
        if (i == 1) lie[1].digest++;
        if (i == 2) lie[1].tensor_count++;
        if (i == 3) lie[1].part = 0;
        FAILS(reeve_checkpoint_commit(f->dir, 1, 1, &meta, lie, 2, NULL, 0, &digest, &err),
              i == 3 ? REEVE_JOB_INTERNAL : REEVE_STORE_CORRUPT);
    }
    reeve_checkpoint_dir(f->dir, 1, folder, sizeof(folder));
    assert_false(reeve_path_exists(folder));
    OK(reeve_checkpoint_commit(f->dir, 1, 1, &meta, parts, 2, NULL, 0, &digest, &err)); /* the attempt is not spoilt */
    OK(verify(f->dir, 1, &err));
    state_destroy(&s);
}

static void checkpoint_tensor_in_two_parts_is_refused(void **state)
{
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_digest digest;
    struct reeve_checkpoint_part parts[2];
    struct state s;
    state_create(&s, f, false);
    struct reeve_checkpoint_meta meta = meta_of(&s, 1);
    OK(reeve_checkpoint_begin(f->dir, 1, 1, &err));
    OK(reeve_checkpoint_write_part(f->dir, 1, 1, 0, s.tensors, 3, &parts[0], &err));
    OK(reeve_checkpoint_write_part(f->dir, 1, 1, 1, s.tensors + 2, 3, &parts[1], &err));
    FAILS(reeve_checkpoint_commit(f->dir, 1, 1, &meta, parts, 2, NULL, 0, &digest, &err), REEVE_STORE_CORRUPT);
    assert_non_null(strstr(err.text, s.tensors[2].name));
    state_destroy(&s);
}

static void checkpoint_bad_tensor_is_refused_before_a_file_is_made(void **state)
{
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_checkpoint_part part;
    const char *names[] = {"", ".", "..", "a/b", "A", "h 0"};
    float data[4] = {0};
    OK(reeve_checkpoint_begin(f->dir, 1, 1, &err));
    for (int i = 0; i < 6; i++) {
        struct reeve_tensor t = {.rank = 1, .shape = {4}, .data = data};
        (void)snprintf(t.name, sizeof(t.name), "%s", names[i]);
        FAILS(reeve_checkpoint_write_part(f->dir, 1, 1, 0, &t, 1, &part, &err), REEVE_INPUT_INVALID);
    }
    struct reeve_tensor bad[] = {
        {.name = "a", .rank = 0, .data = data},
        {.name = "a", .rank = 5, .shape = {1, 1, 1, 1}, .data = data},
        {.name = "a", .rank = 2, .shape = {4, 0}, .data = data},
        {.name = "a", .rank = 1, .shape = {4, 4}, .data = data},
        {.name = "a", .rank = 2, .shape = {1ull << 40, 1ull << 40}, .data = data},
        {.name = "a", .rank = 1, .shape = {4}, .group = 2, .data = data},
    };
    for (int i = 0; i < 6; i++)
        FAILS(reeve_checkpoint_write_part(f->dir, 1, 1, 0, &bad[i], 1, &part, &err), REEVE_INPUT_INVALID);
    struct reeve_tensor twice[] = {{.name = "a", .rank = 1, .shape = {4}, .data = data},
                                   {.name = "a", .rank = 1, .shape = {4}, .data = data}};
    FAILS(reeve_checkpoint_write_part(f->dir, 1, 1, 0, twice, 2, &part, &err), REEVE_STORE_CREATE);
}

static void checkpoint_replaces_one_of_the_same_step(void **state)
{ /* Goal: a step that is saved again is the new one, and nothing of the old is left. */
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_digest first, second;
    struct state a, b, back;
    reeve_checkpoint *c;
    char old[600], folder[512];
    state_create(&a, f, false);
    state_create(&b, f, false);
    OK(save(f->dir, 5, 1, &a, 3, &first, &err));
    OK(save(f->dir, 5, 2, &b, 2, &second, &err));
    state_like(&back, &b);
    uint64_t digest64;
    memcpy(&digest64, second.bytes, 8);
    OK(reeve_checkpoint_open(f->dir, 5, &digest64, &c, &err));
    OK(reeve_checkpoint_read(c, back.tensors, TENSORS, &err));
    assert_same_state(&b, &back);
    reeve_checkpoint_close(c);
    reeve_checkpoint_dir(f->dir, 5, folder, sizeof(folder));
    (void)snprintf(old, sizeof(old), "%s.old-2", folder);
    assert_false(reeve_path_exists(old));
    /* A commit that died between two renames, on a file system that cannot exchange names. */
    assert_int_equal(rename(folder, old), 0);
    OK(reeve_checkpoint_open(f->dir, 5, &digest64, &c, &err));
    reeve_checkpoint_close(c);
    OK(reeve_checkpoint_sweep(f->dir, &(uint64_t){5}, 1, &err));
    assert_true(reeve_path_exists(folder));
    OK(verify(f->dir, 5, &err));
    state_destroy(&a);
    state_destroy(&b);
    state_destroy(&back);
}

static void checkpoint_sweep_removes_what_nobody_needs(void **state)
{ /* Goal: kept steps stay whole, others go, and what is newer than all of them may be in the making. */
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_digest digest;
    struct state s;
    char folder[512], tmp[512];
    state_create(&s, f, false);
    for (uint64_t step = 1; step <= 5; step++)
        OK(save(f->dir, step, 1, &s, 1, &digest, &err));
    OK(reeve_checkpoint_begin(f->dir, 2, 1, &err)); /* left over */
    OK(reeve_checkpoint_begin(f->dir, 6, 1, &err)); /* being written */
    const uint64_t keep[] = {4, 2};
    OK(reeve_checkpoint_sweep(f->dir, keep, 2, &err));
    for (uint64_t step = 1; step <= 5; step++) {
        reeve_checkpoint_dir(f->dir, step, folder, sizeof(folder));
        bool expected = step == 2 || step >= 4;
        if (reeve_path_exists(folder) != expected) fail_msg("step %llu", (unsigned long long)step);
        if (expected) OK(verify(f->dir, step, &err));
    }
    reeve_checkpoint_tmp_dir(f->dir, 2, 1, tmp, sizeof(tmp));
    assert_false(reeve_path_exists(tmp));
    reeve_checkpoint_tmp_dir(f->dir, 6, 1, tmp, sizeof(tmp));
    assert_true(reeve_path_exists(tmp));
    reeve_checkpoint_abandon(f->dir, 6, 1);
    assert_false(reeve_path_exists(tmp));
    OK(reeve_checkpoint_sweep(f->dir, NULL, 0, &err));
    FAILS(verify(f->dir, 4, &err), REEVE_INPUT_MISSING);
    state_destroy(&s);
}

static void checkpoint_assign_is_even_and_repeatable(void **state)
{ /* Goal: every tensor has one part, and no part carries more than the mean and one tensor. Method: random shapes. */
    struct fixture *f = *state;
    for (int round = 0; round < 100; round++) {
        struct reeve_tensor tensors[64];
        uint32_t part_of[64], again[64], count = (uint32_t)draw(f, 65), parts = 1 + (uint32_t)draw(f, 20);
        uint64_t load[20] = {0}, total = 0, largest = 0;
        memset(tensors, 0, sizeof(tensors));
        for (uint32_t i = 0; i < count; i++) {
            tensors[i].rank = 1;
            tensors[i].shape[0] = 1 + draw(f, draw(f, 2) ? 10 : 100000);
        }
        reeve_checkpoint_assign(tensors, count, parts, part_of);
        reeve_checkpoint_assign(tensors, count, parts, again);
        for (uint32_t i = 0; i < count; i++) {
            assert_true(part_of[i] < parts);
            assert_int_equal(part_of[i], again[i]);
            load[part_of[i]] += tensors[i].shape[0];
            total += tensors[i].shape[0];
            if (tensors[i].shape[0] > largest) largest = tensors[i].shape[0];
        }
        for (uint32_t p = 0; p < parts; p++)
            assert_true(load[p] <= total / parts + largest);
    }
}

static void weights_digest_knows_every_bit_and_no_order(void **state)
{
    struct fixture *f = *state;
    struct state s;
    state_create(&s, f, false);
    const struct reeve_digest zero = {{0}}, before = reeve_weights_digest(s.tensors, TENSORS);
    assert_true(reeve_digest_equal(reeve_weights_digest(NULL, 0), zero));
    struct reeve_tensor kept = s.tensors[0];
    s.tensors[0] = s.tensors[8];
    s.tensors[8] = kept;
    assert_true(reeve_digest_equal(reeve_weights_digest(s.tensors, TENSORS), before));
    ((uint8_t *)s.tensors[0].data)[0] ^= 1; /* now an optimizer's */
    assert_true(reeve_digest_equal(reeve_weights_digest(s.tensors, TENSORS), before));
    for (uint32_t i = 1; i < 6; i++) {
        uint8_t *bit = (uint8_t *)s.tensors[i].data;
        *bit ^= 1;
        assert_false(reeve_digest_equal(reeve_weights_digest(s.tensors, TENSORS), before));
        *bit ^= 1;
    }
    s.tensors[1].shape[0] = 16;
    s.tensors[1].shape[1] = 48; /* the same bytes in another shape */
    assert_false(reeve_digest_equal(reeve_weights_digest(s.tensors, TENSORS), before));
    state_destroy(&s);
}

static void save_beyond_limit(struct fixture *f)
{
    struct reeve_error err;
    struct reeve_checkpoint_part part;
    struct state s;
    (void)signal(SIGXFSZ, SIG_IGN);
    state_create(&s, f, true);
    const rlim_t limits[] = {100, 4096, 1 << 20, 18 << 20};
    for (int i = 0; i < 4; i++) {
        struct rlimit limit = {limits[i], RLIM_INFINITY};
        char tmp[512];
        CHILD_CHECK(reeve_checkpoint_begin(f->dir, 1, 1, &err) == REEVE_OK);
        CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
        CHILD_CHECK(reeve_checkpoint_write_part(f->dir, 1, 1, 0, s.tensors, TENSORS, &part, &err) == REEVE_STORE_WRITE);
        CHILD_CHECK(strstr(err.text, "rank-00000.h5") != NULL && strstr(err.text, "--run-dir") != NULL);
        reeve_checkpoint_tmp_dir(f->dir, 1, 1, tmp, sizeof(tmp));
        strcat(tmp, "/rank-00000.h5");
        CHILD_CHECK(!reeve_path_exists(tmp));
    }
    struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
    struct reeve_digest digest;
    CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &none) == 0);
    CHILD_CHECK(save(f->dir, 1, 1, &s, 2, &digest, &err) == REEVE_OK && verify(f->dir, 1, &err) == REEVE_OK);
    state_destroy(&s);
    exit(0); /* with exit handlers: HDF5 must not crash in its own */
}

static void checkpoint_write_that_fails_leaves_nothing_and_says_why(void **state)
{ /* Goal: a limit is a message, not a crash, and the next attempt works. Method: limits on the size of files. */
    assert_int_equal(in_child(save_beyond_limit, *state), 0);
}

#define CHILD_SKIPS 77

static void save_to_full_disk(struct fixture *f)
{
    struct reeve_error err;
    struct reeve_digest digest;
    struct state s;
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", f->dir, "tmpfs", 0, "size=8m") != 0)
        _exit(CHILD_SKIPS);
    state_create(&s, f, false);
    CHILD_CHECK(save(f->dir, 1, 1, &s, 2, &digest, &err) == REEVE_OK);
    state_destroy(&s);
    state_create(&s, f, true);
    CHILD_CHECK(save(f->dir, 2, 1, &s, 1, &digest, &err) == REEVE_STORE_WRITE);
    CHILD_CHECK(strstr(err.text, "disk is full") != NULL && strstr(err.text, "--run-dir") != NULL);
    reeve_checkpoint_abandon(f->dir, 2, 1);
    CHILD_CHECK(verify(f->dir, 1, &err) == REEVE_OK);
    state_destroy(&s);
}

static void checkpoint_full_disk_loses_no_older_one(void **state)
{
    int rc = in_child(save_to_full_disk, *state);
    if (rc == CHILD_SKIPS) {
        printf("skipped: we may not mount a small file system here\n");
        skip();
    }
    assert_int_equal(rc, 0);
}

static void checkpoint_files_are_read_by_h5dump(void **state)
{
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_digest digest;
    struct state s;
    const char *files[] = {"index.h5", "rank-00000.h5", "rank-00001.h5"};
    state_create(&s, f, false);
    OK(save(f->dir, 1, 1, &s, 2, &digest, &err));
    state_destroy(&s);
    for (int i = 0; i < 3; i++) {
        char path[512];
        path_in(f->dir, 1, files[i], path);
        int reads = h5dump_reads(path, "");
        if (reads < 0) {
            printf("skipped: h5dump is not installed\n");
            skip();
        }
        if (reads == 0) fail_msg("h5dump does not read %s", path);
    }
}

int main(void)
{
#define CHECKPOINT_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CHECKPOINT_TEST(checkpoint_comes_back_from_any_number_of_parts),
        CHECKPOINT_TEST(checkpoint_lists_its_tensors_model_first_by_name),
        CHECKPOINT_TEST(checkpoint_of_another_model_is_not_read),
        CHECKPOINT_TEST(checkpoint_finds_every_flipped_byte),
        CHECKPOINT_TEST(checkpoint_damage_is_met_when_it_is_read),
        CHECKPOINT_TEST(checkpoint_finds_every_truncation_and_missing_file),
        CHECKPOINT_TEST(checkpoint_parts_of_two_checkpoints_do_not_mix),
        CHECKPOINT_TEST(checkpoint_commit_refuses_what_was_not_reported),
        CHECKPOINT_TEST(checkpoint_tensor_in_two_parts_is_refused),
        CHECKPOINT_TEST(checkpoint_bad_tensor_is_refused_before_a_file_is_made),
        CHECKPOINT_TEST(checkpoint_replaces_one_of_the_same_step),
        CHECKPOINT_TEST(checkpoint_sweep_removes_what_nobody_needs),
        CHECKPOINT_TEST(checkpoint_assign_is_even_and_repeatable),
        CHECKPOINT_TEST(weights_digest_knows_every_bit_and_no_order),
        CHECKPOINT_TEST(checkpoint_write_that_fails_leaves_nothing_and_says_why),
        CHECKPOINT_TEST(checkpoint_full_disk_loses_no_older_one),
        CHECKPOINT_TEST(checkpoint_files_are_read_by_h5dump),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
