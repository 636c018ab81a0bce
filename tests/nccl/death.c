/* A small run whose workers sum on GPUs and die; death.sh starts it and judges. Rank 0 waits, all others sum; after a loss
 * the survivors regroup, as a run does, and go on with their parts until SUMS sums are right.
 *
 *   death WHO WHEN [WHO WHEN]
 *     WHO    first | last | before     worker of the start: the lowest, the highest, the one below it
 *     WHEN   early | id | card | birth | trial | agree | begun | sum | after   where kill -9 meets it, the first time it comes there
 *            again-card | again-birth   while the survivors of another loss come together
 *            abort                      gives its second sum up in the middle, and NCCL's abort hangs
 *            late                       does not die, but comes long after the others to its second sum */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mpi.h>
#if defined(OPEN_MPI) || defined(MPICH)
#include <mpi-ext.h>
#endif

#include "double.h"
#include "gpu_rig.h"
#include "net/mpi_transport.h"
#include "rig.h"

#define N ((size_t)30011)
#define CHUNK_BYTES ((size_t)64 << 10)
#define SUMS 3
#define ABORT_CODE 9
#define TRIAL_SUMS 1u                        /* of NCCL, before the first chunk */
#define CHUNKS 4u                            /* a sum */
#define LATE_NS (200 * REEVE_MILLISECOND_NS) /* the others have long begun to wait */

static bool dies_early, dies_at_agree, dies_begun, dies_after, hangs_in_abort, comes_late;

static void plan(const char *when)
{
    static const struct {
        const char *when, *call;
        unsigned number;
    } at[] = {{"id", "ncclGetUniqueId", 1},
              {"card", "cudaSetDevice", 1},
              {"birth", "ncclCommInitRankConfig", 1},
              {"trial", "ncclAllReduce", 1},
              {"sum", "ncclAllReduce", TRIAL_SUMS + CHUNKS + 2}, /* the second chunk of the second sum */
              {"again-card", "cudaSetDevice", 2},
              {"again-birth", "ncclCommInitRankConfig", 2}};
    for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        if (strcmp(when, at[i].when) != 0) continue;
        nccl_double_fault(at[i].call, "die", at[i].number);
        return;
    }
    dies_early = strcmp(when, "early") == 0;
    dies_at_agree = strcmp(when, "agree") == 0;
    dies_begun = strcmp(when, "begun") == 0;
    dies_after = strcmp(when, "after") == 0;
    hangs_in_abort = strcmp(when, "abort") == 0;
    if (hangs_in_abort) nccl_double_fault("ncclCommAbort", "hang", 1);
    comes_late = strcmp(when, "late") == 0;
    RIG_CHECK(dies_early || dies_at_agree || dies_begun || dies_after || hangs_in_abort || comes_late);
}

static bool is_me(const char *who)
{
    uint32_t last = rig.member_count - 1;
    if (strcmp(who, "first") == 0) return rig.member == 1;
    if (strcmp(who, "last") == 0) return rig.member == last;
    return strcmp(who, "before") == 0 && rig.member == last - 1;
}

/* ---- a worker ---- */

/* Also a word of the transport, as in a run: it is how those hear of a loss who do not sum. */
static reeve_status listen(reeve_transport *t, int *done_count, struct reeve_error *err)
{
    static unsigned char bytes[REEVE_MESSAGE_BYTES_MAX];
    uint32_t peer = 0;
    size_t n = 0;
    reeve_status st = t->ops->poll(t, &peer, bytes, &n, err);
    if (st == REEVE_OK && n > 0) (*done_count)++;
    return st;
}

/* Has NCCL begun the second sum? Before, there is nothing to abort: the members still wait for one another over MPI. */
static bool is_in_second_sum(int index)
{
    return index == 1 && nccl_double_calls("ncclAllReduce") > TRIAL_SUMS + CHUNKS;
}

static reeve_status wait_for_sum(reeve_collective *c, reeve_transport *t, int index)
{
    struct reeve_error err = {.text = ""};
    struct rig_wait wait;
    bool done = false;
    int ignored = 0;
    rig_wait_begin(&wait);
    for (int turn = 0;; turn++) {
        if (dies_begun && turn == 1) (void)kill(getpid(), SIGKILL);
        reeve_status st = c->ops->test(c, &done, &err);
        if (st == REEVE_OK && done) return st;
        if (st == REEVE_OK && hangs_in_abort && is_in_second_sum(index)) c->ops->abandon(c); /* does not return */
        if (st == REEVE_OK) st = listen(t, &ignored, &err);
        if (st != REEVE_OK) {
            (void)printf("member %u: %s\n", rig.member, err.text);
            return st;
        }
        rig_wait_turn(&wait, "a sum");
    }
}

/* The part of each member that is here, and of nobody else. */
static void check_sum(int index, const int64_t *out)
{
    for (size_t i = 0; i < N; i++) {
        uint64_t expected = 0;
        for (uint32_t r = 1; r < rig.size; r++)
            expected += (uint64_t)gpu_part((uint64_t)index, rig.members[r], i);
        RIG_CHECK((uint64_t)out[i] == expected);
    }
}

