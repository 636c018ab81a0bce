/* Do all workers compute the same bits? A table of what each rank said of itself, and the job. */
#include "run/kinds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "run/library_file.h"

#define RANKS 6
#define SAY(field, ...) (void)snprintf((field), sizeof(field), __VA_ARGS__)

static struct reeve_job job;
static struct reeve_device_place places[RANKS];
static struct reeve_kinds kinds;
static struct reeve_error err;

/* A master and five workers on two hosts, all alike. */
static int setup(void **state)
{
    (void)state;
    memset(&job, 0, sizeof(job));
    memset(places, 0, sizeof(places));
    memset(&kinds, 'k', sizeof(kinds));
    memset(&err, 0, sizeof(err));
    SAY(job.workload, "gpt");
    for (uint32_t i = 0; i < RANKS; i++) {
        SAY(places[i].host, "h%u", i / 3);
        SAY(places[i].gpu, "X100");
        SAY(places[i].libraries, "CUDA 13.0, NCCL 2.28.9");
        SAY(places[i].build.program, "reeve 0.1.0");
        SAY(places[i].build.compiler, "gcc 12.2, glibc 2.36");
        SAY(places[i].build.blas, "OpenBLAS 0.3.21");
        SAY(places[i].build.kernels, "SkylakeX");
        SAY(places[i].build.processor, "Xeon Gold 6148");
        SAY(places[i].build.model, "family 6 model 85");
    }
    return 0;
}

static reeve_status check(const char *library, bool cuda)
{
    return reeve_kinds_check(&job, library, cuda, places, RANKS, 1, &kinds, &err);
}

static void has(const char *text, const char *words)
{
    if (strstr(text, words) == NULL) fail_msg("'%s' is not in '%s'", words, text);
}

static void one_kind(const char *library, bool cuda, const char *build)
{
    assert_int_equal(check(library, cuda), REEVE_OK);
    assert_string_equal(kinds.build, build);
    assert_string_equal(kinds.mixed, "");
}

/* Refused with the exact sum, the table of results untouched; told with the other one. */
static void two_kinds(const char *library, bool cuda, const char *remedy)
{
    struct reeve_kinds before = kinds;
    job.train.reduce = REEVE_REDUCE_EXACT;
    assert_int_equal(check(library, cuda), REEVE_JOB_DEVICE);
    assert_memory_equal(&kinds, &before, sizeof(kinds));
    has(err.text, "worker 1 on host h0 and worker 4 on host h1 would not compute the same bits");
    has(err.text, remedy);
    job.train.reduce = REEVE_REDUCE_FAST;
    assert_int_equal(check(library, cuda), REEVE_OK);
    has(kinds.mixed, "worker 1 on host h0 and worker 4 on host h1 do not compute the same bits: ");
    assert_int_equal(strncmp(kinds.build, "mixed: reeve 0.1.0, ", 20), 0);
    kinds = before;
}

static void kinds_of_workers_that_are_alike_are_one(void **state)
{
    const char *cpu = "reeve 0.1.0, gcc 12.2, glibc 2.36, OpenBLAS 0.3.21 SkylakeX, Xeon Gold 6148 (family 6 model 85)";
    (void)state;
    one_kind("", false, cpu);
    SAY(places[0].build.kernels, "Prescott"); /* the master computes nothing, and what it is is nowhere on record */
    SAY(places[0].build.program, "reeve 0.2.0");
    SAY(places[0].gpu, "%s", "");
    one_kind("", false, cpu);
    one_kind("", true,
             "reeve 0.1.0, X100, CUDA 13.0, NCCL 2.28.9, gcc 12.2, glibc 2.36, OpenBLAS 0.3.21 SkylakeX, Xeon "
             "Gold 6148 (family 6 model 85)");
    one_kind("a.so 01", false,
             "reeve 0.1.0, a.so 01, gcc 12.2, glibc 2.36, OpenBLAS 0.3.21 SkylakeX, Xeon Gold 6148 "
             "(family 6 model 85)");
    assert_int_equal(reeve_kinds_check(&job, "", false, &places[4], 1, 0, &kinds, &err), REEVE_OK); /* alone */
    assert_string_equal(kinds.build, cpu);
}

static void kinds_by_kernels_are_told_with_those_that_all_can_run(void **state)
{
    (void)state;
    SAY(places[4].build.kernels, "Zen");
    SAY(places[4].build.processor, "EPYC 7763");
    two_kinds("", false, "export OPENBLAS_CORETYPE=Haswell before");
    has(err.text, "OpenBLAS 0.3.21 SkylakeX, Xeon Gold 6148 (family 6 model 85); and reeve 0.1.0");
    has(err.text, "OpenBLAS 0.3.21 Zen, EPYC 7763 (family 6 model 85): take nodes of one kind (Slurm: --constraint)");
    has(kinds.mixed, "");                        /* as it was before */
    SAY(places[5].build.kernels, "Sandybridge"); /* of all, not of the two that are named */
    two_kinds("", false, "OPENBLAS_CORETYPE=Sandybridge ");
    SAY(places[5].build.kernels, "a core of the future");
    two_kinds("", false, ": take nodes of one kind (Slurm: --constraint)");
    assert_null(strstr(err.text, "CORETYPE"));
}

