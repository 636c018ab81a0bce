/* Goal: `reeve run` changes nothing in the folder of a run that somebody else has, whatever the clocks say. Method: an owner
 * on another machine whose clock is 200 s behind, which refreshes its lock; no second is slept (quick_clock.h). */
#include "../store/store_fixture.h"

#include "../store/quick_clock.h"
#include "base/clock.h"
#include "run/prepare.h"

static const char job_text[] = "name: owned\nworkload: gpt\nseed: 7\n"
                               "data: {manifest: shards.yaml, sequence: 16}\n"
                               "train: {steps: 40, global_batch: 8, micro_batch: 2}\n"
                               "model: {layers: 1, heads: 2, width: 16}\n"
                               "optimizer: {kind: adamw, lr: 1.0e-3}\n";
static const char shards_text[] = "dataset: owned\nformat: text\ntokenizer: bytes\nshards:\n  - path: text.txt\n";

static struct {
    char path[512];
    bool lives;
} owner;

static void touch(void *arg)
{
    (void)arg;
    const struct timespec t = {.tv_sec = time(NULL) + quick_clock_skipped_s() - 200};
    if (owner.lives) assert_int_equal(utimensat(AT_FDCWD, owner.path, (struct timespec[2]){t, t}, 0), 0);
}

static void own_elsewhere(const char *run_dir, const char *role)
{
    static const char record[] = "{\"host\": \"node17\", \"pid\": 7, \"start\": 12, \"boot\": \"b/1\", \"since\": "
                                 "\"2026-01-01T00:00:00Z\", \"nonce\": \"0123456789abcdef\"}\n";
    (void)snprintf(owner.path, sizeof(owner.path), "%s/%s", run_dir, role);
    file_store(owner.path, record, sizeof(record) - 1);
    owner.lives = true;
    touch(NULL);
    quick_clock_at_wake(touch, NULL);
}

static reeve_status prepare(const char *job, const char *run_dir, const char *set, struct reeve_error *err)
{
    static struct reeve_prepared p;
    reeve_status st = reeve_prepare(job, &set, set != NULL, run_dir, 0, &p, err);
    if (st == REEVE_OK) reeve_prepared_fini(&p);
    return st;
}

static void check_role(struct fixture *f, const char *role)
{
    struct reeve_error err;
    char job[300], run_dir[300], stored[600], path[300], text[2000];
    size_t n, now;
    (void)unsetenv("SLURM_JOB_ID");
    (void)snprintf(path, sizeof(path), "%s/text.txt", f->dir);
    memset(text, 'x', sizeof(text));
    file_store(path, text, sizeof(text));
    (void)snprintf(path, sizeof(path), "%s/shards.yaml", f->dir);
    file_store(path, shards_text, strlen(shards_text));
    (void)snprintf(job, sizeof(job), "%s/job.yaml", f->dir);
    file_store(job, job_text, strlen(job_text));
    (void)snprintf(run_dir, sizeof(run_dir), "%s/run", f->dir);
    OK(prepare(job, run_dir, NULL, &err));
    (void)snprintf(stored, sizeof(stored), "%s/job.yaml", run_dir);
    uint8_t *before = file_load(stored, &n);
    own_elsewhere(run_dir, role);
    FAILS(prepare(job, run_dir, "checkpoint.keep=1", &err), REEVE_STORE_IN_USE);
    uint8_t *after = file_load(stored, &now);
    assert_true(n == now && memcmp(before, after, n) == 0);
    free(after);
    owner.lives = false; /* from now on nobody touches it */
    OK(prepare(job, run_dir, "checkpoint.keep=1", &err));
    after = file_load(stored, &now);
    assert_false(n == now && memcmp(before, after, n) == 0);
    assert_int_not_equal(access(owner.path, F_OK), 0);
    free(after);
    free(before);
}

static void job_of_a_living_master_stays(void **state)
{
    check_role(*state, "LOCK");
}

static void job_of_a_living_supervisor_stays(void **state)
{
    check_role(*state, "LOCK.supervisor");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(job_of_a_living_master_stays, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(job_of_a_living_supervisor_stays, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
