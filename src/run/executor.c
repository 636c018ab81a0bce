/* See executor.h. One thread sleeps in poll() on its commands (pidfd) and on a wake-up; all it shares with the thread that
 * talks to the master are two rings under one lock. */
#include "run/executor.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/absence.h"
#include "base/clock.h"
#include "base/error.h"
#include "run/command.h"
#include "run/executor_output.h"
#include "run/output_file.h"
#include "run/warden.h"

#define RING 256u /* more than a worker may ever hold */
#define SLOTS_MAX 64u
#define GIVE_BACK_NS (100 * REEVE_MILLISECOND_NS) /* what waits so long behind what runs, somebody else can have */
#define BLIND_POLL_NS REEVE_MILLISECOND_NS        /* between looks, where the kernel has no pidfd */
#define LOOK_NS REEVE_SECOND_NS                   /* at the times of those that run, however far off */
#define SHUT_DOWN_NS REEVE_SECOND_NS

enum ending { BY_ITSELF = 0, BY_LIMIT, BY_STOP };

struct slot {
    bool running;
    struct reeve_frame lease;
    pid_t pid;
    int pidfd;
    reeve_time_ns began_ns, limit_at_ns, kill_at_ns; /* INT64_MAX: never */
    enum ending ending;
    struct reeve_output_file out, err;
};

struct answer {
    struct reeve_frame frame;
    char *text; /* owned; NULL: none */
};

struct reeve_executor {
    struct reeve_executor_config config;
    struct reeve_command_ground ground;
    char run_variable[REEVE_PATH_BYTES_MAX + 16]; /* REEVE_RUN=... */
    struct reeve_warden warden;
    uint32_t slot_count, running;
    struct slot slots[SLOTS_MAX]; /* the thread's own */
    reeve_time_ns begun_ns;       /* when the last command began; the thread's own */
    pthread_t thread;
    bool thread_started;
    int wake_fd;

    pthread_mutex_t lock; /* over all that follows */
    struct reeve_frame leases[RING];
    uint32_t lease_head, lease_count;
    struct answer answers[RING];
    uint32_t answer_head, answer_count, unanswered;
    bool stopping, winding;
    reeve_time_ns drain_until_ns;
    reeve_time_ns looked_ns; /* of its thread: when it last saw what time it is */
};

/* ---- rings ---- */

static void wake(const reeve_executor *x)
{
    const uint64_t one = 1;
    ssize_t n = write(x->wake_fd, &one, sizeof(one));
    REEVE_ASSERT(n == sizeof(one)); /* a counter that only the thread empties: it cannot be full */
}

static void answer(reeve_executor *x, const struct reeve_frame *lease, uint16_t kind, reeve_status status,
                   uint64_t result, const char *text)
{
    struct reeve_frame f = {.kind = kind,
                            .epoch = lease->epoch,
                            .task = lease->task,
                            .attempt = lease->attempt,
                            .arg = (uint32_t)status,
                            .a = result,
                            .b = (uint64_t)reeve_clock_wall_ns()};
    char *copy = text != NULL && text[0] != '\0' ? strndup(text, REEVE_FRAME_TEXT_MAX) : NULL;
    pthread_mutex_lock(&x->lock);
    REEVE_ASSERT(x->answer_count < RING); /* no more than there are leases */
    x->answers[(x->answer_head + x->answer_count++) % RING] = (struct answer){f, copy};
    pthread_mutex_unlock(&x->lock);
}

bool reeve_executor_post(reeve_executor *x, const struct reeve_frame *lease)
{
    pthread_mutex_lock(&x->lock);
    bool fits = x->unanswered < RING;
    if (fits) {
        x->leases[(x->lease_head + x->lease_count++) % RING] = *lease;
        x->unanswered++;
        if (x->lease_count == 1) wake(x);
    }
    pthread_mutex_unlock(&x->lock);
    return fits;
}

