/* Control messages over MPI: order, limits, deadlines. Rank 0 talks with every other rank, both ways at once. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "net/mpi_transport.h"
#include "rig.h"

#define STORM_MESSAGES 50000u /* in all, in each direction */

static reeve_transport *transport_create(void)
{
    reeve_transport *t = NULL;
    struct reeve_error err = {.text = ""};
    RIG_OK(reeve_mpi_transport_create(&rig, &t, &err), err);
    RIG_CHECK(t->self == rig.rank && t->size == rig.size);
    return t;
}

/* A transport is closed when everybody has received everything. */
static void transport_end(reeve_transport *t)
{
    struct reeve_error err = {.text = ""};
    RIG_OK(t->ops->flush(t, reeve_clock_now() + RIG_WAIT_NS, &err), err);
    rig_barrier();
    t->ops->destroy(t);
}

static size_t take(reeve_transport *t, uint32_t *peer, unsigned char *bytes)
{
    struct reeve_error err = {.text = ""};
    size_t n = 0;
    RIG_OK(t->ops->poll(t, peer, bytes, &n, &err), err);
    RIG_CHECK(n <= REEVE_MESSAGE_BYTES_MAX);
    return n;
}

static size_t wait_for_message(reeve_transport *t, uint32_t *peer, unsigned char *bytes)
{
    struct rig_wait wait;
    rig_wait_begin(&wait);
    size_t n = 0;
    while ((n = take(t, peer, bytes)) == 0) rig_wait_turn(&wait, "a message");
    return n;
}

/* ---- the storm ---- */

/* Message `index` from one rank to another: length and bytes follow from the seed. One in 16 is long. */
static size_t storm_message(uint32_t from, uint32_t to, uint32_t index, unsigned char *bytes)
{
    uint64_t stream = 1 + from * (uint64_t)rig.size + to;
    size_t max = rig_random(stream, 2 * (uint64_t)index, 16) == 0 ? REEVE_MESSAGE_BYTES_MAX : 200;
    size_t n = sizeof(index) + (size_t)rig_random(stream, 2 * (uint64_t)index + 1, max - sizeof(index) + 1);
    memset(bytes, (int)(index * 31 + from), n);
    memcpy(bytes, &index, sizeof(index));
    return n;
}

struct storm {
    uint32_t *sent, *received; /* (size,) by peer */
    uint32_t each, turn;
};

static bool storm_send(reeve_transport *t, struct storm *s, unsigned char *bytes)
{
    uint32_t peer = rig.rank == 0 ? 1 + s->turn++ % (rig.size - 1) : 0;
    if (s->sent[peer] == s->each) return false;
    struct reeve_error err = {.text = ""};
    size_t n = storm_message(rig.rank, peer, s->sent[peer]++, bytes);
    RIG_OK(t->ops->send(t, peer, bytes, n, &err), err);
    memset(bytes, 0xff, n); /* the transport has its own copy */
    return true;
}

static bool storm_receive(reeve_transport *t, struct storm *s, unsigned char *bytes, unsigned char *expected)
{
    uint32_t peer = UINT32_MAX;
    size_t n = take(t, &peer, bytes);
    if (n == 0) return false;
    RIG_CHECK(peer < rig.size && (rig.rank == 0) != (peer == 0));
    RIG_CHECK(s->received[peer] < s->each);
    size_t expected_n = storm_message(peer, rig.rank, s->received[peer]++, expected);
    RIG_CHECK(n == expected_n && memcmp(bytes, expected, n) == 0);
    return true;
}

static bool storm_is_over(const struct storm *s)
{
    for (uint32_t p = 0; p < rig.size; p++) {
        if ((rig.rank == 0) == (p == 0)) continue;
        if (s->sent[p] < s->each || s->received[p] < s->each) return false;
    }
    return true;
}

/* Goal: order is kept for each pair, nothing is lost or changed, and two full pipes do not lock up. Method: both sides
 * send as fast as they can, in bursts of random length between receives; each message is recomputed and compared. */
