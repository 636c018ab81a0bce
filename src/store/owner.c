/* Who owns a run; see owner.h. LOCK appears whole (a hard link to a finished file) and is replaced whole (rename).
 *
 * Taking over from a dead owner D is what two processes may want at once. Who wants to must first hold the file
 * LOCK.after-<digest of D's record>, taken by the very same rules; look again whether LOCK still is D's; and then
 * rename that file to LOCK, which replaces D and gives up the claim in one step. Ownership is what LOCK says when it is
 * read back, and nothing else.
 *
 * The time of a file is told by the clock of whoever wrote it (Lustre) or of a server (NFS), and by nobody's that one can
 * rely on. So an old one makes an owner suspect and no more; what shows that it is dead is that it does not touch its file
 * while it is watched, by one's own monotonic clock. */
#include "store/owner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/log.h"
#include "base/path.h"
#include "store/owner_record.h"

#define LOCK_NAME "LOCK"
#define SUPERVISOR_NAME "LOCK.supervisor"
#define TEMPORARY_PREFIX "LOCK.new-"
#define TEMPORARY_OLD_S 600
#define CLAIM_DEPTH_MAX 4 /* takers that died while they were taking over, one after the other */
#define ROUNDS_MAX 16     /* of looking again because LOCK changed while we looked */
#define ROOM_FOR_NAMES 64
#define LOOK_NS REEVE_SECOND_NS
#define WATCH_NS (REEVE_OWNER_WATCH_S * REEVE_SECOND_NS)

struct reeve_owner {
    char run_dir[REEVE_PATH_BYTES_MAX];
    char lock[REEVE_PATH_BYTES_MAX];
    char temporary[REEVE_PATH_BYTES_MAX];   /* our record as a file of its own, while we acquire or release */
    char text[REEVE_OWNER_RECORD_BYTES];    /* our record */
    time_t now_s;                           /* of the file system's clock, when the temporary was written */
    const struct reeve_owner_process *lost; /* (lost_count,) borrowed while we acquire: dead, whatever it looks like */
    uint32_t lost_count;
    const struct reeve_owner_watch *watch; /* borrowed while we acquire: of the lock; may be NULL */
};

/* What a lock file says, and when it was last refreshed. */
struct holder {
    char text[REEVE_OWNER_RECORD_BYTES]; /* "": empty, or longer than any record */
    struct timespec refreshed;           /* by somebody's clock */
};

enum state {
    STATE_HERE,   /* it lives on this machine */
    STATE_FRESH,  /* elsewhere, and its file says that it lives */
    STATE_SILENT, /* elsewhere, and its file is old, or of a time to come */
    STATE_DEAD,   /* for certain */
};

/* --- reading and judging ---------------------------------------------------------------------------------------- */

/* fd stays the caller's. */
static bool holder_read_fd(int fd, struct holder *out)
{
    struct stat info;
    ssize_t n;
    do
        n = pread(fd, out->text, sizeof(out->text), 0);
    while (n < 0 && errno == EINTR);
    if (n < 0 || fstat(fd, &info) != 0) return false;
    if ((size_t)n == sizeof(out->text)) n = 0; /* no record of ours */
    out->text[n] = '\0';
    out->refreshed = info.st_mtim;
    return true;
}

/* false: errno says why. Opening it anew makes a network file system ask its server. */
static bool holder_read(const char *path, struct holder *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return false;
    bool good = holder_read_fd(fd, out);
    int kept = errno;
    (void)close(fd);
    errno = kept;
    return good;
}

static bool is_lost(const reeve_owner *o, const struct reeve_owner_record *r)
{
    for (uint32_t i = 0; o != NULL && i < o->lost_count; i++)
        if (o->lost[i].pid == r->pid && o->lost[i].start == r->start && strcmp(o->lost[i].boot, r->boot) == 0)
            return true;
    return false;
}

