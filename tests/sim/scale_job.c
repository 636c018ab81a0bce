/* See scale_job.h. Each sample is a token of one shard, each micro-batch one sample: a task is as small as it can be, so
 * what is measured is dispatch. */
#include "scale_job.h"

#include <string.h>

#include "base/error.h"

#define EPOCH 1

static char path[] = "a";

static void carry_out(struct scale_job *j, struct reeve_decision *d, const struct scale_sink *sink)
{
    struct reeve_error err = {0};
    for (uint32_t i = 0; i < d->event_count; i++) {
        struct reeve_event *ev = &d->events[i];
        ev->epoch = EPOCH;
        if (ev->kind < REEVE_EVENT_VOLATILE) {
            if (sink->append != NULL) sink->append(sink->arg, ev);
            ev->lsn = ++j->lsn;
        }
        reeve_status st = reeve_master_apply(j->master, ev, &err);
        REEVE_ASSERT(st == REEVE_OK);
    }
    for (uint32_t i = 0; i < d->frame_count; i++) {
        const struct reeve_outgoing *o = &d->frames[i];
        uint32_t last = o->to != 0 ? o->to : j->workers;
        for (uint32_t w = o->to != 0 ? o->to : 1; w <= last; w++)
            sink->send(sink->arg, w, &o->frame);
    }
}

uint32_t scale_give(struct scale_job *j, uint32_t worker, const struct reeve_frame *f, const struct scale_sink *sink)
{
    struct reeve_decision d;
    struct reeve_master_input in = {.kind = REEVE_INPUT_FRAME, .worker = worker, .frame = f, .text = ""};
    reeve_master_decide(j->master, &in, 1, &d);
    carry_out(j, &d, sink);
    return d.event_count > 0;
}

uint32_t scale_tick(struct scale_job *j, const struct scale_sink *sink)
{
    const struct reeve_master_input tick = {.kind = REEVE_INPUT_TICK};
    for (uint32_t n = 0;; n++) {
        struct reeve_decision d;
        reeve_master_decide(j->master, &tick, 1, &d);
        if (d.event_count == 0) return n;
        carry_out(j, &d, sink);
    }
}

struct reeve_frame scale_answer(const struct reeve_frame *lease)
{
    struct reeve_frame f = *lease;
    f.kind = lease->a == REEVE_TASK_GRADIENT ? REEVE_FRAME_COMPUTED : REEVE_FRAME_DONE;
    f.a = 0;
    return f;
}

struct reeve_frame scale_reduced(const struct scale_job *j, uint64_t step)
{
    return (struct reeve_frame){.kind = REEVE_FRAME_REDUCED,
                                .epoch = EPOCH,
                                .step = step,
                                .task = j->tasks,
                                .arg = j->workers,
                                .b = reeve_plan_coverage_step(j->plan, step)};
}

static void send_nowhere(void *arg, uint32_t worker, const struct reeve_frame *frame)
{
    (void)arg, (void)worker, (void)frame;
}

/* Everybody says hello; the last hello lets the master ask for the model, which everybody has. No tick after that: the
 * first step is opened by the caller's. */
static void gather(struct scale_job *j)
{
    const struct scale_sink nowhere = {.send = send_nowhere};
    struct reeve_decision opened = {.event_count = 1};
    opened.events[0] = (struct reeve_event){.kind = REEVE_EVENT_RUN_OPENED, .a = 1, .arg = j->workers};
    memcpy(&opened.events[0].b, j->manifest.digest.bytes, 8);
    carry_out(j, &opened, &nowhere);
    for (uint32_t w = 1; w <= j->workers; w++) {
        struct reeve_frame hello = {.kind = REEVE_FRAME_HELLO, .a = w / 64};
        (void)scale_give(j, w, &hello, &nowhere);
    }
    (void)scale_tick(j, &nowhere);
    for (uint32_t w = 1; w <= j->workers; w++) {
        struct reeve_frame ready = {.kind = REEVE_FRAME_READY, .epoch = EPOCH};
        (void)scale_give(j, w, &ready, &nowhere);
    }
}

void scale_job_create(struct scale_job *j, uint32_t workers, uint32_t tasks_per_worker, uint32_t credits)
{
    struct reeve_error err = {0};
    memset(j, 0, sizeof(*j));
    j->workers = workers;
    j->tasks = workers * tasks_per_worker;
    j->shard = (struct reeve_shard){.file_bytes = j->tasks + 1,
                                    .token_count = j->tasks + 1,
                                    .weight = 1,
                                    .format = REEVE_SHARD_TEXT,
                                    .token_bytes = 1};
    j->manifest = (struct reeve_manifest){.dataset = "scale",
                                          .tokenizer = "bytes",
                                          .vocab = 256,
                                          .shard_count = 1,
                                          .shards = &j->shard,
                                          .paths = path,
                                          .paths_bytes = sizeof(path)};
    j->manifest.digest = reeve_manifest_digest(&j->manifest);
    struct reeve_plan_config plan = {
        .shuffle = REEVE_SHUFFLE_GLOBAL, .block_shards = 1, .sequence = 1, .global_batch = j->tasks, .micro_batch = 1};
    reeve_status st = reeve_plan_create(&j->manifest, &plan, &j->plan, &err);
    REEVE_ASSERT(st == REEVE_OK);
    struct reeve_master_config config = {.run_id = 1,
                                         .workers_max = workers,
                                         .manifest = &j->manifest,
                                         .steps = UINT32_MAX,
                                         .global_batch = j->tasks,
                                         .micro_batch = 1,
                                         .attempts_max = 3,
                                         .crash_limit = 3,
                                         .refused_max = 3,
                                         .credits = credits,
                                         .lease_term_ns = INT64_MAX / 4};
    memcpy(&config.manifest_digest64, j->manifest.digest.bytes, 8);
    st = reeve_master_create(&config, j->plan, &j->master, &err);
    REEVE_ASSERT(st == REEVE_OK);
    gather(j);
}

void scale_job_destroy(struct scale_job *j)
{
    reeve_master_destroy(j->master);
    reeve_plan_destroy(j->plan);
}