bool reeve_executor_take(reeve_executor *x, struct reeve_frame *frame, char *text)
{
    struct answer a = {.text = NULL};
    pthread_mutex_lock(&x->lock);
    bool any = x->answer_count > 0;
    if (any) {
        a = x->answers[x->answer_head];
        x->answer_head = (x->answer_head + 1) % RING;
        x->answer_count--;
        x->unanswered--;
    }
    pthread_mutex_unlock(&x->lock);
    if (!any) return false;
    *frame = a.frame;
    (void)snprintf(text, REEVE_FRAME_TEXT_MAX + 1, "%s", a.text != NULL ? a.text : "");
    free(a.text);
    return true;
}

uint32_t reeve_executor_waiting(reeve_executor *x)
{
    pthread_mutex_lock(&x->lock);
    uint32_t n = x->unanswered;
    pthread_mutex_unlock(&x->lock);
    return n;
}

static bool take_lease(reeve_executor *x, struct reeve_frame *lease)
{
    pthread_mutex_lock(&x->lock);
    bool any = x->lease_count > 0;
    if (any) {
        *lease = x->leases[x->lease_head];
        x->lease_head = (x->lease_head + 1) % RING;
        x->lease_count--;
    }
    pthread_mutex_unlock(&x->lock);
    return any;
}

static void give_back_waiting(reeve_executor *x)
{
    struct reeve_frame lease;
    while (take_lease(x, &lease))
        answer(x, &lease, REEVE_FRAME_RELEASED, REEVE_OK, 0, NULL);
}

void reeve_executor_revoke(reeve_executor *x, uint32_t task, uint32_t attempt)
{
    struct reeve_frame found = {0};
    pthread_mutex_lock(&x->lock);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < x->lease_count; i++) {
        struct reeve_frame f = x->leases[(x->lease_head + i) % RING];
        if (f.task == task && f.attempt == attempt) found = f;
        else x->leases[(x->lease_head + kept++) % RING] = f;
    }
    x->lease_count = kept;
    pthread_mutex_unlock(&x->lock);
    if (found.kind != 0) answer(x, &found, REEVE_FRAME_RELEASED, REEVE_OK, 0, NULL);
}

void reeve_executor_wind_down(reeve_executor *x, uint32_t seconds)
{
    pthread_mutex_lock(&x->lock);
    if (!x->winding) x->drain_until_ns = reeve_clock_now() + (reeve_time_ns)seconds * REEVE_SECOND_NS;
    x->winding = true;
    wake(x);
    pthread_mutex_unlock(&x->lock);
}

/* ---- one command ---- */

static const char *name_of(const reeve_executor *x, const struct reeve_frame *lease)
{
    return reeve_task_list_name(x->config.tasks, lease->arg);
}

static reeve_status open_outputs(reeve_executor *x, struct slot *s, struct reeve_error *err)
{
    char name[REEVE_OUTPUT_PATH_BYTES];
    reeve_executor_output_path(x->config.tasks, s->lease.arg, s->lease.attempt, false, name, sizeof(name));
    reeve_status st = reeve_output_file_begin(&s->out, x->config.run_dir, name, err);
    if (st != REEVE_OK) return st;
    reeve_executor_output_path(x->config.tasks, s->lease.arg, s->lease.attempt, true, name, sizeof(name));
    return reeve_output_file_begin(&s->err, x->config.run_dir, name, err);
}

