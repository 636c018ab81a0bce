/* The locked manifest: what its digest covers and leaves out, and every bound of a hostile one. */
#include "fixture.h"

static struct reeve_manifest *fx_two(void)
{
    uint64_t tokens[2] = {100, 50};
    return fx_manifest(2, tokens, NULL);
}

static bool changes_digest(struct reeve_manifest *m, struct reeve_digest before)
{
    bool changed = !reeve_digest_equal(reeve_manifest_digest(m), before);
    reeve_manifest_destroy(m);
    return changed;
}

static void manifest_digest_covers_all_that_decides_what_a_plan_reads(void **state)
{
    struct reeve_manifest *m = fx_two();
    struct reeve_digest d = m->digest;
    assert_false(changes_digest(m, d));
    m = fx_two(), m->dataset[0] = 'F', assert_true(changes_digest(m, d));
    m = fx_two(), m->tokenizer[0] = 'B', assert_true(changes_digest(m, d));
    m = fx_two(), m->vocab = 257, assert_true(changes_digest(m, d));
    m = fx_two(), m->shard_count = 1, assert_true(changes_digest(m, d));
    m = fx_two(), m->paths[0] = 'S', assert_true(changes_digest(m, d));
    m = fx_two(), m->shards[1].format = REEVE_SHARD_HDF5, assert_true(changes_digest(m, d));
    m = fx_two(), m->shards[1].token_bytes = 2, assert_true(changes_digest(m, d));
    m = fx_two(), m->shards[1].weight = 2, assert_true(changes_digest(m, d));
    m = fx_two(), m->shards[0].token_count = 99, assert_true(changes_digest(m, d));
    m = fx_two(), m->shards[0].data_offset = 1, assert_true(changes_digest(m, d));
    for (int i = 0; i < 16; i++) m = fx_two(), m->shards[0].digest.bytes[i] ^= 0x80, assert_true(changes_digest(m, d));
    m = fx_two();
    struct reeve_shard swap = m->shards[0];
    m->shards[0] = m->shards[1];
    m->shards[1] = swap;
    assert_true(changes_digest(m, d)); /* the order of shards is part of it */
}

static void manifest_digest_leaves_out_where_and_how_shards_are_staged(void **state)
{
    struct reeve_manifest *m = fx_two();
    struct reeve_digest d = m->digest;
    m->shards[0].priority = 9;
    m->base_dir = strdup("/somewhere/else");
    m->digest.bytes[0] ^= 1;
    assert_false(changes_digest(m, d));
    m = fx_two();
    char *moved = calloc(1, m->paths_bytes + 8); /* the same paths at other places of the table */
    memcpy(moved + 8, m->paths, m->paths_bytes);
    free(m->paths);
    m->paths = moved;
    m->paths_bytes += 8;
    for (int i = 0; i < 2; i++) m->shards[i].path_offset += 8;
    assert_string_equal(reeve_manifest_path(m, (reeve_shard_id){1}), "shard-1");
    assert_false(changes_digest(m, d));
}

static void manifest_digest_is_the_same_on_every_machine(void **state)
{ /* Goal: the digest names contents across builds. Method: a value that was computed once. */
    struct reeve_manifest *m = fx_two();
    char hex[REEVE_DIGEST_HEX_BYTES];
    reeve_digest_hex(m->digest, hex);
    assert_string_equal(hex, "417d57e8316d40b84594f6ed6f0ad5b2");
    reeve_manifest_destroy(m);
}

static void refused(struct reeve_manifest *m, const char *named)
{
    struct reeve_error err = {0};
    assert_int_equal(reeve_manifest_check(m, &err), REEVE_INPUT_INVALID);
    if (strstr(err.text, named) == NULL) fail_msg("'%s' does not name %s", err.text, named);
    reeve_manifest_destroy(m);
}

