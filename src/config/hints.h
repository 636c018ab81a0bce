/* What people most often mean by a value that YAML or a key table cannot take, as the end of a message: "; ..." or "". */
#ifndef REEVE_CONFIG_HINTS_H
#define REEVE_CONFIG_HINTS_H

#include <stdint.h>

#include "config/yaml_tree.h"

#define REEVE_HINT_BYTES 96

/* A number was expected (`whole`: of digits alone): "3,0e-3", "1e3", "1_000", "\"7\"". Returns out. */
const char *reeve_hint_number(const struct reeve_yaml *y, uint32_t node, bool whole, char out[REEVE_HINT_BYTES]);
/* One of these words was expected, NULL behind the last: a word near it, or what other files call true and false. */
const char *reeve_hint_choice(const char *text, const char *const *choices, char out[REEVE_HINT_BYTES]);
/* Keys with values were expected: "lr:1e-3" is one word. Static storage. */
const char *reeve_hint_mapping(const struct reeve_yaml *y, uint32_t node);
/* A key that nobody knows: "steps:3" in braces, and the "0e-3" of {lr: 3,0e-3}. Static storage. */
const char *reeve_hint_key(const char *name);
/* Of a path that leads nowhere: a shell would have replaced a part of it. Static storage. */
const char *reeve_hint_path(const char *path);

#endif
