/* Programs in which not everybody comes to the end; peer_death.sh starts them and judges.
 *   death       the last rank kills itself in the middle of a conversation; the others are told, and go on
 *   sum         the last worker kills itself in the middle of a sum; the others give it up (workers share memory)
 *   sum-ring    the same, with messages only
 *   regroup SEED   one after the other dies while they come together after the one before, each at another moment; the
 *               last two go on
 *   absent      rank 1 never comes to the end; rank 0 leaves with code 5 at its deadline */
#include <mpi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#if defined(OPEN_MPI) || defined(MPICH)
#include <mpi-ext.h>
#endif

#include "coll/mpi.h"
#include "net/mpi_transport.h"
#include "rig.h"

#define ABSENT_SECONDS 300
#define SUM_COUNT ((size_t)1 << 20)

struct heard {
    int message_count;
    uint32_t lost; /* UINT32_MAX: nobody */
};

static void say(reeve_transport *t, uint32_t peer)
{
    struct reeve_error err = {.text = ""};
    RIG_OK(t->ops->send(t, peer, "hello", 5, &err), err);
}

static bool listen_once(reeve_transport *t, struct heard *h)
{
    static unsigned char bytes[REEVE_MESSAGE_BYTES_MAX];
    struct reeve_error err = {.text = ""};
    uint32_t peer = UINT32_MAX;
    size_t n = 0;
    reeve_status st = t->ops->poll(t, &peer, bytes, &n, &err);
    if (st == REEVE_WORKER_LOST) {
        RIG_CHECK(h->lost == UINT32_MAX); /* each loss is told once */
        h->lost = peer;
        return true;
    }
    RIG_OK(st, err);
    h->message_count += n > 0;
    return n > 0;
}

/* Until so many messages came, and, if asked for, a loss was told; in any order. */
static void listen_for(reeve_transport *t, struct heard *h, int message_count, bool loss)
{
    struct rig_wait wait;
    rig_wait_begin(&wait);
    while (h->message_count < message_count || (loss && h->lost == UINT32_MAX))
        if (!listen_once(t, h)) rig_wait_turn(&wait, "a message or a loss");
}

static reeve_transport *transport_create(void)
{
    reeve_transport *t = NULL;
    struct reeve_error err = {.text = ""};
    RIG_OK(reeve_mpi_transport_create(&rig, &t, &err), err);
    rig_barrier();
    return t;
}

/* Nobody leaves before all who are left have gone on: who leaves is lost to those who still listen. */
static void wait_for_survivors(void)
{
#ifdef MPIX_ERR_PROC_FAILED
    MPI_Comm survivors = MPI_COMM_NULL;
    RIG_CHECK(MPIX_Comm_shrink(MPI_Comm_f2c(rig.control), &survivors) == MPI_SUCCESS);
#endif
}

/* Those who are left: the master says a word to each and hears one from each. */
static void go_on(reeve_transport *t, struct heard *h, uint32_t lost)
{
    struct reeve_error err = {.text = ""};
    RIG_CHECK(h->lost == lost);
    (void)printf("rank %u knows that rank %u is lost\n", rig.rank, lost);
    RIG_CHECK(t->ops->send(t, lost, "x", 1, &err) == REEVE_WORKER_LOST);
    for (uint32_t p = 1; rig.rank == 0 && p < lost; p++)
        say(t, p);
    listen_for(t, h, rig.rank == 0 ? (int)lost - 1 : 1, true);
    if (rig.rank != 0) say(t, 0);
    RIG_OK(t->ops->flush(t, reeve_clock_now() + RIG_WAIT_NS, &err), err);
    (void)printf("rank %u goes on\n", rig.rank);
    wait_for_survivors();
    t->ops->destroy(t);
}

static void die_in_a_conversation(void)
{
    reeve_transport *t = transport_create();
    struct reeve_error err = {.text = ""};
    struct heard h = {.lost = UINT32_MAX};
    uint32_t last = rig.size - 1;
    if (rig.rank == last) {
        say(t, 0);
        RIG_OK(t->ops->flush(t, reeve_clock_now() + RIG_WAIT_NS, &err), err);
        listen_for(t, &h, 1, false);
        (void)kill(getpid(), SIGKILL);
    }
    if (rig.rank == 0) {
        listen_for(t, &h, 1, false); /* the last one's word */
        say(t, last);
        h.message_count = 0;
        listen_for(t, &h, 0, true);
    } else {
        listen_for(t, &h, 0, true);
    }
    go_on(t, &h, last);
}

