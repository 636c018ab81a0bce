/* `reeve inspect`: what the files of a run say of it: the journal, its manifest, and its newest readable checkpoint. */
#include <getopt.h>
#include <stdlib.h>

#include "base/error.h"
#include "cli/inspect.h"
#include "cli/listed.h"
#include "cli/output.h"
#include "cli/run_folder.h"
#include "cli/verb.h"
#include "config/job_file.h"
#include "reeve/status.h"

/* The newest commit that can be read; those that cannot are named on stderr, as they would be at a restart. */
static void open_newest_checkpoint(struct reeve_inspected *i)
{
    struct reeve_error err = {0};
    for (uint32_t n = i->history.checkpoint_count; n > 0 && i->checkpoint == NULL; n--) {
        const struct reeve_history_checkpoint *c = &i->history.checkpoints[n - 1];
        if (reeve_checkpoint_open(i->run_dir, c->step, &c->digest64, &i->checkpoint, &err) == REEVE_OK) return;
        i->checkpoint = NULL;
        /* retention removes old ones: only what is newer than the newest readable one is worth a word */
        reeve_cli_note("checkpoint of step %llu cannot be read: %s", (unsigned long long)c->step, err.text);
    }
}

static reeve_status open_run(const char *run_dir, struct reeve_inspected *i, struct reeve_error *err)
{
    *i = (struct reeve_inspected){.run_dir = run_dir};
    reeve_status st = reeve_run_folder_read(run_dir, &i->job, &i->manifest, err);
    if (st == REEVE_OK) st = reeve_history_read(run_dir, &i->history, err);
    if (st == REEVE_OK) {
        struct reeve_plan_config config;
        reeve_job_plan_config(&i->job, &config);
        st = reeve_plan_create(i->manifest, &config, &i->plan, err);
    }
    if (st == REEVE_OK) open_newest_checkpoint(i);
    return st;
}

static void close_run(struct reeve_inspected *i)
{
    reeve_checkpoint_close(i->checkpoint);
    reeve_history_destroy(&i->history);
    reeve_plan_destroy(i->plan);
    reeve_manifest_destroy(i->manifest);
}

/* --checkpoint STEP: open that one instead, with its digest where the journal has it on record. */
static reeve_status choose_checkpoint(struct reeve_inspected *i, uint64_t step, struct reeve_error *err)
{
    const uint64_t *digest64 = NULL;
    for (uint32_t n = 0; n < i->history.checkpoint_count; n++)
        if (i->history.checkpoints[n].step == step) digest64 = &i->history.checkpoints[n].digest64;
    if (digest64 == NULL)
        return reeve_fail(err, REEVE_INPUT_MISSING,
                          "%s: no checkpoint of step %llu is on record; `reeve inspect %s` lists them", i->run_dir,
                          (unsigned long long)step, i->run_dir);
    reeve_checkpoint_close(i->checkpoint);
    i->checkpoint = NULL;
    return reeve_checkpoint_open(i->run_dir, step, digest64, &i->checkpoint, err);
}

static int inspect_main(const struct reeve_verb *verb, int argc, char **argv)
{
    const char *value;
    unsigned long long step = 0;
    bool json = false, one_checkpoint = false;
    int code = 0;
    for (int id; code == 0 && (id = reeve_verb_option(verb, argc, argv, &value)) != -1;) {
        if (id == REEVE_OPT_JSON_ID) json = true;
        if (id != 'c') continue;
        one_checkpoint = true;
        code = reeve_verb_number(verb, "--checkpoint", value, 0, UINT64_MAX, &step);
    }
    if (code == 0) code = reeve_verb_operands(verb, argc, argv, 1, 1);
    if (code != 0) return code;
    bool list = reeve_listed_is_run(argv[optind]);
    if (list && one_checkpoint)
        return reeve_verb_usage(verb, "--checkpoint: %s works a task list off, and has none", argv[optind]);
    if (list) return reeve_listed_inspect(argv[optind], json);
    struct reeve_error err = {0};
    static struct reeve_inspected i; /* with the job in it, some 12 KiB */
    reeve_status st = open_run(argv[optind], &i, &err);
    if (st == REEVE_OK && one_checkpoint) st = choose_checkpoint(&i, step, &err);
    if (st != REEVE_OK) code = reeve_cli_fail(&err);
    else if (json) code = reeve_inspect_print_json(&i, one_checkpoint);
    else code = reeve_inspect_print_text(&i, one_checkpoint);
    close_run(&i);
    return code;
}

static const struct reeve_opt inspect_opts[] = {
    {'c', "checkpoint", "STEP", "tell of the checkpoint of this step, and list its tensors"}, REEVE_OPT_JSON, {0}};

const struct reeve_verb reeve_verb_inspect = {
    "inspect",
    "RUN",
    "say what the files of a run hold: steps, losses, checkpoints, starts",
    "Reads the journal, the locked manifest and the index of the newest checkpoint; changes nothing, and may be used\n"
    "while the run goes on. `weights_digest` names the weights: two runs with the same digest have the same bits. It "
    "is\n"
    "that of the last step where the journal has it, and otherwise that of the newest checkpoint; `weights_step` says "
    "of\n"
    "which step it is. Damage that stands in the way is told; `reeve verify` looks at every byte.\n"
    "\n"
    "Examples:\n"
    "  reeve inspect runs/quickstart\n"
    "  reeve inspect runs/quickstart --json\n"
    "  reeve inspect runs/quickstart --checkpoint 300\n",
    inspect_opts,
    inspect_main};
