/* What --help says, for other readers: a manual page, and bash. Made from the verbs' own tables, so that they agree. */
#ifndef REEVE_CLI_HELP_FORMS_H
#define REEVE_CLI_HELP_FORMS_H

#include <stddef.h>
#include <stdio.h>

#include "cli/verb.h"

/* reeve(1) as man reads it: `reeve help --man`. exit_codes: preformatted lines. */
void reeve_help_man(const struct reeve_verb *const *verbs, size_t count, const char *exit_codes, FILE *out);

/* Completion of verbs, their options and words in bash: `reeve help --bash`. */
void reeve_help_bash(const struct reeve_verb *const *verbs, size_t count, FILE *out);

#endif
