/* What the supervisor tells: on stderr for whoever sits there, and with the time in RUN/log/supervisor.log. */
#include "cli/supervise.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/output.h"
#include "export/progress.h"

void reeve_supervise_say(const struct reeve_supervisor *s, const char *format, ...)
{
    char text[2048], when[21];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    (void)fputs(reeve_progress_clear(reeve_progress_columns(STDERR_FILENO)), stderr);
    reeve_cli_note("%s", text);
    if (s->log == NULL) return;
    reeve_clock_format_utc(reeve_clock_wall_ns(), when);
    (void)fprintf(s->log, "%s %s\n", when, text);
    (void)fflush(s->log);
}

void reeve_supervise_count(struct reeve_causes *causes, const char *cause)
{
    for (uint32_t i = 0; i < causes->count; i++) {
        if (strcmp(causes->list[i].text, cause) != 0) continue;
        causes->list[i].times++;
        return;
    }
    if (causes->count == REEVE_CAUSES_MAX) {
        causes->others++;
        return;
    }
    (void)snprintf(causes->list[causes->count].text, REEVE_CAUSE_BYTES, "%s", cause);
    causes->list[causes->count++].times = 1;
}

static void from_where(const struct reeve_launch_end *end, char text[64])
{
    if (end->facts.checkpoint > 0)
        (void)snprintf(text, 64, "from the checkpoint of step %" PRIu64, end->facts.checkpoint);
    else (void)snprintf(text, 64, "from the beginning (no checkpoint yet)");
}

void reeve_supervise_say_again(const struct reeve_supervisor *s, const struct reeve_launch_end *end,
                               reeve_time_ns wait_ns)
{
    char from[64];
    from_where(end, from);
    char when[48] = "while it started";
    if (end->facts.trained) (void)snprintf(when, sizeof(when), "after step %" PRIu64, end->facts.step);
    reeve_supervise_say(s, "%s, %s; starting again %s in %.1f s (restart %u)", end->cause, when, from,
                        (double)wait_ns * 1e-9, s->restarts);
}

/* "worker 2 on n1 was killed by signal 9 (SIGKILL), 3 times; it hung: ..." */
static void list_causes(const struct reeve_causes *causes, char *text, size_t text_bytes)
{
    size_t at = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < causes->count && at < text_bytes; i++) {
        char times[32] = "";
        if (causes->list[i].times > 1) (void)snprintf(times, sizeof(times), ", %u times", causes->list[i].times);
        at += (size_t)snprintf(text + at, text_bytes - at, "%s%s%s", i > 0 ? "; " : "", causes->list[i].text, times);
    }
    if (causes->others > 0 && at < text_bytes)
        (void)snprintf(text + at, text_bytes - at, "; and %u of other causes", causes->others);
}

int reeve_supervise_say_last(const struct reeve_supervisor *s, const struct reeve_launch_end *end,
                             enum reeve_relaunch_kind kind)
{
    const char *run_dir = s->launch->prepared->run_dir;
    char causes[1024], from[64];
    list_causes(&s->causes, causes, sizeof(causes));
    from_where(end, from);
    switch (kind) {
    case REEVE_RELAUNCH_NO_START:
        if (s->launch->placement.hosts != NULL)
            reeve_supervise_say(
                s,
                "the ranks could not be started on %s: %s; mpirun's own words are above. Each host must let "
                "you in without a password and have the same mpirun: `ssh HOST mpirun --version` shows it",
                s->launch->placement.hosts, end->cause);
        else
            reeve_supervise_say(s,
                                "the ranks could not be started: %s; mpirun's own words are above, if it had any. "
                                "`reeve doctor` tries a launch",
                                end->cause);
        return REEVE_EXIT_UNAVAILABLE;
    case REEVE_RELAUNCH_POISON:
        reeve_supervise_say(s,
                            "giving up: the run died in step %" PRIu64 " %u times in a row (faults.crash_limit): %s. "
                            "`reeve plan %s --step %" PRIu64 "` shows which data that step reads",
                            s->relaunch.died_in, s->relaunch.died_there, causes, run_dir, s->relaunch.died_in);
        break;
    case REEVE_RELAUNCH_FRUITLESS:
        reeve_supervise_say(s, "giving up: %u restarts in a row brought no progress (faults.restarts_max): %s",
                            s->relaunch.policy.restarts_max, causes);
        break;
    default: reeve_supervise_say(s, "%s; not started again (faults.restarts_max: 0)", end->cause); break;
    }
    reeve_supervise_say(s,
                        "nothing that was committed is lost: once the cause is mended, the same command goes on %s; "
                        "logs: %s/log",
                        from, run_dir);
    return REEVE_EXIT_INTERNAL;
}
