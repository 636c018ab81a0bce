/* One launch: started, watched, ended if it hangs, and cleaned up behind. What it did is read from the run's own files,
 * status.json while it runs and the journal afterwards. See supervise.h. */
#include "cli/supervise.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/path.h"
#include "cli/launch_mpirun.h"
#include "cli/output.h"
#include "cli/processes.h"
#include "export/status_file.h"
#include "run/stop_signals.h"
#include "store/journal.h"

#define TURN_MS 50
#define STATUS_NS (500 * REEVE_MILLISECOND_NS)
#define KILL_AFTER_NS (5 * REEVE_SECOND_NS)        /* from a polite end to SIGKILL */
#define HOST_LOST_KILL_NS REEVE_SECOND_NS          /* the same where mpirun would wait for a host that is gone */
#define LEAVE_NS REEVE_SECOND_NS                   /* for ranks to follow a launcher that has ended */
#define START_SCAN_NS (100 * REEVE_MILLISECOND_NS) /* how often ranks are looked for, while they are started */
#define SCAN_NS (5 * REEVE_SECOND_NS)              /* and afterwards: it reads the environment of many processes */
#define UNNOTICED_NS (10 * REEVE_SECOND_NS)        /* for mpirun to notice that ranks are gone */
#define START_PATIENCE_NS (30 * REEVE_SECOND_NS)   /* before hosts are asked whether they are there: a first time */
#define NO_RANKS_NS (60 * REEVE_SECOND_NS)         /* for mpirun to start ranks on this machine */
#define RANKS_MAX 4096u
#define CLEAN_NS (30 * REEVE_SECOND_NS) /* for the kernel to be done with what was killed */

struct watch {
    struct reeve_supervisor *s;
    char id[REEVE_LAUNCH_ID_BYTES];
    pid_t child;
    int words_fd;
    struct reeve_launch_words words;
    int status;       /* waitpid's, once the child has ended */
    int signals_seen; /* none at first: what came before this launch has not been heeded yet */
    bool left_at_once, taken_over, hung, unnoticed, host_lost;
    char why_ended[96]; /* of hung, unnoticed and host_lost */
    bool alone;         /* master and worker are one process, without mpirun */
    bool local;         /* all ranks are on this machine */
    bool begun;         /* the run has told of itself */
    uint32_t ranks_seen;
    reeve_time_ns started_ns, scanned_ns, gone_ns; /* since when ranks are gone; 0: they are not */
    reeve_time_ns looked_ns, kill_at_ns;           /* 0: nothing is to be killed */
    reeve_time_ns start_patience_ns;
    uint64_t oom_kills; /* of this host, before */
};

static void end_it(struct watch *w, reeve_time_ns kill_after_ns)
{
    if (w->kill_at_ns != 0) return;
    /* To a run of one process SIGTERM is a first request to stop: it would go on, saving. */
    (void)kill(w->child, w->left_at_once && w->alone ? SIGKILL : SIGTERM);
    w->kill_at_ns = reeve_clock_now() + kill_after_ns;
}

/* ---- what the run says of itself ---- */

static bool read_status(const struct watch *w, struct reeve_status_report *report)
{
    char path[REEVE_PATH_BYTES_MAX];
    return reeve_path_join(path, sizeof(path), w->s->launch->prepared->run_dir, "status.json", NULL) == REEVE_OK &&
           reeve_status_file_read(path, report, NULL) == REEVE_OK && report->membership_epoch > w->s->membership_before;
}

static enum reeve_stall_work work_of(const struct reeve_job *job, const struct reeve_status_report *r)
{
    if (r->state == REEVE_RUN_STARTING) return REEVE_STALL_STARTING;
    if (r->state != REEVE_RUN_RUNNING) return REEVE_STALL_SAVING;
    bool due = r->step == job->train.steps || (job->train.eval_every > 0 && r->step % job->train.eval_every == 0);
    if (due && r->eval_step != r->step) return REEVE_STALL_EVALUATING;
    return r->workers_long > 0 ? REEVE_STALL_READING : REEVE_STALL_STEPPING;
}

