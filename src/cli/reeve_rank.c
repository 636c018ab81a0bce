/* reeve-rank, and reeve-rank-cuda: what mpirun or srun starts, once for each rank. Rank 0 is the master, the others are
 * workers; with one rank, or with --alone (and then without MPI), master and worker are one process.
 *
 *   reeve-rank --run-dir RUN [--alone]                     a folder that `reeve run` prepared
 *   reeve-rank --job JOB [--set K=V]... [--run-dir RUN]    rank 0 prepares it (mpirun reeve run JOB ends up here) */
#include <dlfcn.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/idle.h"
#include "base/launch_id.h"
#include "base/log.h"
#include "base/processor.h"
#include "base/watchdog.h"
#include "cli/complete.h"
#include "cli/rank_choice.h"
#include "cli/rank_device.h"
#include "cli/rank_members.h"
#include "cli/rank_replace.h"
#include "core/frame.h"
#include "net/mpi_session.h"
#include "reeve/version.h"
#include "run/lost.h"
#include "run/rank.h"
#include "run/stop_signals.h"
#include "run/warden.h"
#include "store/reader.h"
#include "workload/registry.h"

#define SETS_MAX 64
#define PREPARE_NS (3600 * REEVE_SECOND_NS) /* rank 0 measures every shard before the first word */
#define JOIN_NS (60 * REEVE_SECOND_NS)      /* the others wait as long for one another */
#define CLOSE_NS (20 * REEVE_SECOND_NS)
#define IDLE_SLEEP_NS 500000

struct options {
    const char *job, *run_dir, *sets[SETS_MAX];
    uint32_t set_count;
    uint64_t stop_at;
    int64_t end_wall_ns; /* 0: none */
    const char *place;   /* in a running job, of a worker that was lost (net/mpi_replace.c); NULL: since the start */
    bool alone, quiet;
    bool watched; /* by `reeve run`, which takes the exit code from status.json: mpirun need not comment on it */
};

static int parse(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {
        {"job", required_argument, NULL, 'j'},
        {"set", required_argument, NULL, 's'},
        {"run-dir", required_argument, NULL, 'r'},
        {"stop-at", required_argument, NULL, 't'},
        {"end-at", required_argument, NULL, 'e'},
        {"alone", no_argument, NULL, 'a'},
        {"quiet", no_argument, NULL, 'q'},
        {"watched", no_argument, NULL, 'w'},
        {"version", no_argument, NULL, 'V'},
        {"place", required_argument, NULL, 'p'},
        {NULL, 0, NULL, 0},
    };
    for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        switch (c) {
        case 'j': o->job = optarg; break;
        case 's':
            if (o->set_count == SETS_MAX) return REEVE_EXIT_USAGE;
            o->sets[o->set_count++] = optarg;
            break;
        case 'r': o->run_dir = optarg; break;
        case 't': o->stop_at = strtoull(optarg, NULL, 10); break;
        case 'e': o->end_wall_ns = (int64_t)strtoull(optarg, NULL, 10) * REEVE_SECOND_NS; break;
        case 'a': o->alone = true; break;
        case 'q': o->quiet = true; break;
        case 'w': o->watched = true; break;
        case 'p': o->place = optarg; break;
        case 'V': (void)printf("reeve-rank %s\n", REEVE_VERSION); exit(0);
        default: return REEVE_EXIT_USAGE;
        }
    }
    if (optind == argc && (o->job != NULL || o->run_dir != NULL)) return 0;
    (void)fprintf(stderr, "reeve-rank is started by `reeve run`; see `reeve run --help`\n");
    return REEVE_EXIT_USAGE;
}

