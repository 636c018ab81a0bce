/* What came of it: both runs compared, the audit, and the times; see chaos.h. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "cli/audit_run.h"
#include "cli/chaos.h"
#include "cli/history.h"
#include "cli/output.h"
#include "cli/processes.h"
#include "reeve/status.h"

struct verdict {
    struct reeve_audit_result audit;
    struct reeve_digest broken, whole; /* of the weights at the end */
    bool digests_equal, exactly_once, nothing_left, struck, kept;
    double step_s, median_s, p99_s, longest_s; /* of the recoveries, less a step; NaN: there was none */
    uint32_t recoveries;
    uint64_t steps, micro_batches_again;
};

static reeve_status digest_of(const char *run_dir, struct reeve_digest *digest, uint64_t *step, struct reeve_error *err)
{
    struct reeve_history h;
    reeve_status st = reeve_history_read(run_dir, &h, err);
    if (st != REEVE_OK) return st;
    *digest = h.weights_digest;
    *step = h.weights_step;
    reeve_history_destroy(&h);
    return REEVE_OK;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* From a strike to the next committed step, less the step itself. Strikes that hit nobody, and those that another one
 * overtook, have no time of their own. */
static void measure(struct reeve_chaos *c, struct verdict *v)
{
    double *took = calloc((size_t)c->struck + 1, sizeof(*took));
    v->step_s = reeve_chaos_marks_step_s(&c->marks);
    v->median_s = v->p99_s = v->longest_s = NAN;
    for (uint32_t i = 0; i < c->struck && took != NULL; i++) {
        struct reeve_chaos_blow *b = &c->blows[i];
        int64_t end = i + 1 < c->struck ? c->blows[i + 1].struck_wall_ns : INT64_MAX;
        if (b->victim[0] == '\0') continue;
        b->back_wall_ns = reeve_chaos_marks_back(&c->marks, b->struck_wall_ns, end);
        if (b->back_wall_ns == 0) continue;
        double seconds = (double)(b->back_wall_ns - b->struck_wall_ns) * 1e-9 - v->step_s;
        took[v->recoveries++] = seconds > 0.0 ? seconds : 0.0;
    }
    if (v->recoveries > 0) {
        qsort(took, v->recoveries, sizeof(*took), by_value);
        v->median_s = took[v->recoveries / 2];
        v->p99_s = took[(uint32_t)ceil(0.99 * v->recoveries) - 1];
        v->longest_s = took[v->recoveries - 1];
    }
    free(took);
}

static int judge(struct reeve_chaos *c, struct verdict *v)
{
    static struct reeve_job job;
    struct reeve_error err = {0};
    uint64_t broken_step = 0, whole_step = 0;
    reeve_status st = digest_of(c->broken, &v->broken, &broken_step, &err);
    if (st == REEVE_OK) st = digest_of(c->whole, &v->whole, &whole_step, &err);
    if (st == REEVE_OK) st = reeve_audit_run(c->broken, &job, &v->audit, &err);
    if (st != REEVE_OK) return reeve_cli_fail(&err);
    v->steps = broken_step;
    v->digests_equal =
        broken_step == job.train.steps && broken_step == whole_step && reeve_digest_equal(v->broken, v->whole);
    v->exactly_once = v->audit.exactly_once;
    v->micro_batches_again =
        v->audit.recomputed + v->audit.rolled_back_steps * (job.train.global_batch / job.train.micro_batch);
    v->nothing_left = c->processes_left == 0 && c->segments_left == 0;
    for (uint32_t i = 0; i < c->struck; i++)
        v->struck = v->struck || c->blows[i].victim[0] != '\0';
    v->kept = v->digests_equal && v->exactly_once && v->nothing_left && v->struck;
    measure(c, v);
    return 0;
}

/* ---- for people ---- */

static void print_row(const char *what, bool good, const char *text)
{
    (void)printf("  %s%-4s%s %-14s %s\n", reeve_cli_style(stdout, good ? REEVE_STYLE_GOOD : REEVE_STYLE_BAD),
                 good ? "ok" : "BAD", reeve_cli_style(stdout, REEVE_STYLE_PLAIN), what, text);
}

static void print_kinds(const struct reeve_chaos *c)
{
    (void)printf("\n%s%-14s %7s %7s %12s%s\n", reeve_cli_style(stdout, REEVE_STYLE_BOLD), "strike", "struck", "back",
                 "median", reeve_cli_style(stdout, REEVE_STYLE_PLAIN));
    for (uint32_t k = 0; k < REEVE_CHAOS_KINDS; k++) {
        double *took = calloc((size_t)c->struck + 1, sizeof(*took));
        uint32_t struck = 0, back = 0;
        for (uint32_t i = 0; i < c->struck && took != NULL; i++) {
            const struct reeve_chaos_blow *b = &c->blows[i];
            if (b->kind != k || b->victim[0] == '\0') continue;
            struck++;
            if (b->back_wall_ns != 0) took[back++] = (double)(b->back_wall_ns - b->struck_wall_ns) * 1e-9;
        }
        if (back > 0) qsort(took, back, sizeof(*took), by_value);
        char median[32] = "-";
        if (back > 0) (void)snprintf(median, sizeof(median), "%.2f s", took[back / 2]);
        if (struck > 0)
            (void)printf("%-14s %7u %7u %12s\n", reeve_chaos_kind_name((enum reeve_chaos_kind)k), struck, back, median);
        free(took);
    }
}

static int print_text(const struct reeve_chaos *c, const struct verdict *v)
{
    char text[512], a[32], b[32];
    print_kinds(c);
    if (v->recoveries > 0)
        (void)printf("\nrecovery       %.2f s median, %.2f s p99, %.2f s longest (from a strike to the next committed "
                     "step, less a step of %.3f s)\n",
                     v->median_s, v->p99_s, v->longest_s, v->step_s);
    (void)printf("restarts       %" PRIu64 " on record, %u of them typed again (torn write, disk full)\n",
                 v->audit.restarts, c->starts_by_hand);
    (void)printf("computed again %s steps, %s micro-batches in all\n",
                 reeve_cli_format_count(v->audit.rolled_back_steps, a),
                 reeve_cli_format_count(v->micro_batches_again, b));
    if (c->torn_records > 0) (void)printf("torn           %" PRIu64 " records of the journal\n", c->torn_records);
    (void)printf("\n");
    (void)snprintf(text, sizeof(text), "%s the undisturbed run, after %s steps",
                   v->digests_equal ? "the same bits as" : "NOT the bits of", reeve_cli_format_count(v->steps, a));
    print_row("weights", v->digests_equal, text);
    (void)snprintf(text, sizeof(text), "%s of %s samples%s%s", reeve_cli_format_count(v->audit.samples_committed, a),
                   reeve_cli_format_count(v->audit.samples_expected, b),
                   v->exactly_once ? ", each exactly once" : "; not exactly once: ",
                   v->exactly_once ? "" : v->audit.first_violation);
    print_row("audit", v->exactly_once, text);
    (void)snprintf(text, sizeof(text), "%zu processes, %zu segments of shared memory on this host", c->processes_left,
                   c->segments_left);
    print_row("left behind", v->nothing_left, text);
    if (c->struck < c->strikes || !v->struck) {
        (void)snprintf(text, sizeof(text), "%u of %u: the job was done before; raise train.steps, or lower --every",
                       c->struck, c->strikes);
        print_row("strikes", v->struck, text);
    }
    const char *says = v->kept ? "every promise was kept" : v->struck ? "A PROMISE WAS BROKEN" : "nothing was struck";
    (void)printf("\n%s%s%s; both runs are in %s; --seed %" PRIu64 " plans the same strikes\n",
                 reeve_cli_style(stdout, v->kept ? REEVE_STYLE_GOOD : REEVE_STYLE_BAD), says,
                 reeve_cli_style(stdout, REEVE_STYLE_PLAIN), c->dir, c->seed);
    return v->kept ? REEVE_EXIT_DONE : REEVE_EXIT_DATA;
}

/* ---- for programs ---- */

static json_t *blows_json(const struct reeve_chaos *c, const struct verdict *v)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < c->struck; i++) {
        const struct reeve_chaos_blow *b = &c->blows[i];
        double seconds = b->back_wall_ns != 0 ? (double)(b->back_wall_ns - b->struck_wall_ns) * 1e-9 : NAN;
        json_t *o = json_object();
        reeve_cli_json_set(o, "kind", json_string(reeve_chaos_kind_name(b->kind)));
        reeve_cli_json_set(o, "victim", b->victim[0] != '\0' ? reeve_cli_json_text(b->victim) : json_null());
        reeve_cli_json_set(o, "step", reeve_cli_json_u64(b->step));
        reeve_cli_json_set(o, "recovery_s", reeve_cli_json_real(seconds - v->step_s));
        reeve_cli_json_append(list, o);
    }
    return list;
}

