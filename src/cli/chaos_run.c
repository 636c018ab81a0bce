/* The run that is broken; see chaos.h. It is started by the command that a user would type, and nothing but strikes is
 * done to it from outside. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/chaos.h"
#include "cli/output.h"
#include "reeve/status.h"
#include "run/stop_signals.h"

#define LOOK_NS (20 * REEVE_MILLISECOND_NS)
#define BACK_NS (600 * REEVE_SECOND_NS) /* a run that is not back by then is not coming back */
#define STOP_NS (30 * REEVE_SECOND_NS)
#define SETTLE_NS (250 * REEVE_MILLISECOND_NS) /* before it is looked what the survivors hold */

static void become_run(const struct reeve_chaos *c, const char *run_dir, pid_t parent)
{
    const char *words[REEVE_CHAOS_WORDS_MAX + 8];
    char log[REEVE_PATH_BYTES_MAX + 8];
    int n = 0;
    words[n++] = "reeve";
    words[n++] = "run";
    words[n++] = c->job;
    words[n++] = "--quiet";
    words[n++] = "--run-dir";
    words[n++] = run_dir;
    for (int i = 0; i < c->word_count; i++)
        words[n++] = c->words[i];
    words[n] = NULL;
    (void)setsid(); /* Ctrl-C is for `reeve chaos` to translate */
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(REEVE_EXIT_INTERNAL);
    (void)snprintf(log, sizeof(log), "%s.log", run_dir);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd >= 0) {
        (void)dup2(fd, STDOUT_FILENO);
        (void)dup2(fd, STDERR_FILENO);
    }
    (void)execv(c->program, (char *const *)(uintptr_t)words); /* it changes nothing; its type is older than const */
    _exit(REEVE_EXIT_UNAVAILABLE);
}

int reeve_chaos_start(struct reeve_chaos *c, const char *run_dir, pid_t *child)
{
    pid_t parent = getpid();
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) become_run(c, run_dir, parent);
    if (pid < 0) return reeve_cli_fail_text(REEVE_EXIT_INTERNAL, "fork: %m");
    *child = pid;
    return 0;
}

bool reeve_chaos_ended(pid_t child, int *code)
{
    int status = 0;
    if (waitpid(child, &status, WNOHANG) != child) return false;
    *code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return true;
}

/* Ctrl-C: the run checkpoints and ends; what there is stays for whoever wants to look. */
static int leave(struct reeve_chaos *c)
{
    int code = 0;
    if (c->child != 0) {
        (void)kill(c->child, SIGTERM);
        for (reeve_time_ns end_ns = reeve_clock_now() + STOP_NS; !reeve_chaos_ended(c->child, &code);) {
            if (reeve_clock_now() > end_ns) (void)kill(c->child, SIGTERM);
            reeve_clock_sleep(LOOK_NS);
        }
    }
    return reeve_cli_fail_text(REEVE_EXIT_INTERRUPTED, "interrupted; what was done until then is in %s", c->dir);
}

enum wait_end { WAIT_DONE, WAIT_ENDED, WAIT_INTERRUPTED };

/* Is the run back from it? NULL: has it begun? Where nobody was lost any later step will do. */
static bool is_back(const struct reeve_chaos *c, const struct reeve_chaos_blow *blow)
{
    const struct reeve_chaos_marks *m = &c->marks;
    if (blow == NULL) return m->count > 0;
    if (blow->victim[0] != '\0' && !blow->outlived)
        return reeve_chaos_marks_back(m, blow->struck_wall_ns, INT64_MAX) != 0;
    return m->count > 0 && m->list[m->count - 1].wall_ns > blow->struck_wall_ns;
}

/* Until the time has come, or (`back`) the run is back from that blow. */
static enum wait_end wait_until(struct reeve_chaos *c, reeve_time_ns until_ns, bool back,
                                const struct reeve_chaos_blow *blow, int *code)
{
    while (reeve_clock_now() < until_ns) {
        reeve_chaos_marks_read(&c->marks, c->broken);
        if (back && is_back(c, blow)) return WAIT_DONE;
        if (reeve_chaos_ended(c->child, code)) {
            c->child = 0;
            return WAIT_ENDED;
        }
        if (reeve_stop_signals_count() > 0) return WAIT_INTERRUPTED;
        reeve_clock_sleep(LOOK_NS);
    }
    return WAIT_DONE;
}

