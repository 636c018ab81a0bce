/* Strict reading of scalars; see scalar.h. The programs never call setlocale(), so '.' is the decimal point. */
#include "config/scalar.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool reeve_scalar_whole(const char *text, int64_t *out, bool *too_large)
{
    const char *digits = text[0] == '-' || text[0] == '+' ? text + 1 : text;
    *too_large = false;
    if (!is_digit(digits[0]) || (digits[0] == '0' && digits[1] != '\0')) return false;
    for (const char *at = digits; *at != '\0'; at++)
        if (!is_digit(*at)) return false;
    errno = 0;
    int64_t value = strtoimax(text, NULL, 10);
    if (errno == ERANGE) {
        *too_large = true;
        return false;
    }
    *out = value;
    return true;
}

static const char *skip_digits(const char *at, size_t *count)
{
    for (; is_digit(*at); at++) (*count)++;
    return at;
}

bool reeve_scalar_real(const char *text, double *out)
{
    size_t digits = 0, exponent_digits = 0;
    const char *at = text[0] == '-' || text[0] == '+' ? text + 1 : text;
    at = skip_digits(at, &digits);
    if (*at == '.') at = skip_digits(at + 1, &digits);
    if (digits == 0) return false;
    if (*at == 'e' || *at == 'E') {
        at++;
        if (*at == '-' || *at == '+') at++;
        at = skip_digits(at, &exponent_digits);
        if (exponent_digits == 0) return false;
    }
    if (*at != '\0') return false;
    double value = strtod(text, NULL);
    if (!isfinite(value)) return false;
    *out = value;
    return true;
}

const char *reeve_scalar_format_real(double value, char out[REEVE_SCALAR_REAL_BYTES])
{
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(out, REEVE_SCALAR_REAL_BYTES, "%.*g", digits, value);
        double back = strtod(out, NULL);
        if (memcmp(&back, &value, sizeof(value)) == 0) break;
    }
    return out;
}

/* The next code point, or -1. Refuses overlong forms, surrogates and what lies beyond U+10FFFF. Source: RFC 3629. */
static int32_t next_code_point(const unsigned char **at)
{
    const unsigned char *p = *at;
    static const int32_t smallest[4] = {0, 0x80, 0x800, 0x10000};
    int more = p[0] < 0x80 ? 0 : (p[0] & 0xE0) == 0xC0 ? 1 : (p[0] & 0xF0) == 0xE0 ? 2 : (p[0] & 0xF8) == 0xF0 ? 3 : -1;
    if (more < 0) return -1;
    int32_t code = more == 0 ? p[0] : p[0] & (0x3F >> more);
    for (int i = 1; i <= more; i++) {
        if ((p[i] & 0xC0) != 0x80) return -1; /* also the NUL at the end */
        code = code << 6 | (p[i] & 0x3F);
    }
    if (code < smallest[more] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return -1;
    *at = p + more + 1;
    return code;
}

bool reeve_scalar_is_utf8(const char *text, bool one_line)
{
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0';) {
        int32_t code = next_code_point(&at);
        if (code < 0) return false;
        bool control = code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x2028 || code == 0x2029;
        if (one_line && control) return false;
    }
    return true;
}

/* What YAML's reader refuses or folds when it stands there as it is. */
static bool needs_escape(int32_t code)
{
    return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x2028 || code == 0x2029 || code == 0xFEFF ||
           (code >= 0xFFFE && code <= 0xFFFF);
}

void reeve_scalar_print_quoted(const char *text, FILE *out)
{
    (void)fputc('"', out);
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0';) {
        const unsigned char *start = at;
        int32_t code = next_code_point(&at);
        if (code < 0) break; /* callers have asked reeve_scalar_is_utf8() */
        if (code == '"' || code == '\\') (void)fprintf(out, "\\%c", code);
        else if (code == '\n') (void)fputs("\\n", out);
        else if (code == '\t') (void)fputs("\\t", out);
        else if (needs_escape(code)) (void)fprintf(out, code < 0x100 ? "\\x%02X" : "\\u%04X", (unsigned)code);
        else (void)fwrite(start, 1, (size_t)(at - start), out);
    }
    (void)fputc('"', out);
}

#define WORD_BYTES_MAX 64

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Damerau's distance in its restricted form (optimal string alignment), three rows at a time. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t rows[3][WORD_BYTES_MAX + 1];
    size_t a_bytes = strlen(a), b_bytes = strlen(b);
    if (a_bytes > WORD_BYTES_MAX || b_bytes > WORD_BYTES_MAX) return SIZE_MAX;
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b_bytes; j++) above[j] = before[j] = j;
    for (size_t i = 1; i <= a_bytes; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b_bytes; j++) {
            size_t replaced = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = smaller(replaced, smaller(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = smaller(row[j], before[j - 2] + 1);
        }
        size_t *oldest = before;
        before = above;
        above = row;
        row = oldest;
    }
    return above[b_bytes];
}

/* One is the beginning of the other: "learn" and "learning_rate", "steps" and "step". */
static bool is_beginning(const char *a, const char *b)
{
    size_t bytes = smaller(strlen(a), strlen(b));
    return bytes >= 3 && strncmp(a, b, bytes) == 0;
}

int reeve_scalar_nearest(const char *word, const char *const *candidates, size_t count)
{
    int best = -1;
    size_t best_edits = strlen(word) / 3 + 1;
    if (best_edits > 3) best_edits = 3;
    for (size_t i = 0; i < count; i++) {
        size_t edits = edit_distance(word, candidates[i]);
        if (edits >= strlen(word) || edits >= strlen(candidates[i])) continue; /* nothing in common */
        if (edits < best_edits || (edits == best_edits && best < 0)) {
            best = (int)i;
            best_edits = edits;
        }
    }
    for (size_t i = 0; i < count && best < 0; i++)
        if (is_beginning(word, candidates[i])) best = (int)i;
    return best;
}