static void transport_keeps_order_in_a_storm_both_ways(void)
{
    static unsigned char bytes[REEVE_MESSAGE_BYTES_MAX], expected[REEVE_MESSAGE_BYTES_MAX];
    reeve_transport *t = transport_create();
    struct storm s = {.sent = calloc(rig.size, sizeof(uint32_t)),
                      .received = calloc(rig.size, sizeof(uint32_t)),
                      .each = STORM_MESSAGES / (rig.size - 1)};
    RIG_CHECK(s.sent != NULL && s.received != NULL);
    struct rig_wait wait;
    rig_wait_begin(&wait);
    for (uint64_t round = 0; !storm_is_over(&s); round++) {
        bool moved = false;
        uint64_t burst = rig_random(1000 + rig.rank, 2 * round, 300);
        for (uint64_t i = 0; i < burst; i++) moved |= storm_send(t, &s, bytes);
        burst = rig_random(1000 + rig.rank, 2 * round + 1, 300);
        while (burst-- > 0 && storm_receive(t, &s, bytes, expected)) moved = true;
        if (moved) reeve_idle_reset(&wait.idle);
        else rig_wait_turn(&wait, "the storm to end");
    }
    free(s.sent);
    free(s.received);
    transport_end(t);
}

/* ---- limits ---- */

static void transport_refuses_what_it_cannot_carry(void)
{
    static unsigned char bytes[REEVE_MESSAGE_BYTES_MAX + 1];
    reeve_transport *t = transport_create();
    struct reeve_error err = {.text = ""};
    uint32_t peer = rig.rank == 0 ? 1 : 0;
    RIG_CHECK(t->ops->send(t, peer, bytes, sizeof(bytes), &err) == REEVE_JOB_INTERNAL && err.text[0] != '\0');
    RIG_CHECK(t->ops->send(t, peer, bytes, 0, &err) == REEVE_JOB_INTERNAL);
    RIG_CHECK(t->ops->send(t, rig.size, bytes, 1, &err) == REEVE_JOB_INTERNAL);
    RIG_CHECK(t->ops->send(t, rig.rank, bytes, 1, &err) == REEVE_JOB_INTERNAL);
    transport_end(t);
}

static void transport_carries_the_longest_and_the_shortest_message(void)
{
    static unsigned char out[REEVE_MESSAGE_BYTES_MAX], in[REEVE_MESSAGE_BYTES_MAX];
    reeve_transport *t = transport_create();
    struct reeve_error err = {.text = ""};
    for (size_t i = 0; i < sizeof(out); i++) out[i] = (unsigned char)(i * 7 + i / 256);
    if (rig.rank == 0) {
        for (uint32_t p = 1; p < rig.size; p++) {
            RIG_OK(t->ops->send(t, p, out, sizeof(out), &err), err);
            RIG_OK(t->ops->send(t, p, out + 1, 1, &err), err);
        }
    } else {
        uint32_t peer = UINT32_MAX;
        RIG_CHECK(wait_for_message(t, &peer, in) == sizeof(out) && peer == 0 && memcmp(in, out, sizeof(out)) == 0);
        RIG_CHECK(wait_for_message(t, &peer, in) == 1 && peer == 0 && in[0] == out[1]);
    }
    transport_end(t);
}

/* A message may be sent before the peer has a transport; it is there when the peer does. */
static void transport_delivers_what_was_sent_before_the_peer_listened(void)
{
    unsigned char in[REEVE_MESSAGE_BYTES_MAX];
    reeve_transport *t = NULL;
    struct reeve_error err = {.text = ""};
    uint32_t peer = UINT32_MAX;
    if (rig.rank == 0) t = transport_create();
    for (uint32_t p = 1; t != NULL && p < rig.size; p++) RIG_OK(t->ops->send(t, p, "early", 5, &err), err);
    rig_barrier();
    if (t == NULL) t = transport_create();
    if (rig.rank != 0) RIG_CHECK(wait_for_message(t, &peer, in) == 5 && memcmp(in, "early", 5) == 0);
    transport_end(t);
}

/* Goal: a transport that ends with messages on their way, as after a loss, leaves no receive behind, which would take the
 * next one's messages into memory that is gone. Method: rank 1 does not listen before rank 0 has begun anew. */
static void transport_that_ends_too_early_takes_no_message_of_the_next_one(void)
{
    static unsigned char bytes[REEVE_MESSAGE_BYTES_MAX];
    enum { LONG_MESSAGES = 200 }; /* more than MPI takes from us ahead of the receiver */
    struct reeve_error err = {.text = ""};
    uint32_t peer = UINT32_MAX;
    if (rig.rank == 0 && rig.size > 1) {
        reeve_transport *first = transport_create();
        for (int i = 0; i < LONG_MESSAGES; i++)
            RIG_OK(first->ops->send(first, 1, bytes, sizeof(bytes), &err), err);
        first->ops->destroy(first);
    }
    rig_barrier();
    reeve_transport *t = transport_create();
    if (rig.rank == 1) {
        for (int i = 0; i < LONG_MESSAGES; i++)
            RIG_CHECK(wait_for_message(t, &peer, bytes) == sizeof(bytes) && peer == 0);
        RIG_OK(t->ops->send(t, 0, "late", 4, &err), err);
    } else if (rig.rank == 0 && rig.size > 1) {
        RIG_CHECK(wait_for_message(t, &peer, bytes) == 4 && memcmp(bytes, "late", 4) == 0 && peer == 1);
    }
    transport_end(t);
}

