/* `reeve verify`: every byte of every file of a run, checked against the digests that were written with it. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cli/output.h"
#include "cli/run_folder.h"
#include "cli/verb.h"
#include "cli/verify.h"
#include "reeve/status.h"

/* A path inside a run: which run, and which part. */
struct part {
    enum { PART_RUN, PART_LOCK, PART_TASKS, PART_JOURNAL, PART_CHECKPOINT, PART_NONE } kind;
    char run_dir[REEVE_PATH_BYTES_MAX];
    uint64_t step;
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static bool parse_step(const char *name, uint64_t *step)
{
    int end = 0;
    return sscanf(name, "step-%10" SCNu64 "%n", step, &end) == 1 && name[end] == '\0';
}

/* RUN/checkpoint/step-N[/file], RUN/journal[/file]: told by the names of the folders around it, made absolute first. */
static struct part find_part(const char *typed)
{
    struct part p = {.kind = reeve_is_folder(typed) ? PART_RUN : PART_LOCK};
    char *path = realpath(typed, NULL), folder[REEVE_PATH_BYTES_MAX], above[REEVE_PATH_BYTES_MAX];
    (void)snprintf(p.run_dir, sizeof p.run_dir, "%s", typed);
    if (path == NULL) return p;
    if (p.kind == PART_RUN) (void)snprintf(folder, sizeof folder, "%s", path);
    else reeve_path_dirname(path, folder, sizeof folder);
    reeve_path_dirname(folder, above, sizeof above);
    if (strcmp(base_name(folder), "journal") == 0) {
        p.kind = PART_JOURNAL;
        (void)snprintf(p.run_dir, sizeof p.run_dir, "%s", above);
    } else if (strcmp(base_name(above), "checkpoint") == 0 && parse_step(base_name(folder), &p.step)) {
        p.kind = PART_CHECKPOINT;
        reeve_path_dirname(above, p.run_dir, sizeof p.run_dir);
    } else if (p.kind == PART_LOCK) {
        if (strcmp(base_name(path), "tasks.h5") == 0) p.kind = PART_TASKS;
        else if (strstr(base_name(path), ".h5") == NULL) p.kind = PART_NONE;
    }
    free(path);
    return p;
}

static reeve_status verify_path(const char *typed, struct reeve_verification *v, struct reeve_error *err)
{
    if (!reeve_path_exists(typed))
        return reeve_fail(err, REEVE_INPUT_MISSING,
                          "%s: does not exist; expected the folder of a run, or one of its files", typed);
    struct part p = find_part(typed);
    switch (p.kind) {
    case PART_RUN: {
        reeve_status st = reeve_run_folder_check_begun(typed, err);
        if (st != REEVE_OK) return st;
        reeve_verify_run(v, typed);
        break;
    }
    case PART_JOURNAL:
        reeve_verify_journal(v, p.run_dir);
        break;
    case PART_CHECKPOINT:
        reeve_verify_checkpoint(v, p.run_dir, p.step);
        break;
    case PART_LOCK:
        reeve_verify_lock(v, typed, typed, "it cannot be used: make it again with `reeve manifest lock SHARDS.yaml`");
        break;
    case PART_TASKS:
        reeve_verify_tasks(v, typed, typed);
        break;
    case PART_NONE:
        return reeve_fail(err, REEVE_INPUT_INVALID,
                          "%s: is no lock, and no file of a journal or checkpoint (.h5); the other files of a run are "
                          "checked with it: `reeve verify RUN`",
                          typed);
    }
    return REEVE_OK;
}

static int verify_main(const struct reeve_verb *verb, int argc, char **argv)
{
    bool json = false;
    for (int id; (id = reeve_verb_option(verb, argc, argv, NULL)) != -1;)
        json = json || id == REEVE_OPT_JSON_ID;
    int code = reeve_verb_operands(verb, argc, argv, 1, 1);
    if (code != 0) return code;
    struct reeve_error err = {0};
    struct reeve_verification v = {.path = argv[optind]};
    if (verify_path(argv[optind], &v, &err) != REEVE_OK) {
        code = reeve_cli_fail(&err);
    } else if (json) {
        code = reeve_verification_print_json(&v);
    } else {
        reeve_verification_print_text(&v);
        code = reeve_verification_exit_code(&v);
    }
    reeve_verification_destroy(&v);
    return code;
}

static const struct reeve_opt verify_opts[] = {REEVE_OPT_JSON, {0}};
const struct reeve_verb reeve_verb_verify = {
    "verify",
    "RUN|FILE",
    "check every byte of a run's files",
    "Checks the job, the locked manifest, every record of the journal, and every byte of every checkpoint that the\n"
    "journal has on record, and says of each damage what it means for the run. Changes nothing. FILE is a lock of\n"
    "shards or tasks, a checkpoint's folder, or a file of a checkpoint or journal: then that part alone is checked.\n"
    "The data itself is checked by `reeve manifest check RUN`. Files are read in a process of their own, so that a\n"
    "file made to crash its reader is told as malformed.\n"
    "\n"
    "Exit codes: 0 sound; 65 damage; 66 no such run or file; 74 reading failed; 77 no permission to read.\n"
    "\n"
    "Examples:\n"
    "  reeve verify runs/quickstart\n"
    "  reeve verify runs/quickstart/checkpoint/step-0000000300\n"
    "  reeve verify shards.lock.h5 --json\n",
    verify_opts,
    verify_main};