static void begin(reeve_executor *x, uint32_t index, const struct reeve_frame *lease)
{
    struct slot *s = &x->slots[index];
    struct reeve_error err = {0};
    char task[REEVE_TASK_NAME_BYTES + 16], attempt[40], worker[40];
    if (lease->a == REEVE_TASK_NULL) {
        answer(x, lease, REEVE_FRAME_DONE, REEVE_OK, 0, NULL);
        return;
    }
    s->lease = *lease;
    s->began_ns = reeve_clock_now();
    reeve_status st = open_outputs(x, s, &err);
    if (st == REEVE_OK) {
        (void)snprintf(task, sizeof(task), "REEVE_TASK=%s", name_of(x, lease));
        (void)snprintf(attempt, sizeof(attempt), "REEVE_ATTEMPT=%u", lease->attempt);
        (void)snprintf(worker, sizeof(worker), "REEVE_WORKER=%u", x->config.worker);
        struct reeve_command c = {.text = reeve_task_list_command(x->config.tasks, lease->arg),
                                  .out_fd = s->out.fd,
                                  .err_fd = s->err.fd,
                                  .variables = {task, attempt, worker},
                                  .group = &x->warden.groups[index]};
        st = reeve_command_start(&x->ground, &c, &s->pid, &s->pidfd, &err);
    }
    if (st != REEVE_OK) {
        char text[REEVE_ERROR_TEXT_BYTES + REEVE_TASK_NAME_BYTES + 40];
        (void)snprintf(text, sizeof(text), "task %s (attempt %u): %s", name_of(x, lease), lease->attempt, err.text);
        answer(x, lease, REEVE_FRAME_FAILED, REEVE_TASK_FAILED, reeve_task_result(127, 0, 0), text);
        return;
    }
    s->running = true;
    s->ending = BY_ITSELF;
    s->kill_at_ns = INT64_MAX;
    s->limit_at_ns = lease->b > 0 ? s->began_ns + (reeve_time_ns)lease->b * REEVE_SECOND_NS : INT64_MAX;
    x->begun_ns = s->began_ns;
    x->running++;
}

/* In words: how it ended, and the last line of what it said about it. */
static void word_failure(const reeve_executor *x, struct slot *s, int wait_status, char *text, size_t text_bytes)
{
    char how[96], last[256];
    if (s->ending == BY_LIMIT)
        (void)snprintf(how, sizeof(how), "ended at its time limit of %llu s", (unsigned long long)s->lease.b);
    else if (WIFSIGNALED(wait_status))
        (void)snprintf(how, sizeof(how), "killed by signal %d (%s)", WTERMSIG(wait_status),
                       strsignal(WTERMSIG(wait_status)));
    else (void)snprintf(how, sizeof(how), "exit code %d", WEXITSTATUS(wait_status));
    bool said = reeve_output_file_last_line(&s->err, last, sizeof(last));
    (void)snprintf(text, text_bytes, "task %s (attempt %u): %s%s%s", name_of(x, &s->lease), s->lease.attempt, how,
                   said ? ": " : "", said ? last : "");
}

static void finish(reeve_executor *x, struct slot *s, int wait_status)
{
    uint64_t ran_us = (uint64_t)((reeve_clock_now() - s->began_ns) / 1000);
    uint32_t signal = WIFSIGNALED(wait_status) ? (uint32_t)WTERMSIG(wait_status) : 0;
    uint64_t result =
        reeve_task_result(signal == 0 ? (uint32_t)WEXITSTATUS(wait_status) : 128 + signal, signal, ran_us);
    if (s->ending == BY_STOP) {
        answer(x, &s->lease, REEVE_FRAME_RELEASED, REEVE_OK, 0, NULL);
    } else if (s->ending == BY_ITSELF && wait_status == 0) {
        answer(x, &s->lease, REEVE_FRAME_DONE, REEVE_OK, result, NULL);
    } else {
        char text[REEVE_ERROR_TEXT_BYTES];
        word_failure(x, s, wait_status, text, sizeof(text));
        answer(x, &s->lease, REEVE_FRAME_FAILED, s->ending == BY_LIMIT ? REEVE_TASK_TIME_LIMIT : REEVE_TASK_FAILED,
               result, text);
    }
    reeve_output_file_end(&s->out);
    reeve_output_file_end(&s->err);
    if (s->pidfd >= 0) (void)close(s->pidfd);
    s->running = false;
    x->running--;
}

/* TERM to the whole group, and KILL when the grace is over. */
static void end_politely(reeve_executor *x, struct slot *s, enum ending why, reeve_time_ns now_ns)
{
    s->ending = why;
    s->limit_at_ns = INT64_MAX;
    s->kill_at_ns = now_ns + (reeve_time_ns)x->config.job->exec.grace_s * REEVE_SECOND_NS;
    (void)kill(-s->pid, SIGTERM);
    (void)kill(-s->pid, SIGCONT); /* what was stopped must be able to hear it */
}

