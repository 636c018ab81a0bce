/* `reeve explain`: why a task of a list is where it is, and what happened to it. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/one_line.h"
#include "cli/listed.h"
#include "cli/suggest.h"
#include "cli/verb.h"
#include "reeve/status.h"

#define NAMES_MAX 4096u /* looked at for a suggestion */
#define WAITS_SHOWN 10u

/* The history of one task is told as the journal is read a second time. */
struct telling {
    uint32_t task;
    json_t *list; /* NULL: as text */
    uint64_t opened, told, not_started;
};

static bool is_of_task(const struct reeve_event *ev, uint32_t task)
{
    bool of_task = ev->kind == REEVE_EVENT_TASK_LEASED || ev->kind == REEVE_EVENT_TASK_DONE ||
                   ev->kind == REEVE_EVENT_TASK_FAILED || ev->kind == REEVE_EVENT_TASK_RELEASED ||
                   ev->kind == REEVE_EVENT_TASK_DEAD || ev->kind == REEVE_EVENT_TASK_CANCELLED;
    return of_task && ev->task == task;
}

static const char *event_word(uint16_t kind)
{
    switch (kind) {
    case REEVE_EVENT_TASK_LEASED: return "leased";
    case REEVE_EVENT_TASK_DONE: return "done";
    case REEVE_EVENT_TASK_FAILED: return "failed";
    case REEVE_EVENT_TASK_RELEASED: return "given back";
    case REEVE_EVENT_TASK_DEAD: return "dead";
    default: return "cancelled";
    }
}

/* Did a command end here, one way or another? */
static bool is_verdict(const struct reeve_event *ev)
{
    return ev->kind == REEVE_EVENT_TASK_DONE || ev->kind == REEVE_EVENT_TASK_FAILED ||
           (ev->kind == REEVE_EVENT_TASK_DEAD && ev->worker != 0);
}

static bool is_failure(const struct reeve_event *ev)
{
    return ev->kind == REEVE_EVENT_TASK_FAILED || ev->kind == REEVE_EVENT_TASK_DEAD;
}

static void tell_text(const struct reeve_event *ev)
{
    char when[21] = "-";
    bool ended = ev->kind != REEVE_EVENT_TASK_LEASED && ev->step > 0;
    bool ran = is_verdict(ev) && !reeve_task_result_not_started(ev->b);
    uint32_t signal = reeve_task_result_signal(ev->b);
    if (ended) reeve_clock_format_utc((int64_t)ev->step, when);
    (void)printf("  record %-10" PRIu64 "  %-20s  attempt %u  %s", ev->lsn, when, ev->attempt, event_word(ev->kind));
    if (ev->worker != 0) (void)printf(" %s worker %u", ev->kind == REEVE_EVENT_TASK_LEASED ? "to" : "by", ev->worker);
    if (ran && signal != 0) (void)printf(", signal %u", signal);
    if (ran && signal == 0) (void)printf(", exit code %u", reeve_task_result_exit(ev->b));
    if (ran) (void)printf(", after %.3f s", (double)reeve_task_result_us(ev->b) * 1e-6);
    if (is_failure(ev)) (void)printf(": %s", reeve_listed_reason(ev->arg, ev->b));
    (void)printf("\n");
}

static void tell_json(json_t *list, const struct reeve_event *ev)
{
    json_t *o = json_object();
    reeve_cli_json_set(o, "lsn", reeve_cli_json_u64(ev->lsn));
    reeve_cli_json_set(o, "event", json_string(event_word(ev->kind)));
    reeve_cli_json_set(o, "attempt", json_integer(ev->attempt));
    reeve_cli_json_set(o, "worker", ev->worker != 0 ? json_integer(ev->worker) : json_null());
    reeve_cli_json_set(o, "time",
                       ev->kind != REEVE_EVENT_TASK_LEASED ? reeve_cli_json_utc((int64_t)ev->step) : json_null());
    bool verdict = is_verdict(ev);
    uint32_t signal = verdict ? reeve_task_result_signal(ev->b) : 0;
    reeve_cli_json_set(o, "exit_code",
                       verdict && signal == 0 ? json_integer(reeve_task_result_exit(ev->b)) : json_null());
    reeve_cli_json_set(o, "signal", signal != 0 ? json_integer(signal) : json_null());
    reeve_cli_json_set(o, "seconds", verdict ? json_real((double)reeve_task_result_us(ev->b) * 1e-6) : json_null());
    reeve_cli_json_set(o, "reason", is_failure(ev) ? json_string(reeve_listed_reason(ev->arg, ev->b)) : json_null());
    reeve_cli_json_append(list, o);
}

