/* Reading and writing values as the rows of a key table say; see keys.h. */
#include "config/keys.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "config/hints.h"
#include "config/scalar.h"

#define CANDIDATES_MAX 32 /* of one section, or of the top */
#define ALL_KEYS_MAX 64

const char *reeve_key_path(const struct reeve_key *key, char out[REEVE_KEY_PATH_BYTES])
{
    (void)snprintf(out, REEVE_KEY_PATH_BYTES, "%s%s%s", key->section, key->section[0] != '\0' ? "." : "", key->name);
    return out;
}

const struct reeve_key *reeve_key_find(const struct reeve_key_table *t, const char *section, const char *name)
{
    for (uint32_t i = 0; i < t->key_count; i++)
        if (strcmp(t->keys[i].section, section) == 0 && strcmp(t->keys[i].name, name) == 0) return &t->keys[i];
    return NULL;
}

static void expected_choice(const struct reeve_key *key, char out[REEVE_KEY_EXPECTED_BYTES])
{
    size_t used = 0;
    for (uint32_t i = 0; key->choices[i] != NULL && used < REEVE_KEY_EXPECTED_BYTES; i++) {
        const char *between = i == 0 ? "" : key->choices[i + 1] == NULL ? " or " : ", ";
        used += (size_t)snprintf(out + used, REEVE_KEY_EXPECTED_BYTES - used, "%s%s", between, key->choices[i]);
    }
}

const char *reeve_key_expected(const struct reeve_key *key, char out[REEVE_KEY_EXPECTED_BYTES])
{
    char low[REEVE_SCALAR_REAL_BYTES], high[REEVE_SCALAR_REAL_BYTES], unit[32] = "";
    if (key->unit[0] != '\0') (void)snprintf(unit, sizeof(unit), " (%s)", key->unit);
    switch (key->type) {
    case REEVE_KEY_U32:
    case REEVE_KEY_I32:
    case REEVE_KEY_U64:
        (void)snprintf(out, REEVE_KEY_EXPECTED_BYTES, "a whole number from %" PRId64 " to %" PRId64 "%s", key->low,
                       key->high, unit);
        break;
    case REEVE_KEY_REAL:
    case REEVE_KEY_PPM:
        (void)snprintf(out, REEVE_KEY_EXPECTED_BYTES, "a number from %s %s %s%s%s",
                       reeve_scalar_format_real(key->real_low, low), key->below ? "to below" : "to",
                       reeve_scalar_format_real(key->real_high, high), unit,
                       key->type == REEVE_KEY_PPM ? " in steps of 0.000001" : "");
        break;
    case REEVE_KEY_TEXT:
        (void)snprintf(out, REEVE_KEY_EXPECTED_BYTES, "a text of %d to %" PRIu32 " bytes on one line", key->low != 0,
                       key->capacity - 1);
        break;
    case REEVE_KEY_SPEECH:
        (void)snprintf(out, REEVE_KEY_EXPECTED_BYTES, "a text of up to %" PRIu32 " bytes", key->capacity - 1);
        break;
    case REEVE_KEY_CHOICE: expected_choice(key, out); break;
    case REEVE_KEY_NODE: (void)snprintf(out, REEVE_KEY_EXPECTED_BYTES, "a list"); break;
    }
    return out;
}

static reeve_status fail_value(const struct reeve_key *key, const struct reeve_yaml *y, uint32_t node, const char *hint,
                               struct reeve_error *err)
{
    char path[REEVE_KEY_PATH_BYTES], expected[REEVE_KEY_EXPECTED_BYTES], found[REEVE_YAML_FOUND_BYTES];
    return reeve_yaml_fail(y, node, err, REEVE_INPUT_INVALID, "key '%s': expected %s, found %s%s",
                           reeve_key_path(key, path), reeve_key_expected(key, expected),
                           reeve_yaml_found(y, node, found), hint);
}

static reeve_status set_whole(const struct reeve_key *key, const struct reeve_yaml *y, uint32_t node, void *at,
                              struct reeve_error *err)
{
    char hint[REEVE_HINT_BYTES];
    int64_t value = 0;
    bool too_large = false;
    if (!y->nodes[node].plain || !reeve_scalar_whole(reeve_yaml_text(y, node), &value, &too_large) ||
        value < key->low || value > key->high)
        return fail_value(key, y, node, reeve_hint_whole(y, node, key->low, key->high, hint), err);
    if (key->type == REEVE_KEY_U64) *(uint64_t *)at = (uint64_t)value;
    else if (key->type == REEVE_KEY_I32) *(int32_t *)at = (int32_t)value;
    else *(uint32_t *)at = (uint32_t)value;
    return REEVE_OK;
}

