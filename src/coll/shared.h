/* The sum over the workers of one host, through memory that they share: no MPI, no lock, no waiting.
 *
 * The array goes through in chunks. Each member owns a slice of every chunk. For each chunk a member (1) puts the
 * slices that others own into its slot, (2) adds up its own slice of all slots, in the order of members, and puts the
 * result into its slot, (3) takes the other slices from their owners' slots. A slot holds several chunks, so that the
 * members need not run in step.
 *
 * Each counter has one writer. It holds (sum, phase, chunks done) as one number that only grows, so a counter left by an
 * abandoned sum is smaller than anything that a later one waits for. */
#ifndef REEVE_COLL_SHARED_H
#define REEVE_COLL_SHARED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coll/add.h"
#include "reeve/status.h"

struct shared_member;

struct shared {
    uint32_t member, members;
    size_t map_bytes;
    void *map;                     /* owned mapping; NULL: none */
    struct shared_member *control; /* (members,) in map */
    unsigned char *slots;          /* (members, depth, chunk) in map */

    /* the sum in progress */
    enum sum_type type;
    const unsigned char *in; /* borrowed */
    unsigned char *out;      /* borrowed */
    size_t count, chunk_count;
    uint64_t tag;             /* sum and phase, shifted to the top */
    uint64_t summed_tag;      /* share only: the phase before */
    size_t put, added, taken; /* chunks done */
};

/* The segment: made under `name` by one member, opened by the others, and unlinked as soon as all have it, so that
 * nothing is left behind whatever happens later. JOB_CONFIG: /dev/shm is missing or too small. */
reeve_status shared_make(struct shared *s, const char *name, uint32_t member, uint32_t members, bool create,
                         struct reeve_error *err);
void shared_unlink(const char *name);
void shared_fini(struct shared *s);

/* out = sum of all in, on every member. sum: 1.., grows. */
void shared_begin_sum(struct shared *s, uint32_t sum, enum sum_type type, const void *in, void *out, size_t count);
/* out of member 0 to the out of all, after shared_begin_sum of the same sum has ended here. */
void shared_begin_share(struct shared *s);
/* Do at most one chunk of each kind of work. Returns the bytes moved; 0: nothing can be done now. *done: finished. */
size_t shared_step_sum(struct shared *s, bool *done);
size_t shared_step_share(struct shared *s, bool *done);

#endif