static reeve_status tell(void *arg, const struct reeve_event *ev, struct reeve_error *err)
{
    (void)err;
    struct telling *t = arg;
    if (ev->kind == REEVE_EVENT_RUN_OPENED && t->opened++ > 0 && t->list == NULL)
        (void)printf("  record %-10" PRIu64 "  %-20s  the run was started again\n", ev->lsn, "-");
    if (!is_of_task(ev, t->task)) return REEVE_OK;
    t->told++;
    t->not_started += is_verdict(ev) && reeve_task_result_not_started(ev->b);
    if (t->list != NULL) tell_json(t->list, ev);
    else tell_text(ev);
    return REEVE_OK;
}

/* By name, or by its index. UINT32_MAX: none. */
static uint32_t find_task(const struct reeve_listed *l, const char *word)
{
    char *end = NULL;
    unsigned long long index = strtoull(word, &end, 10);
    for (uint32_t i = 0; i < l->tasks->task_count; i++)
        if (strcmp(reeve_task_list_name(l->tasks, i), word) == 0) return i;
    return *word >= '0' && *word <= '9' && *end == '\0' && index < l->tasks->task_count ? (uint32_t)index : UINT32_MAX;
}

static int fail_unknown(const struct reeve_listed *l, const char *word)
{
    const char *names[NAMES_MAX];
    uint32_t n = l->tasks->task_count < NAMES_MAX ? l->tasks->task_count : NAMES_MAX;
    for (uint32_t i = 0; i < n; i++)
        names[i] = reeve_task_list_name(l->tasks, i);
    const char *near = reeve_cli_nearest(word, names, n);
    return reeve_cli_fail_text(REEVE_EXIT_USAGE, "%s: no task is named '%s'%s%s%s; `reeve tasks %s` lists them",
                               l->run_dir, word, near != NULL ? "; did you mean '" : "", near != NULL ? near : "",
                               near != NULL ? "'?" : "", l->run_dir);
}

/* One sentence: why is it not running, or what became of it? */
static void print_reason(const struct reeve_listed *l, uint32_t task)
{
    const struct reeve_task_record *r = reeve_list_audit_task(l->audit, task);
    switch (r->state) {
    case REEVE_STATE_BLOCKED: (void)printf("waits for others, below\n"); break;
    case REEVE_STATE_READY:
        (void)printf(r->failures > 0 ? "will be tried again, by another worker where there is one\n"
                                     : "waits for a worker with a free slot\n");
        break;
    case REEVE_STATE_LEASED: (void)printf("worker %u has it (attempt %u)\n", r->worker, r->attempt); break;
    case REEVE_STATE_DONE: (void)printf("is done\n"); break;
    case REEVE_STATE_CANCELLED: (void)printf("was cancelled\n"); break;
    default:
        (void)printf("is dead: %s\n", r->by_dependency ? "one that it waits for is dead or cancelled, below"
                                                       : reeve_listed_reason(r->reason, r->result));
        break;
    }
}

static void print_waits(const struct reeve_listed *l, uint32_t task)
{
    const struct reeve_task_list *t = l->tasks;
    uint32_t shown = 0, more = 0;
    for (uint32_t a = t->entries[task].first_after; a < t->entries[task + 1].first_after; a++) {
        uint32_t before = t->afters[a] & ~REEVE_TASK_AFTER_ANY;
        bool any = (t->afters[a] & REEVE_TASK_AFTER_ANY) != 0;
        if (reeve_list_audit_task(l->audit, before)->state == REEVE_STATE_DONE) continue;
        if (shown++ >= WAITS_SHOWN) more++;
        else
            (void)printf("%s  %s (%s%s)\n", shown == 1 ? "after    " : "         ", reeve_task_list_name(t, before),
                         reeve_listed_state(l, before), any ? "; however it ends" : "");
    }
    if (more > 0) (void)printf("           and %u more that are not done\n", more);
}

