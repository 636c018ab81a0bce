/* "did you mean": the nearest word of a list. */
#ifndef REEVE_CLI_SUGGEST_H
#define REEVE_CLI_SUGGEST_H

#include <stddef.h>

/* The candidate that is fewest edits away from `word`, if those are few for its length; NULL if none is near.
 * Edits: insert, delete, replace, swap of neighbours. The first of equals wins. */
const char *reeve_cli_nearest(const char *word, const char *const *candidates, size_t count);

#endif
