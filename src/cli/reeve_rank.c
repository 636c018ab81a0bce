/* reeve-rank: what mpirun or srun starts, once for each rank. Rank 0 is the master, the others are workers; with one
 * rank, or with --alone (and then without MPI), master and worker are one process.
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
#include "base/error.h"
#include "base/idle.h"
#include "base/launch_id.h"
#include "base/log.h"
#include "base/processor.h"
#include "coll/mpi.h"
#include "net/mpi_session.h"
#include "net/mpi_transport.h"
#include "reeve/version.h"
#include "run/rank.h"
#include "run/stop_signals.h"
#include "run/warden.h"
#include "store/reader.h"
#include "workload/registry.h"

#define SETS_MAX 64
#define PREPARE_NS (3600 * REEVE_SECOND_NS) /* rank 0 measures every shard before the first word */
#define CLOSE_NS (20 * REEVE_SECOND_NS)
#define IDLE_SLEEP_NS 500000

struct options {
    const char *job, *run_dir, *sets[SETS_MAX];
    uint32_t set_count;
    uint64_t stop_at;
    int64_t end_wall_ns; /* 0: none */
    bool alone, quiet;
    bool watched; /* by `reeve run`, which takes the exit code from status.json: mpirun need not comment on it */
};

/* Rank 0's first word to every worker: go on with this folder, or end, because rank 0 has nothing to do or failed. */
struct first_word {
    int32_t go_on;
    char run_dir[REEVE_PATH_BYTES_MAX];
};

