/* Adding lines; metrics_read.c reads them back. */
#include "export/metrics_file.h"

#include <math.h>

#include "base/clock.h"
#include "export/line_file.h"

#define WALL_NS_PER_S 1e9

reeve_status reeve_metrics_open(const char *path, reeve_metrics_file **out, struct reeve_error *err)
{
    return reeve_lines_open(path, out, err);
}

void reeve_metrics_close(reeve_metrics_file *m)
{
    reeve_lines_close(m);
}

static json_t *real_or_null(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static bool set(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

static double seconds_of(int64_t wall_ns)
{
    return (double)(wall_ns != 0 ? wall_ns : reeve_clock_wall_ns()) / WALL_NS_PER_S;
}

reeve_status reeve_metrics_append(reeve_metrics_file *m, const struct reeve_metrics_row *row, struct reeve_error *err)
{
    json_t *o = json_object();
    bool complete =
        o != NULL && set(o, "step", json_integer((json_int_t)row->step)) &&
        set(o, "time", json_real(seconds_of(row->wall_ns))) && set(o, "epoch", json_integer((json_int_t)row->epoch)) &&
        set(o, "samples", json_integer((json_int_t)row->samples)) && set(o, "workers", json_integer(row->workers)) &&
        set(o, "membership_epoch", json_integer(row->membership_epoch)) && set(o, "loss", real_or_null(row->loss)) &&
        set(o, "learning_rate", real_or_null(row->learning_rate)) &&
        set(o, "grad_norm", real_or_null(row->grad_norm)) && set(o, "tokens_per_s", real_or_null(row->tokens_per_s)) &&
        set(o, "step_seconds", real_or_null(row->step_seconds));
    if (complete && isfinite(row->eval_loss)) complete = set(o, "eval_loss", json_real(row->eval_loss));
    if (complete && row->refused) complete = set(o, "refused", json_true());
    return reeve_lines_append(m, o, complete, err);
}

reeve_status reeve_metrics_append_eval(reeve_metrics_file *m, uint64_t step, double eval_loss, struct reeve_error *err)
{
    json_t *o = json_object();
    bool complete = o != NULL && set(o, "event", json_string("evaluated")) &&
                    set(o, "step", json_integer((json_int_t)step)) && set(o, "time", json_real(seconds_of(0))) &&
                    set(o, "eval_loss", real_or_null(eval_loss));
    return reeve_lines_append(m, o, complete, err);
}

reeve_status reeve_metrics_append_resumed(reeve_metrics_file *m, uint64_t step, uint32_t workers,
                                          struct reeve_error *err)
{
    json_t *o = json_object();
    bool complete = o != NULL && set(o, "event", json_string("resumed")) &&
                    set(o, "step", json_integer((json_int_t)step)) && set(o, "time", json_real(seconds_of(0))) &&
                    set(o, "workers", json_integer(workers));
    return reeve_lines_append(m, o, complete, err);
}
