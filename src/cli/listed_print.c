/* What audit, inspect and plan say of a run of a task list. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/one_line.h"
#include "cli/listed.h"
#include "reeve/status.h"

#define PLAN_TASKS_SHOWN 20u
#define DEAD_SHOWN 10u
#define COMMAND_BYTES_SHOWN 72u

static void put_counts(json_t *o, const struct reeve_list_audit_result *r)
{
    reeve_cli_json_set(o, "tasks", json_integer(r->tasks));
    reeve_cli_json_set(o, "done", json_integer(r->done));
    reeve_cli_json_set(o, "dead", json_integer(r->dead));
    reeve_cli_json_set(o, "cancelled", json_integer(r->cancelled));
    reeve_cli_json_set(o, "ready", json_integer(r->ready));
    reeve_cli_json_set(o, "blocked", json_integer(r->blocked));
    reeve_cli_json_set(o, "leased", json_integer(r->leased));
    reeve_cli_json_set(o, "complete", json_boolean(r->complete));
    reeve_cli_json_set(o, "leases", reeve_cli_json_u64(r->leases));
    reeve_cli_json_set(o, "failures", reeve_cli_json_u64(r->failures));
    reeve_cli_json_set(o, "released", reeve_cli_json_u64(r->released));
    reeve_cli_json_set(o, "restarts", reeve_cli_json_u64(r->restarts));
}

/* ---- audit ---- */

static int audit_json(const struct reeve_listed *l, int code)
{
    const struct reeve_list_audit_result *r = &l->result;
    json_t *o = reeve_cli_json_object();
    reeve_cli_json_set(o, "exactly_once", json_boolean(r->exactly_once));
    put_counts(o, r);
    reeve_cli_json_set(o, "violations", reeve_cli_json_u64(r->violations));
    reeve_cli_json_set(o, "first_violation", r->violations > 0 ? reeve_cli_json_text(r->first_violation) : json_null());
    int printed = reeve_cli_print_json(o);
    return printed != 0 ? printed : code;
}

static int audit_text(const struct reeve_listed *l, int code)
{
    const struct reeve_list_audit_result *r = &l->result;
    const char *plain = reeve_cli_style(stdout, REEVE_STYLE_PLAIN);
    char a[32], b[32], c[32];
    if (r->exactly_once)
        (void)printf("%sEXACTLY ONCE%s: each of the %s tasks that are done counted once, under the lease in force.\n",
                     reeve_cli_style(stdout, REEVE_STYLE_GOOD), plain, reeve_cli_format_count(r->done, a));
    else
        (void)printf("%sNOT EXACTLY ONCE%s: %" PRIu64 " rules broken. The first: %s\n",
                     reeve_cli_style(stdout, REEVE_STYLE_BAD), plain, r->violations, r->first_violation);
    (void)printf("tasks      %s: %s done, %s dead, %u cancelled, %u ready, %u blocked, %u leased\n",
                 reeve_cli_format_count(r->tasks, a), reeve_cli_format_count(r->done, b),
                 reeve_cli_format_count(r->dead, c), r->cancelled, r->ready, r->blocked, r->leased);
    (void)printf("on the way %s leases: %" PRIu64 " failed, %" PRIu64 " ended without a verdict; %" PRIu64
                 " restarts\n",
                 reeve_cli_format_count(r->leases, a), r->failures, r->released, r->restarts);
    (void)printf(
        "delivery   at least once: a command that was killed with its worker, or by a stop, was begun again\n");
    return code;
}

int reeve_listed_audit(const char *run_dir, bool json)
{
    static struct reeve_listed l;
    struct reeve_error err = {0};
    if (reeve_listed_open(run_dir, &l, &err) != REEVE_OK) return reeve_cli_fail(&err);
    int code = l.result.exactly_once ? REEVE_EXIT_DONE : REEVE_EXIT_DATA;
    code = json ? audit_json(&l, code) : audit_text(&l, code);
    reeve_listed_close(&l);
    return code;
}

/* ---- inspect ---- */

