/* File systems whose attributes a host keeps for a while (NFS, FUSE) give the bytes of now and the times of before. Goal: no
 * micro-batch is computed on other bytes there either. Method: the linker puts our fstat() before the C library's; it keeps
 * what it has answered. statx() is asked past such a cache. */
#include "shard_fixture.h"

int __real_fstat(int fd, struct stat *out);
int __wrap_fstat(int fd, struct stat *out);

static struct stat kept; /* of this inode; 0: nothing is kept */

int __wrap_fstat(int fd, struct stat *out)
{
    int rc = __real_fstat(fd, out);
    if (rc == 0 && kept.st_ino != 0 && out->st_ino == kept.st_ino && out->st_dev == kept.st_dev) *out = kept;
    return rc;
}

static reeve_status read_at(reeve_shard_cache *c, uint64_t at, int32_t *token, struct reeve_error *err)
{
    int32_t tokens[SAMPLE_TOKENS];
    const struct reeve_sample sample = {.shard = {0}, .token_offset = at};
    reeve_status st = reeve_shard_read(c, &sample, SAMPLE_TOKENS - 1, tokens, err);
    if (st == REEVE_OK) *token = tokens[0];
    return st;
}

static void change_that_kept_attributes_hide_is_found_before_it_is_used(void **state)
{
    struct shard_rig *r = rig_new(*state);
    struct reeve_error err;
    int32_t token = -1;
    reeve_shard_cache *c = rig_process(r, ""), *other = rig_process(r, "");
    READS(c, 1);
    assert_true(reeve_shards_still_verified(c));
    assert_int_equal(stat(r->source, &kept), 0);
    READS(c, 0);
    assert_true(reeve_shards_still_verified(c));
    tick();
    flip_in_place(r->source, 500);
    OK(read_at(c, 500, &token, &err));
    assert_int_not_equal(token, r->text[500]); /* so it would be computed on */
    assert_false(reeve_shards_still_verified(c));
    FAILS(read_at(c, 500, &token, &err), REEVE_INPUT_CHANGED);
    FAILS(read_at(other, 500, &token, &err), REEVE_INPUT_CHANGED); /* its first look is not at what is kept */
    kept.st_ino = 0;
    flip_in_place(r->source, 500);
    READS(c, 1);
    assert_true(reeve_shards_still_verified(c));
    assert_int_equal(stat(r->source, &kept), 0);
    tick();
    assert_int_equal(chmod(r->source, 0600), 0); /* touched, no more: read again, and all goes on */
    OK(read_at(c, 500, &token, &err));
    assert_false(reeve_shards_still_verified(c));
    kept.st_ino = 0;
    READS(c, 1);
    assert_true(reeve_shards_still_verified(c));
    reeve_shard_cache_destroy(other);
    reeve_shard_cache_destroy(c);
    rig_free(r);
}

static void file_that_made_room_was_asked_for_before(void **state)
{ /* Method: a cache of one file, two shards: the first is closed when the second is read. */
    struct shard_rig *r = rig_new(*state);
    struct reeve_error err;
    int32_t tokens[SAMPLE_TOKENS];
    char second[600], paths[] = "text\0more";
    (void)snprintf(second, sizeof(second), "%s/more", r->f->dir);
    file_store(second, r->text, SHARD_BYTES);
    struct reeve_shard shards[2] = {r->shard, r->shard};
    shards[0].path_offset = 0;
    shards[1].path_offset = sizeof("text");
    struct reeve_manifest manifest = r->manifest;
    manifest.shards = shards;
    manifest.shard_count = 2;
    manifest.paths = paths;
    manifest.paths_bytes = sizeof(paths);
    const struct reeve_shard_config config = {
        .manifest = &manifest, .cache_dir = "", .run_dir = r->run_dir, .open_max = 1};
    reeve_shard_cache *c = NULL;
    OK(reeve_shard_cache_create(&config, &c, &err));
    const struct reeve_sample samples[2] = {{.shard = {0}}, {.shard = {1}}};
    OK(reeve_shard_read(c, &samples[0], SAMPLE_TOKENS - 1, tokens, &err));
    assert_int_equal(stat(r->source, &kept), 0);
    tick();
    flip_in_place(r->source, 7);
    OK(reeve_shard_read(c, &samples[0], SAMPLE_TOKENS - 1, tokens, &err));
    OK(reeve_shard_read(c, &samples[1], SAMPLE_TOKENS - 1, tokens, &err));
    assert_false(reeve_shards_still_verified(c));
    assert_true(reeve_shards_still_verified(c)); /* told once */
    kept.st_ino = 0;
    reeve_shard_cache_destroy(c);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(change_that_kept_attributes_hide_is_found_before_it_is_used, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(file_that_made_room_was_asked_for_before, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
