/* See help_forms.h. The macros of the page: man(7). */
#include "cli/help_forms.h"

#include <string.h>

#include "reeve/version.h"

/* Text in which troff finds nothing of its own: a backslash, a hyphen that is none, a dot or quote that begins a line. */
static void troff(const char *text, FILE *out)
{
    bool begins = true;
    for (const char *c = text; *c != '\0'; c++) {
        if (begins && (*c == '.' || *c == '\'')) (void)fputs("\\&", out);
        begins = *c == '\n';
        if (*c == '\\') (void)fputs("\\e", out);
        else if (*c == '-') (void)fputs("\\-", out);
        else (void)fputc(*c, out);
    }
}

static void man_option(const struct reeve_opt *opt, FILE *out)
{
    (void)fputs(".TP\n\\fB", out);
    if (opt->id < 256) (void)fprintf(out, "\\-%c\\fR, \\fB", opt->id);
    (void)fputs("\\-\\-", out);
    troff(opt->name, out);
    (void)fputs("\\fR", out);
    if (opt->argument != NULL) {
        (void)fputs(" \\fI", out);
        troff(opt->argument, out);
        (void)fputs("\\fR", out);
    }
    (void)fputc('\n', out);
    troff(opt->meaning, out);
    (void)fputc('\n', out);
}

static void man_verb(const struct reeve_verb *verb, FILE *out)
{
    (void)fprintf(out, ".SS reeve %s \\fR[OPTION]... \\fI", verb->name);
    troff(verb->args, out);
    (void)fputs("\\fR\n", out);
    troff(verb->summary, out);
    (void)fputs(".\n.PP\n.nf\n", out); /* its lines are short, and its examples stand below each other */
    troff(verb->help, out);
    (void)fputs(".fi\n", out);
    for (size_t i = 0; i < REEVE_VERB_OPTIONS_MAX && verb->opts[i].id != 0; i++)
        man_option(&verb->opts[i], out);
}

/* What stands behind the verbs; docs/cli.md says the same of the environment, docs/format/run.md of the files. */
static const char man_end[] =
    ".fi\n.SH ENVIRONMENT\n"
    ".TP\n.B REEVE_IN_JOB\n\"off\": every loss of a process ends the launch, which is started again, also "
    "where the MPI would let the job outlive it. \"on\": let it across several hosts too, for trials.\n"
    ".TP\n.BR NO_COLOR , \" TERM=dumb\"\nNo colours.\n"
    ".TP\n.BR OMPI_ALLOW_RUN_AS_ROOT , \" OMPI_ALLOW_RUN_AS_ROOT_CONFIRM\"\nBoth must be 1 for mpirun to run as root.\n"
    ".TP\n.B OPENBLAS_CORETYPE\nThe kernels of OpenBLAS; ranks choose better ones than an old OpenBLAS does, unless "
    "it is set. The same for all workers of a run.\n"
    ".TP\n.B CUDA_VISIBLE_DEVICES\nThe GPUs that there are, for all that Reeve starts.\n"
    ".SH FILES\n"
    ".TP\n.I runs/NAME\nThe folder of a run, unless \\fB\\-\\-run\\-dir\\fR says otherwise: all that is needed to "
    "go on.\n"
    ".TP\n.IR STOP , \" SAVE\"\nIn that folder, made by you: stop at the next step boundary, saved; save, and go on.\n"
    ".TP\n.I log/supervisor.log\nIn that folder: each launch and loss.\n"
    ".SH SEE ALSO\n.BR mpirun (1),\n.BR sbatch (1);\nthe documents in share/doc/reeve, which begin with README.md.\n";

void reeve_help_man(const struct reeve_verb *const *verbs, size_t count, const char *exit_codes, FILE *out)
{
    (void)fprintf(out,
                  ".TH REEVE 1 \"\" \"reeve %s\" \"User Commands\"\n"
                  ".SH NAME\nreeve \\- train a model on a cluster, to the same bits on any number of workers\n"
                  ".SH SYNOPSIS\n.B reeve\n.I VERB\n[OPTION]... [ARGUMENT]...\n"
                  ".SH DESCRIPTION\nResults go to stdout, messages to stderr. Every verb knows \\fB\\-\\-help\\fR and "
                  "\\fB\\-\\-no\\-color\\fR; with \\fB\\-\\-json\\fR it prints exactly one JSON value.\n"
                  ".SH VERBS\n",
                  REEVE_VERSION);
    for (size_t i = 0; i < count; i++)
        man_verb(verbs[i], out);
    (void)fputs(".SH EXIT STATUS\n.nf\n", out);
    troff(exit_codes, out);
    (void)fputs(man_end, out);
}

/* The words that an operand may be, where a verb has such ("lock|check|show FILE"), with blanks between; else "". */
static void bash_words(const char *args, FILE *out)
{
    size_t n = strspn(args, "abcdefghijklmnopqrstuvwxyz|");
    if (n == 0 || args[n] != ' ' || memchr(args, '|', n) == NULL) return;
    for (size_t i = 0; i < n; i++)
        (void)fputc(args[i] == '|' ? ' ' : args[i], out);
}

static void bash_verb(const struct reeve_verb *verb, FILE *out)
{
    (void)fprintf(out, "    %s) words='", verb->name);
    bash_words(verb->args, out);
    (void)fputs("' options='--help --no-color", out);
    for (size_t i = 0; i < REEVE_VERB_OPTIONS_MAX && verb->opts[i].id != 0; i++)
        (void)fprintf(out, " --%s", verb->opts[i].name);
    (void)fputs("' ;;\n", out);
}

void reeve_help_bash(const struct reeve_verb *const *verbs, size_t count, FILE *out)
{
    (void)fputs("# Completion of reeve for bash; printed by `reeve help --bash`.\n"
                "_reeve()\n{\n    local word=${COMP_WORDS[COMP_CWORD]} verbs='help",
                out);
    for (size_t i = 0; i < count; i++)
        (void)fprintf(out, " %s", verbs[i]->name);
    (void)fputs("' words='' options=''\n    case ${COMP_WORDS[1]} in\n    help) words=$verbs ;;\n", out);
    for (size_t i = 0; i < count; i++)
        bash_verb(verbs[i], out);
    (void)fputs("    esac\n"
                "    if ((COMP_CWORD == 1)); then words=$verbs options='--help --version'; fi\n"
                "    if ((COMP_CWORD > 2)); then words=; fi\n"
                "    if [[ $word == -* ]]; then words=$options; fi\n"
                "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
                "}\n"
                "complete -o default -F _reeve reeve # what is no word of ours is a file\n",
                out);
}