static int prepare(const struct options *o, struct reeve_prepared *p)
{
    struct reeve_error err = {0};
    reeve_status st = o->job != NULL ? reeve_prepare(o->job, o->sets, o->set_count, o->run_dir, 0, p, &err)
                                     : reeve_prepare_open(o->run_dir, p, &err);
    if (st == REEVE_OK && p->tasks == NULL && !reeve_job_is_plugin(&p->job) &&
        reeve_workload_find(p->job.workload) == NULL) {
        st = reeve_fail(&err, REEVE_INPUT_INVALID,
                        "workload '%s' is unknown; this build has: gpt, exec; a shared object's path ends in .so",
                        p->job.workload);
        reeve_prepared_fini(p);
    }
    if (st == REEVE_OK) return 0;
    reeve_log(REEVE_LOG_ERROR, "%s", err.text);
    return reeve_status_exit_code(st);
}

static void host_name(char *host, size_t host_bytes)
{
    if (gethostname(host, host_bytes) != 0) (void)snprintf(host, host_bytes, "localhost");
    host[host_bytes - 1] = '\0';
}

static int end_complete(struct reeve_prepared *p)
{
    int code = reeve_complete_exit_code(p);
    reeve_complete_say(p);
    reeve_prepared_fini(p);
    return code;
}

static int choose(const struct reeve_prepared *p, const struct reeve_device_place *places, uint32_t count,
                  uint32_t first_worker, uint32_t self, struct reeve_rank_choice *choice)
{
    struct reeve_error err = {0};
    reeve_status st = reeve_rank_choose(p, places, count, first_worker, self, choice, &err);
    if (st == REEVE_OK) return 0;
    reeve_log(REEVE_LOG_ERROR, "%s", err.text);
    return reeve_status_exit_code(st);
}

static int train_alone(const struct options *o, const struct reeve_prepared *p, const char *host)
{
    static struct reeve_rank_choice choice;
    struct reeve_device_place here;
    reeve_rank_device_place(host, &here);
    int code = choose(p, &here, 1, 0, 0, &choice);
    if (code != 0) return code;
    struct reeve_error err = {0};
    reeve_collective *device = NULL;
    if (choice.device.cuda && reeve_rank_device_alone(choice.device.index, &device, &err) != REEVE_OK) {
        reeve_log(REEVE_LOG_ERROR, "%s", err.text);
        return reeve_status_exit_code(err.status);
    }
    struct reeve_rank_config config = {.prepared = p,
                                       .stop_at = o->stop_at,
                                       .end_wall_ns = o->end_wall_ns,
                                       .progress = !o->quiet,
                                       .host = host,
                                       .device = choice.device,
                                       .ops = choice.ops,
                                       .card = choice.card,
                                       .kinds = &choice.kinds,
                                       .cores_short = false};
    reeve_stop_signals_install(1);
    code = reeve_rank_alone(&config, device);
    if (device != NULL) device->ops->destroy(device);
    return code;
}

static int run_alone(const struct options *o)
{
    struct reeve_prepared p;
    int code = prepare(o, &p);
    if (code != 0) return code;
    if (p.complete) return end_complete(&p);
    char host[256];
    host_name(host, sizeof(host));
    code = train_alone(o, &p, host);
    reeve_prepared_fini(&p);
    return code;
}

/* ---- several ranks ---- */

/* Rank 0's first word to every worker: go on with this folder, or end, because rank 0 has nothing to do or failed. */
static void tell_all(reeve_transport *t, bool go_on, const struct reeve_prepared *p)
{
    const char *run_dir = p != NULL ? p->run_dir : "", *library = p != NULL ? p->library : "";
    static unsigned char message[REEVE_MESSAGE_BYTES_MAX];
    size_t bytes = 0;
    const struct reeve_frame first = {
        .kind = REEVE_FRAME_FIRST, .arg = go_on, .a = reeve_digest64(library, strlen(library), 0)};
    (void)reeve_frame_push(message, sizeof(message), &bytes, &first, run_dir); /* alone in a message it fits */
    struct reeve_error err = {0};
    reeve_status st = REEVE_OK;
    for (uint32_t peer = 1; peer < t->size && st == REEVE_OK; peer++) {
        st = t->ops->send(t, peer, message, bytes, &err);
        if (st == REEVE_WORKER_LOST) st = REEVE_OK; /* the loop will hear of it */
    }
    if (st == REEVE_OK) st = t->ops->flush(t, reeve_clock_now() + CLOSE_NS, &err);
    if (st != REEVE_OK && st != REEVE_WORKER_LOST)
        reeve_log(REEVE_LOG_ERROR, "first word to the workers: %s", err.text);
}

