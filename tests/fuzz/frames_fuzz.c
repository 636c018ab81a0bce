/* Messages from anybody, and a master that decides on what is in them. With FUZZ_LIST it works a list off, which the
 * beginning of the input describes; else it trains. The first byte chooses:
 *   even  the rest is one message, walked and decided on frame by frame
 *   odd   the rest is a conversation: of each 12 bytes the first says what happens next. Workers answer what the master
 *         sent them, as they should or with some field changed, are lost, and masters follow each other, so that every
 *         phase of a run is reached
 * With FUZZ_AUDIT the bit above chooses between training and a list, and there is only the conversation; its first 48
 * bytes say how its journal is altered, which is then given to all that read one. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "talk.h"

#ifdef FUZZ_AUDIT
#include "cli/history.h"
#include "core/audit.h"
#include "core/list_audit.h"
#endif

#define STEP_BYTES 12u
#define LIST_TASKS_MAX 12u

/* ---- what workers say ---- */

/* What the plan has: the sum that all of them come to, whatever they computed. */
static void sum_up(struct reeve_frame *r, bool eval)
{
    reeve_plan *plan = fuzz_plan();
    uint32_t samples = reeve_plan_step_samples(plan);
    r->b = reeve_plan_coverage_step(plan, r->step);
    if (eval) {
        r->b = samples = 0;
        for (uint32_t i = 0; i < reeve_plan_eval_batches(plan); i++) {
            struct reeve_sample of_batch[16];
            uint32_t count = 0;
            reeve_plan_eval_batch(plan, i, of_batch, &count);
            samples += count;
            r->b += reeve_plan_coverage_word(plan, REEVE_PLAN_EVAL_STEP(r->step), i);
        }
    }
    r->task = samples;
    r->d = (uint64_t)samples * 4; /* tokens */
}

static struct reeve_frame end_of_task(const struct talk *t, const struct reeve_frame *lease, struct reeve_frame r)
{
    if (t->list != NULL) {
        r.kind = lease->task % 5 == 4 ? REEVE_FRAME_FAILED : REEVE_FRAME_DONE;
        r.arg = REEVE_TASK_FAILED;
        r.a = reeve_task_result(r.kind == REEVE_FRAME_FAILED, 0, 1000u << lease->attempt);
        r.b = (uint64_t)t->now_ns;
    } else
        r.kind =
            lease->a == REEVE_TASK_GRADIENT || lease->a == REEVE_TASK_EVAL ? REEVE_FRAME_COMPUTED : REEVE_FRAME_DONE;
    return r;
}

/* What a worker says to that. kind 0: nothing. */
static struct reeve_frame answer(const struct talk *t, const struct reeve_frame *f)
{
    struct reeve_frame r = {.step = f->step, .task = f->task, .attempt = f->attempt, .arg = f->arg};
    switch (f->kind) {
    case REEVE_FRAME_INIT:
    case REEVE_FRAME_RESTORE: r.kind = REEVE_FRAME_READY; break;
    case REEVE_FRAME_LEASE: return end_of_task(t, f, r);
    case REEVE_FRAME_REVOKE: r.kind = REEVE_FRAME_RELEASED; break;
    case REEVE_FRAME_REDUCE:
        r.kind = REEVE_FRAME_REDUCED;
        sum_up(&r, f->a == REEVE_TASK_EVAL);
        break;
    case REEVE_FRAME_APPLY: r.kind = REEVE_FRAME_APPLIED; break;
    case REEVE_FRAME_CHECKPOINT:
        r.kind = REEVE_FRAME_CKPT_PART;
        r.a = 1000;
        break;
    case REEVE_FRAME_DRAIN: r.kind = REEVE_FRAME_GOODBYE; break;
    default: break;
    }
    return r;
}

/* After a change of who is there: what it holds, as the queue has it, and that this was all. */
static void rejoin(struct talk *t, uint32_t worker)
{
    struct reeve_master_status s;
    for (uint32_t i = 0; i < 64; i++) {
        const struct reeve_task *task = reeve_master_task(t->m, i);
        if (task == NULL || task->holder != worker) continue;
        struct reeve_frame holding = {.kind = REEVE_FRAME_HOLDING,
                                      .task = i,
                                      .attempt = task->attempt,
                                      .step = task->step,
                                      .arg = (uint32_t)task->key,
                                      .a = task->kind,
                                      .b = task->sequence,
                                      .c = task->state == REEVE_STATE_COMPUTED};
        talk_say(t, worker, holding, 0);
    }
    reeve_master_get_status(t->m, &s);
    talk_say(t, worker, (struct reeve_frame){.kind = REEVE_FRAME_REJOIN, .step = s.step}, 0);
}