static void end_without(struct watch *w, const char *host)
{
    w->host_lost = true;
    (void)snprintf(w->why_ended, sizeof(w->why_ended), "host %.64s was lost", host);
    end_it(w, HOST_LOST_KILL_NS);
}

/* MPI may need minutes to notice that a host is gone; its silence is told by the master within seconds. */
static void look_for_lost_host(struct watch *w, const char *silent_host, double silent_s, reeve_time_ns now_ns)
{
    const struct reeve_launch *l = w->s->launch;
    if (w->kill_at_ns != 0 || l->is_lost == NULL || !l->is_lost(l->arg, silent_host, now_ns)) return;
    reeve_supervise_say(w->s,
                        "host %s is lost: no worker on it has said a word for %.0f s (faults.host_silence_s), and it "
                        "starts no process any more; ending the launch",
                        silent_host, silent_s);
    end_without(w, silent_host);
}

/* A host may be lost before its workers have said a word. A large checkpoint takes its time, too: more and more seldom. */
static void look_at_start(struct watch *w, reeve_time_ns now_ns)
{
    const struct reeve_launch *l = w->s->launch;
    char lost[256];
    bool due = w->s->stall.mark.work == REEVE_STALL_STARTING && now_ns - w->started_ns > w->start_patience_ns;
    if (!due || w->kill_at_ns != 0 || l->find_lost == NULL || l->prepared->job.faults.host_silence_s == 0) return;
    w->start_patience_ns *= 2;
    if (!l->find_lost(l->arg, lost)) return;
    reeve_supervise_say(w->s, "host %s is lost: the launch does not begin, and it starts no process; ending the launch",
                        lost);
    end_without(w, lost);
}

static void look_for_progress(struct watch *w, reeve_time_ns now_ns)
{
    struct reeve_stall *stall = &w->s->stall;
    struct reeve_status_report r;
    struct reeve_stall_mark mark = stall->mark; /* unreadable just now: nothing has changed */
    bool told = read_status(w, &r);
    w->begun = w->begun || told;
    if (told)
        mark = (struct reeve_stall_mark){.work = work_of(&w->s->launch->prepared->job, &r),
                                         .step = r.step,
                                         .tasks_done = r.tasks_done,
                                         .tasks_left = r.tasks_ready + r.tasks_blocked,
                                         .checkpoint = r.last_checkpoint_step,
                                         .evaluated = r.eval_step,
                                         .workers = r.workers};
    /* How long a user's command takes nobody knows: there a master that tells of itself is enough. */
    if (told && reeve_job_is_list(&w->s->launch->prepared->job)) mark.told_ns = r.updated_wall_ns;
    reeve_stall_look(stall, &mark, now_ns);
    look_for_lost_host(w, told ? r.silent_host : "", told ? r.silent_s : 0.0, now_ns);
    look_at_start(w, now_ns);
}

struct fold {
    struct reeve_relaunch_end *facts;
    uint32_t epoch_before, membership;
};

static reeve_status visit(void *arg, const struct reeve_event *ev, struct reeve_error *err)
{
    (void)err;
    struct fold *fold = arg;
    reeve_relaunch_event(fold->facts, fold->epoch_before, ev);
    if (ev->kind == REEVE_EVENT_RUN_OPENED)
        fold->membership = ev->epoch > fold->membership ? ev->epoch : fold->membership + 1;
    if (ev->kind == REEVE_EVENT_REGROUPED) fold->membership = ev->arg;
    return REEVE_OK;
}

void reeve_supervise_read_journal(struct reeve_supervisor *s, uint32_t epoch_before, struct reeve_relaunch_end *facts)
{
    struct fold fold = {.facts = facts, .epoch_before = epoch_before};
    struct reeve_journal_info info = {0};
    /* A damaged journal is the next launch's to find: it says what is wrong, and ends with 65. */
    if (reeve_journal_replay(s->launch->prepared->run_dir, visit, &fold, &info, NULL) != REEVE_OK) return;
    s->epoch_before = info.last_epoch;
    s->membership_before = fold.membership;
}

