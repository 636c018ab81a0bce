/* What the parts of the supervisor share: supervise.c (the loop), supervise_watch.c (one launch, from its start until
 * nothing of it is left) and supervise_words.c (what is told of it). */
#ifndef REEVE_CLI_SUPERVISE_H
#define REEVE_CLI_SUPERVISE_H

#include "base/launch_id.h"
#include "cli/launch.h"
#include "cli/launch_words.h"
#include "core/relaunch.h"
#include "core/stall.h"
#include "store/owner.h"

#define REEVE_CAUSE_BYTES 160
#define REEVE_CAUSES_MAX 6

/* How often launches ended for which cause. */
struct reeve_causes {
    struct {
        char text[REEVE_CAUSE_BYTES];
        uint32_t times;
    } list[REEVE_CAUSES_MAX];
    uint32_t count, others;
};

struct reeve_supervisor {
    const struct reeve_launch *launch;
    reeve_owner *owner; /* RUN/LOCK.supervisor; owned */
    FILE *log;          /* RUN/log/supervisor.log; owned; NULL: none */
    struct reeve_stall stall;
    struct reeve_relaunch relaunch;
    struct reeve_causes causes;
    uint32_t epoch_before;      /* of the journal, before the launch that runs */
    uint32_t membership_before; /* the membership epoch then, which status.json tells: it grows within a launch too */
    uint32_t restarts;
    reeve_time_ns refreshed_ns;
};

/* How a launch ended, for the judgement and for the words about it. */
struct reeve_launch_end {
    struct reeve_relaunch_end facts;
    char cause[REEVE_CAUSE_BYTES]; /* "worker 2 on node7 was killed by signal 9 (SIGKILL)" */
    bool left_at_once;             /* the user asked twice */
    bool taken_over;               /* another supervisor has this run now */
};

/* Run one launch to its end: nothing of it is left on this host then. 0, or an exit code after a message. */
int reeve_supervise_launch(struct reeve_supervisor *s, const struct reeve_placement *placement,
                           struct reeve_launch_end *end);
/* Show that the supervisor lives, now and then. false: somebody else has taken the run. */
bool reeve_supervise_refresh(struct reeve_supervisor *s);
/* What the journal has on record, and up to which epochs; epoch_before as in reeve_relaunch_event. */
void reeve_supervise_read_journal(struct reeve_supervisor *s, uint32_t epoch_before, struct reeve_relaunch_end *facts);

/* To stderr, and to the log. */
void reeve_supervise_say(const struct reeve_supervisor *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void reeve_supervise_count(struct reeve_causes *causes, const char *cause);
void reeve_supervise_say_again(const struct reeve_supervisor *s, const struct reeve_launch_end *end,
                               reeve_time_ns wait_ns);
/* The last word of a supervisor that gives up. Returns the exit code. */
int reeve_supervise_say_last(const struct reeve_supervisor *s, const struct reeve_launch_end *end,
                             enum reeve_relaunch_kind kind);

#endif
