/* See hints.h. */
#include "config/hints.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config/scalar.h"

#define NUMBER_BYTES 64
#define EXACT_MAX 9007199254740992.0 /* 2^53: up to here a double is the whole number that was written */

/* `text` with each `from` replaced; to '\0': left out. False: it is too long to be a number. */
static bool replace(const char *text, char from, char to, char out[NUMBER_BYTES])
{
    size_t used = 0;
    for (; *text != '\0'; text++) {
        if (used + 1 >= NUMBER_BYTES) return false;
        if (*text != from) out[used++] = *text;
        else if (to != '\0') out[used++] = to;
    }
    out[used] = '\0';
    return true;
}

/* "; leave the quotes out" of a number in quotes; true: it is in quotes, whatever it is. */
static bool is_quoted(const struct reeve_yaml *y, uint32_t node, char out[REEVE_HINT_BYTES])
{
    double value;
    out[0] = '\0';
    if (y->nodes[node].plain) return false;
    if (reeve_scalar_real(reeve_yaml_text(y, node), &value))
        (void)snprintf(out, REEVE_HINT_BYTES, "; leave the quotes out");
    return true;
}

/* What was meant by a whole number that is written in another way. */
static bool find_meant(const char *text, int64_t *meant)
{
    char digits[NUMBER_BYTES], commas[NUMBER_BYTES];
    double value = 0;
    bool too_large = false;
    if (replace(text, '_', '\0', digits) && replace(digits, ',', '\0', commas) && strcmp(commas, text) != 0 &&
        reeve_scalar_whole(commas, meant, &too_large))
        return true;
    if (!reeve_scalar_real(text, &value) || fabs(value) >= EXACT_MAX || value != floor(value)) return false;
    *meant = (int64_t)value;
    return true;
}

const char *reeve_hint_whole(const struct reeve_yaml *y, uint32_t node, int64_t low, int64_t high,
                             char out[REEVE_HINT_BYTES])
{
    const char *text = reeve_yaml_text(y, node);
    int64_t whole = 0;
    bool too_large = false;
    if (is_quoted(y, node, out)) return out;
    if (reeve_scalar_whole(text, &whole, &too_large)) return out; /* beyond the bounds, which the message names */
    if (text[strspn(text, "0123456789")] == '\0') { /* too large, or zeros in front: elsewhere that is octal */
        if (text[0] == '0' && text[1] != '\0') (void)snprintf(out, REEVE_HINT_BYTES, "; without zeros in front");
    } else if (find_meant(text, &whole) && whole >= low && whole <= high)
        (void)snprintf(out, REEVE_HINT_BYTES, "; written as %" PRId64, whole);
    return out;
}

const char *reeve_hint_real(const struct reeve_yaml *y, uint32_t node, char out[REEVE_HINT_BYTES])
{
    char point[NUMBER_BYTES];
    double value;
    const char *text = reeve_yaml_text(y, node);
    if (is_quoted(y, node, out)) return out;
    if (strchr(text, ',') != NULL && replace(text, ',', '.', point) && reeve_scalar_real(point, &value))
        (void)snprintf(out, REEVE_HINT_BYTES, "; the decimal mark is a point: %s", point);
    return out;
}

/* "no" is false in YAML 1.1, and a word in YAML 1.2; here it is not taken, and understood. */
static const char *as_boolean(const char *text)
{
    static const char *const words[2][4] = {{"no", "off", "n", "0"}, {"yes", "on", "y", "1"}};
    for (int value = 0; value < 2; value++)
        for (size_t i = 0; i < sizeof(words[0]) / sizeof(words[0][0]); i++)
            if (strcasecmp(text, words[value][i]) == 0) return value == 1 ? "true" : "false";
    return NULL;
}

const char *reeve_hint_choice(const char *text, const char *const *choices, char out[REEVE_HINT_BYTES])
{
    size_t count = 0;
    while (choices[count] != NULL)
        count++;
    const char *meant = count == 2 && strcmp(choices[0], "false") == 0 ? as_boolean(text) : NULL;
    int near = reeve_scalar_nearest(text, choices, count);
    if (meant == NULL && near >= 0) meant = choices[near];
    out[0] = '\0';
    if (meant != NULL) (void)snprintf(out, REEVE_HINT_BYTES, "; did you mean '%s'?", meant);
    return out;
}

static bool joins_key_and_value(const char *text)
{
    const char *colon = strchr(text, ':');
    return colon != NULL && colon > text && colon[1] != '\0' && colon[1] != ' ';
}

static const char blank[] = "; a blank belongs behind the ':'";

const char *reeve_hint_mapping(const struct reeve_yaml *y, uint32_t node)
{
    bool word = y->nodes[node].kind == REEVE_YAML_SCALAR && y->nodes[node].plain;
    return word && joins_key_and_value(reeve_yaml_text(y, node)) ? blank : "";
}

const char *reeve_hint_key(const char *name)
{
    if (joins_key_and_value(name)) return blank;
    bool digit = name[0] >= '0' && name[0] <= '9';
    return digit ? "; the decimal mark is a point, and a comma begins another key" : "";
}

const char *reeve_hint_path(const char *path)
{
    bool shell = path[0] == '~' || strchr(path, '$') != NULL;
    return shell ? "; no shell reads this: `~` and variables stay as they are" : "";
}
