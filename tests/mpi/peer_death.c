/* Programs in which not everybody comes to the end; peer_death.sh starts them and judges.
 *   death    the last rank kills itself in the middle of a conversation; who hears of it says so, and the others go on
 *   absent   rank 1 never comes to the end; rank 0 leaves with code 5 at its deadline */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "net/mpi_transport.h"
#include "rig.h"

#define ABSENT_SECONDS 300

static void say(reeve_transport *t, uint32_t peer)
{
    struct reeve_error err = {.text = ""};
    RIG_OK(t->ops->send(t, peer, "hello", 5, &err), err);
}

/* Until a loss is told (its peer) or `messages` came (own rank). */
static uint32_t hear(reeve_transport *t, int messages)
{
    static unsigned char bytes[REEVE_MESSAGE_BYTES_MAX];
    struct reeve_error err = {.text = ""};
    struct rig_wait wait;
    rig_wait_begin(&wait);
    while (messages > 0) {
        uint32_t peer = UINT32_MAX;
        size_t n = 0;
        reeve_status st = t->ops->poll(t, &peer, bytes, &n, &err);
        if (st == REEVE_WORKER_LOST) return peer;
        RIG_OK(st, err);
        if (n > 0) messages--;
        else rig_wait_turn(&wait, "a message or a loss");
    }
    return t->self;
}

static void die_in_a_conversation(void)
{
    reeve_transport *t = NULL;
    struct reeve_error err = {.text = ""};
    uint32_t last = rig.size - 1;
    RIG_OK(reeve_mpi_transport_create(&rig, &t, &err), err);
    rig_barrier();
    if (rig.rank == last) {
        say(t, 0);
        RIG_OK(t->ops->flush(t, reeve_clock_now() + RIG_WAIT_NS, &err), err);
        (void)hear(t, 1);
        (void)kill(getpid(), SIGKILL);
    }
    if (rig.rank == 0) {
        RIG_CHECK(hear(t, 1) == 0); /* the last one's word */
        say(t, last);
    }
    RIG_CHECK(hear(t, 1) == last);
    (void)printf("rank %u knows that rank %u is lost\n", rig.rank, last);
    /* The others go on with each other. */
    RIG_CHECK(t->ops->send(t, last, "x", 1, &err) == REEVE_WORKER_LOST);
    if (rig.rank == 0) {
        for (uint32_t p = 1; p < last; p++) say(t, p);
        RIG_CHECK(hear(t, (int)last - 1) == 0);
    } else {
        RIG_CHECK(hear(t, 1) == rig.rank);
        say(t, 0);
    }
    RIG_OK(t->ops->flush(t, reeve_clock_now() + RIG_WAIT_NS, &err), err);
    (void)printf("rank %u goes on\n", rig.rank);
    t->ops->destroy(t);
}

int main(int argc, char **argv)
{
    bool absent = argc > 1 && strcmp(argv[1], "absent") == 0;
    struct reeve_error err = {.text = ""};
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (reeve_mpi_session_open(&argc, &argv, &rig, &err) != REEVE_OK) return 1;
    if (!absent) die_in_a_conversation();
    else if (rig.rank == 1) (void)sleep(ABSENT_SECONDS);
    reeve_time_ns deadline_ns = reeve_clock_now() + (absent ? REEVE_SECOND_NS / 2 : RIG_WAIT_NS);
    (void)reeve_mpi_session_close(&rig, deadline_ns, absent ? 5 : 0);
    return 0;
}
