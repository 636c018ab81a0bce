/* How the members of a communicator come together over MPI: twice in a round each says a word to member 0, which answers
 * all of them.
 *
 *   CARD     where I am, and that I am ready    ->  OFFER    the id to meet under
 *   OUTCOME  the communicator works here        ->  VERDICT  it does on all
 *
 * A word or an answer may also say that there will be none, and why; that comes through at any time, so nobody goes on
 * waiting inside NCCL for a member that has failed. A word of an earlier round is dropped. Nothing waits. */
#ifndef REEVE_COLL_NCCL_MEET_H
#define REEVE_COLL_NCCL_MEET_H

#include <mpi.h>
#include <stdbool.h>
#include <stdint.h>

#include "coll/nccl_comm.h"
#include "reeve/status.h"

#define MEET_TEXT_BYTES 640
#define MEET_HOST_BYTES 128

enum meet_part { MEET_CARD = 0, MEET_OUTCOME = 1, MEET_PARTS };

struct meet_word { /* member -> member 0 */
    uint32_t round, part;
    int32_t status; /* reeve_status */
    uint32_t reserved_zero;
    char host[MEET_HOST_BYTES];
    char gpu[GPU_NAME_BYTES];
    char text[MEET_TEXT_BYTES];
};
struct meet_answer { /* member 0 -> member */
    uint32_t round, part;
    int32_t status;
    uint32_t reserved_zero;
    unsigned char id[COMM_ID_BYTES];
    char text[MEET_TEXT_BYTES];
};

enum meet_event {
    MEET_NOTHING = 0,
    MEET_ALL_SAID, /* member 0: everybody's word of this part is in words */
    MEET_ANSWERED, /* the others: answer is there */
};

struct meet {
    MPI_Comm comm; /* borrowed */
    int first_tag;
    uint32_t rank, size;
    char host[MEET_HOST_BYTES];
    uint32_t round;
    enum meet_part part; /* whose words and answer are waited for */

    /* member */
    struct meet_word word_out[MEET_PARTS];
    MPI_Request word_sends[MEET_PARTS];
    struct meet_answer answer, answer_in; /* the newest; what MPI writes */
    MPI_Request answer_receive;           /* persistent */

    /* member 0 */
    struct meet_word *words; /* (size,) owned; of this part */
    bool *said;              /* (size,) owned */
    uint32_t said_count;
    struct meet_word word_in;
    MPI_Request word_receive; /* persistent, from anyone */
    struct meet_answer answer_out[MEET_PARTS];
    MPI_Request *answer_sends; /* (MEET_PARTS, size) owned */
};

reeve_status meet_init(struct meet *m, MPI_Comm comm, int first_tag, struct reeve_error *err);
void meet_fini(struct meet *m);

void meet_begin(struct meet *m, uint32_t round); /* greater than any before */
/* This member's word of a part. why: NULL if all is well. WORKER_LOST | JOB_INTERNAL. */
reeve_status meet_say(struct meet *m, enum meet_part part, const char *gpu, const struct reeve_error *why,
                      struct reeve_error *err);
/* Member 0 only: the answer to a part, to all others. id: for an OFFER. */
reeve_status meet_answer_all(struct meet *m, enum meet_part part, const unsigned char *id,
                             const struct reeve_error *why, struct reeve_error *err);
/* To be called all the while. A bad word or answer comes back as its status with its text. WORKER_LOST | JOB_INTERNAL. */
reeve_status meet_test(struct meet *m, enum meet_event *event, struct reeve_error *err);

#endif
