/* Drawing at most a few times a second, so that telling costs nothing beside the work. */
#include "cli/ticker.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/output.h"
#include "export/progress.h"

#define FIRST_NS REEVE_SECOND_NS
#define LIVE_NS (200 * REEVE_MILLISECOND_NS)
#define PLAIN_NS (5 * REEVE_SECOND_NS)

void reeve_ticker_begin(struct reeve_ticker *t, const char *what)
{
    *t = (struct reeve_ticker){.what = what, .live = reeve_progress_columns(STDERR_FILENO) > 0};
    t->began_ns = t->drawn_ns = reeve_clock_now();
}

static bool is_due(struct reeve_ticker *t)
{
    reeve_time_ns now = reeve_clock_now();
    if (now - t->began_ns < FIRST_NS || now - t->drawn_ns < (t->live ? LIVE_NS : PLAIN_NS)) return false;
    t->drawn_ns = now;
    return true;
}

static void draw(struct reeve_ticker *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void draw(struct reeve_ticker *t, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (t->live) {
        uint32_t columns = reeve_progress_columns(STDERR_FILENO);
        int width = columns > 1 ? (int)columns - 1 : 79;
        (void)fprintf(stderr, "%s%.*s", reeve_progress_clear(80), width, text);
        (void)fflush(stderr);
    } else {
        (void)fprintf(stderr, "reeve: %s\n", text);
    }
    t->drawn = true;
}

void reeve_ticker_shards(void *arg, uint32_t done, uint32_t count, uint64_t bytes)
{
    struct reeve_ticker *t = arg;
    char size[32];
    if (is_due(t)) draw(t, "%s %u of %u shards, %s", t->what, done, count, reeve_cli_format_bytes(bytes, size));
}

void reeve_ticker_file(struct reeve_ticker *t, const char *file)
{
    char spent[32];
    double seconds = (double)(reeve_clock_now() - t->began_ns) / (double)REEVE_SECOND_NS;
    if (is_due(t)) draw(t, "%s %s, %s", t->what, file, reeve_cli_format_seconds(seconds, spent));
}

void reeve_ticker_end(struct reeve_ticker *t)
{
    if (t->live && t->drawn) (void)fputs(reeve_progress_clear(80), stderr);
    t->drawn = false;
}
