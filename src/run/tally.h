/* What a worker has done, counted from its answers: the last line of its log. With the first one, on what it began, whoever looks
 * at the log of a worker that had nothing to complain of knows where it was, and what it had done when it ended; a log without
 * a last line is one of a process that was killed. Both go to the file alone. */
#ifndef REEVE_RUN_TALLY_H
#define REEVE_RUN_TALLY_H

#include "base/clock.h"
#include "core/frame.h"
#include "run/prepare.h"

struct reeve_tally {
    reeve_time_ns began_ns, compute_ns, apply_ns;
    uint64_t computed, done, failed, released, applied, last_step;
};

/* worker `id` of `workers`, on this host. */
void reeve_tally_begin(struct reeve_tally *t, const struct reeve_prepared *prepared, uint32_t id, uint32_t workers,
                       const char *host);
void reeve_tally_count(struct reeve_tally *t, const struct reeve_frame *answer);
void reeve_tally_end(const struct reeve_tally *t, const struct reeve_prepared *prepared);

#endif
