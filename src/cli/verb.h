/* A verb of the command line is data: --help, the arrays of getopt_long and the suggestions are all made from it.
 * One file per verb (verb_NAME.c); the list of them is in main.c. */
#ifndef REEVE_CLI_VERB_H
#define REEVE_CLI_VERB_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define REEVE_VERB_OPTIONS_MAX 32

struct reeve_opt {
    int id;               /* its letter, or a number from 256 to 999 where it has none; 0 ends the table */
    const char *name;     /* long name without dashes, lower case */
    const char *argument; /* what stands for its value in --help, "N"; NULL: it takes none */
    const char *meaning;  /* one line, no full stop */
};

/* --json is an option of every verb that prints facts: list it with this, so that errors are told in JSON too. */
#define REEVE_OPT_JSON_ID 256
#define REEVE_OPT_JSON                                                                                                 \
    {                                                                                                                  \
        REEVE_OPT_JSON_ID, "json", NULL, "print one JSON object on stdout; messages stay on stderr"                    \
    }

/* The same for what verbs that take a job share. */
#define REEVE_OPT_SET_ID 257
#define REEVE_OPT_SET                                                                                                  \
    {                                                                                                                  \
        REEVE_OPT_SET_ID, "set", "KEY=VALUE", "replace a key of the job, e.g. train.steps=100; can be repeated"        \
    }
#define REEVE_OPT_RUN_DIR_ID 258
#define REEVE_OPT_RUN_DIR                                                                                              \
    {                                                                                                                  \
        REEVE_OPT_RUN_DIR_ID, "run-dir", "DIR", "the run's folder (default: runs/<name of the job>)"                   \
    }
#define REEVE_OPT_WORKERS_ID 'n'
#define REEVE_OPT_WORKERS                                                                                              \
    {                                                                                                                  \
        REEVE_OPT_WORKERS_ID, "workers", "N", "workers to train with (default: resources.workers of the job)"          \
    }

/* The values of an option that can be repeated. */
#define REEVE_VERB_LIST_MAX 64
struct reeve_verb_list {
    const char *text[REEVE_VERB_LIST_MAX]; /* borrowed from argv */
    uint32_t count;
};

struct reeve_verb {
    const char *name;             /* as typed */
    const char *args;             /* operands as --help shows them, "JOB"; "" for none */
    const char *summary;          /* one line of `reeve --help`, no full stop */
    const char *help;             /* long text with "Examples:", each line ended */
    const struct reeve_opt *opts; /* ends with {0}; --help and --no-color are added to each */
    /* argv[0] is the verb. Options are known to be well formed, --help is dealt with. Returns the exit code. */
    int (*main)(const struct reeve_verb *verb, int argc, char **argv);
};

/* The next option: its id, with its value (or NULL) in *value; -1 when there are no more: operands are argv[optind...]
 * then (getopt permutes argv). `--` ends the options. value may be NULL. */
int reeve_verb_option(const struct reeve_verb *verb, int argc, char **argv, const char **value);

/* Read the whole command line once without acting on it. Returns 0 if it is well formed (*help: --help was among it),
 * or REEVE_EXIT_USAGE with a message that names the nearest option. Leaves getopt as it was at the start. */
int reeve_verb_check(const struct reeve_verb *verb, int argc, char **argv, bool *help);

void reeve_verb_print_help(const struct reeve_verb *verb, FILE *out);

/* The number of operands must be in [min, max]: 0, or REEVE_EXIT_USAGE with a message. Call it after the options. */
int reeve_verb_operands(const struct reeve_verb *verb, int argc, char **argv, int min, int max);

/* A value of an option as a whole number in [min, max]: 0, or REEVE_EXIT_USAGE with a message. */
int reeve_verb_number(const struct reeve_verb *verb, const char *option, const char *value, unsigned long long min,
                      unsigned long long max, unsigned long long *out);

/* One more value of an option: 0, or REEVE_EXIT_USAGE with a message where there are too many. */
int reeve_verb_add(const struct reeve_verb *verb, const char *option, const char *value, struct reeve_verb_list *list);

/* Say what is wrong with the command line, and where to read more. Returns REEVE_EXIT_USAGE. */
int reeve_verb_usage(const struct reeve_verb *verb, const char *format, ...) __attribute__((format(printf, 2, 3)));

extern const struct reeve_verb reeve_verb_run;
extern const struct reeve_verb reeve_verb_submit;
extern const struct reeve_verb reeve_verb_requeue;
extern const struct reeve_verb reeve_verb_plan;
extern const struct reeve_verb reeve_verb_manifest;
extern const struct reeve_verb reeve_verb_status;
extern const struct reeve_verb reeve_verb_inspect;
extern const struct reeve_verb reeve_verb_verify;
extern const struct reeve_verb reeve_verb_audit;
extern const struct reeve_verb reeve_verb_chaos;
extern const struct reeve_verb reeve_verb_tasks;
extern const struct reeve_verb reeve_verb_explain;
extern const struct reeve_verb reeve_verb_doctor;
extern const struct reeve_verb reeve_verb_version;

#endif