struct first_word {
    bool go_on;
    uint64_t library; /* digest of the master's reeve_prepared.library */
    char run_dir[REEVE_PATH_BYTES_MAX];
};

static reeve_status read_first(const void *message, size_t bytes, struct first_word *word, struct reeve_error *err)
{
    struct reeve_frame f;
    const char *text = NULL;
    size_t offset = 0;
    _Bool end = false;
    reeve_status st = reeve_frame_next(message, bytes, &offset, &f, &text, &end);
    if (st != REEVE_OK || end || f.kind != REEVE_FRAME_FIRST || f.text_bytes >= sizeof(word->run_dir))
        return reeve_fail(err, REEVE_JOB_INTERNAL, "the master's first word cannot be understood");
    word->go_on = f.arg != 0;
    word->library = f.a;
    memcpy(word->run_dir, text, f.text_bytes);
    word->run_dir[f.text_bytes] = '\0';
    return REEVE_OK;
}

/* Somebody was lost while this worker waits. If it was the master, there is nothing to go on with. If the master has
 * begun to regroup, all must; its first word comes again then. Anybody else's loss is the master's business. */
static reeve_status lost_before_first(reeve_rank_members *m, struct reeve_members *members, uint32_t peer,
                                      struct reeve_error *err)
{
    reeve_membership *port = reeve_rank_members_port(m);
    if (port == NULL || peer == 0) return REEVE_WORKER_LOST;
    if (peer != UINT32_MAX) return REEVE_OK;
    /* With GPUs the regrouping would have to make a sum over them, and this worker has not heard yet whether it is to: the
     * job, which has computed nothing yet, ends and is started again. */
    const struct reeve_device_place *places = reeve_rank_members_places(m);
    for (uint32_t i = 1; i < members->count; i++)
        if (places[i].can_cuda != 0 && places[i].gpu_count > 0)
            return reeve_fail(
                err, REEVE_JOB_INTERNAL,
                "another process was lost before this one had begun: the job ends, and may be started again");
    reeve_status st = port->ops->regroup(port, members, err);
    if (st == REEVE_OK && members->self == members->master)
        st = reeve_fail(err, REEVE_JOB_INTERNAL, "the master was lost before it named the run");
    return st;
}

static int hear_first(reeve_rank_members *m, struct reeve_members *members, struct first_word *word)
{
    static unsigned char message[REEVE_MESSAGE_BYTES_MAX];
    struct reeve_error err = {0};
    struct reeve_idle idle;
    reeve_idle_init(&idle, true);
    reeve_time_ns deadline_ns = reeve_clock_now() + PREPARE_NS;
    reeve_status st = REEVE_OK;
    while (st == REEVE_OK) {
        uint32_t peer = UINT32_MAX;
        size_t n = 0;
        reeve_transport *t = members->transport;
        st = t->ops->poll(t, &peer, message, &n, &err);
        if (st == REEVE_WORKER_LOST) st = lost_before_first(m, members, peer, &err);
        else if (st == REEVE_OK && n > 0) {
            st = read_first(message, n, word, &err);
            if (st == REEVE_OK) return 0;
        }
        if (st == REEVE_OK && reeve_clock_now() > deadline_ns)
            st = reeve_fail(&err, REEVE_JOB_DEADLINE, "no first word from the master");
        if (st == REEVE_OK) reeve_idle_wait(&idle, IDLE_SLEEP_NS);
    }
    reeve_log(REEVE_LOG_ERROR, "worker %u: %s", members->self, err.text);
    return REEVE_EXIT_INTERNAL;
}

