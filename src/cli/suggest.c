/* Optimal string alignment distance (Damerau's four edits, none twice on one place), three rows at a time. */
#include "cli/suggest.h"

#include <string.h>

#define WORD_MAX 48

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

static size_t distance(const char *a, const char *b)
{
    size_t a_length = strlen(a), b_length = strlen(b);
    if (a_length > WORD_MAX || b_length > WORD_MAX) return WORD_MAX;
    size_t row[3][WORD_MAX + 1];
    for (size_t j = 0; j <= b_length; j++)
        row[0][j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t *now = row[i % 3], *last = row[(i - 1) % 3], *before = row[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t replace = last[j - 1] + (a[i - 1] != b[j - 1]);
            now[j] = smallest(last[j] + 1, now[j - 1] + 1, replace);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < now[j])
                now[j] = before[j - 2] + 1;
        }
    }
    return row[a_length % 3][b_length];
}

const char *reeve_cli_nearest(const char *word, const char *const *candidates, size_t count)
{
    /* A third of the letters wrong is a slip; more is another word. */
    size_t limit = strlen(word) / 3 + 1, best_distance = limit + 1;
    const char *best = NULL;
    for (size_t i = 0; i < count; i++) {
        size_t d = distance(word, candidates[i]);
        if (d >= best_distance || d >= strlen(candidates[i])) continue;
        best_distance = d;
        best = candidates[i];
    }
    return best;
}
