/* The program `reeve`: finds the verb and lets it speak. It links no MPI, and runs on a login node.
 * Results go to stdout, messages to stderr; the exit codes are those of enum reeve_exit. */
#include <stdlib.h>
#include <string.h>

#include "cli/help_forms.h"
#include "cli/output.h"
#include "cli/suggest.h"
#include "cli/verb.h"
#include "reeve/status.h"
#include "reeve/version.h"

static const struct reeve_verb *const verbs[] = {
    &reeve_verb_run,   &reeve_verb_submit,  &reeve_verb_plan,    &reeve_verb_manifest, &reeve_verb_status,
    &reeve_verb_tasks, &reeve_verb_explain, &reeve_verb_inspect, &reeve_verb_verify,   &reeve_verb_audit,
    &reeve_verb_chaos, &reeve_verb_requeue, &reeve_verb_doctor,  &reeve_verb_version,
};
#define VERBS (sizeof verbs / sizeof verbs[0])

static const char exit_codes[] = "   0 done                     70 internal error\n"
                                 "   3 done, some tasks dead    73 cannot create, or in use by another job\n"
                                 "  64 wrong usage              74 reading or writing failed\n"
                                 "  65 bad job or data          75 checkpointed: run the same command again\n"
                                 "  66 input is missing         77 permission denied\n"
                                 "  69 device or launcher       78 bad configuration of the machine\n"
                                 "     is missing              130 interrupted\n";

static void print_help(FILE *out)
{
    const char *bold = reeve_cli_style(out, REEVE_STYLE_BOLD), *plain = reeve_cli_style(out, REEVE_STYLE_PLAIN);
    (void)fprintf(out,
                  "%sreeve%s: train a model on a cluster, to the same bits on any number of workers\n\n"
                  "Usage: reeve VERB [OPTION]... [ARGUMENT]...\n\n"
                  "%sExamples:%s\n"
                  "  reeve run job.yaml -n 2          train with two workers on this machine\n"
                  "  reeve submit job.yaml --nodes 4  train on four nodes of a Slurm cluster\n"
                  "  reeve status                     how the runs below ./runs are doing\n"
                  "  reeve audit runs/quickstart      prove that every sample was used exactly once\n"
                  "  reeve run jobs/exec-sweep.yaml   run a list of commands; `reeve tasks RUN` lists them\n\n"
                  "%sVerbs:%s\n",
                  bold, plain, bold, plain, bold, plain);
    for (size_t i = 0; i < VERBS; i++)
        (void)fprintf(out, "  %-10s %s\n", verbs[i]->name, verbs[i]->summary);
    (void)fprintf(out,
                  "\n%sOptions:%s\n"
                  "  -h, --help     print this; `reeve help VERB` tells more of one verb\n"
                  "  -V, --version  print the version\n\n"
                  "%sExit codes:%s\n%s",
                  bold, plain, bold, plain, exit_codes);
}

static const struct reeve_verb *find_verb(const char *name)
{
    for (size_t i = 0; i < VERBS; i++)
        if (strcmp(verbs[i]->name, name) == 0) return verbs[i];
    return NULL;
}

static int complain_unknown(const char *word)
{
    if (*word == '-') return reeve_cli_fail_text(REEVE_EXIT_USAGE, "unknown option '%s'; see `reeve --help`", word);
    const char *names[VERBS];
    for (size_t i = 0; i < VERBS; i++)
        names[i] = verbs[i]->name;
    const char *nearest = reeve_cli_nearest(word, names, VERBS);
    if (nearest == NULL) return reeve_cli_fail_text(REEVE_EXIT_USAGE, "unknown verb '%s'; see `reeve --help`", word);
    return reeve_cli_fail_text(REEVE_EXIT_USAGE, "unknown verb '%s'; did you mean '%s'?", word, nearest);
}

static int help_main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stdout);
        return REEVE_EXIT_DONE;
    }
    if (strcmp(argv[1], "--man") == 0) {
        reeve_help_man(verbs, VERBS, exit_codes, stdout);
        return REEVE_EXIT_DONE;
    }
    if (strcmp(argv[1], "--bash") == 0) {
        reeve_help_bash(verbs, VERBS, stdout);
        return REEVE_EXIT_DONE;
    }
    if (strcmp(argv[1], "help") == 0) return help_main(1, argv);
    const struct reeve_verb *verb = find_verb(argv[1]);
    if (verb == NULL) return complain_unknown(argv[1]);
    reeve_verb_print_help(verb, stdout);
    return REEVE_EXIT_DONE;
}

static int verb_main(const struct reeve_verb *verb, int argc, char **argv)
{
    bool help;
    int code = reeve_verb_check(verb, argc, argv, &help);
    if (code != 0) return code;
    if (!help) return verb->main(verb, argc, argv);
    reeve_verb_print_help(verb, stdout);
    return REEVE_EXIT_DONE;
}

static int dispatch(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return REEVE_EXIT_USAGE;
    }
    const char *word = argv[1];
    if (strcmp(word, "help") == 0) return help_main(argc - 1, argv + 1);
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) return help_main(1, argv);
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        (void)printf("reeve %s\n", REEVE_VERSION);
        return REEVE_EXIT_DONE;
    }
    const struct reeve_verb *verb = find_verb(word);
    if (verb == NULL) return complain_unknown(word);
    return verb_main(verb, argc - 1, argv + 1);
}

/* Before any verb has read its options, so that an error on the way is JSON as well; shortened as getopt_long has it. */
static bool asks_for_json(const char *word)
{
    size_t n = strlen(word);
    return n >= sizeof "--j" - 1 && strncmp(word, "--json", n) == 0;
}

int main(int argc, char **argv)
{
    reeve_cli_begin();
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (asks_for_json(argv[i])) reeve_cli_set_json(true);
    return reeve_cli_finish(dispatch(argc, argv));
}
