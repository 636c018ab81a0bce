/* See holdings.h. Looked up from the end: what is not yet computed is among the last few. */
#include "run/holdings.h"

#include <stdlib.h>
#include <string.h>

#include "core/task.h"

#define NOWHERE UINT32_MAX

void reeve_holdings_fini(struct reeve_holdings *h)
{
    free(h->list);
    free(h->ended);
    memset(h, 0, sizeof(*h));
}

bool reeve_holdings_add(struct reeve_holdings *h, const struct reeve_frame *lease)
{
    if (h->count == h->room) {
        uint32_t room = h->room == 0 ? 64 : 2 * h->room;
        struct reeve_frame *list = realloc(h->list, room * sizeof(*list));
        if (list == NULL) return false;
        h->list = list;
        h->room = room;
    }
    struct reeve_frame *f = &h->list[h->count++];
    *f = *lease;
    f->kind = REEVE_FRAME_HOLDING;
    f->text_bytes = 0;
    f->b = lease->c;
    f->c = f->d = 0;
    return true;
}

static uint32_t find(const struct reeve_holdings *h, uint32_t task, uint32_t attempt)
{
    for (uint32_t i = h->count; i-- > 0;)
        if (h->list[i].task == task && h->list[i].attempt == attempt) return i;
    return NOWHERE;
}

static void strike(struct reeve_holdings *h, uint32_t at)
{
    memmove(&h->list[at], &h->list[at + 1], (--h->count - at) * sizeof(*h->list));
}

/* Without memory for it the command may run again, which it must bear anyway. */
static void keep_ended(struct reeve_holdings *h, const struct reeve_frame *answer)
{
    if (h->ended_max == 0) return;
    if (h->ended == NULL) h->ended = calloc(h->ended_max, sizeof(*h->ended));
    if (h->ended == NULL) return;
    struct reeve_frame *f = &h->ended[h->ended_count++ % h->ended_max];
    *f = *answer;
    f->text_bytes = 0; /* the worker's log has it */
}

const struct reeve_frame *reeve_holdings_ended(const struct reeve_holdings *h, uint32_t i)
{
    uint32_t kept = h->ended_count < h->ended_max ? h->ended_count : h->ended_max;
    return i < kept ? &h->ended[(h->ended_count - kept + i) % h->ended_max] : NULL;
}

bool reeve_holdings_answer(struct reeve_holdings *h, const struct reeve_frame *answer)
{
    uint32_t at = find(h, answer->task, answer->attempt);
    if (at == NOWHERE) return false;
    if (answer->kind == REEVE_FRAME_COMPUTED) {
        h->list[at].c = 1;
        h->list[at].d = answer->a;
    } else {
        strike(h, at);
        keep_ended(h, answer);
    }
    return true;
}

void reeve_holdings_revoke(struct reeve_holdings *h, uint32_t task, uint32_t attempt)
{
    uint32_t at = find(h, task, attempt);
    if (at != NOWHERE) strike(h, at);
}

void reeve_holdings_wipe(struct reeve_holdings *h)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < h->count; i++)
        if (h->list[i].a != REEVE_TASK_GRADIENT && h->list[i].a != REEVE_TASK_EVAL) h->list[kept++] = h->list[i];
    h->count = kept;
}