static reeve_status set_real(const struct reeve_key *key, const struct reeve_yaml *y, uint32_t node, void *at,
                             struct reeve_error *err)
{
    char hint[REEVE_HINT_BYTES];
    double value = 0;
    if (!y->nodes[node].plain || !reeve_scalar_real(reeve_yaml_text(y, node), &value) || value < key->real_low ||
        value > key->real_high || (key->below && value >= key->real_high))
        return fail_value(key, y, node, reeve_hint_real(y, node, hint), err);
    if (key->type == REEVE_KEY_REAL) {
        *(double *)at = value;
        return REEVE_OK;
    }
    double millionths = value * 1e6;
    if (fabs(millionths - round(millionths)) > 1e-6) return fail_value(key, y, node, "", err);
    *(uint32_t *)at = (uint32_t)llround(millionths);
    return REEVE_OK;
}

static reeve_status set_text(const struct reeve_key *key, const struct reeve_yaml *y, uint32_t node, void *at,
                             struct reeve_error *err)
{
    if (reeve_yaml_is_nothing(y, node)) return fail_value(key, y, node, "; an empty text is written \"\"", err);
    const char *text = reeve_yaml_text(y, node);
    size_t bytes = strlen(text);
    bool one_line = key->type == REEVE_KEY_TEXT;
    if (bytes >= key->capacity || (bytes == 0 && key->low != 0) || !reeve_scalar_is_utf8(text, one_line))
        return fail_value(key, y, node, "", err);
    memset(at, 0, key->capacity);
    memcpy(at, text, bytes);
    return REEVE_OK;
}

static reeve_status set_choice(const struct reeve_key *key, const struct reeve_yaml *y, uint32_t node, void *at,
                               struct reeve_error *err)
{
    const char *text = reeve_yaml_text(y, node);
    for (uint32_t i = 0; key->choices[i] != NULL; i++) {
        if (strcmp(key->choices[i], text) != 0) continue;
        if (key->capacity != 0) *(uint32_t *)at = i;
        return REEVE_OK;
    }
    char hint[REEVE_HINT_BYTES];
    return fail_value(key, y, node, reeve_hint_choice(text, key->choices, hint), err);
}

reeve_status reeve_key_set(const struct reeve_key *key, const struct reeve_yaml *y, uint32_t node, void *base,
                           struct reeve_error *err)
{
    void *at = (char *)base + key->offset;
    if (key->type == REEVE_KEY_NODE) {
        *(uint32_t *)at = node;
        return REEVE_OK;
    }
    if (y->nodes[node].kind != REEVE_YAML_SCALAR) return fail_value(key, y, node, "", err);
    switch (key->type) {
    case REEVE_KEY_U32:
    case REEVE_KEY_I32:
    case REEVE_KEY_U64: return set_whole(key, y, node, at, err);
    case REEVE_KEY_REAL:
    case REEVE_KEY_PPM: return set_real(key, y, node, at, err);
    case REEVE_KEY_CHOICE: return set_choice(key, y, node, at, err);
    default: return set_text(key, y, node, at, err);
    }
}

void reeve_key_set_fallback(const struct reeve_key *key, void *base)
{
    /* One plain or quoted scalar, as a tree of its own; texts are taken as they stand. */
    bool text = key->type == REEVE_KEY_TEXT || key->type == REEVE_KEY_SPEECH;
    struct reeve_yaml_node node = {.line = 1,
                                   .column = 1,
                                   .first = REEVE_YAML_NONE,
                                   .next = REEVE_YAML_NONE,
                                   .kind = REEVE_YAML_SCALAR,
                                   .plain = !text};
    struct reeve_yaml y = {.name = "default", .nodes = &node, .node_count = 1, .text = (char *)key->fallback};
    reeve_status st = reeve_key_set(key, &y, 0, base, NULL);
    REEVE_ASSERT(st == REEVE_OK); /* the tables are ours, and a test reads them all */
}

/* The names that a section (or the top) offers. Returns how many. */
static size_t names_of(const struct reeve_key_table *t, const char *section, const char *names[CANDIDATES_MAX])
{
    size_t count = 0;
    for (uint32_t i = 0; i < t->key_count; i++)
        if (strcmp(t->keys[i].section, section) == 0 && count < CANDIDATES_MAX) names[count++] = t->keys[i].name;
    if (section[0] != '\0' || t->sections == NULL) return count;
    for (size_t i = 0; t->sections[i] != NULL && count < CANDIDATES_MAX; i++) names[count++] = t->sections[i];
    return count;
}

/* "; did you mean 'train.steps'?": the nearest name of the same section, or a nearer one of another. */
static void word_suggestion(const struct reeve_key_table *t, const char *section, const char *name,
                            const char *const *own, size_t own_count, char out[128])
{
    const char *names[CANDIDATES_MAX + ALL_KEYS_MAX];
    char path[REEVE_KEY_PATH_BYTES];
    size_t count = own_count;
    memcpy(names, own, own_count * sizeof(names[0]));
    for (uint32_t i = 0; i < t->key_count && i < ALL_KEYS_MAX; i++) names[count++] = t->keys[i].name;
    int near = reeve_scalar_nearest(name, names, count);
    out[0] = '\0';
    for (size_t i = 0; section[0] != '\0' && t->sections[i] != NULL; i++) {
        if (strcmp(t->sections[i], name) != 0) continue;
        (void)snprintf(out, 128, "; '%s' belongs at the top, not into %s", name, section);
        return;
    }
    if (near < 0) return;
    if ((size_t)near >= own_count) (void)reeve_key_path(&t->keys[(size_t)near - own_count], path);
    else (void)snprintf(path, sizeof(path), "%s%s%s", section, section[0] != '\0' ? "." : "", names[near]);
    (void)snprintf(out, 128, "; did you mean '%s'?", path);
}

