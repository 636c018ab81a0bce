/* The facts of a run as one JSON object. Keys are documented in docs/cli.md; programs may rely on them. */
#include <stdlib.h>

#include "base/error.h"
#include "cli/inspect.h"
#include "cli/output.h"

static void set_u64(json_t *o, const char *key, uint64_t v)
{
    reeve_cli_json_set(o, key, reeve_cli_json_u64(v));
}

static json_t *openings_json(const struct reeve_history *h)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < h->opening_count; i++) {
        const struct reeve_opening *s = &h->openings[i];
        json_t *o = json_object();
        set_u64(o, "lsn", s->lsn);
        set_u64(o, "membership_epoch", s->epoch);
        reeve_cli_json_set(o, "began", reeve_cli_json_utc(s->wall_ns));
        set_u64(o, "resumed_at", s->resumed_at);
        set_u64(o, "first_step", s->first_step);
        set_u64(o, "last_step", s->last_step);
        set_u64(o, "workers", s->workers_joined);
        set_u64(o, "workers_expected", s->workers_expected);
        set_u64(o, "workers_lost", s->workers_lost);
        reeve_cli_json_set(o, "end", json_string(reeve_opening_end_name(s->end)));
        if (s->end == REEVE_OPENING_STOPPED)
            reeve_cli_json_set(o, "reason", json_string(reeve_status_name((reeve_status)s->reason)));
        reeve_cli_json_append(list, o);
    }
    return list;
}

static json_t *checkpoints_json(const struct reeve_inspected *in)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < in->history.checkpoint_count; i++) {
        const struct reeve_history_checkpoint *c = &in->history.checkpoints[i];
        uint64_t bytes = reeve_inspect_checkpoint_bytes(in->run_dir, c->step);
        if (bytes == 0) continue; /* retention has removed it */
        json_t *o = json_object();
        set_u64(o, "step", c->step);
        set_u64(o, "bytes", bytes);
        set_u64(o, "files", c->files);
        set_u64(o, "cut_lsn", c->cut_lsn);
        reeve_cli_json_set(o, "index_digest64", reeve_cli_json_hex(c->digest64));
        reeve_cli_json_append(list, o);
    }
    return list;
}

static json_t *meta_json(const struct reeve_checkpoint_meta *m)
{
    json_t *o = json_object();
    set_u64(o, "step", m->step);
    set_u64(o, "lsn", m->lsn);
    set_u64(o, "membership_epoch", m->epoch);
    set_u64(o, "workers", m->workers);
    set_u64(o, "threads", m->threads);
    reeve_cli_json_set(o, "written", reeve_cli_json_utc(m->wall_ns));
    reeve_cli_json_set(o, "weights_digest", reeve_cli_json_digest(m->weights_digest));
    reeve_cli_json_set(o, "manifest_digest", reeve_cli_json_digest(m->manifest_digest));
    reeve_cli_json_set(o, "job_digest", reeve_cli_json_digest(m->job_digest));
    reeve_cli_json_set(o, "queue_digest", reeve_cli_json_hex(m->queue_digest));
    reeve_cli_json_set(o, "build", reeve_cli_json_text(m->build));
    return o;
}

static json_t *tensors_json(const reeve_checkpoint *c)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < reeve_checkpoint_tensor_count(c); i++) {
        struct reeve_tensor t;
        reeve_checkpoint_tensor(c, i, &t);
        json_t *o = json_object(), *shape = json_array();
        for (uint32_t d = 0; d < t.rank; d++)
            reeve_cli_json_append(shape, reeve_cli_json_u64(t.shape[d]));
        reeve_cli_json_set(o, "name", reeve_cli_json_text(t.name));
        reeve_cli_json_set(o, "group", json_string(t.group == REEVE_TENSOR_MODEL ? "model" : "optimizer"));
        reeve_cli_json_set(o, "shape", shape);
        reeve_cli_json_append(list, o);
    }
    return list;
}

