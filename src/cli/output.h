/* What the program says: results on stdout, messages on stderr, one JSON value where JSON was asked for. */
#ifndef REEVE_CLI_OUTPUT_H
#define REEVE_CLI_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/digest.h"
#include "base/path.h"
#include "reeve/status.h"

#define REEVE_CLI_SCHEMA_VERSION 1 /* "schema_version" of every JSON object; grows when a key changes its meaning */

/* Print "reeve: <text>" once on stderr and, where --json was given, {"error": "<text>", ...} on stdout, unless JSON was
 * printed already. Returns the exit code of err->status. */
int reeve_cli_fail(const struct reeve_error *err);
/* The same with another exit code and a text made here. Returns exit_code. */
int reeve_cli_fail_text(int exit_code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A message that is no result: "reeve: <text>" on stderr. */
void reeve_cli_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Print one JSON value and a newline on stdout; steals the reference. NULL (out of memory) is an error.
 * Returns 0 or REEVE_EXIT_INTERNAL. A failed write is found by reeve_cli_finish. */
int reeve_cli_print_json(json_t *value);
/* The one JSON value is printed already: an error's. */
bool reeve_cli_json_is_printed(void);
/* A new object with "schema_version" in it; NULL: out of memory. */
json_t *reeve_cli_json_object(void);
/* Put a value under a key; steals it. Out of memory (also: value is NULL) ends the program with REEVE_EXIT_INTERNAL:
 * a fact that is left out in silence would be worse. */
void reeve_cli_json_set(json_t *object, const char *key, json_t *value);
void reeve_cli_json_append(json_t *array, json_t *value);
/* Any bytes as a JSON string: what is no UTF-8 becomes '?'. */
json_t *reeve_cli_json_text(const char *text);
json_t *reeve_cli_json_u64(uint64_t v); /* above 2^63 - 1 as a string of decimal digits: JSON readers differ there */
json_t *reeve_cli_json_digest(struct reeve_digest d);
json_t *reeve_cli_json_real(double v);       /* null if it is not finite */
json_t *reeve_cli_json_hex(uint64_t v);      /* 16 digits, as a string */
json_t *reeve_cli_json_utc(int64_t wall_ns); /* "2026-11-24T01:02:03Z"; null if 0 */

/* Called once by main(). */
void reeve_cli_set_json(bool json_asked);
void reeve_cli_set_no_color(void);
/* Before anything is opened: makes 0, 1 and 2 refer to something, so that no file of ours becomes stdout; a closed pipe
 * becomes an error of write instead of a signal. */
void reeve_cli_begin(void);
/* Flush stdout. Returns exit_code, or REEVE_EXIT_IO with a message when what was printed did not arrive. */
int reeve_cli_finish(int exit_code);

enum reeve_cli_style { REEVE_STYLE_PLAIN, REEVE_STYLE_BOLD, REEVE_STYLE_GOOD, REEVE_STYLE_WARN, REEVE_STYLE_BAD };
/* The escape sequence that begins a style, or "" where `out` is no terminal, TERM is dumb, NO_COLOR is set and not
 * empty (no-color.org), or --no-color was given. PLAIN ends every style. */
const char *reeve_cli_style(FILE *out, enum reeve_cli_style style);

/* The name of a file or folder on its way to people, without what would command a terminal. Returns copy. */
const char *reeve_cli_plain(const char *name, char copy[REEVE_PATH_BYTES_MAX]);
/* "1.5 GiB", "12 s", "3 min", "2 days" for people, into text. Returns text. */
const char *reeve_cli_format_bytes(uint64_t bytes, char text[32]);
const char *reeve_cli_format_seconds(double seconds, char text[32]);
/* "1,234,567" */
const char *reeve_cli_format_count(uint64_t n, char text[32]);

#endif