/* o: who asks; NULL: anybody. */
static enum state holder_judge(const reeve_owner *o, const struct holder *h, time_t now_s)
{
    struct reeve_owner_record r;
    if (reeve_owner_record_parse(h->text, &r)) {
        if (is_lost(o, &r)) return STATE_DEAD;
        enum reeve_owner_life life = reeve_owner_record_life(&r);
        if (life != REEVE_OWNER_UNKNOWN) return life == REEVE_OWNER_LIVES ? STATE_HERE : STATE_DEAD;
    }
    time_t age_s = now_s - h->refreshed.tv_sec;
    return age_s >= -REEVE_OWNER_SILENT_S && age_s <= REEVE_OWNER_SILENT_S ? STATE_FRESH : STATE_SILENT;
}

static bool is_same(const struct holder *a, const struct holder *b)
{
    return strcmp(a->text, b->text) == 0 && a->refreshed.tv_sec == b->refreshed.tv_sec &&
           a->refreshed.tv_nsec == b->refreshed.tv_nsec;
}

static void holder_describe(const struct holder *h, time_t now_s, char *text, size_t text_bytes)
{
    struct reeve_owner_record r;
    long long silent_s = (long long)(now_s - h->refreshed.tv_sec);
    if (silent_s < 0) silent_s = 0;
    if (reeve_owner_record_parse(h->text, &r))
        (void)snprintf(text, text_bytes, "process %ld on %s since %s, last heard of %lld s ago", r.pid, r.host, r.since,
                       silent_s);
    else (void)snprintf(text, text_bytes, "somebody whose record cannot be read, last heard of %lld s ago", silent_s);
}

static reeve_status in_use(const reeve_owner *o, const struct holder *h, struct reeve_error *err)
{
    char who[512];
    holder_describe(h, o->now_s, who, sizeof(who));
    return reeve_fail(
        err, REEVE_STORE_IN_USE,
        "run folder %s is in use by %s; wait for it or stop it, or choose another run folder with --run-dir "
        "(a process on another machine counts as gone after %d s of silence, and %d s in which it is watched)",
        o->run_dir, who, REEVE_OWNER_SILENT_S, REEVE_OWNER_WATCH_S);
}

static reeve_status cannot(const char *doing, const char *path, struct reeve_error *err)
{
    return reeve_fail(err, reeve_status_from_errno_write(errno), "own the run: %s %s: %m", doing, path);
}

_Static_assert(sizeof(((struct reeve_owner_watch *)0)->text) == REEVE_OWNER_RECORD_BYTES, "a watch holds any record");

static void watch_note(struct reeve_owner_watch *w, const struct holder *h)
{
    reeve_time_ns now_ns = reeve_clock_now(), passed_ns = now_ns - w->looked_ns;
    struct holder before = {.refreshed = w->refreshed};
    memcpy(before.text, w->text, sizeof(before.text));
    if (w->looked_ns == 0 || !is_same(&before, h)) w->unchanged_ns = 0;
    else w->unchanged_ns += passed_ns < 2 * LOOK_NS ? passed_ns : 2 * LOOK_NS;
    memcpy(w->text, h->text, sizeof(w->text));
    w->refreshed = h->refreshed;
    w->looked_ns = now_ns;
}

/* Look at the file of a silent holder until it has not changed for WATCH_NS. *h: what was seen last; true: it was the same
 * all that time. If we stood still meanwhile, the holder may have done so with us. */
static bool stays_silent(const reeve_owner *o, const char *path, struct holder *h)
{
    struct reeve_owner_watch w = {.looked_ns = 0};
    if (o->watch != NULL && strcmp(path, o->lock) == 0) w = *o->watch;
    watch_note(&w, h);
    if (w.unchanged_ns >= WATCH_NS) return true;
    char who[512];
    holder_describe(h, o->now_s, who, sizeof(who));
    reeve_log(
        REEVE_LOG_WARN,
        "run folder %s was in use by %s; its process cannot be seen from here, and its clock may be another: it is "
        "watched for %lld s before its run is taken over",
        o->run_dir, who, (long long)((WATCH_NS - w.unchanged_ns + REEVE_SECOND_NS - 1) / REEVE_SECOND_NS));
    while (w.unchanged_ns < WATCH_NS) {
        const struct holder before = *h;
        reeve_clock_sleep(LOOK_NS);
        if (!holder_read(path, h) || !is_same(h, &before)) return false;
        watch_note(&w, h);
    }
    return true;
}

