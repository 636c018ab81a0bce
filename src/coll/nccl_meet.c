/* See nccl_meet.h. */
#include "coll/nccl_meet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "coll/border.h"
#include "coll/tags.h"

/* So short a message has left long before the next one of its kind, unless MPI is stuck. */
static reeve_status unsent(struct reeve_error *err)
{
    return reeve_fail(err, REEVE_JOB_INTERNAL, "sum over GPUs: a message of the round before is still on its way");
}

/* ---- member 0 ---- */

static void take_word(struct meet *m, uint32_t rank, const struct meet_word *w)
{
    if (!m->said[rank]) m->said_count++;
    m->said[rank] = true;
    m->words[rank] = *w;
}

/* A word from the wire: only of this round, and text that ends. */
static reeve_status judge_word(struct meet *m, uint32_t rank, struct meet_word *w, struct reeve_error *err)
{
    if (w->round < m->round) return REEVE_OK; /* given up meanwhile */
    w->host[sizeof(w->host) - 1] = w->gpu[sizeof(w->gpu) - 1] = w->text[sizeof(w->text) - 1] = '\0';
    if (w->round == m->round && w->status != REEVE_OK)
        return reeve_fail(err, (reeve_status)w->status, "%s (rank %u of the workers)", w->text, rank);
    if (w->round > m->round || w->part != (uint32_t)m->part)
        return reeve_fail(err, REEVE_JOB_INTERNAL, "sum over GPUs: a word of rank %u that is not its turn's", rank);
    take_word(m, rank, w);
    return REEVE_OK;
}

static reeve_status test_first(struct meet *m, enum meet_event *event, struct reeve_error *err)
{
    int there = 0;
    MPI_Status status;
    for (;;) {
        int rc = MPI_Test(&m->word_receive, &there, &status);
        if (rc != MPI_SUCCESS) return coll_fail(err, rc, "wait for the others' GPUs");
        if (!there) break;
        reeve_status st = judge_word(m, (uint32_t)status.MPI_SOURCE, &m->word_in, err);
        rc = MPI_Start(&m->word_receive);
        if (st != REEVE_OK) return st;
        if (rc != MPI_SUCCESS) return coll_fail(err, rc, "wait for the others' GPUs");
    }
    if (m->said_count == m->size) *event = MEET_ALL_SAID;
    return REEVE_OK;
}

static void next_part(struct meet *m, enum meet_part part)
{
    m->part = part;
    m->said_count = 0;
    for (uint32_t i = 0; m->said != NULL && i < m->size; i++)
        m->said[i] = false;
}

reeve_status meet_answer_all(struct meet *m, enum meet_part part, const unsigned char *id,
                             const struct reeve_error *why, struct reeve_error *err)
{
    struct meet_answer *a = &m->answer_out[part];
    MPI_Request *sends = &m->answer_sends[(size_t)part * m->size];
    int sent = 0;
    int rc = MPI_Testall((int)m->size, sends, &sent, MPI_STATUSES_IGNORE);
    if (rc != MPI_SUCCESS) return coll_fail(err, rc, "answer the others");
    if (!sent) return unsent(err);
    *a = (struct meet_answer){.round = m->round, .part = (uint32_t)part};
    if (id != NULL) memcpy(a->id, id, COMM_ID_BYTES);
    if (why != NULL) {
        a->status = (int32_t)why->status;
        (void)snprintf(a->text, sizeof(a->text), "%.*s", (int)sizeof(a->text) - 1, why->text);
    }
    if (part == MEET_CARD) next_part(m, MEET_OUTCOME);
    for (uint32_t i = 1; i < m->size; i++) {
        rc = MPI_Isend(a, sizeof(*a), MPI_BYTE, (int)i, m->first_tag + COLL_TAG_ANSWER, m->comm, &sends[i]);
        if (rc != MPI_SUCCESS) return coll_fail(err, rc, "answer the others");
    }
    return REEVE_OK;
}

/* ---- the others ---- */

static reeve_status judge_answer(struct meet *m, enum meet_event *event, struct reeve_error *err)
{
    m->answer.text[sizeof(m->answer.text) - 1] = '\0';
    if (m->answer.round != m->round) return REEVE_OK; /* given up meanwhile */
    if (m->answer.status != REEVE_OK) return reeve_fail(err, (reeve_status)m->answer.status, "%s", m->answer.text);
    if (m->answer.part != (uint32_t)m->part)
        return reeve_fail(err, REEVE_JOB_INTERNAL, "sum over GPUs: an answer that is not its turn's");
    if (m->part == MEET_CARD) m->part = MEET_OUTCOME;
    *event = MEET_ANSWERED;
    return REEVE_OK;
}

static reeve_status test_other(struct meet *m, enum meet_event *event, struct reeve_error *err)
{
    reeve_status st = REEVE_OK;
    while (st == REEVE_OK && *event == MEET_NOTHING) {
        int there = 0;
        int rc = MPI_Test(&m->answer_receive, &there, MPI_STATUS_IGNORE);
        if (rc != MPI_SUCCESS) return coll_fail(err, rc, "wait for the others' GPUs");
        if (!there) return REEVE_OK;
        m->answer = m->answer_in;
        rc = MPI_Start(&m->answer_receive);
        if (rc != MPI_SUCCESS) return coll_fail(err, rc, "wait for the others' GPUs");
        st = judge_answer(m, event, err);
    }
    return st;
}