static void put_progress(json_t *o, const struct reeve_inspected *in)
{
    const struct reeve_history *h = &in->history;
    uint64_t samples = h->step * in->job.train.global_batch;
    struct reeve_digest digest;
    uint64_t weights_step;
    set_u64(o, "step", h->step);
    set_u64(o, "steps", in->job.train.steps);
    reeve_cli_json_set(o, "complete",
                       json_boolean(h->step >= in->job.train.steps && h->opening_count > 0 &&
                                    h->openings[h->opening_count - 1].end == REEVE_OPENING_ENDED));
    set_u64(o, "epoch", samples / reeve_plan_epoch_samples(in->plan));
    set_u64(o, "samples", samples);
    reeve_cli_json_set(o, "loss", reeve_cli_json_real(reeve_history_loss(h, in->job.data.sequence)));
    reeve_cli_json_set(o, "eval_loss", reeve_cli_json_real(reeve_history_eval_loss(h)));
    set_u64(o, "eval_step", h->eval.step);
    bool known = reeve_inspect_weights(in, &digest, &weights_step);
    reeve_cli_json_set(o, "weights_digest", known ? reeve_cli_json_digest(digest) : json_null());
    reeve_cli_json_set(o, "weights_step", known ? reeve_cli_json_u64(weights_step) : json_null());
    bool from_others = in->job.model.init_from[0] != '\0';
    reeve_cli_json_set(o, "init_from", from_others ? reeve_cli_json_text(in->job.model.init_from) : json_null());
    reeve_cli_json_set(o, "init_weights", from_others ? reeve_cli_json_text(in->job.model.init_weights) : json_null());
    reeve_cli_json_set(o, "manifest_digest", reeve_cli_json_digest(in->manifest->digest));
    set_u64(o, "workers_seen", h->workers_seen);
}

static void put_history(json_t *o, const struct reeve_inspected *in)
{
    const struct reeve_history *h = &in->history;
    json_t *refused = json_array();
    for (uint32_t i = 0; i < h->refused_count; i++)
        reeve_cli_json_append(refused, reeve_cli_json_u64(h->refused[i]));
    reeve_cli_json_set(o, "restarts", json_integer(h->opening_count > 0 ? h->opening_count - 1 : 0));
    reeve_cli_json_set(o, "reduce", json_string(in->job.train.reduce == REEVE_REDUCE_FAST ? "fast" : "exact"));
    reeve_cli_json_set(o, "same_bits", json_boolean(!h->fast)); /* P1 holds: no step was reduced in fp32 */
    set_u64(o, "threads", in->job.resources.threads);
    reeve_cli_json_set(o, "refused_steps", refused);
    set_u64(o, "rolled_back_steps", h->rolled_back_steps);
    set_u64(o, "aborted_steps", h->steps_aborted);
    set_u64(o, "workers_lost", h->workers_lost);
    set_u64(o, "dead_tasks", h->dead_tasks);
    set_u64(o, "checkpoints_failed", h->checkpoints_failed);
    set_u64(o, "records", h->info.last_lsn);
    set_u64(o, "journal_segments", h->info.segments);
    reeve_cli_json_set(o, "torn_tail", json_boolean(h->info.torn_tail));
    reeve_cli_json_set(o, "starts", openings_json(h));
    reeve_cli_json_set(o, "checkpoints", checkpoints_json(in));
}

int reeve_inspect_print_json(const struct reeve_inspected *in, bool tensors)
{
    json_t *o = reeve_cli_json_object();
    reeve_cli_json_set(o, "run_dir", reeve_cli_json_text(in->run_dir));
    reeve_cli_json_set(o, "job", reeve_cli_json_text(in->job.name));
    reeve_cli_json_set(o, "run_id", reeve_cli_json_hex(in->history.run_id));
    put_progress(o, in);
    put_history(o, in);
    reeve_cli_json_set(o, "checkpoint",
                       in->checkpoint != NULL ? meta_json(reeve_checkpoint_meta(in->checkpoint)) : json_null());
    if (in->checkpoint != NULL) {
        if (!tensors) set_u64(o, "tensor_count", reeve_checkpoint_tensor_count(in->checkpoint));
        else reeve_cli_json_set(o, "tensors", tensors_json(in->checkpoint));
    }
    return reeve_cli_print_json(o);
}