static void watch_times(reeve_executor *x, bool drained, reeve_time_ns now_ns)
{
    for (uint32_t i = 0; i < x->slot_count; i++) {
        struct slot *s = &x->slots[i];
        if (!s->running) continue;
        if (s->limit_at_ns <= now_ns) end_politely(x, s, BY_LIMIT, now_ns);
        else if (drained && s->ending == BY_ITSELF) end_politely(x, s, BY_STOP, now_ns);
        if (s->kill_at_ns > now_ns) continue;
        (void)kill(-s->pid, SIGKILL);
        s->kill_at_ns = now_ns + REEVE_SECOND_NS; /* a process in the kernel's hands may need another */
    }
}

/* ---- the thread ---- */

static void fill_slots(reeve_executor *x)
{
    struct reeve_frame lease;
    for (uint32_t i = 0; i < x->slot_count; i++)
        while (!x->slots[i].running && take_lease(x, &lease))
            begin(x, i, &lease); /* one that could not be started has left the slot free */
}

static int milliseconds_until(reeve_time_ns at_ns, reeve_time_ns now_ns)
{
    if (at_ns <= now_ns) return 0;
    reeve_time_ns ms = (at_ns - now_ns + REEVE_MILLISECOND_NS - 1) / REEVE_MILLISECOND_NS;
    return (int)ms; /* of LOOK_NS at most */
}

/* What a job is suspended for (scontrol suspend) is no time of its commands. */
static void allow_for_absence(reeve_executor *x, reeve_time_ns now_ns)
{
    reeve_time_ns away_ns = reeve_absence(&x->looked_ns, now_ns, REEVE_SUSPENSION_NS);
    if (away_ns == 0) return;
    pthread_mutex_lock(&x->lock);
    x->drain_until_ns += away_ns; /* means nothing where nobody is to stop */
    pthread_mutex_unlock(&x->lock);
    for (uint32_t i = 0; i < x->slot_count; i++) {
        struct slot *s = &x->slots[i];
        if (!s->running) continue;
        if (s->limit_at_ns != INT64_MAX) s->limit_at_ns += away_ns;
        if (s->kill_at_ns != INT64_MAX) s->kill_at_ns += away_ns;
    }
}

static void sleep_until(reeve_executor *x, reeve_time_ns at_ns, reeve_time_ns now_ns)
{
    struct pollfd fds[SLOTS_MAX + 1];
    nfds_t n = 0;
    fds[n++] = (struct pollfd){.fd = x->wake_fd, .events = POLLIN};
    for (uint32_t i = 0; i < x->slot_count; i++) {
        struct slot *s = &x->slots[i];
        if (!s->running) continue;
        if (s->pidfd >= 0) fds[n++] = (struct pollfd){.fd = s->pidfd, .events = POLLIN};
        else if (at_ns > now_ns + BLIND_POLL_NS) at_ns = now_ns + BLIND_POLL_NS;
        if (s->limit_at_ns < at_ns) at_ns = s->limit_at_ns;
        if (s->kill_at_ns < at_ns) at_ns = s->kill_at_ns;
    }
    if (at_ns > now_ns + LOOK_NS) at_ns = now_ns + LOOK_NS;
    (void)poll(fds, n, milliseconds_until(at_ns, now_ns));
    uint64_t count;
    if ((fds[0].revents & POLLIN) != 0 && read(x->wake_fd, &count, sizeof(count)) < 0) return; /* taken already */
}

static void reap(reeve_executor *x)
{
    for (uint32_t i = 0; i < x->slot_count; i++) {
        int wait_status = 0;
        if (x->slots[i].running && reeve_command_ended(x->slots[i].pid, &x->warden.groups[i], &wait_status))
            finish(x, &x->slots[i], wait_status);
    }
}

