/* The locked task list: what is written is read back, and every flipped, missing or added byte is found. */
#include "store/tasks_lock.h"

#include "store_fixture.h"

static struct reeve_error err;

static struct reeve_task_list *make_list(uint32_t count)
{
    struct reeve_task_list *l = NULL;
    OK(reeve_task_list_create(count, count - 1, (uint64_t)count * 32, &l, &err));
    uint64_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        l->entries[i] = (struct reeve_task_entry){.first_after = i == 0 ? 0 : i - 1,
                                                  .priority = (int32_t)i - 2,
                                                  .time_limit_s = i,
                                                  .attempts_max = (uint16_t)(1 + i % 5),
                                                  .kind = REEVE_TASK_EXEC};
        if (i > 0) l->afters[i - 1] = (i - 1) | (i % 2 ? REEVE_TASK_AFTER_ANY : 0);
        l->text_at[i] = used;
        used += (uint64_t)sprintf(l->text + used, "t.%u", i) + 1;
        used += (uint64_t)sprintf(l->text + used, "echo %u", i) + 1;
    }
    l->entries[count].first_after = count - 1;
    l->folder = strdup("/where/they start");
    l->digest = reeve_task_list_digest(l);
    OK(reeve_task_list_check(l, &err));
    return l;
}

static void tasks_lock_reads_back_what_was_written(void **state)
{
    struct fixture *f = *state;
    char path[300], again[300];
    (void)snprintf(path, sizeof(path), "%s/a.h5", f->dir);
    (void)snprintf(again, sizeof(again), "%s/b.h5", f->dir);
    static const uint32_t counts[] = {1, 2, 3, 1000};
    for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
        struct reeve_task_list *l = make_list(counts[c]), *back = NULL;
        size_t n = 0, m = 0;
        OK(reeve_tasks_lock_write(path, l, &err));
        OK(reeve_tasks_lock_write(again, l, &err));
        uint8_t *bytes = file_load(path, &n), *same = file_load(again, &m);
        assert_true(n == m && memcmp(bytes, same, n) == 0);
        OK(reeve_tasks_lock_read(path, &back, &err));
        assert_int_equal(back->task_count, l->task_count);
        assert_true(reeve_digest_equal(back->digest, l->digest));
        assert_true(reeve_digest_equal(reeve_task_list_digest(back), l->digest));
        assert_string_equal(back->folder, l->folder);
        assert_string_equal(reeve_task_list_command(back, counts[c] - 1), reeve_task_list_command(l, counts[c] - 1));
        assert_true(h5dump_reads(path, "-d /tasks") != 0);
        reeve_task_list_destroy(back);
        reeve_task_list_destroy(l);
        free(bytes);
        free(same);
    }
}

static void tasks_lock_finds_every_changed_byte(void **state)
{
    struct fixture *f = *state;
    char path[300];
    (void)snprintf(path, sizeof(path), "%s/c.h5", f->dir);
    struct reeve_task_list *l = make_list(7), *back = NULL;
    size_t n = 0;
    OK(reeve_tasks_lock_write(path, l, &err));
    uint8_t *bytes = file_load(path, &n);
    for (size_t at = draw(f, 3); at < n; at += 3) {
        uint8_t flipped = bytes[at] ^ (uint8_t)(1u << draw(f, 8));
        file_poke(path, at, &flipped, 1);
        reeve_status st = reeve_tasks_lock_read(path, &back, &err);
        if (st != REEVE_STORE_CORRUPT) fail_msg("byte %zu: %s", at, reeve_status_name(st));
        file_poke(path, at, &bytes[at], 1);
    }
    for (size_t cut = 0; cut < n; cut += 1 + n / 97) {
        file_store(path, bytes, cut);
        FAILS(reeve_tasks_lock_read(path, &back, &err), REEVE_STORE_CORRUPT);
    }
    file_store(path, bytes, n);
    OK(reeve_tasks_lock_read(path, &back, &err));
    reeve_task_list_destroy(back);
    (void)unlink(path);
    FAILS(reeve_tasks_lock_read(path, &back, &err), REEVE_INPUT_MISSING);
    free(bytes);
    reeve_task_list_destroy(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tasks_lock_reads_back_what_was_written, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(tasks_lock_finds_every_changed_byte, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
