/* Who owns a run: one at a time, whoever asks and whoever died. Owners are real processes, and really killed. */
#include "store_fixture.h"

#include <dirent.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "store/owner.h"
#include "store/owner_record.h"

/* In place of the C library's: whatever in this program signals a process by its number comes by here. */
static int ended_by_number;
int kill(pid_t pid, int number)
{
    ended_by_number += number == SIGKILL;
    return (int)syscall(SYS_kill, pid, number);
}

static void lock_path(const struct fixture *f, char out[512])
{
    (void)snprintf(out, 512, "%s/LOCK", f->dir);
}

static reeve_owner *acquire(const struct fixture *f, bool expect_over)
{
    struct reeve_error err;
    reeve_owner *o = NULL;
    bool over = !expect_over;
    OK(reeve_owner_acquire(f->dir, &o, &over, &err));
    assert_int_equal(over, expect_over);
    return o;
}

static void check_in_use(const struct fixture *f, const char *words)
{
    struct reeve_error err;
    reeve_owner *o = NULL;
    bool over = false;
    FAILS(reeve_owner_acquire(f->dir, &o, &over, &err), REEVE_STORE_IN_USE);
    assert_null(o);
    if (strstr(err.text, words) == NULL || strstr(err.text, f->dir) == NULL)
        fail_msg("expected \"%s\": %s", words, err.text);
}