/* ---- reasons to end it ---- */

/* The file STOP, whole at once, with the number of the signal: so the run knows that no person wrote it. */
static void ask_stop(const struct watch *w)
{
    char path[REEVE_PATH_BYTES_MAX], number[16];
    if (reeve_path_join(path, sizeof(path), w->s->launch->prepared->run_dir, "STOP", NULL) != REEVE_OK) return;
    int n = snprintf(number, sizeof(number), "%d\n", reeve_stop_signals_last());
    (void)reeve_file_replace(path, number, (size_t)n, false, NULL);
    if (isatty(STDERR_FILENO)) (void)fputc('\n', stderr); /* behind the terminal's ^C and the progress line */
    reeve_supervise_say(w->s, "stopping at the next step boundary; once more to leave at once");
}

static void heed_signals(struct watch *w)
{
    int count = reeve_stop_signals_count();
    if (count > w->signals_seen && w->signals_seen == 0) ask_stop(w);
    if (reeve_stop_signals_leave() && !w->left_at_once) {
        w->left_at_once = true;
        end_it(w, KILL_AFTER_NS);
    }
    w->signals_seen = count;
}

static uint32_t count_ranks(const struct watch *w)
{
    struct reeve_process *list = malloc(RANKS_MAX * sizeof(*list));
    size_t count = list != NULL ? reeve_processes_find(w->id, list, RANKS_MAX) : 0;
    uint32_t ranks = 0;
    for (size_t i = 0; i < count; i++)
        ranks += list[i].role == REEVE_PROCESS_RANK;
    free(list);
    return ranks;
}

/* A rank that dies before it has made itself known to mpirun (4.1.4) is not missed there, and the others wait for it in
 * MPI_Init for ever. Once the run has begun, survivors may go on without it: then only the loss of all counts. */
static void look_for_ranks(struct watch *w, reeve_time_ns now_ns)
{
    reeve_time_ns every_ns = w->begun || now_ns - w->started_ns > SCAN_NS ? SCAN_NS : START_SCAN_NS;
    if (now_ns - w->scanned_ns < every_ns || w->kill_at_ns != 0) return;
    w->scanned_ns = now_ns;
    uint32_t ranks = count_ranks(w);
    bool gone = ranks < w->ranks_seen ? ranks == 0 || !w->begun : ranks == 0 && w->local;
    if (ranks > w->ranks_seen) w->ranks_seen = ranks;
    if (!gone) w->gone_ns = 0;
    else if (w->gone_ns == 0) w->gone_ns = now_ns;
    if (!gone || now_ns - w->gone_ns < (w->ranks_seen > 0 ? UNNOTICED_NS : NO_RANKS_NS)) return;
    w->unnoticed = true;
    (void)snprintf(w->why_ended, sizeof(w->why_ended), "%u of the %u ranks on this host were lost, unnoticed by mpirun",
                   w->ranks_seen - ranks, w->ranks_seen);
    end_it(w, KILL_AFTER_NS);
}

static void heed_clock(struct watch *w)
{
    reeve_time_ns now_ns = reeve_clock_now();
    look_for_ranks(w, now_ns);
    if (w->kill_at_ns != 0 && now_ns > w->kill_at_ns) {
        (void)reeve_processes_signal(w->id, SIGKILL); /* also what is stopped, and would not hear SIGTERM */
        w->kill_at_ns = now_ns + KILL_AFTER_NS;
    }
    if (now_ns - w->looked_ns < STATUS_NS) return;
    w->looked_ns = now_ns;
    look_for_progress(w, now_ns);
    if (!reeve_supervise_refresh(w->s)) {
        w->taken_over = true;
        end_it(w, KILL_AFTER_NS);
    }
    const struct reeve_stall *stall = &w->s->stall;
    if (w->kill_at_ns != 0 || !reeve_stall_is_hung(stall)) return;
    w->hung = true;
    (void)snprintf(w->why_ended, sizeof(w->why_ended), "it hung: nothing moved for %lld s after step %" PRIu64,
                   (long long)(reeve_stall_idle(stall) / REEVE_SECOND_NS), stall->mark.step);
    reeve_supervise_say(w->s,
                        "%s (that is longer than %lld s: faults.hang_min_s, or 20 median steps, and ten times that "
                        "while starting, reading a shard, evaluating or saving); ending it",
                        w->why_ended, (long long)(reeve_stall_patience(stall) / REEVE_SECOND_NS));
    end_it(w, KILL_AFTER_NS);
}