static void *executor_main(void *arg)
{
    reeve_executor *x = arg;
    x->looked_ns = reeve_clock_now();
    for (;;) {
        reeve_time_ns now_ns = reeve_clock_now();
        allow_for_absence(x, now_ns);
        pthread_mutex_lock(&x->lock);
        bool stopping = x->stopping, winding = x->winding, waiting = x->lease_count > 0;
        reeve_time_ns drain_until_ns = x->drain_until_ns;
        pthread_mutex_unlock(&x->lock);
        if (stopping) break;
        if (winding) give_back_waiting(x);
        else if (waiting) fill_slots(x);
        reeve_time_ns at_ns = winding ? drain_until_ns : INT64_MAX;
        watch_times(x, winding && now_ns >= drain_until_ns, now_ns);
        if (winding && now_ns >= drain_until_ns) at_ns = INT64_MAX;
        if (!winding && waiting && x->running == x->slot_count) {
            if (now_ns - x->begun_ns >= GIVE_BACK_NS) give_back_waiting(x);
            else at_ns = x->begun_ns + GIVE_BACK_NS;
        }
        sleep_until(x, at_ns, now_ns);
        reap(x);
    }
    /* The worker ends: so does what it runs. Nobody takes the answers any more. */
    for (uint32_t i = 0; i < x->slot_count; i++)
        if (x->slots[i].running) (void)kill(-x->slots[i].pid, SIGKILL);
    reeve_time_ns until_ns = reeve_clock_now() + SHUT_DOWN_NS;
    while (x->running > 0 && reeve_clock_now() < until_ns) {
        sleep_until(x, until_ns, reeve_clock_now());
        reap(x);
    }
    for (uint32_t i = 0; i < x->slot_count; i++) {
        reeve_output_file_close(&x->slots[i].out);
        reeve_output_file_close(&x->slots[i].err);
    }
    return NULL;
}

reeve_status reeve_executor_create(const struct reeve_executor_config *config, reeve_executor **out,
                                   struct reeve_error *err)
{
    REEVE_ASSERT(config->job->exec.slots >= 1 && config->job->exec.slots <= SLOTS_MAX &&
                 config->job->exec.ahead < RING);
    reeve_executor *x = calloc(1, sizeof(*x));
    if (x == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "executor: out of memory");
    x->config = *config;
    x->slot_count = config->job->exec.slots;
    x->warden.life_fd = -1;
    (void)snprintf(x->run_variable, sizeof(x->run_variable), "REEVE_RUN=%s", config->run_dir);
    for (uint32_t i = 0; i < x->slot_count; i++)
        x->slots[i].out.fd = x->slots[i].err.fd = -1;
    pthread_mutex_init(&x->lock, NULL);
    x->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    reeve_status st = x->wake_fd < 0 ? reeve_fail(err, REEVE_JOB_CONFIG, "eventfd: %m") : REEVE_OK;
    if (st == REEVE_OK) st = reeve_warden_start(&x->warden, x->slot_count, config->warden, err);
    if (st == REEVE_OK)
        st =
            reeve_command_ground_init(&x->ground, config->job->exec.shell, config->tasks->folder, x->run_variable, err);
    if (st == REEVE_OK && pthread_create(&x->thread, NULL, executor_main, x) != 0)
        st = reeve_fail(err, REEVE_JOB_NO_MEMORY, "cannot start the executor's thread");
    x->thread_started = st == REEVE_OK;
    if (st == REEVE_OK) *out = x;
    else reeve_executor_destroy(x);
    return st;
}

void reeve_executor_destroy(reeve_executor *x)
{
    if (x == NULL) return;
    if (x->thread_started) {
        pthread_mutex_lock(&x->lock);
        x->stopping = true;
        wake(x);
        pthread_mutex_unlock(&x->lock);
        pthread_join(x->thread, NULL);
    }
    for (; x->answer_count > 0; x->answer_count--) {
        free(x->answers[x->answer_head].text);
        x->answer_head = (x->answer_head + 1) % RING;
    }
    reeve_command_ground_fini(&x->ground);
    reeve_warden_stop(&x->warden);
    if (x->wake_fd >= 0) (void)close(x->wake_fd);
    pthread_mutex_destroy(&x->lock);
    free(x);
}