/* --- creating --------------------------------------------------------------------------------------------------- */

/* A new file with our record. false: errno. */
static bool record_write_new(const reeve_owner *o, const char *path, time_t *written_s)
{
    struct stat info;
    size_t n = strlen(o->text);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) return false;
    bool good = reeve_pwrite_all(fd, o->text, n, 0, path, NULL) == REEVE_OK && fsync(fd) == 0 && fstat(fd, &info) == 0;
    int kept = errno;
    if (close(fd) != 0 && good) {
        good = false;
        kept = errno;
    }
    if (good && written_s != NULL) *written_s = info.st_mtime;
    if (!good) (void)unlink(path);
    errno = kept;
    return good;
}

/* Make path ours if nobody has it: whole at once where the file system has hard links. false: errno. */
static bool record_place(const reeve_owner *o, const char *path)
{
    if (link(o->temporary, path) == 0) return true;
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS && errno != EMLINK) return false;
    return record_write_new(o, path, NULL);
}

static bool is_ours(const reeve_owner *o, const struct holder *h)
{
    return strcmp(h->text, o->text) == 0;
}

/* The file that whoever replaces this holder must hold. Of another name at each depth: a claim may hold the very record
 * that it claims (release), or none. */
static reeve_status claim_path(const reeve_owner *o, const struct holder *dead, int depth,
                               char out[REEVE_PATH_BYTES_MAX], struct reeve_error *err)
{
    char name[ROOM_FOR_NAMES];
    uint64_t digest = reeve_digest64(dead->text, strlen(dead->text), (uint64_t)depth);
    (void)snprintf(name, sizeof(name), LOCK_NAME ".after-%016" PRIx64, digest);
    return reeve_path_join(out, REEVE_PATH_BYTES_MAX, o->run_dir, name, err);
}

static reeve_status take(const reeve_owner *o, const char *path, int depth, bool *took_over, struct reeve_error *err);

/* Replace the dead holder of path, as it was seen. *again: look anew, path has changed. */
static reeve_status replace_dead(const reeve_owner *o, const char *path, const struct holder *dead, int depth,
                                 bool *again, struct reeve_error *err)
{
    char claim[REEVE_PATH_BYTES_MAX];
    struct holder now;
    bool ignored;
    reeve_status st = claim_path(o, dead, depth, claim, err);
    if (st == REEVE_OK) st = take(o, claim, depth + 1, &ignored, err);
    if (st != REEVE_OK) return st;
    bool still = holder_read(path, &now) && strcmp(now.text, dead->text) == 0 &&
                 (is_same(&now, dead) || holder_judge(o, &now, o->now_s) == STATE_DEAD);
    if (!still) (void)unlink(claim);
    else if (rename(claim, path) != 0 && errno != ENOENT) {
        st = cannot("rename to", path, err);
        (void)unlink(claim);
        return st;
    }
    *again = !holder_read(path, &now) || !is_ours(o, &now);
    return REEVE_OK;
}

/* Own path: by making it, or by replacing a holder that is dead. */
static reeve_status take(const reeve_owner *o, const char *path, int depth, bool *took_over, struct reeve_error *err)
{
    struct holder h = {.refreshed = {.tv_sec = o->now_s}};
    *took_over = false;
    for (int round = 0; round < ROUNDS_MAX; round++) {
        if (record_place(o, path)) return REEVE_OK;
        if (errno != EEXIST) return cannot("create", path, err);
        if (!holder_read(path, &h)) {
            if (errno == ENOENT) continue; /* released just now */
            return cannot("read", path, err);
        }
        if (is_ours(o, &h)) return REEVE_OK; /* a network file system may do it and say that it did not */
        enum state state = holder_judge(o, &h, o->now_s);
        if (depth == CLAIM_DEPTH_MAX || state == STATE_HERE || state == STATE_FRESH) return in_use(o, &h, err);
        struct holder seen = h;
        if (state == STATE_SILENT && !stays_silent(o, path, &h)) {
            if (strcmp(h.text, seen.text) == 0 && !is_same(&h, &seen)) return in_use(o, &h, err); /* it lives */
            continue;
        }
        bool again = false;
        reeve_status st = replace_dead(o, path, &h, depth, &again, err);
        if (st != REEVE_OK) return st;
        if (!again) {
            *took_over = true;
            return REEVE_OK;
        }
    }
    return in_use(o, &h, err);
}

