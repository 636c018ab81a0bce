/* Goal: whatever a dead owner of a run left behind, the next one gets the run: at once after a kill on the same machine,
 * after the documented silence where nobody can know. Method: owners that release, that die, and that replace a dead
 * one; in each crash state the run is taken, kept, and given back. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "crash.h"
#include "store/owner.h"

static reeve_status own(const char *root, reeve_owner **o, struct reeve_error *err)
{
    bool over;
    TRY(reeve_owner_acquire(root, o, &over, err));
    TRY(reeve_owner_refresh(*o, err));
    trace_mark(MARK_OWNED, 0, 0);
    return REEVE_OK;
}

static reeve_status own_and_release(const char *root, struct reeve_error *err)
{
    reeve_owner *o;
    TRY(own(root, &o, err));
    reeve_owner_release(o);
    trace_mark(MARK_RELEASED, 0, 0);
    return REEVE_OK;
}

static reeve_status own_and_keep(const char *root, struct reeve_error *err)
{
    reeve_owner *o;
    return own(root, &o, err);
}

/* Each owner is a process of its own, and gone when this returns. Its error does not come back: its status does. */
static reeve_status in_process(const char *root, reeve_status (*what)(const char *, struct reeve_error *),
                               struct reeve_error *err)
{
    int how;
    pid_t pid = fork();
    if (pid == 0) {
        reeve_status st = what(root, err);
        _exit((int)st);
    }
    if (waitpid(pid, &how, 0) != pid || !WIFEXITED(how))
        return reeve_fail(err, REEVE_JOB_INTERNAL, "%s: the process that was to own it died", root);
    reeve_status st = (reeve_status)WEXITSTATUS(how);
    return st == REEVE_OK ? st : reeve_fail(err, st, "%s: %s", root, reeve_status_text(st));
}

static reeve_status act(const char *root, struct reeve_error *err)
{
    TRY(in_process(root, own_and_release, err));
    TRY(in_process(root, own_and_keep, err));
    TRY(in_process(root, own_and_keep, err));
    TRY(in_process(root, own_and_release, err));
    return in_process(root, own_and_keep, err);
}

/* As if more than REEVE_OWNER_SILENT_S had passed. */
static void let_time_pass(const char *folder)
{
    const struct timespec old[2] = {{.tv_sec = time(NULL) - 2 * REEVE_OWNER_SILENT_S},
                                    {.tv_sec = time(NULL) - 2 * REEVE_OWNER_SILENT_S}};
    DIR *dir = opendir(folder);
    for (const struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;)
        (void)utimensat(dirfd(dir), e->d_name, old, AT_SYMLINK_NOFOLLOW);
    if (dir != NULL) (void)closedir(dir);
}

/* After the silence that the owner before is given where a fault has left half a record of it. */
static reeve_status again(const char *root, struct reeve_error *err)
{
    let_time_pass(root);
    TRY(in_process(root, own_and_keep, err));
    return in_process(root, own_and_release, err);
}

static bool check_after(const char *folder, bool silence, char *why, size_t why_bytes)
{
    struct reeve_error err = {0};
    reeve_owner *o = NULL;
    bool over;
    char who[512];
    if (silence) let_time_pass(folder);
    if (reeve_owner_acquire(folder, &o, &over, &err) != REEVE_OK) return crash_found(why, why_bytes, "%s", err.text);
    bool good = reeve_owner_refresh(o, &err) == REEVE_OK && reeve_owner_peek(folder, who, sizeof(who));
    reeve_owner_release(o);
    if (!good) return crash_found(why, why_bytes, "taken, and not owned: %s", err.text);
    if (reeve_owner_peek(folder, who, sizeof(who)))
        return crash_found(why, why_bytes, "given back, and owned: %s", who);
    if (reeve_owner_acquire(folder, &o, &over, &err) != REEVE_OK)
        return crash_found(why, why_bytes, "the second time: %s", err.text);
    reeve_owner_release(o);
    return !over || crash_found(why, why_bytes, "given back, and then taken from a dead owner");
}

static bool check(const char *folder, const struct crash_promise *p, char *why, size_t why_bytes)
{
    return check_after(folder, p->power, why, why_bytes);
}

/* Without hard links a record is written in place, and may be half there: nobody can know whose it is. */
static bool check_without_links(const char *folder, const struct crash_promise *p, char *why, size_t why_bytes)
{
    (void)p;
    return check_after(folder, true, why, why_bytes);
}

int main(int argc, char **argv)
{
    static const struct crash_case cases[] = {
        {.name = "owner", .act = act, .check = check, .again = again, .share = 1, .no_sync_proof = true},
        {.name = "owner-without-links",
         .act = act,
         .check = check_without_links,
         .again = again,
         .conditions = {.no_links = true},
         .share = 1,
         .no_sync_proof = true},
    };
    return crash_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