static int end_of_run(struct reeve_chaos *c, int code)
{
    c->finished = code == REEVE_EXIT_DONE;
    if (c->finished) return 0;
    return reeve_cli_fail_text(
        REEVE_EXIT_INTERNAL, "the run did not survive: `reeve run` ended with %d. Its words: %s.log; its logs: %s/log",
        code, c->broken, c->broken);
}

static void tell_blow(const struct reeve_chaos *c, const struct reeve_chaos_blow *blow)
{
    (void)fprintf(c->out, "%4u/%u  step %-8" PRIu64 " %-14s %s", c->struck, c->strikes, blow->step,
                  reeve_chaos_kind_name(blow->kind), blow->victim[0] != '\0' ? blow->victim : "nobody was there");
    (void)fflush(c->out);
}

static void tell_back(const struct reeve_chaos *c, const struct reeve_chaos_blow *blow)
{
    if (blow == NULL) return;
    int64_t back = reeve_chaos_marks_back(&c->marks, blow->struck_wall_ns, INT64_MAX);
    if (back != 0) (void)fprintf(c->out, ": back in %.2f s\n", (double)(back - blow->struck_wall_ns) * 1e-9);
    else if (is_back(c, blow)) (void)fprintf(c->out, "\n");
    else (void)fprintf(c->out, ": not back in %lld s\n", (long long)(BACK_NS / REEVE_SECOND_NS));
    (void)fflush(c->out);
}

/* Wait for a strike's moment; `last`: the one before, NULL for the first. */
static enum wait_end wait_for_strike(struct reeve_chaos *c, const struct reeve_chaos_strike *s,
                                     const struct reeve_chaos_blow *last, int *code)
{
    if (s->at_once) {
        (void)fprintf(c->out, ": struck again while it recovers\n");
        return wait_until(c, reeve_clock_now() + s->wait_ns / 8, false, NULL, code);
    }
    enum wait_end end = wait_until(c, reeve_clock_now() + BACK_NS, true, last, code);
    if (end != WAIT_DONE) return end;
    tell_back(c, last);
    end = wait_until(c, reeve_clock_now() + s->wait_ns, false, NULL, code);
    if (end == WAIT_DONE) reeve_chaos_lives_look(c);
    return end;
}

int reeve_chaos_break(struct reeve_chaos *c)
{
    int code = reeve_chaos_start(c, c->broken, &c->child);
    struct reeve_chaos_blow *blow = NULL; /* the last one */
    for (uint32_t i = 0; code == 0 && i < c->strikes; i++) {
        struct reeve_chaos_strike s = reeve_chaos_plan(c->seed, i, c->kinds, c->every_ns);
        int ended = 0;
        enum wait_end end = wait_for_strike(c, &s, blow, &ended);
        if (end == WAIT_INTERRUPTED) return leave(c);
        if (end == WAIT_ENDED) return end_of_run(c, ended);
        blow = &c->blows[c->struck++];
        code = reeve_chaos_strike(c, &s, blow);
        if (code == 0) tell_blow(c, blow);
        c->killed += blow->killed;
    }
    if (code != 0) return code;
    int ended = 0;
    enum wait_end end = wait_until(c, reeve_clock_now() + BACK_NS, true, blow, &ended);
    if (end == WAIT_DONE) tell_back(c, blow);
    else (void)fprintf(c->out, "\n");
    if (end == WAIT_DONE) end = wait_until(c, reeve_clock_now() + SETTLE_NS, false, NULL, &ended);
    if (end == WAIT_DONE) reeve_chaos_lives_look(c);
    (void)fprintf(c->out, "all strikes are done; the run goes on to its end\n");
    while (end == WAIT_DONE)
        end = wait_until(c, reeve_clock_now() + BACK_NS, false, NULL, &ended);
    return end == WAIT_ENDED ? end_of_run(c, ended) : leave(c);
}

int reeve_chaos_run_whole(struct reeve_chaos *c)
{
    (void)fprintf(c->out, "now the same job undisturbed, to compare with\n");
    (void)fflush(c->out);
    int ended = 0, code = reeve_chaos_start(c, c->whole, &c->child);
    if (code != 0) return code;
    while (!reeve_chaos_ended(c->child, &ended)) {
        if (reeve_stop_signals_count() > 0) return leave(c);
        reeve_clock_sleep(LOOK_NS);
    }
    c->child = 0;
    if (ended == REEVE_EXIT_DONE) return 0;
    return reeve_cli_fail_text(ended, "the undisturbed run ended with %d: %s.log", ended, c->whole);
}
