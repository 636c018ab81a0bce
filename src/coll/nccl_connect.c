/* See nccl_connect.h. */
#include "coll/nccl_connect.h"

#include <string.h>

#include "base/absence.h"
#include "base/clock.h"
#include "base/error.h"
#include "coll/border.h"

/* ---- cards ---- */

/* NCCL would say no more than "invalid usage". */
static reeve_status check_cards(const struct meet *m, struct reeve_error *err)
{
    for (uint32_t b = 1; b < m->size; b++)
        for (uint32_t a = 0; a < b; a++) {
            const struct meet_word *x = &m->words[a], *y = &m->words[b];
            if (strcmp(x->host, y->host) != 0 || strcmp(x->gpu, y->gpu) != 0) continue;
            return reeve_fail(
                err, REEVE_JOB_DEVICE,
                "sum over GPUs: ranks %u and %u of the workers are both on GPU %s of host %s, and NCCL does "
                "not share a GPU: start no more workers on a host than it has GPUs, and let each see all of "
                "them (sbatch --gpus-per-node, not --gpus-per-task; CUDA_VISIBLE_DEVICES)",
                a, b, x->gpu, x->host);
        }
    return REEVE_OK;
}

static reeve_status be_born(struct connect *c, const unsigned char *id, struct reeve_error *err)
{
    c->stage = CONNECT_BIRTH;
    return comm_begin(c->comm, c->meet.size, c->meet.rank, id, err);
}

static reeve_status offer(struct connect *c, struct reeve_error *err)
{
    unsigned char id[COMM_ID_BYTES];
    reeve_status st = check_cards(&c->meet, err);
    if (st == REEVE_OK) st = comm_make_id(id, err);
    if (st == REEVE_OK) st = meet_answer_all(&c->meet, MEET_CARD, id, NULL, err);
    return st == REEVE_OK ? be_born(c, id, err) : st;
}

/* ---- trial ---- */

static reeve_status begin_trial(struct connect *c, struct reeve_error *err)
{
    c->stage = CONNECT_TRIAL;
    c->summing = c->copying = false;
    return comm_sum(c->comm, c->gpu, SUM_I64, c->gpu->trial_in, c->gpu->trial_out, 1, err);
}

static reeve_status judge_trial(struct connect *c, struct reeve_error *err)
{
    c->stage = CONNECT_OUTCOMES;
    if (c->trial != (int64_t)c->meet.size)
        return reeve_fail(err, REEVE_JOB_DEVICE,
                          "sum over GPUs: NCCL adds up %u ones to %lld; nothing is trained on that", c->meet.size,
                          (long long)c->trial);
    return meet_say(&c->meet, MEET_OUTCOME, c->gpu->name, NULL, err);
}

/* NCCL takes the sum; the sum ends; its result comes to the host. The copy is begun only then: one into ordinary memory
 * waits for what is before it in the stream. */
static reeve_status move_trial(struct connect *c, struct reeve_error *err)
{
    bool ready = false;
    reeve_status st = comm_poll(c->comm, &ready, err);
    if (st != REEVE_OK || !ready) return st;
    if (!c->summing) {
        c->summing = true;
        return gpu_record(c->gpu, 0, err);
    }
    bool passed = false;
    st = gpu_test(c->gpu, 0, &passed, err);
    if (st != REEVE_OK || !passed) return st;
    if (c->copying) return judge_trial(c, err);
    c->copying = true;
    st = gpu_copy(c->gpu, &c->trial, c->gpu->trial_out, sizeof(c->trial), err);
    return st == REEVE_OK ? gpu_record(c->gpu, 0, err) : st;
}

/* ---- the way through ---- */

/* What the others' words bring. */
static reeve_status listen(struct connect *c, bool *done, struct reeve_error *err)
{
    enum meet_event event = MEET_NOTHING;
    reeve_status st = meet_test(&c->meet, &event, err);
    if (st != REEVE_OK || event == MEET_NOTHING) return st;
    if (c->stage == CONNECT_CARDS) return event == MEET_ALL_SAID ? offer(c, err) : be_born(c, c->meet.answer.id, err);
    *done = c->stage == CONNECT_OUTCOMES;
    if (event == MEET_ALL_SAID && *done) return meet_answer_all(&c->meet, MEET_OUTCOME, NULL, NULL, err);
    return REEVE_OK;
}

static reeve_status move(struct connect *c, struct reeve_error *err)
{
    bool ready = false;
    if (c->stage == CONNECT_TRIAL) return move_trial(c, err);
    if (c->stage == CONNECT_OUTCOMES) return comm_poll(c->comm, &ready, err);
    if (c->stage != CONNECT_BIRTH) return REEVE_OK;
    reeve_status st = comm_poll(c->comm, &ready, err);
    return st == REEVE_OK && ready ? begin_trial(c, err) : st;
}

static const char *stage_text(enum connect_stage stage)
{
    switch (stage) {
    case CONNECT_CARDS: return "not all workers came";
    case CONNECT_BIRTH: return "NCCL did not bring the workers together";
    case CONNECT_TRIAL: return "NCCL's first sum of one number did not end";
    default: return "not all workers got through the first sum";
    }
}

static reeve_status check_deadline(struct connect *c, struct reeve_error *err)
{
    reeve_time_ns now_ns = reeve_clock_now();
    c->deadline_ns += reeve_absence(&c->looked_ns, now_ns, REEVE_ABSENCE_NS);
    if (now_ns < c->deadline_ns) return REEVE_OK;
    reeve_status st = comm_failure_status() == REEVE_WORKER_LOST ? REEVE_WORKER_LOST : REEVE_JOB_DEADLINE;
    return reeve_fail(err, st, "sum over GPUs: %s within %lld ms (NCCL_DEBUG=INFO tells what it waits for)",
                      stage_text(c->stage), (long long)(c->limit_ns / REEVE_MILLISECOND_NS));
}

/* This one cannot go on: nobody shall wait for it. Words fail only if MPI has, and then there is no better way. */
static void tell_others(struct connect *c, const struct reeve_error *why)
{
    struct reeve_error unheard;
    enum meet_part part = c->stage == CONNECT_CARDS ? MEET_CARD : MEET_OUTCOME;
    (void)meet_say(&c->meet, part, c->gpu->name, why, &unheard);
    if (why->status == REEVE_WORKER_LOST) coll_release_others(c->meet.comm);
}

static reeve_status end(struct connect *c, reeve_status st, struct reeve_error *err)
{
    err->status = st;
    tell_others(c, err);
    c->stage = CONNECT_NONE;
    return st;
}

reeve_status connect_begin(struct connect *c, uint32_t round, const struct reeve_error *why, struct reeve_error *err)
{
    c->stage = CONNECT_CARDS;
    c->looked_ns = reeve_clock_now();
    c->deadline_ns = c->looked_ns + c->limit_ns;
    meet_begin(&c->meet, round);
    reeve_status st = why == NULL ? meet_say(&c->meet, MEET_CARD, c->gpu->name, NULL, err) : why->status;
    if (st == REEVE_OK) return st;
    if (why != NULL) *err = *why;
    return end(c, st, err);
}

reeve_status connect_test(struct connect *c, bool *done, struct reeve_error *err)
{
    *done = false;
    reeve_status st = listen(c, done, err);
    if (st == REEVE_OK && !*done) st = move(c, err);
    if (st == REEVE_OK && !*done) st = check_deadline(c, err);
    if (st != REEVE_OK) return end(c, st, err);
    if (*done) c->stage = CONNECT_NONE;
    return REEVE_OK;
}