static void manifest_check_takes_a_sound_one_and_names_every_bound(void **state)
{
    struct reeve_error err = {0};
    struct reeve_manifest *m = fx_two();
    m->shards[0].token_count = 0; /* an empty shard is legal here: the plan passes over it */
    assert_int_equal(reeve_manifest_check(m, &err), REEVE_OK);
    reeve_manifest_destroy(m);
    m = fx_two(), m->dataset[0] = 0, refused(m, "`dataset`");
    m = fx_two(), memset(m->dataset, 'x', sizeof(m->dataset)), refused(m, "`dataset`");
    m = fx_two(), m->tokenizer[0] = 0, refused(m, "`tokenizer`");
    m = fx_two(), memset(m->tokenizer, 'x', sizeof(m->tokenizer)), refused(m, "`tokenizer`");
    m = fx_two(), m->dataset[0] = '\033', refused(m, "one line"); /* a lock may be somebody else's, and is shown */
    m = fx_two(), m->tokenizer[0] = '\n', refused(m, "one line");
    m = fx_two(), m->paths[m->shards[1].path_offset] = '\r', refused(m, "shard 1");
    m = fx_two(), m->vocab = 0, refused(m, "vocabulary");
    m = fx_two(), m->shard_count = 0, refused(m, "no shard");
    m = fx_two(), m->paths_bytes = 0, refused(m, "paths");
    m = fx_two(), m->paths_bytes--, refused(m, "paths");
    m = fx_two(), m->shards[1].path_offset = m->paths_bytes, refused(m, "shard 1");
    m = fx_two(), m->shards[1].path_offset = UINT64_MAX, refused(m, "shard 1");
    m = fx_two(), m->shards[1].path_offset = m->paths_bytes - 1, refused(m, "empty path");
    m = fx_two(), m->paths = realloc(m->paths, 5000), memset(m->paths, 'x', 4999), m->paths[4999] = 0;
    m->paths_bytes = 5000, refused(m, "longer than any");
    m = fx_two(), m->shards[1].format = 0, refused(m, "shard-1");
    m = fx_two(), m->shards[1].format = 5, refused(m, "format 5");
    m = fx_two(), m->shards[1].token_bytes = 0, refused(m, "tokens of 0 bytes");
    m = fx_two(), m->shards[1].token_bytes = 2, refused(m, "tokens of 2 bytes"); /* text has one byte a token */
    m = fx_two(), m->shards[1].weight = 0, refused(m, "weight 0");
    m = fx_two(), m->shards[1].weight = REEVE_SHARD_WEIGHT_MAX + 1, refused(m, "weight 1001");
    m = fx_two(), m->shards[1].token_count = 51, refused(m, "51 tokens");
    m = fx_two(), m->shards[1].data_offset = 1, refused(m, "from byte 1");
    m = fx_two(), m->shards[1].data_offset = UINT64_MAX, refused(m, "do not fit"); /* the end must not wrap */
}

static void manifest_check_refuses_an_epoch_of_2_to_the_62_tokens(void **state)
{
    struct reeve_error err = {0};
    uint64_t just[2] = {((uint64_t)1 << 61) - 1, (uint64_t)1 << 61};
    struct reeve_manifest *m = fx_manifest(2, just, NULL);
    assert_int_equal(reeve_manifest_check(m, &err), REEVE_OK);
    m->shards[0].token_count++, m->shards[0].file_bytes++;
    refused(m, "2^62");
    uint64_t huge[1] = {UINT64_MAX};
    uint16_t weight[1] = {1000};
    refused(fx_manifest(1, huge, weight), "2^62");
}

static void manifest_destroy_takes_null(void **state)
{
    reeve_manifest_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(manifest_digest_covers_all_that_decides_what_a_plan_reads),
        cmocka_unit_test(manifest_digest_leaves_out_where_and_how_shards_are_staged),
        cmocka_unit_test(manifest_digest_is_the_same_on_every_machine),
        cmocka_unit_test(manifest_check_takes_a_sound_one_and_names_every_bound),
        cmocka_unit_test(manifest_check_refuses_an_epoch_of_2_to_the_62_tokens),
        cmocka_unit_test(manifest_destroy_takes_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
