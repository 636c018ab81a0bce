/* What people most often mean by a value that YAML or a key table cannot take, as the end of a message: "; ..." or "". */
#ifndef REEVE_CONFIG_HINTS_H
#define REEVE_CONFIG_HINTS_H

#include <stdint.h>

#include "config/yaml_tree.h"

#define REEVE_HINT_BYTES 96

/* A whole number was expected, low..high: "1e3", "1_000", "\"7\"". Never hints at a number that is refused as well. Returns out. */
const char *reeve_hint_whole(const struct reeve_yaml *y, uint32_t node, int64_t low, int64_t high,
                             char out[REEVE_HINT_BYTES]);
/* Any number was expected: "3,0e-3". Returns out. */
const char *reeve_hint_real(const struct reeve_yaml *y, uint32_t node, char out[REEVE_HINT_BYTES]);
/* One of these words was expected, NULL behind the last: a word near it, or what other files call true and false. */
const char *reeve_hint_choice(const char *text, const char *const *choices, char out[REEVE_HINT_BYTES]);
/* Keys with values were expected: "lr:1e-3" is one word. Static storage. */
const char *reeve_hint_mapping(const struct reeve_yaml *y, uint32_t node);
/* A key that nobody knows: "steps:3" in braces, and the "0e-3" of {lr: 3,0e-3}. Static storage. */
const char *reeve_hint_key(const char *name);
/* Of a path that leads nowhere: a shell would have replaced a part of it. Static storage. */
const char *reeve_hint_path(const char *path);

#endif