static int files_in(const struct fixture *f)
{
    int count = 0;
    DIR *d = opendir(f->dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        count += e->d_name[0] != '.';
    (void)closedir(d);
    return count;
}

/* A child that owns the run and lives until it is killed. */
static pid_t owner_child(struct fixture *f)
{
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork_child();
    if (pid == 0) {
        struct reeve_error err;
        reeve_owner *o;
        bool over;
        CHILD_CHECK(reeve_owner_acquire(f->dir, &o, &over, &err) == REEVE_OK);
        CHILD_CHECK(write(ready[1], "r", 1) == 1);
        for (;;)
            (void)pause();
    }
    (void)close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    return pid;
}

/* Write a record of somebody else to LOCK, last refreshed some seconds ago. */
static void forge(const struct fixture *f, const struct reeve_owner_record *r, long silent_s)
{
    char path[512], text[REEVE_OWNER_RECORD_BYTES];
    lock_path(f, path);
    size_t n = reeve_owner_record_print(r, text);
    file_store(path, text, n);
    struct timespec times[2] = {{.tv_sec = time(NULL) - silent_s}, {.tv_sec = time(NULL) - silent_s}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static struct reeve_owner_record somebody_elsewhere(void)
{
    struct reeve_owner_record r;
    reeve_owner_record_make(&r);
    (void)strcpy(r.host, "node17");
    (void)strcpy(r.boot, "00000000-0000-0000-0000-000000000000/4026531836");
    return r;
}

/* --- records --------------------------------------------------------------------------------------------------------
 */

static void record_printed_is_record_parsed(void **state)
{ /* And nothing else is: cut at any length, or with any byte changed, it names nobody or is seen as another text. */
    (void)state;
    struct reeve_owner_record r, back;
    char text[REEVE_OWNER_RECORD_BYTES], other[REEVE_OWNER_RECORD_BYTES];
    reeve_owner_record_make(&r);
    size_t n = reeve_owner_record_print(&r, text);
    assert_true(reeve_owner_record_parse(text, &back));
    assert_string_equal(back.nonce, r.nonce);
    assert_string_equal(back.boot, r.boot);
    assert_true(back.pid == r.pid && back.start == r.start && r.start > 0 && r.pid == (long)getpid());
    for (size_t left = 0; left < n; left++) {
        (void)snprintf(other, sizeof(other), "%.*s", (int)left, text);
        assert_false(reeve_owner_record_parse(other, &back));
    }
    (void)strcat(strcpy(other, text), " ");
    assert_false(reeve_owner_record_parse(other, &back));
    assert_false(reeve_owner_record_parse("{\"host\": \"a\", \"pid\": -1}", &back));
    struct reeve_owner_record second;
    reeve_owner_record_make(&second);
    assert_string_not_equal(second.nonce, r.nonce);
}

static void record_tells_the_living_from_the_dead(void **state)
{ /* Method: this process; a child alive, killed but not waited for, and gone; this pid with another start time. */
    struct fixture *f = *state;
    struct reeve_owner_record r;
    char path[512], *text;
    size_t n;
    reeve_owner_record_make(&r);
    assert_int_equal(reeve_owner_record_life(&r), REEVE_OWNER_LIVES);
    r.start++;
    assert_int_equal(reeve_owner_record_life(&r), REEVE_OWNER_DEAD);
    pid_t pid = owner_child(f);
    lock_path(f, path);
    text = (char *)file_load(path, &n);
    assert_true(reeve_owner_record_parse(text, &r));
    free(text);
    assert_int_equal(r.pid, (long)pid);
    assert_int_equal(reeve_owner_record_life(&r), REEVE_OWNER_LIVES);
    assert_int_equal(kill(pid, SIGKILL), 0);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(reeve_owner_record_life(&r), REEVE_OWNER_DEAD); /* a zombie runs nothing */
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(reeve_owner_record_life(&r), REEVE_OWNER_DEAD);
    r = somebody_elsewhere();
    assert_int_equal(reeve_owner_record_life(&r), REEVE_OWNER_UNKNOWN);
}

/* --- one at a time --------------------------------------------------------------------------------------------------
 */

static void run_has_one_owner_at_a_time(void **state)
{
    struct fixture *f = *state;
    struct reeve_error err;
    char words[64], who[256];
    reeve_owner *volatile o = acquire(f, false); /* in memory: in the child, valgrind would take it for lost */
    (void)snprintf(words, sizeof(words), "in use by process %ld", (long)getpid());
    check_in_use(f, words);
    pid_t pid = fork_child();
    if (pid == 0) {
        reeve_owner *other;
        bool over;
        CHILD_CHECK(reeve_owner_acquire(f->dir, &other, &over, &err) == REEVE_STORE_IN_USE);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    OK(reeve_owner_refresh(o, &err));
    assert_true(reeve_owner_peek(f->dir, who, sizeof(who)));
    assert_non_null(strstr(who, words + strlen("in use by ")));
    assert_int_equal(reeve_owner_master_pid(f->dir), getpid());
    assert_int_equal(files_in(f), 1); /* LOCK, and nothing beside it */
    reeve_owner_release(o);
    assert_int_equal(files_in(f), 0);
    assert_false(reeve_owner_peek(f->dir, who, sizeof(who)));
    reeve_owner_release(NULL);
    o = acquire(f, false);
    reeve_owner_release(o);
}

static void run_of_a_killed_owner_is_taken_over_at_once(void **state)
{
    struct fixture *f = *state;
    char who[256];
    pid_t pid = owner_child(f);
    check_in_use(f, "in use by process");
    assert_true(reeve_owner_peek(f->dir, who, sizeof(who)));
    assert_int_equal(reeve_owner_master_pid(f->dir), pid);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_false(reeve_owner_peek(f->dir, who, sizeof(who)));
    assert_int_equal(reeve_owner_master_pid(f->dir), 0);
    reeve_owner *o = acquire(f, true);
    assert_int_equal(reeve_owner_master_pid(f->dir), getpid());
    check_in_use(f, "in use by process");
    assert_int_equal(files_in(f), 1);
    reeve_owner_release(o);
    assert_int_equal(files_in(f), 0);
}

static void run_of_a_stopped_owner_is_not_taken_over(void **state)
{ /* Goal: a paused process comes back. Method: SIGSTOP, and a refresh long ago. */
    struct fixture *f = *state;
    char path[512];
    pid_t pid = owner_child(f);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    lock_path(f, path);
    struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    check_in_use(f, "in use by process");
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    reeve_owner_release(acquire(f, true));
}

static void owner_on_another_machine_is_judged_by_its_silence(void **state)
{ /* Also one whose record is damaged: nobody can say that it is dead. */
    struct fixture *f = *state;
    char path[512];
    struct reeve_owner_record r = somebody_elsewhere();
    lock_path(f, path);
    forge(f, &r, 0);
    check_in_use(f, "on node17");
    forge(f, &r, REEVE_OWNER_SILENT_S - 5);
    check_in_use(f, "on node17");
    forge(f, &r, REEVE_OWNER_SILENT_S + 5);
    reeve_owner_release(acquire(f, true));

    file_store(path, "{\"host\": \"no", 12);
    check_in_use(f, "record cannot be read");
    struct timespec times[2] = {{.tv_sec = time(NULL) - 100}, {.tv_sec = time(NULL) - 100}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    reeve_owner_release(acquire(f, true));

    file_store(path, "", 0);
    check_in_use(f, "record cannot be read");
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    reeve_owner_release(acquire(f, true));
    assert_int_equal(files_in(f), 0);
}

static struct reeve_owner_record life_elsewhere(const char *job, uint32_t restart)
{
    struct reeve_owner_record r = somebody_elsewhere();
    (void)snprintf(r.job, sizeof(r.job), "%s", job);
    r.restart = restart;
    return r;
}

static void in_slurm_job(const char *cluster, const char *id, const char *restart)
{
    assert_int_equal(setenv("SLURM_CLUSTER_NAME", cluster, 1), 0);
    assert_int_equal(setenv("SLURM_JOB_ID", id, 1), 0);
    assert_int_equal(restart != NULL ? setenv("SLURM_RESTART_COUNT", restart, 1) : unsetenv("SLURM_RESTART_COUNT"), 0);
}

static void outside_slurm(void)
{
    (void)unsetenv("SLURM_CLUSTER_NAME");
    (void)unsetenv("SLURM_JOB_ID");
    (void)unsetenv("SLURM_RESTART_COUNT");
}

/* A test that failed leaves no job behind for the next one. */
static int leave_slurm(void **state)
{
    outside_slurm();
    return fixture_teardown(state);
}

static void record_names_the_job_of_slurm(void **state)
{ /* Goal: with a job and without one, print and parse agree; what an older version wrote is still read. */
    (void)state;
    struct reeve_owner_record r, back;
    char text[REEVE_OWNER_RECORD_BYTES];
    in_slurm_job("north", "4711", NULL);
    reeve_owner_record_make(&r);
    assert_string_equal(r.job, "north/4711");
    assert_int_equal(r.restart, 0); /* Slurm does not say so before the first */
    in_slurm_job("no\"rth", "4711", "3");
    reeve_owner_record_make(&r);
    assert_int_equal(r.restart, 3);
    (void)reeve_owner_record_print(&r, text);
    assert_non_null(strstr(text, ", \"job\": \"no_rth/4711\", \"restart\": 3}\n"));
    assert_true(reeve_owner_record_parse(text, &back));
    assert_string_equal(back.job, r.job);
    assert_int_equal(back.restart, 3);
    for (size_t left = strlen(text); left-- > 0;) {
        text[left] = '\0';
        assert_false(reeve_owner_record_parse(text, &back));
    }
    const char *older = "{\"host\": \"n1\", \"pid\": 7, \"start\": 12, \"boot\": \"b/1\", \"since\": "
                        "\"2026-01-01T00:00:00Z\", \"nonce\": \"0123456789abcdef\"}\n";
    assert_true(reeve_owner_record_parse(older, &back));
    assert_string_equal(back.job, "");
}

static void earlier_life_of_the_same_job_is_over(void **state)
{ /* Goal: a job that Slurm queued again does not wait for itself. Method: records refreshed just now, from elsewhere. */
    struct fixture *f = *state;
    struct reeve_owner_record r;
    char who[256];
    in_slurm_job("north", "4711", "2");
    r = life_elsewhere("north/4711", 1);
    forge(f, &r, 0);
    assert_int_equal(reeve_owner_look(f->dir, REEVE_OWNER_MASTER, who, sizeof(who)), REEVE_OWNER_NOBODY);
    reeve_owner_release(acquire(f, true));

    const struct reeve_owner_record alive[] = {
        life_elsewhere("north/4711", 2), /* another process of this life */
        life_elsewhere("north/4711", 3), /* we are the one that is over */
        life_elsewhere("north/4712", 0), life_elsewhere("south/4711", 1),
        life_elsewhere("", 0), /* in no job, or of an older version */
    };
    for (size_t i = 0; i < sizeof(alive) / sizeof(alive[0]); i++) {
        forge(f, &alive[i], 0);
        check_in_use(f, "on node17");
        assert_int_equal(reeve_owner_look(f->dir, REEVE_OWNER_MASTER, who, sizeof(who)), REEVE_OWNER_ELSEWHERE);
        assert_non_null(strstr(who, "on node17"));
    }
    r = life_elsewhere("north/4711", 1);
    outside_slurm();
    forge(f, &r, 0);
    check_in_use(f, "on node17"); /* for everybody else its silence decides */
    char path[512];
    lock_path(f, path);
    assert_int_equal(unlink(path), 0);
    reeve_owner *o = acquire(f, false);
    assert_int_equal(reeve_owner_look(f->dir, REEVE_OWNER_MASTER, who, sizeof(who)), REEVE_OWNER_HERE);
    reeve_owner_release(o);
}

static void owner_learns_that_it_was_replaced(void **state)
{ /* Goal: it stops, and leaves the new owner's LOCK alone. Method: another record, then none. */
    struct fixture *f = *state;
    struct reeve_error err;
    char path[512];
    reeve_owner *o = acquire(f, false);
    struct reeve_owner_record r = somebody_elsewhere();
    forge(f, &r, 30);
    FAILS(reeve_owner_refresh(o, &err), REEVE_STORE_IN_USE);
    assert_non_null(strstr(err.text, "on node17"));
    reeve_owner_release(o);
    lock_path(f, path);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_true(time(NULL) - st.st_mtime >= 29); /* and nobody made the new owner look alive */
    assert_int_equal(unlink(path), 0);
    o = acquire(f, false);
    assert_int_equal(unlink(path), 0);
    FAILS(reeve_owner_refresh(o, &err), REEVE_STORE_IN_USE);
    assert_non_null(strstr(err.text, "is gone"));
    reeve_owner_release(o);
}

static void refresh_shows_that_the_owner_lives(void **state)
{
    struct fixture *f = *state;
    struct reeve_error err;
    char path[512];
    struct stat st;
    reeve_owner *o = acquire(f, false);
    lock_path(f, path);
    struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    OK(reeve_owner_refresh(o, &err));
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_mtime > 1000000);
    reeve_owner_release(o);
}

/* --- many at once
 * ----------------------------------------------------------------------------------------------------- */

#define RIVALS 8

/* Children that try at the same moment; how many got it. Winners hold it until all have tried. */
static int race(struct fixture *f)
{
    int start[2], result[2], hold[2], winners = 0;
    pid_t pids[RIVALS];
    assert_int_equal(pipe(start), 0);
    assert_int_equal(pipe(result), 0);
    assert_int_equal(pipe(hold), 0);
    for (int i = 0; i < RIVALS; i++) {
        pids[i] = fork_child();
        if (pids[i] != 0) continue;
        struct reeve_error err;
        reeve_owner *o = NULL;
        bool over;
        char byte;
        (void)close(start[1]);
        (void)close(hold[1]);
        (void)!read(start[0], &byte, 1);
        reeve_status st = reeve_owner_acquire(f->dir, &o, &over, &err);
        CHILD_CHECK(st == REEVE_OK || st == REEVE_STORE_IN_USE);
        CHILD_CHECK(write(result[1], st == REEVE_OK ? "1" : "0", 1) == 1);
        (void)!read(hold[0], &byte, 1);
        if (st == REEVE_OK) CHILD_CHECK(reeve_owner_refresh(o, &err) == REEVE_OK);
        _exit(0); /* without releasing: the next round finds a dead owner */
    }
    (void)close(start[1]); /* off they go */
    (void)close(result[1]);
    for (int i = 0; i < RIVALS; i++) {
        char byte = '?';
        assert_int_equal(read(result[0], &byte, 1), 1);
        winners += byte == '1';
    }
    (void)close(hold[1]);
    for (int i = 0; i < RIVALS; i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    (void)close(start[0]);
    (void)close(result[0]);
    (void)close(hold[0]);
    return winners;
}

static void of_many_who_want_a_run_one_gets_it(void **state)
{ /* Method: first a free run, then forty times that of a dead owner, by eight processes at once. */
    struct fixture *f = *state;
    for (int round = 0; round < 40; round++) {
        int winners = race(f);
        if (winners != 1) fail_msg("round %d: %d owners", round, winners);
        assert_int_equal(files_in(f), 1);
    }
}

/* A process that tries to take over, and is killed at some moment of it. */
static void taker_killed_somewhere(struct fixture *f)
{
    pid_t pid = fork_child();
    if (pid == 0) {
        struct reeve_error err;
        reeve_owner *o;
        bool over;
        for (;;)
            if (reeve_owner_acquire(f->dir, &o, &over, &err) == REEVE_OK) reeve_owner_release(o);
    }
    struct timespec wait = {0, (long)draw(f, 3000000)};
    (void)nanosleep(&wait, NULL);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void owner_killed_at_any_moment_never_blocks_the_next(void **state)
{ /* Goal: no leftover of a killed process makes the run unusable. Method: kill in the middle of taking and releasing.
   */
    struct fixture *f = *state;
    for (int round = 0; round < 150; round++) {
        struct reeve_error err;
        reeve_owner *o;
        bool over;
        taker_killed_somewhere(f);
        OK(reeve_owner_acquire(f->dir, &o, &over, &err));
        reeve_owner_release(o);
        if (draw(f, 2) == 0) { /* the next one to be killed is killed while it takes over */
            struct reeve_owner_record r = somebody_elsewhere();
            forge(f, &r, REEVE_OWNER_SILENT_S + 10);
        }
    }
}

/* Until the kernel has taken the child's memory: it is not a zombie yet while that is given back. */
static void wait_until_it_ends(pid_t pid)
{
    char path[64], byte;
    (void)snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
    for (ssize_t n = 1; n > 0;) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        n = fd < 0 ? 0 : read(fd, &byte, 1);
        if (fd >= 0) (void)close(fd);
    }
}

static void owner_that_is_just_ending_is_waited_for(void **state)
{ /* Goal: who starts a run again at once is not told that the killed one still has it. Method: an owner with much memory,
   * which the kernel needs a moment to give back. */
    struct fixture *f = *state;
    enum { BYTES = 256 << 20 };
    for (int round = 0; round < 3; round++) {
        int ready[2];
        char byte;
        assert_int_equal(pipe(ready), 0);
        pid_t pid = fork_child();
        if (pid == 0) {
            struct reeve_error err;
            reeve_owner *o = NULL;
            bool over;
            void *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            CHILD_CHECK(memory != MAP_FAILED);
            (void)madvise(memory, BYTES, MADV_NOHUGEPAGE);
            memset(memory, 1, BYTES);
            CHILD_CHECK(reeve_owner_acquire(f->dir, &o, &over, &err) == REEVE_OK);
            CHILD_CHECK(write(ready[1], "r", 1) == 1);
            for (;;)
                (void)pause();
        }
        assert_int_equal(read(ready[0], &byte, 1), 1);
        assert_int_equal(kill(pid, SIGKILL), 0);
        wait_until_it_ends(pid);
        reeve_owner_release(acquire(f, true));
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        (void)close(ready[0]);
        (void)close(ready[1]);
    }
}

/* --- folders that cannot be owned
 * ------------------------------------------------------------------------------------- */

static void run_folder_that_is_missing_or_read_only_is_named(void **state)
{
    struct fixture *f = *state;
    struct reeve_error err;
    struct fixture missing = *f;
    reeve_owner *o = NULL;
    bool over;
    (void)snprintf(missing.dir, sizeof(missing.dir), "%.200s/nowhere", f->dir);
    FAILS(reeve_owner_acquire(missing.dir, &o, &over, &err), REEVE_STORE_CREATE);
    assert_non_null(strstr(err.text, missing.dir));
    pid_t pid = fork_child();
    if (pid == 0) { /* as nobody, where we are root */
        CHILD_CHECK(chmod(f->dir, 0555) == 0);
        if (geteuid() == 0) CHILD_CHECK(setgid(65534) == 0 && setuid(65534) == 0);
        CHILD_CHECK(reeve_owner_acquire(f->dir, &o, &over, &err) == REEVE_INPUT_PERMISSION);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(chmod(f->dir, 0755), 0);
}

/* A job's MPI has given up its own process that holds the run: it counts as dead although it lives. */
static void owner_gives_way_to_a_member_of_its_own_job(void **state)
{
    struct fixture *f = *state;
    struct reeve_error err;
    struct reeve_owner_process lost;
    reeve_owner *o = NULL;
    bool over = false;
    pid_t pid = owner_child(f);
    reeve_owner_process_self(&lost);
    FAILS(reeve_owner_succeed(f->dir, &lost, 1, NULL, &o, &over, &err),
          REEVE_STORE_IN_USE); /* another process of this boot */
    char path[512], text[REEVE_OWNER_RECORD_BYTES] = "";
    lock_path(f, path);
    size_t n = 0;
    uint8_t *record = file_load(path, &n);
    assert_true(n < sizeof(text));
    memcpy(text, record, n);
    free(record);
    struct reeve_owner_record r;
    assert_true(reeve_owner_record_parse(text, &r));
    lost.pid = r.pid;
    lost.start = r.start;
    OK(reeve_owner_succeed(f->dir, &lost, 1, NULL, &o, &over, &err));
    assert_true(over);
    check_in_use(f, "is in use by"); /* and from then on it is held like any other */
    reeve_owner_release(o);
    assert_true(reeve_owner_process_end(&lost));
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_false(reeve_owner_process_end(&lost)); /* gone: there is nothing to end */
}

/* A process that waits in a pipe until it is told to end: ready when this returns. */
static pid_t start_waiter(int *end, struct reeve_owner_process *out)
{
    int ready[2], go[2];
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(go), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct reeve_owner_process self;
        char c;
        (void)close(go[1]);
        reeve_owner_process_self(&self);
        (void)!write(ready[1], &self, sizeof(self));
        (void)!read(go[0], &c, 1);
        _exit(0);
    }
    assert_true(pid > 0);
    assert_int_equal(read(ready[0], out, sizeof(*out)), sizeof(*out));
    (void)close(ready[0]);
    (void)close(ready[1]);
    (void)close(go[0]);
    *end = go[1];
    return pid;
}

static enum reeve_owner_look look_until(const struct reeve_owner_process *p, enum reeve_owner_look expected)
{
    enum reeve_owner_look look = reeve_owner_process_look(p);
    for (int i = 0; i < 2000 && look != expected; i++) {
        (void)usleep(5000);
        look = reeve_owner_process_look(p);
    }
    return look;
}

static void process_is_seen_as_it_is(void **state)
{ /* Goal: running, stopped, held by a debugger, gone, or not to be seen from here. Method: a child, to which each of that
     is done; ptrace is the debugger. */
    (void)state;
    int end = -1, status = 0;
    struct reeve_owner_process p;
    pid_t pid = start_waiter(&end, &p);
    assert_int_equal(look_until(&p, REEVE_OWNER_PROCESS_RUNS), REEVE_OWNER_PROCESS_RUNS);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_int_equal(look_until(&p, REEVE_OWNER_PROCESS_STOPPED), REEVE_OWNER_PROCESS_STOPPED);
    assert_int_equal(kill(pid, SIGCONT), 0);
    assert_int_equal(look_until(&p, REEVE_OWNER_PROCESS_RUNS), REEVE_OWNER_PROCESS_RUNS);
    if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0) { /* a sandbox may forbid it */
        assert_int_equal(reeve_owner_process_look(&p), REEVE_OWNER_PROCESS_TRACED);
        assert_int_equal(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(ptrace(PTRACE_DETACH, pid, NULL, NULL), 0);
        assert_int_equal(look_until(&p, REEVE_OWNER_PROCESS_RUNS), REEVE_OWNER_PROCESS_RUNS);
    }
    struct reeve_owner_process elsewhere = p, later = p;
    (void)strcpy(elsewhere.boot, "0f8d7a52-1111-4222-8333-944445555666/4026531836");
    later.start++;
    assert_int_equal(reeve_owner_process_look(&elsewhere), REEVE_OWNER_PROCESS_UNSEEN);
    assert_false(reeve_owner_process_end(&elsewhere));
    assert_int_equal(reeve_owner_process_look(&later), REEVE_OWNER_PROCESS_GONE);
    assert_false(reeve_owner_process_end(&later)); /* the number is another process's now */
    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_true(reeve_owner_process_end(&p)); /* also who is stopped */
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(reeve_owner_process_look(&p), REEVE_OWNER_PROCESS_GONE);
    (void)close(end);
}

static void process_is_ended_by_a_handle_not_by_its_number(void **state)
{ /* Goal: nobody is hit who was given the number of a process that ended just now. Method: nothing is sent to a number. */
    (void)state;
    int end = -1, status = 0;
    struct reeve_owner_process p;
    pid_t pid = start_waiter(&end, &p);
    int handle = (int)syscall(SYS_pidfd_open, pid, 0);
    if (handle < 0) skip(); /* an old kernel */
    (void)close(handle);
    int before = ended_by_number;
    assert_true(reeve_owner_process_end(&p));
    assert_int_equal(ended_by_number, before);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(dup(STDIN_FILENO), handle); /* no handle is left open */
    (void)close(handle);
    (void)close(end);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(record_printed_is_record_parsed),
        TEST(record_tells_the_living_from_the_dead),
        TEST(run_has_one_owner_at_a_time),
        TEST(run_of_a_killed_owner_is_taken_over_at_once),
        TEST(run_of_a_stopped_owner_is_not_taken_over),
        TEST(owner_gives_way_to_a_member_of_its_own_job),
        TEST(owner_on_another_machine_is_judged_by_its_silence),
        TEST(process_is_seen_as_it_is),
        TEST(process_is_ended_by_a_handle_not_by_its_number),
        cmocka_unit_test_setup_teardown(record_names_the_job_of_slurm, fixture_setup, leave_slurm),
        cmocka_unit_test_setup_teardown(earlier_life_of_the_same_job_is_over, fixture_setup, leave_slurm),
        TEST(owner_learns_that_it_was_replaced),
        TEST(refresh_shows_that_the_owner_lives),
        TEST(of_many_who_want_a_run_one_gets_it),
        TEST(owner_killed_at_any_moment_never_blocks_the_next),
        TEST(owner_that_is_just_ending_is_waited_for),
        TEST(run_folder_that_is_missing_or_read_only_is_named),
    };
    return cmocka_run_group_tests_name("owner", tests, NULL, NULL);
}
