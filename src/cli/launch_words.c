/* See launch_words.h. */
#include "cli/launch_words.h"

#include <string.h>

#define DASHES_MIN 60

static bool is_dashes(const char *line, size_t bytes)
{
    size_t n = strspn(line, "-");
    return n >= DASHES_MIN && n == bytes - (bytes > 0 && line[bytes - 1] == '\n');
}

/* Long words are wrapped where they please: one space for each run of white space. */
static void unwrap(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        bool space = *from == '\n' || *from == ' ';
        if (!space) *to++ = *from;
        else if (to > text && to[-1] != ' ') *to++ = ' ';
    }
    *to = '\0';
}

static void find_death(struct reeve_launch_death *death, const char *text)
{
    static const char killed[] = "noticed that process rank ", left[] = "has exited due to process rank ";
    struct reeve_launch_death found = {.known = true};
    const char *at = strstr(text, killed), *other = strstr(text, left);
    bool good = at != NULL && sscanf(at + strlen(killed), "%d with PID %*d on node %255s exited on signal %d",
                                     &found.rank, found.host, &found.signal) == 3;
    if (!good && other != NULL && strstr(other, "exiting improperly") != NULL) /* also: killed while it started */
        good = sscanf(other + strlen(left), "%d with PID %*d on node %255s", &found.rank, found.host) == 2;
    if (good && !death->known) *death = found;
}

/* Words about how it ended, of which ours say all. */
static bool is_ours_to_tell(const char *text)
{
    static const char *const marks[] = {
        "noticed that process rank",
        "Primary job terminated normally, but",
        "detected that one or more processes exited with non-zero status",
        "MPI_ABORT was invoked on rank",
        "prterun has exited due to process rank",
        "mpirun has exited due to process rank",
    };
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
        if (strstr(text, marks[i]) != NULL) return true;
    return false;
}

static void end_block(struct reeve_launch_words *w, FILE *out, FILE *log)
{
    char flat[sizeof(w->block)];
    memcpy(flat, w->block, w->block_bytes);
    flat[w->block_bytes] = '\0';
    unwrap(flat);
    find_death(&w->death, flat);
    FILE *to = is_ours_to_tell(flat) ? log : out;
    if (to != NULL) (void)fwrite(w->block, 1, w->block_bytes, to);
    w->block_bytes = 0;
    w->in_block = false;
}

static void hold(struct reeve_launch_words *w, FILE *out)
{
    if (w->block_bytes + w->line_bytes >= sizeof(w->block)) { /* no block of mpirun's is so long */
        reeve_launch_words_flush(w, out);
        return;
    }
    memcpy(w->block + w->block_bytes, w->line, w->line_bytes);
    w->block_bytes += w->line_bytes;
    w->line_bytes = 0;
}

static void end_line(struct reeve_launch_words *w, FILE *out, FILE *log)
{
    bool dashes = is_dashes(w->line, w->line_bytes), closes = dashes && w->in_block;
    if (dashes) w->in_block = true;
    if (w->in_block) hold(w, out);
    else (void)fwrite(w->line, 1, w->line_bytes, out);
    w->line_bytes = 0;
    if (closes) end_block(w, out, log);
}

void reeve_launch_words_take(struct reeve_launch_words *w, const char *text, size_t bytes, FILE *out, FILE *log)
{
    for (size_t i = 0; i < bytes; i++) {
        w->line[w->line_bytes++] = text[i] != '\0' ? text[i] : ' ';
        w->line[w->line_bytes] = '\0';
        if (text[i] == '\n' || w->line_bytes == sizeof(w->line) - 1) end_line(w, out, log);
    }
    (void)fflush(out);
}

void reeve_launch_words_flush(struct reeve_launch_words *w, FILE *out)
{
    (void)fwrite(w->block, 1, w->block_bytes, out);
    (void)fwrite(w->line, 1, w->line_bytes, out);
    (void)fflush(out);
    w->block_bytes = w->line_bytes = 0;
    w->in_block = false;
}
