/* What a run computes on: a table of what each rank found, and the job. */
#include "run/device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define RANKS 6

static struct reeve_job job;
static struct reeve_device_place places[RANKS];

/* The master and five workers on two hosts: a master and workers 1, 2, 4 on h0, 3 and 5 on h1. */
static int setup(void **state)
{
    static const char *const hosts[RANKS] = {"h0", "h0", "h0", "h1", "h0", "h1"};
    memset(&job, 0, sizeof(job));
    memcpy(job.workload, "gpt", 4);
    for (uint32_t i = 0; i < RANKS; i++) {
        memset(&places[i], 0, sizeof(places[i]));
        (void)snprintf(places[i].host, sizeof(places[i].host), "%s", hosts[i]);
        (void)snprintf(places[i].gpu, sizeof(places[i].gpu), "X100");
        places[i].gpu_count = strcmp(hosts[i], "h0") == 0 ? 3 : 2;
        places[i].can_cuda = 1;
    }
    return 0;
}

static reeve_status choose(uint32_t self, bool has_device, struct reeve_device_choice *out, struct reeve_error *err)
{
    return reeve_device_choose(&job, has_device, places, RANKS, 1, self, out, err);
}

static void device_index_counts_the_workers_of_a_host(void **state)
{
    static const uint32_t expected[RANKS] = {0, 0, 1, 0, 2, 1};
    struct reeve_device_choice c;
    struct reeve_error err = {0};
    for (uint32_t wish = REEVE_DEVICE_AUTO; wish <= REEVE_DEVICE_CUDA; wish += 2) {
        job.resources.device = wish;
        for (uint32_t self = 0; self < RANKS; self++) {
            assert_int_equal(choose(self, true, &c, &err), REEVE_OK);
            assert_true(c.cuda);
            assert_int_equal(c.index, expected[self]);
            assert_string_equal(c.gpu, "X100");
            assert_string_equal(c.why, "computing on 5 GPUs: X100");
        }
    }
}

static void device_alone_is_its_own_worker(void **state)
{
    struct reeve_device_choice c;
    struct reeve_error err = {0};
    assert_int_equal(reeve_device_choose(&job, true, &places[5], 1, 0, 0, &c, &err), REEVE_OK);
    assert_true(c.cuda);
    assert_int_equal(c.index, 0);
    assert_string_equal(c.why, "computing on 1 GPU: X100");
}

/* Goal: all compute on the same, or nobody. Method: one rank lacks something; with auto all take the CPU and say why;
 * with cuda it is refused, with the same words. */
static void all_lack(bool has_device, const char *words)
{
    struct reeve_device_choice c;
    struct reeve_error err = {0};
    for (uint32_t self = 0; self < RANKS; self++) {
        job.resources.device = REEVE_DEVICE_AUTO;
        assert_int_equal(choose(self, has_device, &c, &err), REEVE_OK);
        assert_false(c.cuda);
        assert_int_equal(strncmp(c.why, "computing on CPUs: ", 19), 0);
        if (strstr(c.why, words) == NULL) fail_msg("'%s' is not in '%s'", words, c.why);
        job.resources.device = REEVE_DEVICE_CUDA;
        assert_int_equal(choose(self, has_device, &c, &err), REEVE_JOB_DEVICE);
        assert_false(c.cuda);
        if (strstr(err.text, words) == NULL) fail_msg("'%s' is not in '%s'", words, err.text);
        job.resources.device = REEVE_DEVICE_AUTO;
        job.train.precision = REEVE_PRECISION_BF16;
        assert_int_equal(choose(self, has_device, &c, &err), REEVE_JOB_DEVICE);
        if (strstr(err.text, words) == NULL) fail_msg("'%s' is not in '%s'", words, err.text);
        job.train.precision = REEVE_PRECISION_AUTO;
        job.resources.device = REEVE_DEVICE_CPU;
        assert_int_equal(choose(self, has_device, &c, &err), REEVE_OK);
        assert_false(c.cuda);
        assert_string_equal(c.why, "");
    }
}