static int explain_json(const struct reeve_listed *l, uint32_t task, struct telling *t, struct reeve_error *err)
{
    json_t *o = reeve_cli_json_object(), *waits = json_array();
    struct reeve_journal_info info;
    t->list = json_array();
    if (reeve_journal_replay(l->run_dir, tell, t, &info, err) != REEVE_OK) return reeve_cli_fail(err);
    for (uint32_t a = l->tasks->entries[task].first_after; a < l->tasks->entries[task + 1].first_after; a++) {
        uint32_t before = l->tasks->afters[a] & ~REEVE_TASK_AFTER_ANY;
        json_t *w = json_object();
        reeve_cli_json_set(w, "name", reeve_cli_json_text(reeve_task_list_name(l->tasks, before)));
        reeve_cli_json_set(w, "state", json_string(reeve_listed_state(l, before)));
        reeve_cli_json_set(w, "any", json_boolean((l->tasks->afters[a] & REEVE_TASK_AFTER_ANY) != 0));
        reeve_cli_json_append(waits, w);
    }
    reeve_cli_json_set(o, "task", reeve_listed_json(l, task));
    reeve_cli_json_set(o, "after", waits);
    reeve_cli_json_set(o, "history", t->list);
    return reeve_cli_print_json(o);
}

static void print_command(const char *command)
{
    char *text = strdup(command);
    if (text != NULL) reeve_plain_lines(text);
    (void)printf("command    %s\n", text != NULL ? text : "(out of memory)");
    free(text);
}

static int explain(const struct reeve_listed *l, uint32_t task, bool json)
{
    struct telling t = {.task = task};
    struct reeve_error err = {0};
    struct reeve_journal_info info;
    char name[REEVE_PATH_BYTES_MAX];
    if (json) return explain_json(l, task, &t, &err);
    (void)printf("%s: ", reeve_task_list_name(l->tasks, task));
    print_reason(l, task);
    print_command(reeve_task_list_command(l->tasks, task));
    print_waits(l, task);
    (void)printf("history\n");
    if (reeve_journal_replay(l->run_dir, tell, &t, &info, &err) != REEVE_OK) return reeve_cli_fail(&err);
    if (t.told == 0) (void)printf("  it was never given to a worker\n");
    if (t.not_started > 0)
        (void)printf("why it could not be started: grep 'task %s ' %s/log/rank-*.log\n",
                     reeve_task_list_name(l->tasks, task), reeve_cli_plain(l->run_dir, name));
    return REEVE_EXIT_DONE;
}

static int explain_main(const struct reeve_verb *verb, int argc, char **argv)
{
    bool json = false;
    for (int id; (id = reeve_verb_option(verb, argc, argv, NULL)) != -1;)
        json = json || id == REEVE_OPT_JSON_ID;
    int code = reeve_verb_operands(verb, argc, argv, 2, 2);
    if (code != 0) return code;
    static struct reeve_listed l;
    struct reeve_error err = {0};
    if (reeve_listed_open(argv[optind], &l, &err) != REEVE_OK) return reeve_cli_fail(&err);
    uint32_t task = find_task(&l, argv[optind + 1]);
    code = task == UINT32_MAX ? fail_unknown(&l, argv[optind + 1]) : explain(&l, task, json);
    reeve_listed_close(&l);
    return code;
}

static const struct reeve_opt explain_opts[] = {REEVE_OPT_JSON, {0}};

const struct reeve_verb reeve_verb_explain = {
    "explain",
    "RUN TASK",
    "say why a task of a list is not running, or what happened to it",
    "Of a run of workload exec, from its list and its journal: what the task waits for, who has it, and every attempt "
    "with\n"
    "worker, exit code and time. TASK is its name as `reeve tasks` prints it, or its index, from 0.\n"
    "\n"
    "Examples:\n"
    "  reeve explain runs/exec-sweep pack.3\n"
    "  reeve explain runs/exec-sweep report --json\n",
    explain_opts,
    explain_main};