static int print_json(const struct reeve_chaos *c, const struct verdict *v)
{
    json_t *o = reeve_cli_json_object();
    reeve_cli_json_set(o, "kept", json_boolean(v->kept));
    reeve_cli_json_set(o, "seed", reeve_cli_json_u64(c->seed));
    reeve_cli_json_set(o, "strikes_asked", json_integer(c->strikes));
    reeve_cli_json_set(o, "strikes", blows_json(c, v));
    reeve_cli_json_set(o, "recoveries", json_integer(v->recoveries));
    reeve_cli_json_set(o, "recovery_median_s", reeve_cli_json_real(v->median_s));
    reeve_cli_json_set(o, "recovery_p99_s", reeve_cli_json_real(v->p99_s));
    reeve_cli_json_set(o, "recovery_longest_s", reeve_cli_json_real(v->longest_s));
    reeve_cli_json_set(o, "step_s", reeve_cli_json_real(v->step_s));
    reeve_cli_json_set(o, "steps", reeve_cli_json_u64(v->steps));
    reeve_cli_json_set(o, "restarts", reeve_cli_json_u64(v->audit.restarts));
    reeve_cli_json_set(o, "started_by_hand", json_integer(c->starts_by_hand));
    reeve_cli_json_set(o, "steps_again", reeve_cli_json_u64(v->audit.rolled_back_steps));
    reeve_cli_json_set(o, "micro_batches_again", reeve_cli_json_u64(v->micro_batches_again));
    reeve_cli_json_set(o, "records_torn", reeve_cli_json_u64(c->torn_records));
    reeve_cli_json_set(o, "digests_equal", json_boolean(v->digests_equal));
    reeve_cli_json_set(o, "weights_digest", reeve_cli_json_digest(v->broken));
    reeve_cli_json_set(o, "weights_digest_undisturbed", reeve_cli_json_digest(v->whole));
    reeve_cli_json_set(o, "exactly_once", json_boolean(v->exactly_once));
    reeve_cli_json_set(o, "processes_left", json_integer((json_int_t)c->processes_left));
    reeve_cli_json_set(o, "segments_left", json_integer((json_int_t)c->segments_left));
    reeve_cli_json_set(o, "dir", reeve_cli_json_text(c->dir));
    int printed = reeve_cli_print_json(o);
    return printed != 0 ? printed : v->kept ? REEVE_EXIT_DONE : REEVE_EXIT_DATA;
}

int reeve_chaos_report(struct reeve_chaos *c, bool json)
{
    static struct verdict v;
    struct reeve_process left[64];
    c->processes_left = reeve_processes_find(c->id, left, 64);
    c->segments_left = reeve_launch_shared_count(c->id);
    reeve_chaos_marks_read(&c->marks, c->broken);
    int code = judge(c, &v);
    if (code != 0) return code;
    return json ? print_json(c, &v) : print_text(c, &v);
}