static void say_answer(struct talk *t, uint32_t worker, const struct reeve_frame *f)
{
    struct reeve_frame r = answer(t, f);
    if (f->kind == REEVE_FRAME_WELCOME) rejoin(t, worker);
    if (f->kind == REEVE_FRAME_CHECKPOINT)
        talk_say(t, worker, (struct reeve_frame){.kind = REEVE_FRAME_WEIGHTS, .step = f->step, .a = f->step}, 0);
    if (r.kind != 0) talk_say(t, worker, r, 0);
}

/* A field of the frame is changed by what the input says. Returns the epoch to say it with; 0: that of now. */
static uint32_t twist(struct reeve_frame *f, const uint8_t *by)
{
    uint64_t value;
    memcpy(&value, by + 4, 8);
    switch (by[2] % 10) {
    case 0: f->kind = (uint16_t)(value % 56); break;
    case 1: f->task ^= (uint32_t)value; break;
    case 2: f->attempt ^= (uint32_t)value; break;
    case 3: f->arg ^= (uint32_t)value; break;
    case 4: f->step += value; break;
    case 5: f->a ^= value; break;
    case 6: f->b ^= value; break;
    case 7: f->c ^= value; break;
    case 8: f->d ^= value; break;
    default: return (uint32_t)value;
    }
    return 0;
}

/* ---- what happens ---- */

static void happen(struct talk *t, const uint8_t *by)
{
    uint32_t worker = 1 + by[1] % FUZZ_WORKERS;
    struct reeve_frame f = {.kind = REEVE_FRAME_HELLO, .worker = worker, .arg = 2};
    struct reeve_master_input in = {.worker = worker, .status = REEVE_JOB_STOPPED};
    uint64_t value;
    memcpy(&value, by + 4, 8);
    switch (by[0] % 13) {
    case 0: talk_say(t, worker, f, by[2]); break;
    case 1: /* an answer as it should be; several */
    case 2:
    case 3:
        for (unsigned n = 1 + by[3] % 8; n > 0 && talk_take(t, worker, &f); n--)
            say_answer(t, worker, &f);
        break;
    case 4: { /* one that is not, or comes twice */
        if (t->count[worker] == 0) break;
        f = answer(t, &t->inbox[worker][t->head[worker] % TALK_INBOX_MAX]);
        uint32_t epoch = twist(&f, by);
        talk_say(t, worker, f, epoch);
        break;
    }
    case 5: t->now_ns += (reeve_time_ns)(value % 100000000000u); break;
    case 6:
        in.kind = by[2] % 2 == 0 ? REEVE_INPUT_STOP : REEVE_INPUT_SAVE;
        talk_give(t, &in);
        break;
    case 7:
        in.kind = REEVE_INPUT_CKPT_DONE;
        in.step = by[2] % 4 == 0 ? value : t->ckpt_step;
        in.status = by[3] % 4 == 0 ? REEVE_STORE_WRITE : REEVE_OK;
        in.digest64 = value;
        talk_give(t, &in);
        break;
    case 8: /* weights that nobody asked for */
        f = (struct reeve_frame){.kind = REEVE_FRAME_WEIGHTS, .step = value % 13, .a = by[2] % 2};
        talk_say(t, worker, f, 0);
        break;
    case 9: /* all workers answer all that they were asked */
        for (uint32_t w = 1; w <= FUZZ_WORKERS; w++)
            for (unsigned n = 0; n < TALK_INBOX_MAX && talk_take(t, w, &f); n++)
                say_answer(t, w, &f);
        break;
    case 10: talk_relaunch(t); break;
    case 11: talk_regroup(t, by[2] & by[3], by[4] % 4 < FUZZ_WORKERS ? by[4] % 4 : 0); break;
    default:
        f = (struct reeve_frame){.kind = (uint16_t)(by[2] % 56), .arg = by[3], .step = value % 13};
        talk_say(t, worker, f, 0);
        break;
    }
    talk_tick(t);
}

#if defined(FUZZ_LIST) || defined(FUZZ_AUDIT)
/* Of the input: how many tasks; of each its priority and attempts, how many tasks it waits for, and which. *used: so
 * many bytes of it. NULL: it is no list. */
static struct reeve_task_list *list_of(const uint8_t *data, size_t size, size_t *used)
{
    struct reeve_error err;
    struct reeve_task_list *l = NULL;
    uint32_t count = size > 0 ? 1 + data[0] % LIST_TASKS_MAX : 0, afters = 0;
    size_t at = 1;
    if (count == 0 || reeve_task_list_create(count, 3 * count, 4 * count, &l, &err) != REEVE_OK) return NULL;
    for (uint32_t i = 0; i < count && at + 2 <= size; i++) {
        uint8_t shape = data[at++], waits = data[at++] % 4;
        l->entries[i] = (struct reeve_task_entry){.first_after = afters,
                                                  .priority = shape % 4,
                                                  .attempts_max = (uint16_t)(1 + shape / 4 % 3),
                                                  .kind = REEVE_TASK_EXEC};
        l->text_at[i] = 4 * i;
        memcpy(l->text + 4 * i, "t\0c", 4);
        for (; waits > 0 && at < size; waits--, at++)
            l->afters[afters++] = data[at] % 16u | (data[at] >= 128 ? REEVE_TASK_AFTER_ANY : 0);
    }
    l->entries[count].first_after = l->after_count = afters;
    l->digest = reeve_task_list_digest(l);
    *used = at;
    if (at <= size && reeve_task_list_check(l, &err) == REEVE_OK) return l;
    reeve_task_list_destroy(l);
    return NULL;
}
#endif

