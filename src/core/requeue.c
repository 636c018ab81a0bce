/* See requeue.h. */
#include "core/requeue.h"

#include "reeve/status.h"

const char *reeve_cause_name(enum reeve_cause cause)
{
    static const char *const names[] = {
#define REEVE_CAUSE_NAME(name, word) [REEVE_CAUSE_##name] = (word),
        REEVE_CAUSE_MAP(REEVE_CAUSE_NAME)
#undef REEVE_CAUSE_NAME
    };
    return cause < REEVE_CAUSE_COUNT ? names[cause] : "";
}

enum reeve_cause reeve_cause_of_exit(enum reeve_cause asked, int exit_code)
{
    switch (exit_code) {
    case REEVE_EXIT_DONE:
    case REEVE_EXIT_DEAD_TASKS: return REEVE_CAUSE_COMPLETE;
    case REEVE_EXIT_AGAIN: return asked != REEVE_CAUSE_NONE ? asked : REEVE_CAUSE_ASKED;
    case REEVE_EXIT_INTERRUPTED: return REEVE_CAUSE_ASKED;
    case REEVE_EXIT_USAGE:
    case REEVE_EXIT_DATA:
    case REEVE_EXIT_NO_INPUT:
    case REEVE_EXIT_UNAVAILABLE:
    case REEVE_EXIT_CANNOT_CREATE:
    case REEVE_EXIT_IO:
    case REEVE_EXIT_PERMISSION:
    case REEVE_EXIT_CONFIG: return REEVE_CAUSE_FAILED;
    default: return REEVE_CAUSE_CRASH; /* 70, a signal, or a launcher's own code */
    }
}

bool reeve_requeue_decide(const struct reeve_requeue_facts *facts, const char **why)
{
    bool progress = facts->checkpoint > facts->before;
    switch (facts->cause) {
    case REEVE_CAUSE_COMPLETE: *why = "all steps are done"; return false;
    case REEVE_CAUSE_ASKED: *why = "somebody asked the run to stop"; return false;
    case REEVE_CAUSE_FAILED: *why = "the next start would fail in the same way"; return false;
    case REEVE_CAUSE_PREEMPTED: *why = "pre-empted"; return true; /* that is nobody's fault, however often */
    case REEVE_CAUSE_TIME_LIMIT: *why = "its time is up"; break;
    case REEVE_CAUSE_NODE_FAILURE: *why = "a node failed"; break;
    default: *why = "it crashed"; break;
    }
    if (progress || facts->barren < REEVE_BARREN_MAX) return true;
    *why = "it was queued again before, and has saved nothing since";
    return false;
}