static int inspect_json(const struct reeve_listed *l, const struct reeve_history *h)
{
    json_t *o = reeve_cli_json_object(), *dead = json_array();
    reeve_cli_json_set(o, "run_dir", reeve_cli_json_text(l->run_dir));
    reeve_cli_json_set(o, "job", reeve_cli_json_text(l->job.name));
    reeve_cli_json_set(o, "workload", reeve_cli_json_text(l->job.workload));
    reeve_cli_json_set(o, "run_id", reeve_cli_json_hex(l->info.run_id));
    reeve_cli_json_set(o, "list_digest", reeve_cli_json_digest(l->tasks->digest));
    reeve_cli_json_set(o, "folder", reeve_cli_json_text(l->tasks->folder));
    put_counts(o, &l->result);
    reeve_cli_json_set(o, "workers_seen", json_integer(h->workers_seen));
    reeve_cli_json_set(o, "workers_lost", reeve_cli_json_u64(h->workers_lost));
    reeve_cli_json_set(o, "records", reeve_cli_json_u64(l->info.last_lsn));
    reeve_cli_json_set(o, "journal_segments", json_integer(l->info.segments));
    reeve_cli_json_set(o, "torn_tail", json_boolean(l->info.torn_tail));
    for (uint32_t i = 0; i < l->tasks->task_count; i++)
        if (reeve_list_audit_task(l->audit, i)->state == REEVE_STATE_DEAD)
            reeve_cli_json_append(dead, reeve_listed_json(l, i));
    reeve_cli_json_set(o, "dead_tasks", dead);
    return reeve_cli_print_json(o);
}

static void print_dead(const struct reeve_listed *l)
{
    uint32_t shown = 0;
    char name[REEVE_PATH_BYTES_MAX];
    for (uint32_t i = 0; i < l->tasks->task_count && shown < DEAD_SHOWN; i++) {
        const struct reeve_task_record *r = reeve_list_audit_task(l->audit, i);
        if (r->state != REEVE_STATE_DEAD) continue;
        (void)printf("%s  %s: %s\n", shown++ == 0 ? "dead       " : "           ", reeve_task_list_name(l->tasks, i),
                     r->by_dependency ? "a task that it waits for is dead" : reeve_listed_reason(r->reason, r->result));
    }
    if (l->result.dead > shown) (void)printf("             and %u more\n", l->result.dead - shown);
    if (l->result.dead > 0)
        (void)printf("             all: reeve tasks %s --state dead\n", reeve_cli_plain(l->run_dir, name));
}

static int inspect_text(const struct reeve_listed *l, const struct reeve_history *h)
{
    const struct reeve_list_audit_result *r = &l->result;
    char hex[REEVE_DIGEST_HEX_BYTES], a[32], b[32], lost[REEVE_HISTORY_LOST_BYTES], name[REEVE_PATH_BYTES_MAX];
    reeve_digest_hex(l->tasks->digest, hex);
    (void)printf("%s: job %s, workload %s, run %016" PRIx64 "\n", reeve_cli_plain(l->run_dir, name), l->job.name,
                 l->job.workload, l->info.run_id);
    (void)printf("tasks        %s, list %s\n", reeve_cli_format_count(r->tasks, a), hex);
    (void)printf("done         %s%s\n", reeve_cli_format_count(r->done, a),
                 r->complete ? "; all tasks have ended" : "");
    (void)printf("waiting      %u ready, %u blocked, %u leased, %u cancelled\n", r->ready, r->blocked, r->leased,
                 r->cancelled);
    print_dead(l);
    (void)printf("attempts     %s, of which %s failed and %" PRIu64 " ended without a verdict\n",
                 reeve_cli_format_count(r->leases, a), reeve_cli_format_count(r->failures, b), r->released);
    (void)printf("workers      %u seen, %s; %" PRIu64 " restarts\n", h->workers_seen, reeve_history_lost(h, lost),
                 r->restarts);
    (void)printf("journal      %s records in %u segment%s%s\n", reeve_cli_format_count(l->info.last_lsn, a),
                 l->info.segments, l->info.segments == 1 ? "" : "s",
                 l->info.torn_tail ? "; its last write was cut short" : "");
    (void)printf("commands in  %s\n", l->tasks->folder);
    return REEVE_EXIT_DONE;
}

int reeve_listed_inspect(const char *run_dir, bool json)
{
    static struct reeve_listed l;
    struct reeve_history h;
    struct reeve_error err = {0};
    if (reeve_listed_open(run_dir, &l, &err) != REEVE_OK) return reeve_cli_fail(&err);
    int code;
    if (reeve_history_read(run_dir, &h, &err) != REEVE_OK) {
        code = reeve_cli_fail(&err);
    } else {
        code = json ? inspect_json(&l, &h) : inspect_text(&l, &h);
        reeve_history_destroy(&h);
    }
    reeve_listed_close(&l);
    return code;
}

