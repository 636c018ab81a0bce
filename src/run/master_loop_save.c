/* The master's part in checkpoints: the folder, the index when all parts are there, which is written beside the turns, and
 * the end of older ones. What is decided about them is in core/master_boundary.c and core/master_decide.c. */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "run/master_loop_state.h"

/* Where that fails the parts cannot be written, and their writers say so. */
void master_loop_begin_checkpoint(reeve_master_loop *l, uint64_t step)
{
    struct reeve_error why = {0};
    l->ckpt_epoch = l->epoch;
    if (reeve_checkpoint_begin(l->config.run_dir, step, l->epoch, &why) != REEVE_OK)
        reeve_log(REEVE_LOG_WARN, "checkpoint of step %" PRIu64 ": %s", step, why.text);
}

void master_loop_abandon_checkpoint(reeve_master_loop *l, uint64_t step)
{
    reeve_checkpoint_abandon(l->config.run_dir, step, l->ckpt_epoch);
}

reeve_status master_loop_commit_checkpoint(reeve_master_loop *l, struct reeve_error *err)
{
    struct reeve_master_cut cut;
    reeve_master_get_cut(l->master, &cut);
    struct reeve_checkpoint_meta meta = {
        .run_id = l->recovered->run_id,
        .epoch = l->ckpt_epoch,
        .workers = cut.part_count,
        .manifest_digest = l->config.digest,
        .wall_ns = reeve_clock_wall_ns(),
        .threads = l->config.job->resources.threads,
    };
    char identity[16384];
    size_t n = reeve_job_identity(l->config.job, identity, sizeof(identity));
    meta.job_digest = reeve_digest_of(identity, n < sizeof(identity) ? n : sizeof(identity) - 1);
    (void)snprintf(meta.build, sizeof(meta.build), "%s", l->config.build);
    return reeve_checkpointer_commit(l->checkpointer, &meta, &cut, err);
}

reeve_status master_loop_take_checkpoint_end(reeve_master_loop *l, reeve_time_ns now_ns, bool *progress,
                                             struct reeve_error *err)
{
    struct reeve_master_input in = {.kind = REEVE_INPUT_CKPT_DONE};
    struct reeve_error why = {0};
    if (l->checkpointer == NULL) return REEVE_OK; /* a task list needs no checkpoints */
    if (!reeve_checkpointer_poll(l->checkpointer, &in.step, &in.digest64, &why)) return REEVE_OK;
    *progress = true;
    if (why.status == REEVE_STORE_IN_USE) { /* its successor has saved this step */
        *err = why;
        return why.status;
    }
    in.status = why.status;
    if (why.status != REEVE_OK) {
        l->problem = why;
        reeve_log(REEVE_LOG_WARN, "checkpoint of step %" PRIu64 " failed: %s", in.step, why.text);
    }
    return master_loop_give(l, &in, now_ns, err);
}

/* The older ones go, once the record of the new one cannot be lost. A master that stood still in this turn may have a
 * successor by now, which does not know of the new one and counts on the older. */
reeve_status master_loop_retain(reeve_master_loop *l, struct reeve_error *err)
{
    struct reeve_master_checkpoint list[REEVE_CHECKPOINTS_MAX];
    uint32_t n = reeve_master_checkpoints(l->master, list, REEVE_CHECKPOINTS_MAX);
    l->retain_due = false;
    reeve_status st = l->config.owner != NULL ? reeve_owner_refresh(l->config.owner, err) : REEVE_OK;
    if (st == REEVE_OK) reeve_checkpointer_retain(l->checkpointer, list, n);
    return st;
}