static void device_is_the_same_for_all(void **state)
{
    all_lack(false, "workload gpt computes on CPUs only");
    places[1].gpu_count = places[2].gpu_count = places[4].gpu_count = 2;
    all_lack(true, "host h0: 3 workers, 2 GPUs; NCCL does not share a GPU: lower resources.workers");
    (void)setup(state);
    places[3].gpu_count = places[5].gpu_count = 1;
    all_lack(true, "host h1: 2 workers, 1 GPU; NCCL");
    (void)setup(state);
    places[5].gpu_count = 0;
    all_lack(true, "host h1: CUDA finds no GPU: look at");
    (void)snprintf(places[5].trouble, sizeof(places[5].trouble), "driver too old");
    all_lack(true, "host h1: CUDA finds no GPU, and says: driver too old: look at nvidia-smi");
    (void)setup(state);
    places[4].can_cuda = 0;
    all_lack(true, "host h0 runs reeve-rank, which has no CUDA");
    (void)setup(state);
    places[0].can_cuda = places[0].gpu_count = 0; /* the master needs none */
    struct reeve_device_choice c;
    struct reeve_error err = {0};
    assert_int_equal(choose(0, true, &c, &err), REEVE_OK);
    assert_true(c.cuda);
}

static void device_absence_is_nothing_to_talk_about(void **state)
{
    struct reeve_device_choice c;
    struct reeve_error err = {0};
    for (uint32_t i = 0; i < RANKS; i++)
        places[i].gpu_count = 0;
    assert_int_equal(choose(1, true, &c, &err), REEVE_OK);
    assert_false(c.cuda);
    assert_string_equal(c.why, "");
    places[4].has_driver = 1; /* but a driver whose GPU cannot be used is */
    assert_int_equal(choose(1, true, &c, &err), REEVE_OK);
    assert_false(c.cuda);
    assert_non_null(strstr(c.why, "computing on CPUs: host h0: CUDA finds no GPU"));
    memset(job.workload, 0, sizeof(job.workload));
    memcpy(job.workload, "exec", 5);
    job.resources.device = REEVE_DEVICE_CUDA; /* a list computes nothing itself */
    assert_int_equal(choose(1, false, &c, &err), REEVE_OK);
    assert_false(c.cuda);
}

static void device_types_that_differ_are_said_to(void **state)
{
    struct reeve_device_choice c;
    struct reeve_error err = {0};
    (void)snprintf(places[4].gpu, sizeof(places[4].gpu), "Y200");
    assert_int_equal(choose(2, true, &c, &err), REEVE_OK);
    assert_true(c.cuda);
    assert_string_equal(c.why, "computing on 5 GPUs of several types, one of them X100"); /* run/kinds.c has the rest */
}

static void device_words_of_another_rank_end(void **state)
{
    struct reeve_device_place p;
    memset(&p, 'x', sizeof(p));
    reeve_device_place_check(&p);
    assert_int_equal(strlen(p.host), sizeof(p.host) - 1);
    assert_int_equal(strlen(p.gpu), sizeof(p.gpu) - 1);
    assert_int_equal(strlen(p.trouble), sizeof(p.trouble) - 1);
    assert_int_equal(strlen(p.libraries), sizeof(p.libraries) - 1);
    assert_int_equal(strlen(p.build.model), sizeof(p.build.model) - 1);
    (void)snprintf(p.host, sizeof(p.host), "h0\nreeve: all is well");
    reeve_device_place_check(&p);
    assert_string_equal(p.host, "h0 reeve: all is well");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(device_index_counts_the_workers_of_a_host, setup),
        cmocka_unit_test_setup(device_alone_is_its_own_worker, setup),
        cmocka_unit_test_setup(device_is_the_same_for_all, setup),
        cmocka_unit_test_setup(device_absence_is_nothing_to_talk_about, setup),
        cmocka_unit_test_setup(device_types_that_differ_are_said_to, setup),
        cmocka_unit_test_setup(device_words_of_another_rank_end, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