/* ---- plan ---- */

static json_t *plan_task_json(const struct reeve_listed *l, uint32_t i)
{
    const struct reeve_task_list *t = l->tasks;
    json_t *o = json_object(), *after = json_array(), *any = json_array();
    reeve_cli_json_set(o, "index", json_integer(i));
    reeve_cli_json_set(o, "name", reeve_cli_json_text(reeve_task_list_name(t, i)));
    reeve_cli_json_set(o, "command", reeve_cli_json_text(reeve_task_list_command(t, i)));
    reeve_cli_json_set(o, "priority", json_integer(t->entries[i].priority));
    reeve_cli_json_set(o, "time_limit_s", json_integer(t->entries[i].time_limit_s));
    reeve_cli_json_set(o, "attempts", json_integer(t->entries[i].attempts_max));
    for (uint32_t a = t->entries[i].first_after; a < t->entries[i + 1].first_after; a++)
        reeve_cli_json_append((t->afters[a] & REEVE_TASK_AFTER_ANY) != 0 ? any : after,
                              json_integer(t->afters[a] & ~REEVE_TASK_AFTER_ANY));
    reeve_cli_json_set(o, "after", after);
    reeve_cli_json_set(o, "after_any", any);
    if (l->audit != NULL) reeve_cli_json_set(o, "state", json_string(reeve_listed_state(l, i)));
    return o;
}

static int plan_json(const struct reeve_listed *l)
{
    json_t *o = reeve_cli_json_object(), *list = json_array();
    reeve_cli_json_set(o, "job", reeve_cli_json_text(l->job.name));
    reeve_cli_json_set(o, "workload", reeve_cli_json_text(l->job.workload));
    reeve_cli_json_set(o, "list_digest", reeve_cli_json_digest(l->tasks->digest));
    reeve_cli_json_set(o, "folder", reeve_cli_json_text(l->tasks->folder));
    for (uint32_t i = 0; i < l->tasks->task_count; i++)
        reeve_cli_json_append(list, plan_task_json(l, i));
    reeve_cli_json_set(o, "tasks", list);
    return reeve_cli_print_json(o);
}

static void plan_line(const struct reeve_listed *l, uint32_t i)
{
    const struct reeve_task_list *t = l->tasks;
    uint32_t waits = t->entries[i + 1].first_after - t->entries[i].first_after;
    const char *command = reeve_task_list_command(t, i);
    char begin[COMMAND_BYTES_SHOWN + 1];
    (void)snprintf(begin, sizeof(begin), "%.*s", (int)strcspn(command, "\n"), command);
    bool whole = strlen(begin) == strlen(command);
    reeve_one_line(begin);
    (void)printf("  %-16s %s%s", reeve_task_list_name(t, i), begin, whole ? "" : " ...");
    if (waits > 0) (void)printf("   (after %u other%s)", waits, waits == 1 ? "" : "s");
    if (l->audit != NULL) (void)printf("   [%s]", reeve_listed_state(l, i));
    (void)printf("\n");
}

int reeve_listed_plan(const struct reeve_listed *l, bool json)
{
    char a[32];
    if (json) return plan_json(l);
    const struct reeve_task_list *t = l->tasks;
    (void)printf("job        %s: %s tasks, %u dependencies\n", l->job.name, reeve_cli_format_count(t->task_count, a),
                 t->after_count);
    (void)printf("commands   start in %s; %u at once on each worker\n", t->folder, l->job.exec.slots);
    (void)printf("a failure  is tried again after %g s, elsewhere where there is an elsewhere\n", l->job.exec.retry_s);
    for (uint32_t i = 0; i < t->task_count; i++) {
        if (t->task_count > 2 * PLAN_TASKS_SHOWN && i == PLAN_TASKS_SHOWN) {
            i = t->task_count - PLAN_TASKS_SHOWN;
            (void)printf("  ... %u more; all of them with --json\n", t->task_count - 2 * PLAN_TASKS_SHOWN);
        }
        plan_line(l, i);
    }
    return REEVE_EXIT_DONE;
}