/* ---- deadlines: rank 1 stays away from MPI until rank 0 wakes it by a signal ---- */

static void stay_away(void)
{
    sigset_t wake;
    struct timespec limit = {.tv_sec = RIG_WAIT_NS / REEVE_SECOND_NS};
    (void)sigemptyset(&wake);
    (void)sigaddset(&wake, SIGUSR1);
    int got = 0;
    do got = sigtimedwait(&wake, NULL, &limit);
    while (got < 0 && errno == EINTR);
    RIG_CHECK(got == SIGUSR1);
}

static void block_wake_signal(void)
{
    sigset_t wake;
    (void)sigemptyset(&wake);
    (void)sigaddset(&wake, SIGUSR1);
    RIG_CHECK(sigprocmask(SIG_BLOCK, &wake, NULL) == 0);
}

/* Rank 1 returns when it has been woken; rank 0 at once, with the process to wake; others at once, with 0. */
static pid_t let_rank_1_stay_away(reeve_transport *t)
{
    unsigned char bytes[REEVE_MESSAGE_BYTES_MAX];
    struct reeve_error err = {.text = ""};
    uint32_t peer = UINT32_MAX;
    pid_t away = 0;
    block_wake_signal();
    if (rig.rank == 1) {
        pid_t own = getpid();
        RIG_OK(t->ops->send(t, 0, &own, sizeof(own), &err), err);
        RIG_OK(t->ops->flush(t, reeve_clock_now() + RIG_WAIT_NS, &err), err);
        stay_away();
    } else if (rig.rank == 0) {
        RIG_CHECK(wait_for_message(t, &peer, bytes) == sizeof(away) && peer == 1);
        memcpy(&away, bytes, sizeof(away));
    }
    return away;
}

/* What this process sees of time, in place of the C library's: the clock may be ahead, as after a suspension. */
static volatile time_t ahead_s;

int clock_gettime(clockid_t id, struct timespec *out)
{
    int rc = (int)syscall(SYS_clock_gettime, id, out);
    out->tv_sec += ahead_s;
    return rc;
}

static void every_ms(int ms, void (*handler)(int))
{
    const struct itimerval often = {{ms / 1000, ms % 1000 * 1000}, {ms / 1000, ms % 1000 * 1000}};
    RIG_CHECK(signal(SIGALRM, handler) != SIG_ERR && setitimer(ITIMER_REAL, &often, NULL) == 0);
}

static void transport_flush_ends_at_its_deadline(void)
{
    static unsigned char bytes[REEVE_MESSAGE_BYTES_MAX];
    enum { LONG_MESSAGES = 200 }; /* more than MPI takes from us ahead of the receiver */
    reeve_transport *t = transport_create();
    struct reeve_error err = {.text = ""};
    uint32_t peer = UINT32_MAX;
    pid_t away = let_rank_1_stay_away(t);
    if (rig.rank == 1) {
        for (int i = 0; i < LONG_MESSAGES; i++)
            RIG_CHECK(wait_for_message(t, &peer, bytes) == sizeof(bytes) && peer == 0 && bytes[5] == (unsigned char)i);
    } else if (rig.rank == 0) {
        for (int i = 0; i < LONG_MESSAGES; i++) {
            memset(bytes, i, sizeof(bytes));
            RIG_OK(t->ops->send(t, 1, bytes, sizeof(bytes), &err), err);
        }
        RIG_CHECK(t->ops->flush(t, reeve_clock_now() + 50 * REEVE_MILLISECOND_NS, &err) == REEVE_JOB_DEADLINE);
        RIG_CHECK(kill(away, SIGUSR1) == 0);
        RIG_OK(t->ops->flush(t, reeve_clock_now() + RIG_WAIT_NS, &err), err);
    }
    transport_end(t);
}

/* A job that is suspended while a send waits, and resumed: the clock has gone on, and then a peer that had stayed away comes. */
static struct {
    pid_t peer;
    volatile sig_atomic_t sent, sent_before, ticks;
} suspended;