static reeve_status one_sum(reeve_collective *c, reeve_transport *t, int index)
{
    struct reeve_error err = {.text = ""};
    int64_t *host = calloc(N, 8);
    RIG_CHECK(host != NULL);
    for (size_t i = 0; i < N; i++)
        host[i] = gpu_part((uint64_t)index, rig.member, i);
    void *in = gpu_from_host(host, N * 8), *out = gpu_allocate(N * 8);
    if (dies_at_agree && index == 1) (void)kill(getpid(), SIGKILL);
    if (comes_late && index == 1) reeve_clock_sleep(LATE_NS);
    RIG_OK(c->ops->begin_sum_i64(c, in, out, N, &err), err);
    reeve_status st = wait_for_sum(c, t, index);
    if (st != REEVE_OK) c->ops->abandon(c);
    gpu_to_host(host, out, N * 8);
    if (st == REEVE_OK) check_sum(index, host);
    gpu_to_host(host, in, N * 8);
    for (size_t i = 0; i < N; i++)
        RIG_CHECK(host[i] == gpu_part((uint64_t)index, rig.member, i)); /* kept, for the sum after the loss */
    gpu_free(in);
    gpu_free(out);
    free(host);
    return st;
}

static reeve_status work(reeve_collective *c, reeve_transport *t, int *sums)
{
    struct reeve_error err = {.text = ""};
    reeve_status st = REEVE_OK;
    while (st == REEVE_OK && *sums < SUMS) {
        st = one_sum(c, t, *sums);
        if (st == REEVE_OK && ++*sums == 2 && dies_after) (void)kill(getpid(), SIGKILL);
    }
    if (st != REEVE_OK) return st;
    RIG_OK(t->ops->send(t, 0, "done", 4, &err), err);
    return t->ops->flush(t, reeve_clock_now() + RIG_WAIT_NS, &err);
}

/* ---- everybody ---- */

static reeve_status wait_for_workers(reeve_transport *t)
{
    struct reeve_error err = {.text = ""};
    struct rig_wait wait;
    reeve_status st = REEVE_OK;
    int done_count = 0;
    rig_wait_begin(&wait);
    while (st == REEVE_OK && done_count < (int)rig.size - 1) {
        st = listen(t, &done_count, &err);
        rig_wait_turn(&wait, "the workers");
    }
    return st;
}

/* One go, until all sums are there or somebody is lost. */
static reeve_status go(int *sums)
{
    reeve_transport *t = NULL;
    reeve_collective *c = NULL;
    struct reeve_error err = {.text = ""};
    struct reeve_coll_nccl_config config = {.device = rig.member - 1,
                                            .create_ns = RIG_WAIT_NS / 2,
                                            .sum_ns = RIG_WAIT_NS / 2,
                                            .abort_ns = hangs_in_abort ? REEVE_SECOND_NS : RIG_WAIT_NS,
                                            .chunk_bytes = CHUNK_BYTES,
                                            .exit_code = ABORT_CODE};
    reeve_status st = reeve_mpi_transport_create(&rig, &t, &err);
    if (dies_early) (void)kill(getpid(), SIGKILL);
    if (st == REEVE_OK && rig.member != 0) st = reeve_coll_nccl_create(rig.workers, &config, &c, &err);
    if (st == REEVE_OK) st = rig.member == 0 ? wait_for_workers(t) : work(c, t, sums);
    else (void)printf("member %u: %s\n", rig.member, err.text);
    if (st == REEVE_WORKER_LOST) reeve_mpi_session_revoke(&rig); /* as a run does */
    if (c != NULL) c->ops->destroy(c);
    if (t != NULL) t->ops->destroy(t);
    return st;
}

/* Nobody leaves before all who are left have come so far: who leaves is lost to those who still sum. */
static void wait_for_survivors(void)
{
#ifdef MPIX_ERR_PROC_FAILED
    MPI_Comm survivors = MPI_COMM_NULL;
    if (rig.ulfm_active) RIG_CHECK(MPIX_Comm_shrink(MPI_Comm_f2c(rig.control), &survivors) == MPI_SUCCESS);
#endif
}

int main(int argc, char **argv)
{
    struct reeve_error err = {.text = ""};
    int sums = 0, losses = 0;
    char left[160];
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (reeve_mpi_session_open(&argc, &argv, &rig, &err) != REEVE_OK) return 1;
    rig_seed = 20261126;
    for (int i = 1; i + 1 < argc; i += 2)
        if (is_me(argv[i])) plan(argv[i + 1]);
    for (;;) {
        reeve_status st = go(&sums);
        if (st == REEVE_OK) break;
        if (st != REEVE_WORKER_LOST || !rig.ulfm_active) {
            (void)printf("member %u gives up\n", rig.member);
            reeve_mpi_session_abort(1);
        }
        losses++;
        RIG_OK(reeve_mpi_session_regroup(&rig, rig.member != 0, RIG_WAIT_NS, 1, &err), err);
        (void)printf("member %u goes on among %u\n", rig.member, rig.size);
    }
    if (!nccl_double_is_empty(left, sizeof(left))) rig_failed(left, __FILE__, __LINE__, "are left");
    (void)printf("member %u has all sums after %d losses\n", rig.member, losses);
    wait_for_survivors();
    (void)reeve_mpi_session_close(&rig, reeve_clock_now() + RIG_WAIT_NS, 0);
    return 0;
}