/* Only what decides: a remedy that changes nothing would be none. */
static void kinds_are_told_by_what_computes(void **state)
{
    SAY(places[4].build.processor, "Xeon Gold 6152");
    assert_int_equal(check("", false), REEVE_OK);
    assert_int_equal(check("a.so 01", false), REEVE_OK); /* one model, two names */
    SAY(places[4].build.model, "family 25 model 1");
    assert_int_equal(check("", false), REEVE_OK);
    two_kinds("a.so 01", false, ": take nodes of one kind (Slurm: --constraint)");
    SAY(places[4].build.kernels, "Zen"); /* then other kernels would not mend it */
    two_kinds("a.so 01", false, ": take nodes of one kind (Slurm: --constraint)");
    assert_null(strstr(err.text, "CORETYPE"));
    assert_int_equal(check("", true), REEVE_OK); /* the products are the GPU's */

    (void)setup(state);
    SAY(places[4].gpu, "Y200");
    assert_int_equal(check("", false), REEVE_OK);
    two_kinds("", true, "--constraint), with the same libraries of CUDA");
    has(err.text, "X100, CUDA 13.0, NCCL 2.28.9, gcc");
    has(err.text, "Y200, CUDA 13.0, NCCL 2.28.9, gcc");
    (void)setup(state);
    SAY(places[4].libraries, "CUDA 13.0, NCCL 2.29.1");
    two_kinds("", true, "with the same libraries of CUDA");
    (void)setup(state);
    SAY(places[4].build.blas, "OpenBLAS 0.3.29");
    two_kinds("", false, ": let all hosts load the same OpenBLAS");
    (void)setup(state);
    SAY(places[4].build.compiler, "gcc 12.2, glibc 2.41");
    two_kinds("", false, ": let all hosts run one build of Reeve, with the same C library");
    two_kinds("", true, ": let all hosts run one build");
    (void)setup(state);
    SAY(places[4].build.program, "reeve 0.1.0-dev");
    two_kinds("", false, ": let all hosts run one build");
}

static void kinds_of_places_that_are_empty_are_nobodys(void **state)
{ /* Goal: a process that comes later knows only of those who are there. */
    (void)state;
    memset(&places[1], 0, sizeof(places[1]));
    memset(&places[3], 0, sizeof(places[3]));
    one_kind("", false,
             "reeve 0.1.0, gcc 12.2, glibc 2.36, OpenBLAS 0.3.21 SkylakeX, Xeon Gold 6148 (family 6 model 85)");
    SAY(places[5].build.kernels, "Haswell");
    assert_int_equal(check("", false), REEVE_JOB_DEVICE);
    has(err.text, "worker 2 on host h0 and worker 5 on host h1 would not");
    memset(places, 0, sizeof(places));
    assert_int_equal(check("", false), REEVE_OK);
}

static void kinds_of_a_list_of_commands_do_not_matter(void **state)
{
    (void)state;
    SAY(job.workload, "exec");
    SAY(places[4].build.kernels, "Zen");
    SAY(places[5].build.program, "reeve 0.2.0");
    one_kind("", false, "");
}

static void kinds_with_the_longest_words_are_told_all_the_same(void **state)
{ /* Goal: whatever a rank sends, both workers, what they lack, and the remedy fit. */
    char library[REEVE_LIBRARY_TEXT_BYTES];
    (void)state;
    memset(library, 'l', sizeof(library) - 1);
    library[sizeof(library) - 1] = '\0';
    memset(&places[1], 'x', sizeof(places[1]));
    memset(&places[2], '\xFF', sizeof(places[2]));
    reeve_device_place_check(&places[1]);
    reeve_device_place_check(&places[2]);
    for (uint32_t i = 3; i < RANKS; i++)
        places[i] = places[2];
    for (int cuda = 0; cuda <= 1; cuda++) {
        assert_int_equal(check(library, cuda), REEVE_JOB_DEVICE);
        has(err.text, "worker 1 on host xxx");
        has(err.text, " and worker 2 on host \xFF\xFF");
        assert_string_equal(strrchr(err.text, ':'), ": let all hosts run one build of Reeve, with the same C library");
    }
    for (uint32_t i = 2; i < RANKS; i++)
        places[i] = places[1];
    SAY(places[1].build.kernels, "Haswell");
    SAY(places[5].build.kernels, "Prescott");
    assert_int_equal(check("", false), REEVE_JOB_DEVICE);
    assert_string_equal(err.text + strlen(err.text) - 12, "take nodes of one kind (Slurm: --constraint)" + 32);
    job.train.reduce = REEVE_REDUCE_FAST;
    assert_int_equal(check(library, true), REEVE_OK);
    assert_true(strlen(kinds.build) < sizeof(kinds.build));
    has(kinds.build, "; x");
    has(kinds.mixed, "(train.reduce: fast)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(kinds_of_workers_that_are_alike_are_one, setup),
        cmocka_unit_test_setup(kinds_by_kernels_are_told_with_those_that_all_can_run, setup),
        cmocka_unit_test_setup(kinds_are_told_by_what_computes, setup),
        cmocka_unit_test_setup(kinds_of_places_that_are_empty_are_nobodys, setup),
        cmocka_unit_test_setup(kinds_of_a_list_of_commands_do_not_matter, setup),
        cmocka_unit_test_setup(kinds_with_the_longest_words_are_told_all_the_same, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