/* Sums without end, until this worker dies or hears of a death from the sum or from the transport. */
static void sum_until_a_death(reeve_transport *t, struct heard *h, uint32_t host_size)
{
    reeve_collective *c = NULL;
    struct reeve_error err = {.text = ""};
    const struct reeve_coll_mpi_config config = {.host_size = host_size};
    int64_t *in = calloc(SUM_COUNT, 8), *out = calloc(SUM_COUNT, 8);
    RIG_CHECK(in != NULL && out != NULL);
    RIG_OK(reeve_coll_mpi_create(rig.workers, &config, &c, &err), err);
    RIG_OK(c->ops->begin_sum_i64(c, in, out, SUM_COUNT, &err), err);
    struct rig_wait wait;
    rig_wait_begin(&wait);
    int sum_count = 0, steps = 0;
    bool dies = rig.rank == rig.size - 1;
    for (;;) {
        bool done = false;
        reeve_status st = c->ops->test(c, &done, &err);
        if (st == REEVE_WORKER_LOST) break;
        RIG_OK(st, err);
        (void)listen_once(t, h);
        if (h->lost != UINT32_MAX) break;
        /* Behind the fourth step of the third sum; however few steps that takes, nobody gets through the next one. */
        if (dies && sum_count == 2 && (++steps == 4 || done)) (void)kill(getpid(), SIGKILL);
        if (!done) rig_wait_turn(&wait, "a sum to fail");
        if (!done) continue;
        RIG_CHECK(++sum_count <= 3); /* the third may have had all it needs from who died */
        RIG_OK(c->ops->begin_sum_i64(c, in, out, SUM_COUNT, &err), err);
    }
    c->ops->abandon(c);
    c->ops->destroy(c);
    free(in);
    free(out);
    (void)printf("rank %u gave the sum up\n", rig.rank);
}

static void die_in_a_sum(uint32_t host_size)
{
    reeve_transport *t = transport_create();
    struct heard h = {.lost = UINT32_MAX};
    if (rig.rank > 0) sum_until_a_death(t, &h, host_size);
    listen_for(t, &h, 0, true);
    go_on(t, &h, rig.size - 1);
}

/* The kernel ends this process at some moment of what comes next. */
static void die_within_us(uint64_t us)
{
    struct itimerval timer = {.it_value = {.tv_usec = (suseconds_t)us + 1}};
    (void)signal(SIGALRM, SIG_DFL);
    RIG_CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

/* Who was to die and has not is killed behind the regrouping: then the next one is about that. */
static void regroup_while_others_die(uint64_t seed)
{
    struct reeve_error err = {.text = ""};
    int first = rig.control; /* MPI numbers communicators by the first number that is free */
    int deaths = 0;
    for (uint64_t round = 0; rig.size > 2; round++, deaths++) {
        bool last = rig.rank == rig.size - 1;
        uint64_t us = reeve_random_below(seed, round, 0, round % 2 == 0 ? 1000 : 20000);
        if (last) die_within_us(us);
        RIG_OK(reeve_mpi_session_regroup(&rig, rig.member != 0, RIG_WAIT_NS / 2, 70, &err), err);
        if (last) (void)kill(getpid(), SIGKILL);
    }
    /* What came before is freed: two for each death. Of a round that a death makes void, MPI may keep one half made. */
    RIG_CHECK(rig.control <= first + 2 + deaths);
    (void)printf("rank %u goes on\n", rig.rank);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "death";
    bool absent = strcmp(what, "absent") == 0;
    struct reeve_error err = {.text = ""};
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (reeve_mpi_session_open(&argc, &argv, &rig, &err) != REEVE_OK) return 1;
    if (strcmp(what, "death") == 0) die_in_a_conversation();
    else if (strcmp(what, "sum") == 0) die_in_a_sum(0);
    else if (strcmp(what, "sum-ring") == 0) die_in_a_sum(1);
    else if (strcmp(what, "regroup") == 0) regroup_while_others_die(argc > 2 ? strtoull(argv[2], NULL, 10) : 1);
    else if (absent && rig.rank == 1) (void)sleep(ABSENT_SECONDS);
    reeve_time_ns deadline_ns = reeve_clock_now() + (absent ? REEVE_SECOND_NS / 2 : RIG_WAIT_NS);
    (void)reeve_mpi_session_close(&rig, deadline_ns, absent ? 5 : 0);
    return 0;
}
