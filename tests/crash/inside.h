/* Inside of the frame: what crash.c (crash states) and faults.c (disk faults) share. */
#ifndef REEVE_TEST_CRASH_INSIDE_H
#define REEVE_TEST_CRASH_INSIDE_H

#include <limits.h>

#include "crash.h"

#define FOLDER_BYTES (PATH_MAX + 16)
#define FINDINGS_MAX 5 /* then it is clear */

struct options {
    uint64_t states, seed, faults, each_sync;
    const char *only_case;
    struct disk_state only;
    size_t fault_which;
    unsigned fault_call;
    bool one;
};

/* What an act came to, in memory that parent and child see. */
struct outcome {
    bool ended;
    struct reeve_error err;
    unsigned calls; /* that a fault might have hit */
};
extern struct outcome *crash_outcome;

/* Seconds of the machine's own clock: Reeve's may be one that jumps (unit/store/quick_clock.h). */
double crash_seconds(void);
/* An empty folder of that name. */
void crash_fresh(char out[FOLDER_BYTES], const char *name);
/* Record the act in a child. False: it died. */
bool crash_act_under(const struct crash_case *c, const char *root, const struct fault *fault);
/* Record c->again behind it, in another child. False: it died, or did not end well. */
bool crash_again(const struct crash_case *c, const char *root);
/* The act undisturbed; ends the program if it fails. */
void crash_act(const struct crash_case *c, const char *root, bool sync_lies);
/* Make one state and have it checked. disturbed: see struct crash_promise. */
bool crash_judge(const struct crash_case *c, const struct trace *t, const struct disk *d, const struct disk_state *s,
                 bool disturbed, char why[CRASH_WHY_BYTES]);

/* One call after the other fails, in each way there is; false: findings, which were told. */
bool fault_case(const struct crash_case *c, const struct options *o);
size_t fault_ways(void);

#endif
