/* Checkpoints: what was saved comes back to the bit, whoever wrote it in how many parts; what was damaged is refused
 * and named; and there is no moment at which a name stands for half a checkpoint. */
#include "checkpoint_fixture.h"

/* --- promises ----------------------------------------------------------------------------------------------------- */

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
{ /* Goal: a step that is saved again is the new one; the old one is there until a sweep. */
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
    assert_true(reeve_path_exists(old));
    OK(reeve_checkpoint_sweep(f->dir, &(uint64_t){5}, 1, &err));
    assert_false(reeve_path_exists(old));
    /* A commit that died between two renames. */
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

static void make_old(const char *folder, int first, int last)
{
    char old[600];
    for (int epoch = first; epoch <= last; epoch++) {
        (void)snprintf(old, sizeof(old), "%s.old-%d", folder, epoch);
        assert_int_equal(mkdir(old, 0777), 0);
    }
}

static void checkpoint_moved_aside_is_found_among_others(void **state)
{ /* Goal: opened, and given its name back. Method: others of the step, in whatever order the folder is read. */
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_digest digest;
    struct state s;
    reeve_checkpoint *c;
    char old[600], folder[512];
    state_create(&s, f, false);
    OK(save(f->dir, 5, 1, &s, 1, &digest, &err));
    reeve_checkpoint_dir(f->dir, 5, folder, sizeof(folder));
    (void)snprintf(old, sizeof(old), "%s.old-20", folder);
    make_old(folder, 1, 9);
    assert_int_equal(rename(folder, old), 0);
    make_old(folder, 10, 19);
    OK(reeve_checkpoint_open(f->dir, 5, NULL, &c, &err));
    reeve_checkpoint_close(c);
    OK(reeve_checkpoint_sweep(f->dir, &(uint64_t){5}, 1, &err));
    OK(verify(f->dir, 5, &err));
    (void)snprintf(old, sizeof(old), "%s.old-3", folder);
    assert_false(reeve_path_exists(old));
    state_destroy(&s);
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
        CHECKPOINT_TEST(checkpoint_commit_refuses_what_was_not_reported),
        CHECKPOINT_TEST(checkpoint_tensor_in_two_parts_is_refused),
        CHECKPOINT_TEST(checkpoint_bad_tensor_is_refused_before_a_file_is_made),
        CHECKPOINT_TEST(checkpoint_replaces_one_of_the_same_step),
        CHECKPOINT_TEST(checkpoint_moved_aside_is_found_among_others),
        CHECKPOINT_TEST(checkpoint_sweep_removes_what_nobody_needs),
        CHECKPOINT_TEST(checkpoint_assign_is_even_and_repeatable),
        CHECKPOINT_TEST(weights_digest_knows_every_bit_and_no_order),
        CHECKPOINT_TEST(checkpoint_files_are_read_by_h5dump),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
