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

/* A row of the table: strikes of one kind at one victim, those at two, or all. */
enum { ROW_PAIRS = REEVE_CHAOS_KINDS, ROW_ALL, ROWS };

/* Recoveries, less a step; NaN: there was none. */
struct row {
    uint32_t strikes, killed, back;
    double median_s, p99_s, longest_s;
};

struct verdict {
    struct reeve_audit_result audit;
    struct reeve_digest broken, whole; /* of the weights at the end */
    bool digests_equal, exactly_once, nothing_left, struck, kept;
    double step_s; /* median */
    struct row rows[ROWS];
    struct reeve_chaos_growth growth;
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

/* From each strike to the next committed step. Strikes that hit nobody, that nothing was lost by, and those that another
 * one overtook, have no time of their own. */
static void find_back(struct reeve_chaos *c)
{
    for (uint32_t i = 0; i < c->struck; i++) {
        struct reeve_chaos_blow *b = &c->blows[i];
        int64_t end = i + 1 < c->struck ? c->blows[i + 1].struck_wall_ns : INT64_MAX;
        if (b->victim[0] == '\0' || b->outlived) continue;
        b->back_wall_ns = reeve_chaos_marks_back(&c->marks, b->struck_wall_ns, end);
    }
}

/* Less the step that would have been computed in that time anyway. */
static double recovery_s(const struct reeve_chaos_blow *b, double step_s)
{
    if (b->back_wall_ns == 0) return NAN;
    return fmax(0.0, (double)(b->back_wall_ns - b->struck_wall_ns) * 1e-9 - step_s);
}

static const char *row_name(uint32_t row)
{
    if (row == ROW_PAIRS) return "two at once";
    return row == ROW_ALL ? "all" : reeve_chaos_kind_name((enum reeve_chaos_kind)row);
}

static void sum_row(const struct reeve_chaos *c, uint32_t row, double step_s, struct row *t)
{
    double *took = calloc((size_t)c->struck + 1, sizeof(*took));
    *t = (struct row){.median_s = NAN, .p99_s = NAN, .longest_s = NAN};
    for (uint32_t i = 0; i < c->struck && took != NULL; i++) {
        const struct reeve_chaos_blow *b = &c->blows[i];
        if (b->victim[0] == '\0' || (row != ROW_ALL && row != (b->killed > 1 ? ROW_PAIRS : (uint32_t)b->kind)))
            continue;
        t->strikes++;
        t->killed += b->killed;
        if (b->back_wall_ns != 0) took[t->back++] = recovery_s(b, step_s);
    }
    if (t->back > 0) {
        qsort(took, t->back, sizeof(*took), by_value);
        t->median_s = took[t->back / 2];
        t->p99_s = took[(uint32_t)ceil(0.99 * t->back) - 1];
        t->longest_s = took[t->back - 1];
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
    find_back(c);
    v->step_s = reeve_chaos_marks_step_s(&c->marks);
    for (uint32_t row = 0; row < ROWS; row++)
        sum_row(c, row, v->step_s, &v->rows[row]);
    reeve_chaos_lives_sum(&c->lives, &v->growth);
    return 0;
}

/* ---- for people ---- */

static void print_row(const char *what, bool good, const char *text)
{
    (void)printf("  %s%-4s%s %-14s %s\n", reeve_cli_style(stdout, good ? REEVE_STYLE_GOOD : REEVE_STYLE_BAD),
                 good ? "ok" : "BAD", reeve_cli_style(stdout, REEVE_STYLE_PLAIN), what, text);
}

static void print_rows(const struct verdict *v)
{
    (void)printf("\n%s%-14s %7s %7s %7s %9s %9s %9s%s\n", reeve_cli_style(stdout, REEVE_STYLE_BOLD), "strike",
                 "strikes", "killed", "back", "median", "p99", "longest", reeve_cli_style(stdout, REEVE_STYLE_PLAIN));
    for (uint32_t row = 0; row < ROWS; row++) {
        const struct row *t = &v->rows[row];
        if (t->strikes == 0) continue;
        (void)printf("%-14s %7u %7u %7u", row_name(row), t->strikes, t->killed, t->back);
        if (t->back > 0) (void)printf(" %7.3f s %7.3f s %7.3f s", t->median_s, t->p99_s, t->longest_s);
        (void)printf("\n");
    }
    (void)printf(
        "killed: ranks; back: strikes after which the run had committed a step before the next one. A time is from\n"
        "the strike to that step, less a step of %.3f s\n\n",
        v->step_s);
}

/* What a loss costs those who outlive it, for good. */
static void print_growth(const struct reeve_chaos_growth *g)
{
    char bytes[32], shared[32];
    if (g->lives == 0) return;
    const char *sign = g->bytes_per_loss < 0 ? "-" : "+";
    (void)printf("survivors      at most %+.2f descriptors and %s%s for each loss, in the %u that outlived most, up to "
                 "%u; %" PRIu64 " files of shared memory, %s, at most\n",
                 g->descriptors_per_loss, sign, reeve_cli_format_bytes((uint64_t)fabs(g->bytes_per_loss), bytes),
                 g->lives, g->losses_max, g->shared_files_max, reeve_cli_format_bytes(g->shared_bytes_max, shared));
}

static int print_text(const struct reeve_chaos *c, const struct verdict *v)
{
    char text[512], a[32], b[32];
    print_rows(v);
    (void)printf("restarts       %" PRIu64 " on record, %u of them typed again (torn write, disk full)\n",
                 v->audit.restarts, c->starts_by_hand);
    (void)printf("computed again %s steps, %s micro-batches in all\n",
                 reeve_cli_format_count(v->audit.rolled_back_steps, a),
                 reeve_cli_format_count(v->micro_batches_again, b));
    print_growth(&v->growth);
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
        json_t *o = json_object();
        reeve_cli_json_set(o, "kind", json_string(reeve_chaos_kind_name(b->kind)));
        reeve_cli_json_set(o, "victim", b->victim[0] != '\0' ? reeve_cli_json_text(b->victim) : json_null());
        reeve_cli_json_set(o, "step", reeve_cli_json_u64(b->step));
        reeve_cli_json_set(o, "recovery_s", reeve_cli_json_real(recovery_s(b, v->step_s)));
        reeve_cli_json_set(o, "killed", json_integer(b->killed));
        reeve_cli_json_append(list, o);
    }
    return list;
}

static json_t *life_json(const struct reeve_chaos_life *life)
{
    json_t *o = json_object();
    reeve_cli_json_set(o, "process", json_integer((json_int_t)life->pid));
    reeve_cli_json_set(o, "master", json_boolean(life->master));
    reeve_cli_json_set(o, "losses", json_integer(life->losses));
    reeve_cli_json_set(o, "descriptors_first", json_integer(life->first.descriptors));
    reeve_cli_json_set(o, "descriptors", json_integer(life->last.descriptors));
    reeve_cli_json_set(o, "bytes_first", reeve_cli_json_u64(life->first.memory_bytes));
    reeve_cli_json_set(o, "bytes", reeve_cli_json_u64(life->last.memory_bytes));
    return o;
}

static json_t *growth_json(const struct reeve_chaos_growth *g, const struct reeve_chaos_lives *lives)
{
    json_t *o = json_object(), *ranks = json_array();
    for (size_t i = 0; i < lives->count; i++)
        if (lives->list[i].losses > 0) reeve_cli_json_append(ranks, life_json(&lives->list[i]));
    reeve_cli_json_set(o, "count", json_integer(g->lives));
    reeve_cli_json_set(o, "ranks", ranks);
    reeve_cli_json_set(o, "losses_outlived_max", json_integer(g->losses_max));
    reeve_cli_json_set(o, "descriptors_per_loss", reeve_cli_json_real(g->lives > 0 ? g->descriptors_per_loss : NAN));
    reeve_cli_json_set(o, "bytes_per_loss", reeve_cli_json_real(g->lives > 0 ? g->bytes_per_loss : NAN));
    reeve_cli_json_set(o, "shared_files_max", reeve_cli_json_u64(g->shared_files_max));
    reeve_cli_json_set(o, "shared_bytes_max", reeve_cli_json_u64(g->shared_bytes_max));
    return o;
}

static int print_json(const struct reeve_chaos *c, const struct verdict *v)
{
    const struct row *all = &v->rows[ROW_ALL];
    json_t *o = reeve_cli_json_object();
    reeve_cli_json_set(o, "kept", json_boolean(v->kept));
    reeve_cli_json_set(o, "seed", reeve_cli_json_u64(c->seed));
    reeve_cli_json_set(o, "strikes_asked", json_integer(c->strikes));
    reeve_cli_json_set(o, "strikes", blows_json(c, v));
    reeve_cli_json_set(o, "killed", json_integer(c->killed));
    reeve_cli_json_set(o, "recoveries", json_integer(all->back));
    reeve_cli_json_set(o, "recovery_median_s", reeve_cli_json_real(all->median_s));
    reeve_cli_json_set(o, "recovery_p99_s", reeve_cli_json_real(all->p99_s));
    reeve_cli_json_set(o, "recovery_longest_s", reeve_cli_json_real(all->longest_s));
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
    reeve_cli_json_set(o, "survivors", growth_json(&v->growth, &c->lives));
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