static reeve_status send_word(struct meet *m, enum meet_part part, struct reeve_error *err)
{
    int rc = MPI_Isend(&m->word_out[part], sizeof(m->word_out[part]), MPI_BYTE, 0, m->first_tag + COLL_TAG_WORD,
                       m->comm, &m->word_sends[part]);
    return rc == MPI_SUCCESS ? REEVE_OK : coll_fail(err, rc, "say where this GPU is");
}

/* ---- for both ---- */

void meet_begin(struct meet *m, uint32_t round)
{
    REEVE_ASSERT(round > m->round);
    m->round = round;
    next_part(m, MEET_CARD);
}

reeve_status meet_say(struct meet *m, enum meet_part part, const char *gpu, const struct reeve_error *why,
                      struct reeve_error *err)
{
    int sent = 0;
    int rc = MPI_Test(&m->word_sends[part], &sent, MPI_STATUS_IGNORE);
    if (rc != MPI_SUCCESS) return coll_fail(err, rc, "say where this GPU is");
    if (!sent) return unsent(err);
    struct meet_word *w = &m->word_out[part];
    *w = (struct meet_word){.round = m->round, .part = (uint32_t)part};
    (void)snprintf(w->host, sizeof(w->host), "%s", m->host);
    (void)snprintf(w->gpu, sizeof(w->gpu), "%s", gpu);
    if (why != NULL) {
        w->status = (int32_t)why->status;
        (void)snprintf(w->text, sizeof(w->text), "%.*s", (int)sizeof(w->text) - 1, why->text);
    }
    if (m->rank != 0) return send_word(m, part, err);
    if (why == NULL) take_word(m, 0, w);
    return why == NULL ? REEVE_OK : meet_answer_all(m, part, NULL, why, err);
}

reeve_status meet_test(struct meet *m, enum meet_event *event, struct reeve_error *err)
{
    *event = MEET_NOTHING;
    return m->rank == 0 ? test_first(m, event, err) : test_other(m, event, err);
}

/* ---- life ---- */

static reeve_status allocate(struct meet *m, struct reeve_error *err)
{
    if (m->rank != 0) return REEVE_OK;
    size_t sends = (size_t)MEET_PARTS * m->size;
    m->words = calloc(m->size, sizeof(*m->words));
    m->said = calloc(m->size, sizeof(*m->said));
    m->answer_sends = calloc(sends, sizeof(*m->answer_sends));
    if (m->words == NULL || m->said == NULL || m->answer_sends == NULL)
        return reeve_fail(err, REEVE_JOB_NO_MEMORY, "sum over the GPUs of %u workers: out of memory", m->size);
    for (size_t i = 0; i < sends; i++)
        m->answer_sends[i] = MPI_REQUEST_NULL;
    return REEVE_OK;
}

static int post_receive(struct meet *m)
{
    int rc = m->rank == 0 ? MPI_Recv_init(&m->word_in, sizeof(m->word_in), MPI_BYTE, MPI_ANY_SOURCE,
                                          m->first_tag + COLL_TAG_WORD, m->comm, &m->word_receive)
                          : MPI_Recv_init(&m->answer_in, sizeof(m->answer_in), MPI_BYTE, 0,
                                          m->first_tag + COLL_TAG_ANSWER, m->comm, &m->answer_receive);
    return rc == MPI_SUCCESS ? MPI_Start(m->rank == 0 ? &m->word_receive : &m->answer_receive) : rc;
}

reeve_status meet_init(struct meet *m, MPI_Comm comm, int first_tag, struct reeve_error *err)
{
    char host[MPI_MAX_PROCESSOR_NAME + 1] = "";
    int rank = 0, size = 0, length = 0;
    *m = (struct meet){.comm = comm,
                       .first_tag = first_tag,
                       .word_sends = {MPI_REQUEST_NULL, MPI_REQUEST_NULL},
                       .answer_receive = MPI_REQUEST_NULL,
                       .word_receive = MPI_REQUEST_NULL};
    int rc = MPI_Comm_rank(comm, &rank);
    if (rc == MPI_SUCCESS) rc = MPI_Comm_size(comm, &size);
    if (rc == MPI_SUCCESS) rc = MPI_Get_processor_name(host, &length);
    if (rc != MPI_SUCCESS) return coll_fail(err, rc, "find this worker's place");
    (void)snprintf(m->host, sizeof(m->host), "%.*s", (int)sizeof(m->host) - 1, host);
    m->rank = (uint32_t)rank;
    m->size = (uint32_t)size;
    reeve_status st = allocate(m, err);
    if (st == REEVE_OK) rc = post_receive(m);
    if (rc != MPI_SUCCESS) st = coll_fail(err, rc, "prepare");
    if (st != REEVE_OK) meet_fini(m);
    return st;
}

void meet_fini(struct meet *m)
{
    coll_drop_receive(&m->word_receive);
    coll_drop_receive(&m->answer_receive);
    for (int part = 0; part < MEET_PARTS; part++)
        coll_drop_send(&m->word_sends[part]);
    for (size_t i = 0; m->answer_sends != NULL && i < (size_t)MEET_PARTS * m->size; i++)
        coll_drop_send(&m->answer_sends[i]);
    free(m->words);
    free(m->said);
    free(m->answer_sends);
    m->words = NULL;
    m->said = NULL;
    m->answer_sends = NULL;
}
