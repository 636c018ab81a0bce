/* `reeve tasks`: the tasks of a run, with what became of each. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "cli/listed.h"
#include "cli/verb.h"
#include "reeve/status.h"

static bool is_state(const char *word)
{
    for (int s = REEVE_STATE_BLOCKED; s < REEVE_STATE_STATES; s++)
        if (s != REEVE_STATE_COMPUTED && s != REEVE_STATE_DELAYED &&
            strcmp(word, reeve_task_state_name((uint8_t)s)) == 0)
            return true;
    return false;
}

static void print_row(const struct reeve_listed *l, uint32_t i)
{
    const struct reeve_task_record *r = reeve_list_audit_task(l->audit, i);
    char how[24] = "-", seconds[24] = "-", worker[16] = "-", output[REEVE_LISTED_OUTPUT_BYTES] = "-";
    uint32_t signal = reeve_task_result_signal(r->result);
    if (r->ended_ns > 0) {
        if (signal != 0) (void)snprintf(how, sizeof(how), "signal %u", signal);
        else (void)snprintf(how, sizeof(how), "%u", reeve_task_result_exit(r->result));
        (void)snprintf(seconds, sizeof(seconds), "%.3f", (double)reeve_task_result_us(r->result) * 1e-6);
    }
    if (r->worker != 0) (void)snprintf(worker, sizeof(worker), "%u", r->worker);
    (void)(reeve_listed_output(l, i, false, output) || reeve_listed_output(l, i, true, output));
    (void)printf("%-9s  %-20s  %7u  %-9s  %10s  %6s  %s\n", reeve_listed_state(l, i), reeve_task_list_name(l->tasks, i),
                 r->attempt, how, seconds, worker, output);
}

static int print_tasks(const struct reeve_listed *l, const char *state, bool json)
{
    json_t *list = json ? json_array() : NULL;
    if (!json)
        (void)printf("%-9s  %-20s  %7s  %-9s  %10s  %6s  %s\n", "state", "task", "attempt", "exit", "seconds", "worker",
                     "output");
    for (uint32_t i = 0; i < l->tasks->task_count && !ferror(stdout); i++) {
        if (state != NULL && strcmp(state, reeve_listed_state(l, i)) != 0) continue;
        if (json) reeve_cli_json_append(list, reeve_listed_json(l, i));
        else print_row(l, i);
    }
    if (!json) return REEVE_EXIT_DONE;
    json_t *o = reeve_cli_json_object();
    reeve_cli_json_set(o, "run_dir", reeve_cli_json_text(l->run_dir));
    reeve_cli_json_set(o, "tasks", list);
    return reeve_cli_print_json(o);
}

static int tasks_main(const struct reeve_verb *verb, int argc, char **argv)
{
    const char *value = NULL, *state = NULL;
    bool json = false;
    for (int id; (id = reeve_verb_option(verb, argc, argv, &value)) != -1;) {
        if (id == REEVE_OPT_JSON_ID) json = true;
        if (id == 's') state = value;
    }
    int code = reeve_verb_operands(verb, argc, argv, 1, 1);
    if (code != 0) return code;
    if (state != NULL && !is_state(state))
        return reeve_verb_usage(verb, "--state %s: expected blocked, ready, leased, done, dead or cancelled", state);
    static struct reeve_listed l;
    struct reeve_error err = {0};
    if (reeve_listed_open(argv[optind], &l, &err) != REEVE_OK) return reeve_cli_fail(&err);
    code = print_tasks(&l, state, json);
    reeve_listed_close(&l);
    return code;
}

static const struct reeve_opt tasks_opts[] = {
    {'s', "state", "STATE", "only those: blocked, ready, leased, done, dead or cancelled"}, REEVE_OPT_JSON, {0}};

const struct reeve_verb reeve_verb_tasks = {
    "tasks",
    "RUN",
    "list the tasks of a run: state, attempts, exit code, time, worker, output",
    "Reads the locked list and the journal of a run of workload exec; may be used while it goes on. A task is blocked\n"
    "while it waits for others, ready, leased (a worker has it), done, dead (its attempts are used up, or one that it\n"
    "waits for is dead), or cancelled. Output names what the last attempt has printed, its\n"
    "errors (.err) where that is all; both lie side by side, and what was not printed is no file.\n"
    "\n"
    "Examples:\n"
    "  reeve tasks runs/exec-sweep\n"
    "  reeve tasks runs/exec-sweep --state dead\n"
    "  reeve tasks runs/exec-sweep --state done --json\n",
    tasks_opts,
    tasks_main};
