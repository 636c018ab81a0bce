/* A YAML text as a tree in which every node knows its line and column.
 *
 * The text is untrusted: its size, depth and number of nodes are bounded before memory is taken. Of YAML we use what
 * people write by hand: mappings, lists, scalars, one document. Anchors, aliases, tags, NUL bytes and keys that are no
 * plain words are refused with their place. Built from libyaml's events; docs/adr/0002-libyaml.md says why. */
#ifndef REEVE_CONFIG_YAML_TREE_H
#define REEVE_CONFIG_YAML_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reeve/status.h"

#define REEVE_YAML_DEPTH_MAX 16u
#define REEVE_YAML_NAME_BYTES 320
#define REEVE_YAML_NONE UINT32_MAX /* no such node */

enum reeve_yaml_kind { REEVE_YAML_SCALAR = 0, REEVE_YAML_LIST = 1, REEVE_YAML_MAPPING = 2 };

struct reeve_yaml_node {
    uint32_t line, column; /* of its first character, from 1 */
    uint32_t text;         /* scalar: offset of its NUL-terminated text; it holds no other NUL */
    uint32_t first, next;  /* first child and next sibling, or REEVE_YAML_NONE */
    uint32_t count;        /* children; of a mapping: keys and values together, in turn */
    uint8_t kind;          /* enum reeve_yaml_kind */
    bool plain;            /* scalar: written without quotes, so it may be a number, or nothing at all */
};

struct reeve_yaml {
    char name[REEVE_YAML_NAME_BYTES]; /* for messages: the file (a long path loses its front), or "--set ..." */
    bool is_override;                 /* from the command line: messages carry no line and column */
    struct reeve_yaml_node *nodes;    /* owned; the root is node 0 */
    uint32_t node_count, node_room;
    char *text;                       /* owned; the scalars, one behind the other */
    uint64_t text_bytes, text_room;
};

/* Parse `bytes` bytes of text. INPUT_INVALID with the place | JOB_NO_MEMORY. On error *out is empty. An empty text is
 * an error in a file, and an empty scalar in an override. */
reeve_status reeve_yaml_parse(const char *name, bool is_override, const char *text, size_t bytes,
                              struct reeve_yaml *out, struct reeve_error *err);
/* The same from a file of at most bytes_max bytes. Also INPUT_MISSING | INPUT_PERMISSION | STORE_READ. */
reeve_status reeve_yaml_read(const char *path, size_t bytes_max, struct reeve_yaml *out, struct reeve_error *err);
void reeve_yaml_fini(struct reeve_yaml *y);

const char *reeve_yaml_text(const struct reeve_yaml *y, uint32_t node); /* of a scalar; borrowed until fini */
/* Plain and empty, "~" or "null": the key is there, but nothing was written behind it. */
bool reeve_yaml_is_nothing(const struct reeve_yaml *y, uint32_t node);
/* The value of `key` in a mapping, or REEVE_YAML_NONE. */
uint32_t reeve_yaml_find(const struct reeve_yaml *y, uint32_t mapping, const char *key);

/* Word an error at a node: "FILE:LINE:COLUMN: ...", or "--set ...: ...". Returns `status`. */
reeve_status reeve_yaml_fail(const struct reeve_yaml *y, uint32_t node, struct reeve_error *err, reeve_status status,
                             const char *format, ...) __attribute__((format(printf, 5, 6)));

/* What was found, for messages: "'30 steps'", "a list", "nothing"; long texts are cut. Returns out. */
#define REEVE_YAML_FOUND_BYTES 80
const char *reeve_yaml_found(const struct reeve_yaml *y, uint32_t node, char out[REEVE_YAML_FOUND_BYTES]);

#endif
