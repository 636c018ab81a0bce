/* Names of events, for people and for error messages. */
#include "core/event.h"

const char *reeve_event_name(uint16_t kind)
{
    switch (kind) {
#define NAME_CASE(name, number, fields) \
    case (number): return #name;
        REEVE_EVENT_MAP(NAME_CASE)
#undef NAME_CASE
    case REEVE_EVENT_WORKER_READY: return "WORKER_READY";
    case REEVE_EVENT_WORKER_REDUCED: return "WORKER_REDUCED";
    case REEVE_EVENT_STEP_REDUCING: return "STEP_REDUCING";
    case REEVE_EVENT_CKPT_BEGUN: return "CKPT_BEGUN";
    case REEVE_EVENT_CKPT_PART: return "CKPT_PART";
    case REEVE_EVENT_STOP_ASKED: return "STOP_ASKED";
    case REEVE_EVENT_SAVE_ASKED: return "SAVE_ASKED";
    case REEVE_EVENT_HEARTBEAT: return "HEARTBEAT";
    case REEVE_EVENT_PHASE: return "PHASE";
    case REEVE_EVENT_WORKER_WEIGHTS: return "WORKER_WEIGHTS";
    case REEVE_EVENT_WORKER_GONE: return "WORKER_GONE";
    case REEVE_EVENT_WORKER_LOSS: return "WORKER_LOSS";
    case REEVE_EVENT_TASK_WOKEN: return "TASK_WOKEN";
    case REEVE_EVENT_LEASE_RENEWED: return "LEASE_RENEWED";
    case REEVE_EVENT_TASK_CONFIRMED: return "TASK_CONFIRMED";
    case REEVE_EVENT_WORKER_TAINTED: return "WORKER_TAINTED";
    case REEVE_EVENT_WORKER_REJOINED: return "WORKER_REJOINED";
    case REEVE_EVENT_WORKER_SETTLED: return "WORKER_SETTLED";
    case REEVE_EVENT_WORKER_BARE: return "WORKER_BARE";
    case REEVE_EVENT_STATE_ASKED: return "STATE_ASKED";
    case REEVE_EVENT_RESTORE_FAILED: return "RESTORE_FAILED";
    case REEVE_EVENT_LOAD_ASKED: return "LOAD_ASKED";
    case REEVE_EVENT_CKPT_HANDED: return "CKPT_HANDED";
    case REEVE_EVENT_CKPT_SKIPPED: return "CKPT_SKIPPED";
    default: return "?";
    }
}
