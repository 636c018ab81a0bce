/* The line is made of pieces in a fixed order; each has a rank, and those of the lowest rank go first when it is
 * narrow. */
#include "export/progress.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PIECES_MAX 7
#define PIECE_BYTES 64
#define CLEAR_TO_END "\033[K"
/* DECAWM off and on: in a terminal that became narrower since its columns were asked for, a line is cut and not wrapped. */
#define NO_WRAP "\033[?7l"
#define WRAP "\033[?7h"

struct piece {
    char text[PIECE_BYTES];
    int rank; /* 0: never left out */
};

uint32_t reeve_progress_columns(int fd)
{
    const char *term = getenv("TERM");
    struct winsize size;
    if (isatty(fd) != 1 || term == NULL || strcmp(term, "dumb") == 0) return 0;
    if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
    return size.ws_col;
}

const char *reeve_progress_clear(uint32_t columns)
{
    return columns == 0 ? "" : "\r" CLEAR_TO_END;
}

void reeve_progress_format_duration(double seconds, char out[32])
{
    /* also false for NaN; beyond 10^9 s the rate is no rate */
    if (!(seconds >= 0.0 && seconds < 1e9)) {
        (void)snprintf(out, 32, "?");
        return;
    }
    uint64_t s = (uint64_t)(seconds + 0.5);
    if (s >= 86400)
        (void)snprintf(out, 32, "%" PRIu64 "d %" PRIu64 ":%02" PRIu64, s / 86400, s / 3600 % 24, s / 60 % 60);
    else if (s >= 3600) (void)snprintf(out, 32, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, s / 3600, s / 60 % 60, s % 60);
    else (void)snprintf(out, 32, "%" PRIu64 ":%02" PRIu64, s / 60, s % 60);
}

/* 0.12, 18.2, 987, 12.3k, 4.56M: three digits that matter. */
static void format_rate(double v, char out[16])
{
    static const char *const units[] = {"", "k", "M", "G", "T"};
    size_t unit = 0;
    if (!(v >= 0.0 && v < 1e15)) {
        (void)snprintf(out, 16, "?");
        return;
    }
    while (v >= 999.5 && unit + 1 < sizeof units / sizeof units[0]) {
        v /= 1000.0;
        unit++;
    }
    int decimals = v >= 99.95 ? 0 : v >= 9.995 ? 1 : 2;
    (void)snprintf(out, 16, "%.*f%s", decimals, v, units[unit]);
}

/* "done 41/96  3 running  49 waiting  1 to retry  2 failed  18.2 tasks/s  0:03 left": each task in one of them */
static size_t make_list_pieces(const struct reeve_status_report *r, struct piece piece[PIECES_MAX])
{
    char rate[16], left[32];
    size_t n = 0;
    const char *state = r->state == REEVE_RUN_RUNNING ? "" : reeve_run_state_name(r->state);
    uint64_t elsewhere = r->tasks_done + r->tasks_dead + r->tasks_cancelled + r->tasks_running + r->tasks_delayed;
    (void)snprintf(piece[n++].text, PIECE_BYTES, "%s%sdone %" PRIu64 "/%" PRIu64, state, *state != '\0' ? ", " : "",
                   r->tasks_done, r->tasks_total);
    piece[n].rank = 2;
    (void)snprintf(piece[n++].text, PIECE_BYTES, "%" PRIu64 " running", r->tasks_running);
    piece[n].rank = 1;
    (void)snprintf(piece[n++].text, PIECE_BYTES, "%" PRIu64 " waiting",
                   elsewhere < r->tasks_total ? r->tasks_total - elsewhere : 0);
    if (r->tasks_delayed > 0) {
        piece[n].rank = 5;
        (void)snprintf(piece[n++].text, PIECE_BYTES, "%" PRIu64 " to retry", r->tasks_delayed);
    }
    if (r->tasks_dead > 0) {
        piece[n].rank = 6;
        (void)snprintf(piece[n++].text, PIECE_BYTES, "%" PRIu64 " failed", r->tasks_dead);
    }
    if (isfinite(r->tasks_per_s)) {
        format_rate(r->tasks_per_s, rate);
        piece[n].rank = 3;
        (void)snprintf(piece[n++].text, PIECE_BYTES, "%s tasks/s", rate);
    }
    if (isfinite(r->seconds_left)) {
        reeve_progress_format_duration(r->seconds_left, left);
        piece[n].rank = 4;
        (void)snprintf(piece[n++].text, PIECE_BYTES, "%s left", left);
    }
    return n;
}

static size_t make_pieces(const struct reeve_status_report *r, struct piece piece[PIECES_MAX])
{
    char rate[16], left[32];
    size_t n = 0;
    const char *state = r->state == REEVE_RUN_RUNNING ? "" : reeve_run_state_name(r->state);
    (void)snprintf(piece[n++].text, PIECE_BYTES, "%s%sstep %" PRIu64 "/%" PRIu64, state, *state != '\0' ? ", " : "",
                   r->step, r->steps);
    if (isfinite(r->loss)) {
        piece[n].rank = 5;
        (void)snprintf(piece[n++].text, PIECE_BYTES, "loss %.4f", r->loss);
    }
    if (isfinite(r->tokens_per_s)) {
        format_rate(r->tokens_per_s, rate);
        piece[n].rank = 3;
        (void)snprintf(piece[n++].text, PIECE_BYTES, "%s tokens/s", rate);
    }
    piece[n].rank = 1;
    (void)snprintf(piece[n++].text, PIECE_BYTES, "queue %" PRIu64 " ready %" PRIu64 " leased", r->tasks_ready,
                   r->tasks_leased);
    piece[n].rank = 2;
    (void)snprintf(piece[n++].text, PIECE_BYTES, "%u worker%s", r->workers, r->workers == 1 ? "" : "s");
    if (isfinite(r->seconds_left)) {
        reeve_progress_format_duration(r->seconds_left, left);
        piece[n].rank = 4;
        (void)snprintf(piece[n++].text, PIECE_BYTES, "%s left", left);
    }
    return n;
}

static size_t join_pieces(const struct piece *piece, size_t count, int rank_min, char *out, size_t out_bytes)
{
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        if (piece[i].rank != 0 && piece[i].rank < rank_min) continue;
        int n = snprintf(out + at, out_bytes - at, "%s%s", at > 0 ? "  " : "", piece[i].text);
        at += (size_t)n;
        if (at >= out_bytes) return out_bytes - 1; /* cut; cannot happen with REEVE_PROGRESS_BYTES */
    }
    return at;
}

size_t reeve_progress_format(const struct reeve_status_report *r, uint32_t columns, char *out, size_t out_bytes)
{
    struct piece piece[PIECES_MAX] = {0};
    char line[PIECES_MAX * (PIECE_BYTES + 2)];
    size_t count = r->tasks_total > 0 ? make_list_pieces(r, piece) : make_pieces(r, piece), length = 0;
    for (int rank_min = 1; rank_min <= 7; rank_min++) {
        length = join_pieces(piece, count, rank_min, line, sizeof line);
        if (columns == 0 || length < columns) break;
    }
    if (columns != 0 && length >= columns) line[columns - 1] = '\0'; /* even the step alone is too wide */
    int n = columns == 0 ? snprintf(out, out_bytes, "%s\n", line)
                         : snprintf(out, out_bytes, "\r" NO_WRAP "%s" CLEAR_TO_END WRAP, line);
    return (size_t)n < out_bytes ? (size_t)n : out_bytes - 1;
}
