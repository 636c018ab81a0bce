/* Words and numbers as people write them, read strictly: all of the text or nothing, no locale, no surprises. */
#ifndef REEVE_CONFIG_SCALAR_H
#define REEVE_CONFIG_SCALAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Decimal digits with an optional sign; no leading zeros beyond one, no hexadecimal, no underscores.
 * *too_large: it is a whole number, but beyond int64_t. */
bool reeve_scalar_whole(const char *text, int64_t *out, bool *too_large);
/* A decimal number with optional fraction and exponent; finite. "1", "1.", ".5", "1e-3", "-1.0E+3". */
bool reeve_scalar_real(const char *text, double *out);

#define REEVE_SCALAR_REAL_BYTES 32
/* The shortest of %.15g, %.16g and %.17g that reads back to the same bits. Returns out. */
const char *reeve_scalar_format_real(double value, char out[REEVE_SCALAR_REAL_BYTES]);

/* The text is UTF-8; and with one_line, it has no control characters either. */
bool reeve_scalar_is_utf8(const char *text, bool one_line);
/* Write UTF-8 text in double quotes, with YAML's escapes where YAML needs them. */
void reeve_scalar_print_quoted(const char *text, FILE *out);

/* The candidate that is fewest edits (insert, delete, replace, swap of neighbours) away from word, if those are few for
 * its length; -1 if none is near. A candidate that begins with the word, or the other way round, counts as near. */
int reeve_scalar_nearest(const char *word, const char *const *candidates, size_t count);

#endif
