/* From a verb's table to getopt_long's arrays, to --help, and to a word about what is wrong. */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/output.h"
#include "cli/suggest.h"
#include "cli/verb.h"
#include "reeve/status.h"

enum { OPT_HELP = 'h', OPT_NO_COLOR = 1000 };

static const struct reeve_opt common_opts[] = {
    {OPT_NO_COLOR, "no-color", NULL, "no colours (also: NO_COLOR=1, or when not on a terminal)"},
    {OPT_HELP, "help", NULL, "print this and exit"},
};
#define COMMON_OPTS (sizeof common_opts / sizeof common_opts[0])

struct getopt_arrays {
    struct option longs[REEVE_VERB_OPTIONS_MAX + COMMON_OPTS + 1];
    char letters[2 * (REEVE_VERB_OPTIONS_MAX + COMMON_OPTS) + 3];
    const char *names[REEVE_VERB_OPTIONS_MAX + COMMON_OPTS];
    size_t count;
};

static void arrays_add(struct getopt_arrays *g, const struct reeve_opt *opt)
{
    g->names[g->count] = opt->name;
    g->longs[g->count++] =
        (struct option){opt->name, opt->argument != NULL ? required_argument : no_argument, NULL, opt->id};
    if (opt->id >= 256) return;
    size_t n = strlen(g->letters);
    g->letters[n++] = (char)opt->id;
    if (opt->argument != NULL) g->letters[n] = ':';
}

static void arrays_make(struct getopt_arrays *g, const struct reeve_verb *verb)
{
    *g = (struct getopt_arrays){.letters = ":"}; /* a missing value is told apart from an unknown option */
    for (size_t i = 0; i < REEVE_VERB_OPTIONS_MAX && verb->opts[i].id != 0; i++)
        arrays_add(g, &verb->opts[i]);
    for (size_t i = 0; i < COMMON_OPTS; i++)
        arrays_add(g, &common_opts[i]);
}

static const struct option *arrays_find(const struct getopt_arrays *g, int id)
{
    for (size_t i = 0; i < g->count; i++)
        if (g->longs[i].val == id) return &g->longs[i];
    return NULL;
}

int reeve_verb_option(const struct reeve_verb *verb, int argc, char **argv, const char **value)
{
    struct getopt_arrays g;
    arrays_make(&g, verb);
    int id;
    do {
        id = getopt_long(argc, argv, g.letters, g.longs, NULL);
    } while (id == OPT_NO_COLOR || id == OPT_HELP); /* main() has dealt with them */
    if (value != NULL) *value = optarg;
    return id;
}

static int complain_unknown(const struct reeve_verb *verb, const struct getopt_arrays *g, const char *word)
{
    char name[64];
    size_t n = strcspn(word + 2, "=");
    if (n >= sizeof name) n = sizeof name - 1;
    memcpy(name, word + 2, n);
    name[n] = '\0';
    const char *nearest = reeve_cli_nearest(name, g->names, g->count);
    if (nearest != NULL) return reeve_verb_usage(verb, "unknown option --%s; did you mean --%s?", name, nearest);
    return reeve_verb_usage(verb, "unknown option --%s", name);
}

/* What getopt_long found wrong: `:` is a missing value; `?` is an unknown option, or a value where none belongs. */
static int complain(const struct reeve_verb *verb, const struct getopt_arrays *g, int answer, char **argv)
{
    const struct option *known = optopt != 0 ? arrays_find(g, optopt) : NULL;
    if (answer == ':' && known != NULL) return reeve_verb_usage(verb, "option --%s needs a value", known->name);
    if (known != NULL) return reeve_verb_usage(verb, "option --%s takes no value", known->name);
    if (optopt != 0) return reeve_verb_usage(verb, "unknown option -%c", optopt);
    return complain_unknown(verb, g, argv[optind - 1]);
}

int reeve_verb_check(const struct reeve_verb *verb, int argc, char **argv, bool *help)
{
    struct getopt_arrays g;
    arrays_make(&g, verb);
    *help = false;
    opterr = 0;
    int id, code = 0;
    while (code == 0 && (id = getopt_long(argc, argv, g.letters, g.longs, NULL)) != -1) {
        if (id == OPT_HELP) *help = true;
        if (id == OPT_NO_COLOR) reeve_cli_set_no_color();
        if (id == '?' || id == ':') code = complain(verb, &g, id, argv);
        if (*help) break; /* whatever else is wrong, the help is what was asked for */
    }
    optind = 0; /* glibc: start again from the beginning */
    return code;
}

static void print_opt(const struct reeve_opt *opt, FILE *out)
{
    char left[64], letter[8] = "    ";
    if (opt->id < 256) (void)snprintf(letter, sizeof letter, "-%c, ", opt->id);
    (void)snprintf(left, sizeof left, "%s--%s%s%s", letter, opt->name, opt->argument != NULL ? " " : "",
                   opt->argument != NULL ? opt->argument : "");
    (void)fprintf(out, "  %-26s %s\n", left, opt->meaning);
}

void reeve_verb_print_help(const struct reeve_verb *verb, FILE *out)
{
    const char *bold = reeve_cli_style(out, REEVE_STYLE_BOLD), *plain = reeve_cli_style(out, REEVE_STYLE_PLAIN);
    (void)fprintf(out, "%sreeve %s%s: %s\n\n", bold, verb->name, plain, verb->summary);
    (void)fprintf(out, "Usage: reeve %s [OPTION]...%s%s\n\n%s\n%sOptions:%s\n", verb->name,
                  *verb->args != '\0' ? " " : "", verb->args, verb->help, bold, plain);
    for (size_t i = 0; i < REEVE_VERB_OPTIONS_MAX && verb->opts[i].id != 0; i++)
        print_opt(&verb->opts[i], out);
    for (size_t i = 0; i < COMMON_OPTS; i++)
        print_opt(&common_opts[i], out);
}

int reeve_verb_operands(const struct reeve_verb *verb, int argc, char **argv, int min, int max)
{
    int count = argc - optind;
    if (count < min) return reeve_verb_usage(verb, "%s is missing", *verb->args != '\0' ? verb->args : "an argument");
    if (count > max) return reeve_verb_usage(verb, "one argument too many: '%s'", argv[optind + max]);
    for (int i = optind; i < argc; i++)
        if (argv[i][0] == '\0')
            return reeve_verb_usage(
                verb, "an argument is empty (a variable of the shell that is not set?); expected %s", verb->args);
    return 0;
}

int reeve_verb_number(const struct reeve_verb *verb, const char *option, const char *value, unsigned long long min,
                      unsigned long long max, unsigned long long *out)
{
    char *end = NULL;
    errno = 0;
    unsigned long long n = strtoull(value, &end, 10);
    /* strtoull takes blanks and a minus sign; a number of ours begins with a digit */
    bool whole = *value >= '0' && *value <= '9' && *end == '\0' && errno == 0;
    if (!whole || n < min || n > max)
        return reeve_verb_usage(verb, "%s %s: expected a whole number from %llu to %llu", option, value, min, max);
    *out = n;
    return 0;
}

int reeve_verb_add(const struct reeve_verb *verb, const char *option, const char *value, struct reeve_verb_list *list)
{
    if (list->count == REEVE_VERB_LIST_MAX)
        return reeve_verb_usage(verb, "%s can be given %d times at most", option, REEVE_VERB_LIST_MAX);
    list->text[list->count++] = value;
    return 0;
}

int reeve_verb_usage(const struct reeve_verb *verb, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return reeve_cli_fail_text(REEVE_EXIT_USAGE, "%s: %s; see `reeve help %s`", verb->name, text, verb->name);
}