reeve_status reeve_key_fail_unknown(const struct reeve_key_table *t, const char *section, const char *name,
                                    const struct reeve_yaml *y, uint32_t node, struct reeve_error *err)
{
    const char *names[CANDIDATES_MAX];
    char suggestion[128], list[512] = "";
    size_t count = names_of(t, section, names), used = 0;
    (void)snprintf(suggestion, sizeof(suggestion), "%s", reeve_hint_key(name));
    if (suggestion[0] == '\0') word_suggestion(t, section, name, names, count, suggestion);
    for (size_t i = 0; i < count && used < sizeof(list); i++)
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i == 0 ? "" : ", ", names[i]);
    bool top = section[0] == '\0';
    return reeve_yaml_fail(y, node, err, REEVE_INPUT_INVALID, "key '%s%s%.60s': unknown%s (%s%s: %s)", section,
                           top ? "" : ".", name, suggestion, top ? "keys" : "keys of ", section, list);
}

reeve_status reeve_key_fail_twice(const struct reeve_yaml *y, const char *path, uint32_t first, uint32_t second,
                                  struct reeve_error *err)
{
    return reeve_yaml_fail(y, second, err, REEVE_INPUT_INVALID,
                           "key '%.60s': given twice, first in line %" PRIu32 "; keep one of them", path,
                           y->nodes[first].line);
}

reeve_status reeve_keys_read(const struct reeve_key_table *t, const struct reeve_yaml *y, uint32_t mapping, void *base,
                             uint32_t *given, struct reeve_error *err)
{
    for (uint32_t i = 0; i < t->key_count; i++) given[i] = REEVE_YAML_NONE;
    for (uint32_t at = y->nodes[mapping].first; at != REEVE_YAML_NONE;) {
        const char *name = reeve_yaml_text(y, at);
        uint32_t value = y->nodes[at].next;
        const struct reeve_key *key = reeve_key_find(t, "", name);
        if (key == NULL) return reeve_key_fail_unknown(t, "", name, y, at, err);
        uint32_t index = (uint32_t)(key - t->keys);
        if (given[index] != REEVE_YAML_NONE) return reeve_key_fail_twice(y, name, given[index], at, err);
        reeve_status st = reeve_key_set(key, y, value, base, err);
        if (st != REEVE_OK) return st;
        given[index] = value;
        at = y->nodes[value].next;
    }
    for (uint32_t i = 0; i < t->key_count; i++) {
        const struct reeve_key *key = &t->keys[i];
        char expected[REEVE_KEY_EXPECTED_BYTES];
        if (given[i] != REEVE_YAML_NONE) continue;
        if (key->fallback == NULL)
            return reeve_yaml_fail(y, mapping, err, REEVE_INPUT_INVALID, "key '%s': missing; expected %s: %s",
                                   key->name, reeve_key_expected(key, expected), key->meaning);
        reeve_key_set_fallback(key, base);
    }
    return REEVE_OK;
}

reeve_status reeve_key_print(const struct reeve_key *key, const void *base, FILE *out, struct reeve_error *err)
{
    const void *at = (const char *)base + key->offset;
    char real[REEVE_SCALAR_REAL_BYTES], path[REEVE_KEY_PATH_BYTES];
    switch (key->type) {
    case REEVE_KEY_U32: (void)fprintf(out, "%" PRIu32, *(const uint32_t *)at); break;
    case REEVE_KEY_I32: (void)fprintf(out, "%" PRId32, *(const int32_t *)at); break;
    case REEVE_KEY_U64: (void)fprintf(out, "%" PRIu64, *(const uint64_t *)at); break;
    case REEVE_KEY_REAL: (void)fputs(reeve_scalar_format_real(*(const double *)at, real), out); break;
    case REEVE_KEY_PPM: (void)fputs(reeve_scalar_format_real(*(const uint32_t *)at / 1e6, real), out); break;
    case REEVE_KEY_CHOICE: (void)fputs(key->choices[key->capacity != 0 ? *(const uint32_t *)at : 0], out); break;
    case REEVE_KEY_TEXT:
    case REEVE_KEY_SPEECH:
        if (!reeve_scalar_is_utf8(at, key->type == REEVE_KEY_TEXT))
            return reeve_fail(err, REEVE_JOB_INTERNAL, "key '%s': its text cannot be written as YAML",
                              reeve_key_path(key, path));
        reeve_scalar_print_quoted(at, out);
        break;
    case REEVE_KEY_NODE: break; /* only in structs that are never written */
    }
    return REEVE_OK;
}
