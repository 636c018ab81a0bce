/* `reeve status`: how a run is doing, or all runs below ./runs. */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "cli/output.h"
#include "cli/run_folder.h"
#include "cli/status_look.h"
#include "cli/verb.h"
#include "reeve/status.h"

#define RUNS_FOLDER "runs"

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Is it a run? What cannot be looked into is told: it may be one. */
static bool is_run(const char *path)
{
    struct reeve_error err = {0};
    reeve_status st = reeve_run_folder_check(path, &err);
    if (st == REEVE_INPUT_PERMISSION) reeve_cli_note("%s", err.text);
    return st == REEVE_OK;
}

/* Names of the runs below ./runs, sorted. *names and each name: free(). 0, or an exit code after a message. */
static int list_runs(char ***names, size_t *count_out)
{
    size_t count = 0, room = 0;
    *names = NULL;
    *count_out = 0;
    DIR *dir = opendir(RUNS_FOLDER);
    if (dir == NULL && errno == ENOENT) return 0;
    if (dir == NULL)
        return reeve_cli_fail_text(reeve_status_exit_code(reeve_status_from_errno_read(errno)), "%s: %m", RUNS_FOLDER);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char path[REEVE_PATH_BYTES_MAX];
        if (entry->d_name[0] == '.' ||
            reeve_path_join(path, sizeof path, RUNS_FOLDER, entry->d_name, NULL) != REEVE_OK || !is_run(path))
            continue;
        if (count == room) {
            room = room == 0 ? 16 : room * 2;
            char **grown = reallocarray(*names, room, sizeof *grown);
            if (grown == NULL) break;
            *names = grown;
        }
        if (((*names)[count] = strdup(path)) != NULL) count++;
    }
    (void)closedir(dir);
    if (count > 0) qsort(*names, count, sizeof **names, by_name);
    *count_out = count;
    return 0;
}

static int status_all(bool json)
{
    char **names;
    size_t count;
    int code = list_runs(&names, &count);
    if (code != 0) return code;
    json_t *list = json ? json_array() : NULL;
    if (!json && count == 0)
        (void)printf("no runs below ./%s; `reeve run JOB` begins one, `reeve status RUN` looks elsewhere\n",
                     RUNS_FOLDER);
    if (!json && count > 0) reeve_status_look_print_heads();
    for (size_t i = 0; i < count; i++) {
        struct reeve_status_look s;
        struct reeve_error err = {0};
        if (reeve_status_look_at(names[i], &s, &err) != REEVE_OK) reeve_cli_note("%s", err.text);
        else if (json) reeve_cli_json_append(list, reeve_status_look_json(&s));
        else reeve_status_look_print_row(&s);
        free(names[i]);
    }
    free(names);
    if (!json) return REEVE_EXIT_DONE;
    json_t *o = reeve_cli_json_object();
    reeve_cli_json_set(o, "runs", list);
    return reeve_cli_print_json(o);
}

static int status_one(const char *run_dir, bool json)
{
    struct reeve_status_look s;
    struct reeve_error err = {0};
    if (reeve_status_look_at(run_dir, &s, &err) != REEVE_OK) return reeve_cli_fail(&err);
    reeve_status_look_ask_slurm(&s);
    if (!json) {
        reeve_status_look_print(&s);
        return REEVE_EXIT_DONE;
    }
    json_t *o = reeve_status_look_json(&s);
    reeve_cli_json_set(o, "schema_version", json_integer(REEVE_CLI_SCHEMA_VERSION));
    return reeve_cli_print_json(o);
}

static int status_main(const struct reeve_verb *verb, int argc, char **argv)
{
    bool json = false;
    for (int id; (id = reeve_verb_option(verb, argc, argv, NULL)) != -1;)
        json = json || id == REEVE_OPT_JSON_ID;
    int code = reeve_verb_operands(verb, argc, argv, 0, 1);
    if (code != 0) return code;
    return optind < argc ? status_one(argv[optind], json) : status_all(json);
}

static const struct reeve_opt status_opts[] = {REEVE_OPT_JSON, {0}};
const struct reeve_verb reeve_verb_status = {
    "status",
    "[RUN]",
    "say how a run is doing, or all runs below ./runs",
    "Reads what the run last told (status.json, about once a second) and whether anybody alive holds it, from any\n"
    "machine that sees its folder; and, where Slurm knows its job, what Slurm says.\n"
    "\n"
    "States: submitted, prepared (never begun), starting, running, saving, restarting (lost, and its supervisor is\n"
    "about to start it again), stopped (checkpointed; the same command goes on), complete, failed, and died (it\n"
    "stopped without a word; the same command goes on).\n"
    "\n"
    "Examples:\n"
    "  reeve status\n"
    "  reeve status runs/quickstart\n"
    "  watch -n 2 reeve status runs/quickstart\n"
    "  reeve status runs/quickstart --json\n",
    status_opts,
    status_main};
