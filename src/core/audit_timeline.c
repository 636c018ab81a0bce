/* The timeline that survived, and its samples; see audit_timeline.h. */
#include "core/audit_timeline.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

void audit_timeline_free(struct audit_timeline *t)
{
    free(t->notes);
    free(t->refused);
    memset(t, 0, sizeof(*t));
}

bool audit_timeline_append(struct audit_timeline *t, uint64_t step, bool refused)
{
    REEVE_ASSERT(step == t->last + 1);
    if (t->last == t->refused_room) {
        uint64_t room = t->refused_room > 0 ? t->refused_room * 2 : 1024;
        uint8_t *more = realloc(t->refused, room);
        if (more == NULL) return false;
        t->refused = more;
        t->refused_room = room;
    }
    t->refused[t->last++] = refused;
    return true;
}

bool audit_timeline_note(struct audit_timeline *t, uint64_t step, uint32_t micro, int64_t extra)
{
    if (t->note_count == t->note_room) {
        size_t room = t->note_room > 0 ? t->note_room * 2 : 64;
        struct audit_note *more = realloc(t->notes, sizeof(*more) * room);
        if (more == NULL) return false;
        t->notes = more;
        t->note_room = room;
    }
    t->notes[t->note_count++] = (struct audit_note){step, micro, extra};
    return true;
}

void audit_timeline_roll_back(struct audit_timeline *t, uint64_t step)
{
    REEVE_ASSERT(step <= t->last);
    t->last = step;
    size_t kept = 0;
    for (size_t i = 0; i < t->note_count; i++)
        if (t->notes[i].step <= step) t->notes[kept++] = t->notes[i];
    t->note_count = kept;
}

/* ---- marking ---- */

/* The timeline is walked in the order of positions, so one epoch is under way at a time. */
struct marker {
    uint64_t *bits; /* (ceil(visits / 64),) owned; of `epoch` */
    uint64_t visits, epoch, marked;
    struct reeve_audit_result *out;
};

static size_t bits_bytes(const struct marker *m)
{
    return (size_t)((m->visits + 63) / 64 * 8);
}

static void close_epoch(struct marker *m)
{
    m->out->epochs_complete += m->marked == m->visits;
    m->out->samples_committed += m->marked;
    m->marked = 0;
    memset(m->bits, 0, bits_bytes(m));
}

static void mark_sample(struct marker *m, const struct reeve_sample *s, int64_t times)
{
    if (s->epoch != m->epoch) {
        close_epoch(m);
        m->epoch = s->epoch;
    }
    REEVE_ASSERT(s->ordinal < m->visits);
    uint64_t *word = &m->bits[s->ordinal / 64];
    uint64_t bit = (uint64_t)1 << (s->ordinal % 64);
    if (times <= 0) return;
    bool first = (*word & bit) == 0;
    m->marked += first;
    m->out->duplicates += (uint64_t)times - first;
    *word |= bit;
}

static int compare_notes(const void *a, const void *b)
{
    const struct audit_note *x = a, *y = b;
    return x->step != y->step ? (x->step < y->step ? -1 : 1) : 0;
}

/* How often each micro-batch of the step entered the model, by the notes from *note on; *note moves to the next step.
 */
static void count_entries(const struct audit_timeline *t, uint64_t step, size_t *note, int64_t *times, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        times[i] = 1;
    for (; *note < t->note_count && t->notes[*note].step == step; ++*note) {
        const struct audit_note *at = &t->notes[*note];
        bool all = at->micro == AUDIT_ALL_MICRO_BATCHES;
        for (uint32_t i = all ? 0 : at->micro; i < (all ? n : at->micro + 1); i++)
            times[i] += at->extra;
    }
}

static reeve_status mark_steps(struct audit_timeline *t, reeve_plan *plan, struct marker *m, int64_t *times,
                               struct reeve_sample *samples, struct reeve_error *err)
{
    uint32_t micro_batches = reeve_plan_micro_batches(plan);
    uint32_t micro_batch = reeve_plan_step_samples(plan) / micro_batches;
    if (t->note_count > 0) qsort(t->notes, t->note_count, sizeof(*t->notes), compare_notes);
    size_t note = 0;
    for (uint64_t step = 1; step <= t->last; step++) {
        count_entries(t, step, &note, times, micro_batches);
        for (uint32_t i = 0; i < micro_batches; i++) {
            reeve_status st = reeve_plan_micro_batch(plan, step, i, samples, err);
            if (st != REEVE_OK) return st;
            for (uint32_t s = 0; s < micro_batch; s++)
                mark_sample(m, &samples[s], times[i]);
        }
    }
    close_epoch(m);
    return REEVE_OK;
}

reeve_status audit_timeline_mark(struct audit_timeline *t, reeve_plan *plan, struct reeve_audit_result *out,
                                 struct reeve_error *err)
{
    uint64_t step_samples = reeve_plan_step_samples(plan);
    out->steps = t->last;
    out->samples_expected = t->last * step_samples;
    for (uint64_t s = 0; s < t->last; s++)
        out->samples_refused += t->refused[s] ? step_samples : 0;
    struct marker m = {.visits = reeve_plan_epoch_samples(plan), .out = out};
    m.bits = calloc(1, bits_bytes(&m));
    struct reeve_sample *samples = calloc(step_samples / reeve_plan_micro_batches(plan), sizeof(*samples));
    int64_t *times = calloc(reeve_plan_micro_batches(plan), sizeof(*times));
    reeve_status st = REEVE_OK;
    if (m.bits == NULL || samples == NULL || times == NULL)
        st = reeve_fail(err, REEVE_JOB_NO_MEMORY,
                        "audit: no memory for a bit for each of the %" PRIu64 " sample visits of an epoch (%zu bytes)",
                        m.visits, bits_bytes(&m));
    if (st == REEVE_OK) st = mark_steps(t, plan, &m, times, samples, err);
    out->missing = out->samples_expected - out->samples_committed;
    free(times);
    free(samples);
    free(m.bits);
    return st;
}
