/* Task lists in a few words, for the tests of lists and of the master that works one off. */
#ifndef TESTS_UNIT_CORE_LIST_FIXTURE_H
#define TESTS_UNIT_CORE_LIST_FIXTURE_H

#include "core/task_list.h"
#include "fixture.h"

struct fx_after {
    uint32_t task, before; /* before may carry REEVE_TASK_AFTER_ANY */
};

/* `count` commands named t0, t1 ...; afters ordered by task. Not checked: a test may want a bad one. */
static inline struct reeve_task_list *fx_list(uint32_t count, const struct fx_after *afters, uint32_t after_count)
{
    struct reeve_task_list *l = NULL;
    struct reeve_error err = {0};
    assert_int_equal(reeve_task_list_create(count, after_count, (uint64_t)count * 24, &l, &err), REEVE_OK);
    uint64_t used = 0;
    for (uint32_t i = 0, a = 0; i < count; i++) {
        l->entries[i] = (struct reeve_task_entry){.first_after = a, .attempts_max = 3, .kind = REEVE_TASK_EXEC};
        for (; a < after_count && afters[a].task == i; a++)
            l->afters[a] = afters[a].before;
        l->text_at[i] = used;
        used += (uint64_t)sprintf(l->text + used, "t%u", i) + 1;
        used += (uint64_t)sprintf(l->text + used, "true %u", i) + 1;
    }
    l->entries[count].first_after = after_count;
    l->digest = reeve_task_list_digest(l);
    return l;
}

#endif