/* Each 100 ms: is the send at hand the one of the last time? */
static void suspend_if_sending(int number)
{
    (void)number;
    suspended.ticks += suspended.sent == suspended.sent_before;
    suspended.sent_before = suspended.sent;
    if (suspended.ticks == 1) ahead_s = 11;
    if (suspended.ticks == 2) (void)kill(suspended.peer, SIGUSR1);
}

/* Goal: a peer is not called lost for the time in which the whole job stood still. Method: the clock goes on by more than a
 * deaf peer may take. */
static void transport_blames_no_peer_for_a_suspended_job(void)
{
    static unsigned char bytes[REEVE_MESSAGE_BYTES_MAX];
    reeve_transport *t = transport_create();
    struct reeve_error err = {.text = ""};
    uint32_t peer = UINT32_MAX;
    suspended.peer = let_rank_1_stay_away(t);
    if (rig.rank == 1) {
        while (wait_for_message(t, &peer, bytes) != 1) {}
    } else if (rig.rank == 0) {
        every_ms(100, suspend_if_sending);
        for (suspended.sent = 1; suspended.sent < 1000000 && ahead_s == 0; suspended.sent++)
            RIG_OK(t->ops->send(t, 1, bytes, sizeof(bytes), &err), err);
        every_ms(0, SIG_IGN);
        RIG_CHECK(ahead_s > 0);
        if (suspended.ticks < 2) /* it was this process that stood still, between two sends */
            RIG_CHECK(kill(suspended.peer, SIGUSR1) == 0);
        RIG_OK(t->ops->send(t, 1, "x", 1, &err), err);
        RIG_OK(t->ops->flush(t, reeve_clock_now() + RIG_WAIT_NS, &err), err);
    }
    transport_end(t);
}

static void swap_out(int number)
{
    (void)number;
    ahead_s += 3;
}

/* Goal: a peer that takes nothing is given up, and it alone, also by a process that is swapped out time and again. Method: far
 * more messages than may wait for one, while the clock leaps by 3 s each second. */
static void transport_gives_up_a_peer_that_takes_nothing(void)
{
    static unsigned char bytes[REEVE_MESSAGE_BYTES_MAX];
    reeve_transport *t = transport_create();
    struct reeve_error err = {.text = ""};
    uint32_t peer = UINT32_MAX;
    pid_t away = let_rank_1_stay_away(t);
    if (rig.rank == 1) {
        while (wait_for_message(t, &peer, bytes) != 1) {}
    } else if (rig.rank == 0) {
        reeve_status st = REEVE_OK;
        int sent = 0;
        every_ms(1000, swap_out);
        while (st == REEVE_OK && sent < 100000) {
            st = t->ops->send(t, 1, bytes, sizeof(bytes), &err);
            sent++;
        }
        every_ms(0, SIG_IGN);
        RIG_CHECK(st == REEVE_WORKER_LOST && sent > 1000);
        for (uint32_t p = 2; p < rig.size; p++) RIG_OK(t->ops->send(t, p, "on", 2, &err), err);
        RIG_CHECK(kill(away, SIGUSR1) == 0);
        RIG_OK(t->ops->flush(t, reeve_clock_now() + RIG_WAIT_NS, &err), err);
        RIG_OK(t->ops->send(t, 1, "x", 1, &err), err); /* it was only late: it may be spoken to again */
    } else {
        RIG_CHECK(wait_for_message(t, &peer, bytes) == 2);
    }
    transport_end(t);
}

int main(int argc, char **argv)
{
    static const struct rig_test tests[] = {
        {"transport_refuses_what_it_cannot_carry", transport_refuses_what_it_cannot_carry},
        {"transport_carries_the_longest_and_the_shortest_message",
         transport_carries_the_longest_and_the_shortest_message},
        {"transport_delivers_what_was_sent_before_the_peer_listened",
         transport_delivers_what_was_sent_before_the_peer_listened},
        {"transport_keeps_order_in_a_storm_both_ways", transport_keeps_order_in_a_storm_both_ways},
        {"transport_that_ends_too_early_takes_no_message_of_the_next_one",
         transport_that_ends_too_early_takes_no_message_of_the_next_one},
        {"transport_flush_ends_at_its_deadline", transport_flush_ends_at_its_deadline},
        {"transport_blames_no_peer_for_a_suspended_job", transport_blames_no_peer_for_a_suspended_job},
    };
    /* By itself, since it waits for ten seconds. */
    static const struct rig_test deaf[] = {
        {"transport_gives_up_a_peer_that_takes_nothing", transport_gives_up_a_peer_that_takes_nothing},
    };
    if (argc > 1 && strcmp(argv[1], "deaf") == 0) return rig_main(argc, argv, deaf, 1);
    return rig_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