/* ---- a journal that somebody has altered, and signed again ---- */

#ifdef FUZZ_AUDIT
#define ALTERATIONS 4u

static void alter(struct talk *t, const uint8_t *by)
{
    uint32_t at = t->event_count > 0 ? (by[0] | (uint32_t)by[1] << 8) % t->event_count : 0;
    struct reeve_event *ev = &t->events[at];
    uint64_t value;
    memcpy(&value, by + 4, 8);
    switch (by[2] % 12) {
    case 0: break;
    case 1: ev->kind = (uint16_t)(value % 48); break;
    case 2: ev->task ^= (uint32_t)value; break;
    case 3: ev->worker ^= (uint32_t)value; break;
    case 4: ev->attempt ^= (uint32_t)value; break;
    case 5: ev->arg ^= (uint32_t)value; break;
    case 6: ev->step ^= value; break;
    case 7: ev->a ^= value; break;
    case 8: ev->b ^= value; break;
    case 9: ev->epoch ^= (uint32_t)value; break;
    case 10: *ev = t->events[value % (t->event_count + 1)]; break; /* a record twice, or one that is none */
    default: t->event_count = at; break;
    }
    for (uint32_t i = 0; i < t->event_count && by[3] % 4 != 0; i++)
        t->events[i].lsn = i + 1;
}

static void read_altered(const struct talk *t)
{
    struct reeve_error err;
    struct reeve_history history = {0};
    reeve_master *m = fuzz_master_create(t->list);
    reeve_audit *a = NULL;
    reeve_list_audit *of_list = NULL;
    struct reeve_audit_result r;
    struct reeve_list_audit_result of_tasks;
    for (uint32_t i = 0; i < t->event_count && reeve_master_apply(m, &t->events[i], &err) == REEVE_OK; i++) {}
    (void)reeve_master_digest(m);
    reeve_master_destroy(m);
    for (uint32_t i = 0; i < t->event_count && reeve_history_event(&history, &t->events[i], &err) == REEVE_OK; i++) {}
    (void)reeve_history_loss(&history, 4);
    (void)reeve_history_eval_loss(&history);
    reeve_history_destroy(&history);
    if (t->list != NULL) {
        FUZZ_CHECK(reeve_list_audit_create(t->list, &of_list, &err) == REEVE_OK, "audit: %s", err.text);
        for (uint32_t i = 0; i < t->event_count; i++)
            reeve_list_audit_event(of_list, &t->events[i]);
        reeve_list_audit_finish(of_list, &of_tasks);
        reeve_list_audit_destroy(of_list);
        return;
    }
    FUZZ_CHECK(reeve_audit_create(fuzz_plan(), &a, &err) == REEVE_OK, "audit: %s", err.text);
    for (uint32_t i = 0; i < t->event_count; i++)
        FUZZ_CHECK(reeve_audit_event(a, &t->events[i], &err) == REEVE_OK, "audit: %s", err.text);
    FUZZ_CHECK(reeve_audit_finish(a, &r, &err) == REEVE_OK, "audit: %s", err.text);
    reeve_audit_destroy(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct talk t;
    const uint8_t *alterations = data + 1;
    size_t at = 1 + ALTERATIONS * STEP_BYTES, used = 0;
    struct reeve_task_list *list = NULL;
    if (size < at) return 0;
    if (data[0] & 2) {
        list = list_of(data + at, size - at, &used);
        if (list == NULL) return 0;
        at += used;
    }
    talk_begin(&t, list);
    for (; at + STEP_BYTES <= size; at += STEP_BYTES)
        happen(&t, data + at);
    for (unsigned i = 0; i < ALTERATIONS; i++)
        alter(&t, alterations + i * STEP_BYTES);
    read_altered(&t);
    reeve_master_destroy(t.m);
    reeve_task_list_destroy(list);
    return 0;
}
#else
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct talk t;
    struct reeve_task_list *list = NULL;
    if (size == 0) return 0;
    bool is_message = data[0] % 2 == 0;
    size_t at = 1;
#ifdef FUZZ_LIST
    size_t used = 0;
    list = list_of(data + 1, size - 1, &used);
    if (list == NULL) return 0;
    at += used;
#endif
    talk_begin(&t, list);
    if (is_message) {
        talk_hear(&t, 1, data + at, size - at);
        talk_tick(&t);
    } else
        for (; at + STEP_BYTES <= size; at += STEP_BYTES)
            happen(&t, data + at);
    talk_end(&t);
    reeve_task_list_destroy(list);
    return 0;
}
#endif