static int parse(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {
        {"job", required_argument, NULL, 'j'},     {"set", required_argument, NULL, 's'},
        {"run-dir", required_argument, NULL, 'r'}, {"stop-at", required_argument, NULL, 't'},
        {"end-at", required_argument, NULL, 'e'},  {"alone", no_argument, NULL, 'a'},
        {"quiet", no_argument, NULL, 'q'},         {"watched", no_argument, NULL, 'w'},
        {"version", no_argument, NULL, 'V'},       {NULL, 0, NULL, 0},
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
    if (st == REEVE_OK && p->tasks == NULL && reeve_workload_find(p->job.workload) == NULL) {
        st = reeve_fail(&err, REEVE_INPUT_INVALID, "workload '%s' is unknown; this build has: gpt, exec",
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

static int say_complete(struct reeve_prepared *p)
{
    int code = p->dead > 0 ? REEVE_EXIT_DEAD_TASKS : REEVE_EXIT_DONE;
    if (p->tasks != NULL)
        (void)printf("%s is complete: all %u tasks have ended, %u of them dead\n", p->run_dir, p->tasks->task_count,
                     p->dead);
    else (void)printf("%s is complete: all %llu steps are done\n", p->run_dir, (unsigned long long)p->job.train.steps);
    reeve_prepared_fini(p);
    return code;
}

static int run_alone(const struct options *o)
{
    struct reeve_prepared p;
    int code = prepare(o, &p);
    if (code != 0) return code;
    if (p.complete) return say_complete(&p);
    char host[256];
    host_name(host, sizeof(host));
    struct reeve_rank_config config = {.prepared = &p,
                                       .stop_at = o->stop_at,
                                       .end_wall_ns = o->end_wall_ns,
                                       .progress = !o->quiet,
                                       .host = host,
                                       .cores_short = false};
    reeve_stop_signals_install(1);
    code = reeve_rank_alone(&config);
    reeve_prepared_fini(&p);
    return code;
}

/* ---- several ranks ---- */

static void tell_all(reeve_transport *t, bool go_on, const char *run_dir)
{
    struct first_word *word = calloc(1, sizeof(*word));
    if (word == NULL) return;
    word->go_on = go_on;
    (void)snprintf(word->run_dir, sizeof(word->run_dir), "%s", run_dir);
    struct reeve_error err = {0};
    reeve_status st = REEVE_OK;
    for (uint32_t peer = 1; peer < t->size && st == REEVE_OK; peer++)
        st = t->ops->send(t, peer, word, sizeof(*word), &err);
    if (st == REEVE_OK) st = t->ops->flush(t, reeve_clock_now() + CLOSE_NS, &err);
    if (st != REEVE_OK) reeve_log(REEVE_LOG_ERROR, "first word to the workers: %s", err.text);
    free(word);
}

static int hear_first(reeve_transport *t, struct first_word *word)
{
    static unsigned char message[REEVE_MESSAGE_BYTES_MAX];
    struct reeve_error err = {0};
    struct reeve_idle idle;
    reeve_idle_init(&idle, true);
    reeve_time_ns deadline_ns = reeve_clock_now() + PREPARE_NS;
    for (;;) {
        uint32_t peer = 0;
        size_t n = 0;
        if (t->ops->poll(t, &peer, message, &n, &err) != REEVE_OK) break;
        if (n == sizeof(*word) && peer == 0) {
            memcpy(word, message, sizeof(*word));
            word->run_dir[sizeof(word->run_dir) - 1] = '\0';
            return 0;
        }
        if (n > 0 || reeve_clock_now() > deadline_ns) {
            (void)reeve_fail(&err, REEVE_JOB_DEADLINE, "no first word from the master");
            break;
        }
        reeve_idle_wait(&idle, IDLE_SLEEP_NS);
    }
    reeve_log(REEVE_LOG_ERROR, "worker %u: %s", t->self, err.text);
    return REEVE_EXIT_INTERNAL;
}

/* *told: the last word stands in status.json. */
static int run_master(const struct options *o, const struct reeve_mpi_session *session, reeve_transport *t, bool *clean,
                      bool *told)
{
    struct reeve_prepared p;
    int code = prepare(o, &p);
    if (code != 0 || p.complete) {
        tell_all(t, false, "");
        *clean = true; /* the workers were told to end, and will */
        return code != 0 ? code : say_complete(&p);
    }
    struct reeve_rank_config config = {.prepared = &p,
                                       .stop_at = o->stop_at,
                                       .end_wall_ns = o->end_wall_ns,
                                       .progress = !o->quiet,
                                       .host = session->host,
                                       .cores_short = session->node_size > (uint32_t)sysconf(_SC_NPROCESSORS_ONLN)};
    code = reeve_rank_master(&config, t, tell_all, clean, told);
    reeve_prepared_fini(&p);
    return code;
}

static int run_worker(const struct reeve_mpi_session *session, reeve_transport *t, bool *clean)
{
    static struct first_word word;
    *clean = false;
    int code = hear_first(t, &word);
    if (code != 0) return code;
    *clean = !word.go_on;
    if (!word.go_on) return REEVE_EXIT_DONE; /* rank 0 says why */
    struct options own = {.run_dir = word.run_dir};
    struct reeve_prepared p;
    code = prepare(&own, &p);
    if (code != 0) return code;
    struct reeve_error err = {0};
    reeve_collective *collective = NULL;
    const struct reeve_coll_mpi_config shared = {.host_size = 0};
    if (p.tasks == NULL && reeve_coll_mpi_create(session->workers, &shared, &collective, &err) != REEVE_OK) {
        reeve_log(REEVE_LOG_ERROR, "%s", err.text);
        reeve_prepared_fini(&p);
        return reeve_status_exit_code(err.status);
    }
    struct reeve_rank_config config = {.prepared = &p,
                                       .host = session->host,
                                       .cores_short = session->node_size > (uint32_t)sysconf(_SC_NPROCESSORS_ONLN)};
    code = reeve_rank_worker(&config, t, collective, clean);
    if (*clean && collective != NULL) collective->ops->destroy(collective);
    reeve_prepared_fini(&p);
    return code;
}

static int run_in_mpi(const struct options *o, int *argc, char ***argv)
{
    struct reeve_mpi_session session;
    struct reeve_error err = {0};
    reeve_launch_shared_begin();
    if (reeve_mpi_session_open(argc, argv, &session, &err) != REEVE_OK) {
        (void)fprintf(stderr, "reeve-rank: %s\n", err.text);
        return reeve_status_exit_code(err.status);
    }
    reeve_stop_signals_install(1);
    if (o->watched) reeve_stop_signals_spare_term(); /* `reeve run` asks with the file STOP */
    if (session.size == 1) {
        int code = run_alone(o);
        (void)reeve_mpi_session_close(&session, reeve_clock_now() + CLOSE_NS, code);
        return code;
    }
    reeve_log_init(session.rank == 0 ? "reeve" : "worker", REEVE_LOG_INFO);
    reeve_transport *t = NULL;
    if (reeve_mpi_transport_create(&session, &t, &err) != REEVE_OK) {
        reeve_log(REEVE_LOG_ERROR, "%s", err.text);
        reeve_mpi_session_abort(reeve_status_exit_code(err.status));
    }
    bool clean = false, told = false;
    int code = session.rank == 0 ? run_master(o, &session, t, &clean, &told) : run_worker(&session, t, &clean);
    if (!clean) reeve_mpi_session_abort(code != 0 ? code : REEVE_EXIT_INTERNAL); /* others may wait for this rank */
    t->ops->destroy(t);
    if (o->watched && told) code = REEVE_EXIT_DONE;
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

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--warden") == 0) reeve_warden_main();
    struct options o = {0};
    int code = parse(argc, argv, &o);
    if (code != 0) return code;
    choose_blas_kernels(argv);              /* before MPI starts: afterwards this process could not be replaced */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a rank never outlives its launcher */
    reeve_h5_library_init();
    return o.alone ? run_alone(&o) : run_in_mpi(&o, &argc, &argv);
}