/* Workers with different code would compute different gradients, and nobody would see it in their sum. */
static reeve_status check_library(const struct first_word *word, const struct reeve_prepared *p,
                                  const struct reeve_mpi_session *session, struct reeve_error *err)
{
    if (reeve_digest64(p->library, strlen(p->library), 0) == word->library) return REEVE_OK;
    return reeve_fail(err, REEVE_INPUT_CHANGED,
                      "workload %s: on host %s it is %s, and the master read another one: every host must see the same "
                      "file",
                      p->job.workload, session->host, p->library);
}

static void configure(const struct options *o, const struct reeve_mpi_session *session, reeve_rank_members *m,
                      const struct reeve_prepared *p, const struct reeve_rank_choice *choice,
                      struct reeve_rank_config *config)
{
    *config = (struct reeve_rank_config){.prepared = p,
                                         .stop_at = o->stop_at,
                                         .end_wall_ns = o->end_wall_ns,
                                         .progress = !o->quiet,
                                         .host = session->host,
                                         .device = choice->device,
                                         .ops = choice->ops,
                                         .card = choice->card,
                                         .kinds = &choice->kinds,
                                         .cores_short = session->node_size > (uint32_t)sysconf(_SC_NPROCESSORS_ONLN),
                                         .membership = reeve_rank_members_port(m),
                                         .processes = reeve_rank_members_processes(m),
                                         .joins = o->place != NULL,
                                         .replace_not = reeve_rank_replace_not(session, choice->device.cuda),
                                         .announce = tell_all};
}

static int run_master(const struct options *o, const struct reeve_mpi_session *session, reeve_rank_members *m,
                      struct reeve_rank_end *end)
{
    struct reeve_prepared p;
    struct reeve_members members;
    reeve_rank_members_get(m, &members);
    int code = prepare(o, &p);
    static struct reeve_rank_choice choice;
    if (code == 0 && !p.complete) {
        code = choose(&p, reeve_rank_members_places(m), session->member_count, 1, session->member, &choice);
        if (code != 0) reeve_prepared_fini(&p);
    }
    if (code != 0 || p.complete) {
        tell_all(members.transport, false, NULL);
        end->clean = true; /* the workers were told to end, and will */
        return code != 0 ? code : end_complete(&p);
    }
    struct reeve_rank_config config;
    configure(o, session, m, &p, &choice, &config);
    code = reeve_rank_master(&config, &members, end);
    reeve_prepared_fini(&p);
    return code;
}

static int run_worker(const struct options *o, const struct reeve_mpi_session *session, reeve_rank_members *m,
                      struct reeve_rank_end *end)
{
    static struct first_word word;
    struct reeve_members members;
    reeve_rank_members_get(m, &members);
    int code = hear_first(m, &members, &word);
    if (code != 0) return code;
    end->clean = !word.go_on;
    if (!word.go_on) return REEVE_EXIT_DONE; /* rank 0 says why */
    struct options own = {.run_dir = word.run_dir};
    struct reeve_prepared p;
    code = prepare(&own, &p);
    if (code != 0) return code;
    struct reeve_error err = {0};
    static struct reeve_rank_choice choice;
    reeve_status st = check_library(&word, &p, session, &err);
    if (st == REEVE_OK) {
        code = choose(&p, reeve_rank_members_places(m), session->member_count, 1, session->member, &choice);
        if (code != 0) {
            reeve_prepared_fini(&p);
            return code;
        }
    }
    if (st == REEVE_OK && p.tasks == NULL) st = reeve_rank_members_work(m, &choice.device, &err);
    if (st != REEVE_OK) {
        reeve_log(REEVE_LOG_ERROR, "%s", err.text);
        reeve_prepared_fini(&p);
        return reeve_status_exit_code(st);
    }
    reeve_rank_members_get(m, &members);
    struct reeve_rank_config config;
    configure(o, session, m, &p, &choice, &config);
    code = reeve_rank_worker(&config, &members, end);
    reeve_prepared_fini(&p);
    return code;
}