/* --- the interface ---------------------------------------------------------------------------------------------- */

/* What killed processes left: their records under names that nobody will use again. */
static void sweep(const reeve_owner *o)
{
    struct stat info;
    struct dirent *entry;
    DIR *dir = opendir(o->run_dir);
    if (dir == NULL) return;
    while ((entry = readdir(dir)) != NULL)
        if (strncmp(entry->d_name, TEMPORARY_PREFIX, strlen(TEMPORARY_PREFIX)) == 0 &&
            fstatat(dirfd(dir), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
            o->now_s - info.st_mtime > TEMPORARY_OLD_S)
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    (void)closedir(dir);
}

static const char *name_of(enum reeve_owner_role role)
{
    return role == REEVE_OWNER_SUPERVISOR ? SUPERVISOR_NAME : LOCK_NAME;
}

static reeve_status owner_init(reeve_owner *o, const char *run_dir, enum reeve_owner_role role, struct reeve_error *err)
{
    struct reeve_owner_record r;
    if (strlen(run_dir) + ROOM_FOR_NAMES >= REEVE_PATH_BYTES_MAX)
        return reeve_fail(err, REEVE_INPUT_INVALID, "run folder %.100s...: path too long", run_dir);
    reeve_owner_record_make(&r);
    (void)reeve_owner_record_print(&r, o->text);
    (void)snprintf(o->run_dir, sizeof(o->run_dir), "%s", run_dir);
    reeve_status st = reeve_path_join(o->lock, sizeof(o->lock), run_dir, name_of(role), err);
    char name[ROOM_FOR_NAMES];
    (void)snprintf(name, sizeof(name), TEMPORARY_PREFIX "%s", r.nonce);
    if (st == REEVE_OK) st = reeve_path_join(o->temporary, sizeof(o->temporary), run_dir, name, err);
    return st;
}

reeve_status reeve_owner_acquire(const char *run_dir, reeve_owner **out, bool *took_over, struct reeve_error *err)
{
    return reeve_owner_acquire_as(run_dir, REEVE_OWNER_MASTER, out, took_over, err);
}

static reeve_status acquire(const char *run_dir, enum reeve_owner_role role, const struct reeve_owner_process *lost,
                            uint32_t lost_count, const struct reeve_owner_watch *watch, reeve_owner **out,
                            bool *took_over, struct reeve_error *err)
{
    reeve_owner *o = calloc(1, sizeof(*o));
    if (o == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "own %s: out of memory", run_dir);
    o->lost = lost;
    o->lost_count = lost_count;
    o->watch = watch;
    bool over = false;
    reeve_status st = owner_init(o, run_dir, role, err);
    if (st == REEVE_OK && !record_write_new(o, o->temporary, &o->now_s)) st = cannot("create", o->temporary, err);
    if (st == REEVE_OK) {
        st = take(o, o->lock, 0, &over, err);
        (void)unlink(o->temporary);
    }
    if (st != REEVE_OK) {
        free(o);
        return st;
    }
    sweep(o);
    o->lost = NULL;
    o->lost_count = 0;
    o->watch = NULL;
    *took_over = over;
    *out = o;
    return REEVE_OK;
}

reeve_status reeve_owner_acquire_as(const char *run_dir, enum reeve_owner_role role, reeve_owner **out, bool *took_over,
                                    struct reeve_error *err)
{
    return acquire(run_dir, role, NULL, 0, NULL, out, took_over, err);
}

reeve_status reeve_owner_succeed(const char *run_dir, const struct reeve_owner_process *lost, uint32_t lost_count,
                                 const struct reeve_owner_watch *watch, reeve_owner **out, bool *took_over,
                                 struct reeve_error *err)
{
    return acquire(run_dir, REEVE_OWNER_MASTER, lost, lost_count, watch, out, took_over, err);
}

reeve_status reeve_owner_refresh(reeve_owner *o, struct reeve_error *err)
{
    struct holder h;
    int fd = open(o->lock, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno != ENOENT) return cannot("open", o->lock, err);
    if (fd < 0)
        return reeve_fail(err, REEVE_STORE_IN_USE, "%s is gone: somebody removed it, and anybody may own the run now",
                          o->lock);
    reeve_status st = REEVE_OK;
    if (!holder_read_fd(fd, &h)) st = cannot("read", o->lock, err);
    else if (!is_ours(o, &h)) {
        char who[512];
        holder_describe(&h, h.refreshed.tv_sec, who, sizeof(who));
        st = reeve_fail(err, REEVE_STORE_IN_USE, "%s: the run was taken over by %s", o->lock, who);
    } else if (futimens(fd, NULL) != 0) st = cannot("refresh", o->lock, err);
    (void)close(fd);
    return st;
}

/* LOCK may be removed only while nobody can be taking it over: under the claim that a taker would need. */
void reeve_owner_release(reeve_owner *o)
{
    struct holder h;
    char claim[REEVE_PATH_BYTES_MAX];
    if (o == NULL) return;
    if (holder_read(o->lock, &h) && is_ours(o, &h) && claim_path(o, &h, 0, claim, NULL) == REEVE_OK &&
        record_write_new(o, o->temporary, NULL)) {
        if (record_place(o, claim)) {
            if (holder_read(o->lock, &h) && is_ours(o, &h)) (void)unlink(o->lock);
            (void)unlink(claim);
        }
        (void)unlink(o->temporary);
    }
    free(o);
}

enum reeve_owner_seen reeve_owner_look(const char *run_dir, enum reeve_owner_role role, char *text, size_t text_bytes)
{
    struct reeve_owner_watch unused = {.looked_ns = 0};
    return reeve_owner_look_again(run_dir, role, &unused, text, text_bytes);
}

enum reeve_owner_seen reeve_owner_look_again(const char *run_dir, enum reeve_owner_role role,
                                             struct reeve_owner_watch *watch, char *text, size_t text_bytes)
{
    char lock[REEVE_PATH_BYTES_MAX];
    struct holder h;
    if (text_bytes > 0) text[0] = '\0';
    if (reeve_path_join(lock, sizeof(lock), run_dir, name_of(role), NULL) != REEVE_OK || !holder_read(lock, &h))
        return REEVE_OWNER_NOBODY;
    watch_note(watch, &h);
    time_t now_s = time(NULL);
    enum state state = holder_judge(NULL, &h, now_s);
    if (state == STATE_SILENT || state == STATE_DEAD) return REEVE_OWNER_NOBODY;
    holder_describe(&h, now_s, text, text_bytes);
    return state == STATE_HERE ? REEVE_OWNER_HERE : REEVE_OWNER_ELSEWHERE;
}

bool reeve_owner_peek(const char *run_dir, char *text, size_t text_bytes)
{
    return reeve_owner_peek_as(run_dir, REEVE_OWNER_MASTER, text, text_bytes);
}

bool reeve_owner_peek_as(const char *run_dir, enum reeve_owner_role role, char *text, size_t text_bytes)
{
    return reeve_owner_look(run_dir, role, text, text_bytes) != REEVE_OWNER_NOBODY;
}

int64_t reeve_owner_master_pid(const char *run_dir)
{
    char lock[REEVE_PATH_BYTES_MAX];
    struct holder h;
    struct reeve_owner_record r;
    if (reeve_path_join(lock, sizeof(lock), run_dir, LOCK_NAME, NULL) != REEVE_OK || !holder_read(lock, &h) ||
        !reeve_owner_record_parse(h.text, &r) || reeve_owner_record_life(&r) != REEVE_OWNER_LIVES)
        return 0;
    return r.pid;
}
