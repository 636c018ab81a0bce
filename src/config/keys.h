/* A key of a YAML file as a row of a table: where its value goes, what it may be, and what people should know of it.
 * Parsing, error texts, defaults, `--help-keys` and the files that we write ourselves all come from the rows. */
#ifndef REEVE_CONFIG_KEYS_H
#define REEVE_CONFIG_KEYS_H

#include <stdio.h>

#include "config/yaml_tree.h"

enum reeve_key_type {
    REEVE_KEY_U32,    /* whole number, low..high, -> uint32_t */
    REEVE_KEY_I32,    /* -> int32_t */
    REEVE_KEY_U64,    /* -> uint64_t; high <= INT64_MAX, so that JSON can say it too */
    REEVE_KEY_REAL,   /* real_low..real_high -> double */
    REEVE_KEY_PPM,    /* a part of 1, in steps of a millionth, -> uint32_t millionths */
    REEVE_KEY_TEXT,   /* -> char[capacity], zero-padded; one line of UTF-8, not empty unless low is 0 */
    REEVE_KEY_SPEECH, /* the same, but any characters */
    REEVE_KEY_CHOICE, /* a word of `choices` -> its index as uint32_t */
    REEVE_KEY_NODE,   /* whatever it is -> uint32_t, its node; the caller looks at it */
};

struct reeve_key {
    const char *section; /* "" for keys at the top */
    const char *name;
    enum reeve_key_type type;
    uint32_t offset;   /* of the value in the struct that is filled */
    uint32_t capacity; /* bytes of a text with its NUL; 0 for a choice: only checked, stored nowhere */
    int64_t low, high;
    double real_low, real_high;
    bool below;                 /* real_high itself is not allowed */
    const char *const *choices; /* ends with NULL */
    const char *fallback;       /* its default as one would write it, or another key's path; NULL: must be given */
    const char *unit;           /* "steps", "s", ...; "" if it has none */
    const char *meaning;        /* one line for people */
};

struct reeve_key_table {
    const struct reeve_key *keys;
    uint32_t key_count;
    const char *const *sections; /* ends with NULL; NULL where all keys are at the top */
};

#define REEVE_KEY_PATH_BYTES 64
/* "train.steps", or "name" for a key at the top. Returns out. */
const char *reeve_key_path(const struct reeve_key *key, char out[REEVE_KEY_PATH_BYTES]);
/* The key of that section and name; NULL: none. */
const struct reeve_key *reeve_key_find(const struct reeve_key_table *t, const char *section, const char *name);

/* What the key expects: "a whole number from 1 to 64 (steps)". Returns out. */
#define REEVE_KEY_EXPECTED_BYTES 256
const char *reeve_key_expected(const struct reeve_key *key, char out[REEVE_KEY_EXPECTED_BYTES]);

/* Check a node and store its value into the struct at base. INPUT_INVALID with the place, the key, what was found and
 * what was expected; base is untouched then. */
reeve_status reeve_key_set(const struct reeve_key *key, const struct reeve_yaml *y, uint32_t node, void *base,
                           struct reeve_error *err);
/* The same from the row's own default (which must be a value, not another key's path). */
void reeve_key_set_fallback(const struct reeve_key *key, void *base);

/* Word "key 'train.step': unknown; did you mean 'train.steps'? (keys of train: ...)" at a node.
 * section "" and a table with sections: a name at the top, which may have been meant as a section. */
reeve_status reeve_key_fail_unknown(const struct reeve_key_table *t, const char *section, const char *name,
                                    const struct reeve_yaml *y, uint32_t node, struct reeve_error *err);
/* Word "key ...: given twice" at the second of two nodes of one tree. */
reeve_status reeve_key_fail_twice(const struct reeve_yaml *y, const char *path, uint32_t first, uint32_t second,
                                  struct reeve_error *err);

/* Read a whole mapping by a table without sections: every key once, defaults for the rest.
 *   out  given  (key_count,) the node of each key's value; REEVE_YAML_NONE where the default was taken
 * INPUT_INVALID: unknown, twice, missing, or not what the row expects. */
reeve_status reeve_keys_read(const struct reeve_key_table *t, const struct reeve_yaml *y, uint32_t mapping, void *base,
                             uint32_t *given, struct reeve_error *err);

/* The value in base as one would write it in YAML (texts in quotes). REEVE_JOB_INTERNAL: a text is no UTF-8. */
reeve_status reeve_key_print(const struct reeve_key *key, const void *base, FILE *out, struct reeve_error *err);

#endif