static int run_in_mpi(const struct options *o, int *argc, char ***argv)
{
    struct reeve_mpi_session session;
    struct reeve_error err = {0};
    const char **words = (const char **)*argv + 1;
    reeve_launch_shared_begin();
    reeve_rank_replace_prepare();
    reeve_status st = o->place == NULL
                          ? reeve_mpi_session_open(argc, argv, &session, &err)
                          : reeve_mpi_session_join(argc, argv, o->place, JOIN_NS, REEVE_WATCHDOG_KILL, &session, &err);
    if (st != REEVE_OK) {
        (void)fprintf(stderr, "reeve-rank: %s\n", err.text);
        if (o->place != NULL) reeve_end_as_lost();
        return reeve_status_exit_code(err.status);
    }
    session.arguments = words;
    reeve_stop_signals_install(1);
    if (o->watched) reeve_stop_signals_spare_term(); /* `reeve run` asks with the file STOP */
    if (session.size == 1 && o->place == NULL) {     /* nor is the run one's own, if all were lost on the way */
        int code = run_alone(o);
        (void)reeve_mpi_session_close(&session, reeve_clock_now() + CLOSE_NS, code);
        return code;
    }
    reeve_log_init(session.rank == 0 ? "reeve" : "worker", REEVE_LOG_INFO);
    reeve_rank_members *m = NULL;
    if (reeve_rank_members_create(&session, &m, &err) != REEVE_OK) {
        reeve_log(REEVE_LOG_ERROR, "%s", err.text);
        if (o->place != NULL) reeve_end_as_lost();
        reeve_mpi_session_abort(reeve_status_exit_code(err.status));
    }
    struct reeve_rank_end end = {0};
    int code =
        session.rank == 0 && o->place == NULL ? run_master(o, &session, m, &end) : run_worker(o, &session, m, &end);
    if (!end.clean && o->place != NULL && !end.master) reeve_end_as_lost();
    if (!end.clean) reeve_mpi_session_abort(code != 0 ? code : REEVE_EXIT_INTERNAL); /* others may wait for this rank */
    reeve_rank_members_destroy(m);
    if (o->watched && end.told) code = REEVE_EXIT_DONE;
    (void)reeve_mpi_session_close(&session, reeve_clock_now() + CLOSE_NS, code);
    reeve_launch_shared_end();
    return code;
}

/* OpenBLAS has chosen its kernels before main() is reached. Where it did not know the processor, this program starts
 * itself once more with a word on which to take; whoever has set OPENBLAS_CORETYPE has chosen already. */
static void choose_blas_kernels(char **argv)
{
    if (getenv("OPENBLAS_CORETYPE") != NULL) return;
    const char *(*core)(void) = NULL;
    *(void **)&core = dlsym(RTLD_DEFAULT, "openblas_get_corename");
    const char *better = core != NULL ? reeve_processor_better_blas_core(core()) : NULL;
    if (better != NULL && setenv("OPENBLAS_CORETYPE", better, 0) == 0) (void)execv("/proc/self/exe", argv);
}

/* Killed before this process had asked to follow it: it sends no signal any more, and MPI_Init waits for it for ever. Whoever
 * lost its parent is a child of process 1; so is who was started by a launcher that is process 1, in its session. */
static bool launcher_is_gone(void)
{
    return getenv("PMIX_RANK") != NULL && getppid() == 1 && getsid(0) != getsid(1);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--warden") == 0) reeve_warden_main(); /* which outlives its rank */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);                                 /* a rank never outlives its launcher */
    if (launcher_is_gone()) {
        (void)fputs("reeve-rank: the launcher ended before this rank began\n", stderr);
        return REEVE_EXIT_UNAVAILABLE;
    }
    struct options o = {0};
    int code = parse(argc, argv, &o);
    if (code != 0) return code;
    choose_blas_kernels(argv);              /* before MPI starts: afterwards this process could not be replaced */
    (void)prctl(PR_SET_NAME, "reeve-rank"); /* started again through /proc/self/exe it would be called "exe" in ps */
    reeve_h5_library_init();
    return o.alone ? run_alone(&o) : run_in_mpi(&o, &argc, &argv);
}