/* ---- the watch ---- */

/* Wait for words of the launcher, for a turn's length at most. */
static void hear(struct watch *w)
{
    char text[4096];
    struct pollfd poller = {.fd = w->words_fd, .events = POLLIN}; /* a negative fd: poll only waits */
    int ready = poll(&poller, 1, TURN_MS);
    if (ready == 0) reeve_launch_words_flush(&w->words, stderr);
    if (ready <= 0) return;
    ssize_t n = read(w->words_fd, text, sizeof(text));
    if (n > 0) reeve_launch_words_take(&w->words, text, (size_t)n, stderr, w->s->log);
    if (n > 0 || (n < 0 && errno == EINTR)) return;
    (void)close(w->words_fd);
    w->words_fd = -1;
}

static bool has_ended(struct watch *w)
{
    int status = 0;
    for (pid_t got; (got = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (got != w->child) continue; /* an orphan of a killed launcher came to us */
        w->status = status;
        return true;
    }
    return false;
}

/* The launcher is gone. Its ranks follow it by themselves, or are made to; then nobody uses what they shared. */
static void clean_up(struct watch *w)
{
    for (reeve_time_ns end_ns = reeve_clock_now() + LEAVE_NS; reeve_clock_now() < end_ns;) {
        struct reeve_process one;
        hear(w);
        if (reeve_processes_find(w->id, &one, 1) == 0) break;
        while (waitpid(-1, NULL, WNOHANG) > 0) {}
    }
    if (!reeve_processes_end(w->id, CLEAN_NS))
        reeve_supervise_say(w->s,
                            "processes of the launch that ended do not die (waiting for a disk, perhaps); going on");
    for (int turns = 0; w->words_fd >= 0 && turns < 4; turns++)
        hear(w);
    reeve_launch_words_flush(&w->words, stderr);
    if (w->words_fd >= 0) (void)close(w->words_fd);
    reeve_launch_shared_sweep(w->id);
    if (!w->alone) reeve_launch_session_sweep(w->child);
}

/* ---- how it ended ---- */

static uint64_t count_oom_kills(void)
{
    char line[128];
    unsigned long long count = 0;
    FILE *file = fopen("/proc/vmstat", "re");
    if (file == NULL) return 0;
    while (fgets(line, sizeof(line), file) != NULL && sscanf(line, "oom_kill %llu", &count) != 1) {}
    (void)fclose(file);
    return count;
}

static void word_signal(const struct watch *w, const char *who, int number, char cause[REEVE_CAUSE_BYTES])
{
    const char *name = sigabbrev_np(number);
    bool oom = number == SIGKILL && count_oom_kills() > w->oom_kills;
    (void)snprintf(cause, REEVE_CAUSE_BYTES, "%s was killed by signal %d (SIG%s)%s", who, number,
                   name != NULL ? name : "?", oom ? "; the kernel ran out of memory here meanwhile" : "");
}

static void word_cause(const struct watch *w, const struct reeve_relaunch_end *facts, char cause[REEVE_CAUSE_BYTES])
{
    const struct reeve_launch_death *death = &w->words.death;
    char who[96];
    if (w->hung || w->unnoticed || w->host_lost) (void)snprintf(cause, REEVE_CAUSE_BYTES, "%s", w->why_ended);
    else if (death->known) {
        if (death->rank == 0) (void)snprintf(who, sizeof(who), "the master on %.64s", death->host);
        else (void)snprintf(who, sizeof(who), "worker %d on %.64s", death->rank, death->host);
        if (death->signal != 0) word_signal(w, who, death->signal, cause);
        else (void)snprintf(cause, REEVE_CAUSE_BYTES, "%s was lost", who);
    } else if (WIFSIGNALED(w->status)) {
        word_signal(w, w->s->launch->placement.workers == 1 ? "the run" : "mpirun", WTERMSIG(w->status), cause);
    } else if (facts->last_word == REEVE_EXIT_INTERNAL) {
        (void)snprintf(cause, REEVE_CAUSE_BYTES, "the run ended with an error (exit code %d, told above)",
                       facts->last_word);
    } else {
        (void)snprintf(cause, REEVE_CAUSE_BYTES, "the launch ended without a last word of the run (exit code %d)",
                       WEXITSTATUS(w->status));
    }
}

/* The run's last word is in status.json; a rank that ended before there was one has said why, and mpirun hands its exit
 * code on. */
static int last_word(const struct watch *w)
{
    struct reeve_status_report report;
    if (read_status(w, &report) && report.exit_code >= 0) return report.exit_code;
    int code = WIFEXITED(w->status) ? WEXITSTATUS(w->status) : -1;
    return code >= REEVE_EXIT_USAGE && code <= REEVE_EXIT_CONFIG ? code : -1;
}

/* mpirun's exit code is neither 0 nor the run's own where it missed a rank, in whichever words. Its own errors are negative: 255
 * where it does not reach a host. With nobody started, who has set that up must hear of it; in an allocation the next launch
 * goes without that host. */
static bool was_lost(const struct watch *w, const struct reeve_relaunch_end *facts)
{
    if (w->hung || w->unnoticed || w->host_lost || w->words.death.known || !WIFEXITED(w->status)) return true;
    int code = WEXITSTATUS(w->status);
    bool own_error = code > 128 + SIGRTMAX; /* up to there: a process that was killed */
    if (own_error && !facts->began && w->ranks_seen == 0) return w->s->launch->replace != NULL;
    return code > 128 || (facts->began && code != 0 && code != facts->last_word);
}

static void tell_end(struct watch *w, struct reeve_launch_end *end)
{
    *end = (struct reeve_launch_end){.left_at_once = w->left_at_once, .taken_over = w->taken_over};
    struct reeve_relaunch_end *facts = &end->facts;
    facts->last_word = w->hung ? -1 : last_word(w);
    reeve_supervise_read_journal(w->s, w->s->epoch_before, facts);
    facts->lost = was_lost(w, facts);
    facts->host_lost = w->host_lost;
    word_cause(w, facts, end->cause);
}

int reeve_supervise_launch(struct reeve_supervisor *s, const struct reeve_placement *placement,
                           struct reeve_launch_end *end)
{
    struct watch *w = calloc(1, sizeof(*w));
    if (w == NULL) return reeve_cli_fail_text(REEVE_EXIT_INTERNAL, "out of memory");
    w->s = s;
    w->oom_kills = count_oom_kills();
    w->alone = placement->workers == 1;
    w->local = placement->hosts == NULL && getenv("SLURM_JOB_ID") == NULL;
    reeve_launch_id_make(s->launch->prepared->run_dir, (uint64_t)reeve_clock_wall_ns() ^ (uint64_t)getpid() << 48,
                         w->id);
    w->started_ns = reeve_clock_now();
    w->start_patience_ns = START_PATIENCE_NS;
    reeve_stall_begin(&s->stall, w->started_ns);
    (void)fflush(stdout);
    int code = reeve_launch_start(s->launch, placement, w->id, &w->child, &w->words_fd);
    if (code != 0) {
        free(w);
        return code;
    }
    while (!has_ended(w)) {
        hear(w);
        heed_signals(w);
        heed_clock(w);
    }
    clean_up(w);
    tell_end(w, end);
    free(w);
    return 0;
}
