/* See launch_id.h. */
#include "base/launch_id.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/path.h"

#define SHARED "/dev/shm"
#define PREFIX "reeve-"
#define FOLDER_BYTES (sizeof(SHARED "/" PREFIX) + REEVE_LAUNCH_ID_BYTES)

void reeve_launch_id_make(const char *run_dir, uint64_t nonce, char id[REEVE_LAUNCH_ID_BYTES])
{
    (void)snprintf(id, REEVE_LAUNCH_ID_BYTES, "%016" PRIx64 "-%016" PRIx64, reeve_digest64(run_dir, strlen(run_dir), 0),
                   nonce);
}

static bool is_id(const char *text)
{
    return strlen(text) == REEVE_LAUNCH_ID_BYTES - 1 &&
           strspn(text, "0123456789abcdef") == REEVE_LAUNCH_RUN_CHARS - 1 && text[REEVE_LAUNCH_RUN_CHARS - 1] == '-' &&
           strspn(text + REEVE_LAUNCH_RUN_CHARS, "0123456789abcdef") == 16;
}

/* Remove all names of /dev/shm that begin as `match` does, n characters long, but not those that begin with `spare`. */
static void sweep(const char *match, size_t n, const char *spare)
{
    DIR *dir = opendir(SHARED);
    if (dir == NULL) return;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        const char *name = entry->d_name;
        if (strncmp(name, match, n) != 0 || (spare != NULL && strncmp(name, spare, strlen(spare)) == 0)) continue;
        char path[REEVE_PATH_BYTES_MAX];
        if (unlinkat(dirfd(dir), name, 0) != 0 && (errno == EISDIR || errno == EPERM) &&
            reeve_path_join(path, sizeof(path), SHARED, name, NULL) == REEVE_OK)
            (void)reeve_remove_tree(path, NULL);
    }
    (void)closedir(dir);
}

void reeve_launch_shared_sweep(const char *id)
{
    char match[sizeof(PREFIX) + REEVE_LAUNCH_ID_BYTES];
    if (!is_id(id)) return;
    int n = snprintf(match, sizeof(match), PREFIX "%s", id);
    sweep(match, (size_t)n, NULL);
}

/* This launch's folder; false: this process belongs to none. */
static bool own_folder(char path[FOLDER_BYTES])
{
    const char *id = getenv(REEVE_LAUNCH_VARIABLE);
    if (id == NULL || !is_id(id)) return false;
    (void)snprintf(path, FOLDER_BYTES, SHARED "/" PREFIX "%s", id);
    return true;
}

void reeve_launch_shared_begin(void)
{
    char path[FOLDER_BYTES];
    if (!own_folder(path)) return;
    const char *own = path + sizeof(SHARED);
    sweep(own, sizeof(PREFIX) - 1 + REEVE_LAUNCH_RUN_CHARS, own);
    if (mkdir(path, 0700) != 0 && errno != EEXIST) return;
    (void)setenv("OMPI_MCA_btl_vader_backing_directory", path, 0); /* Open MPI 4 */
    (void)setenv("OMPI_MCA_btl_sm_backing_directory", path, 0);    /* Open MPI 5 */
}

void reeve_launch_shared_end(void)
{
    char path[FOLDER_BYTES];
    if (own_folder(path)) (void)rmdir(path); /* which others still use: then it is not empty */
}

size_t reeve_launch_shared_count(const char *id)
{
    char match[sizeof(PREFIX) + REEVE_LAUNCH_ID_BYTES];
    int n = snprintf(match, sizeof(match), PREFIX "%.*s", (int)REEVE_LAUNCH_RUN_CHARS, id);
    size_t count = 0;
    DIR *dir = opendir(SHARED);
    if (dir == NULL) return 0;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += strncmp(entry->d_name, match, (size_t)n) == 0;
    (void)closedir(dir);
    return count;
}

size_t reeve_launch_shared_files(const char *id, uint64_t *bytes)
{
    char match[sizeof(PREFIX) + REEVE_LAUNCH_ID_BYTES], path[REEVE_PATH_BYTES_MAX];
    int n = snprintf(match, sizeof(match), PREFIX "%.*s", (int)REEVE_LAUNCH_RUN_CHARS, id);
    size_t count = 0;
    *bytes = 0;
    DIR *dir = opendir(SHARED);
    if (dir == NULL) return 0;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strncmp(entry->d_name, match, (size_t)n) != 0) continue;
        DIR *folder =
            reeve_path_join(path, sizeof(path), SHARED, entry->d_name, NULL) == REEVE_OK ? opendir(path) : NULL;
        struct stat file;
        for (const struct dirent *inner; folder != NULL && (inner = readdir(folder)) != NULL;) {
            if (fstatat(dirfd(folder), inner->d_name, &file, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(file.st_mode))
                continue;
            count++;
            *bytes += (uint64_t)file.st_blocks * 512;
        }
        if (folder != NULL) (void)closedir(folder);
    }
    (void)closedir(dir);
    return count;
}

/* Where Open MPI's launcher keeps sockets and tables: in a folder of temporary files, named by host, user and process. */
struct session_folders {
    char path[4][REEVE_PATH_BYTES_MAX]; /* by version of Open MPI, and by whole or short name of the host; "": none */
};

static const char *temporary_folder(void)
{
    static const char *const names[] = {"TMPDIR", "TEMP", "TMP"}; /* as Open MPI asks for them */
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (getenv(names[i]) != NULL) return getenv(names[i]);
    return "/tmp";
}

static void name_sessions(pid_t launcher, struct session_folders *s)
{
    char host[256];
    const char *base = temporary_folder();
    unsigned user = (unsigned)geteuid();
    memset(s, 0, sizeof(*s));
    if (gethostname(host, sizeof(host)) != 0) return;
    host[sizeof(host) - 1] = '\0';
    for (int i = 0; i < 4; i += 2) {
        char *v4 = s->path[i], *v5 = s->path[i + 1];
        int n = snprintf(v4, sizeof(s->path[0]), "%s/ompi.%s.%u/pid.%ld", base, host, user, (long)launcher);
        int m = snprintf(v5, sizeof(s->path[0]), "%s/prterun.%s.%ld.%u", base, host, (long)launcher, user);
        if (n < 0 || (size_t)n >= sizeof(s->path[0])) v4[0] = '\0';
        if (m < 0 || (size_t)m >= sizeof(s->path[0])) v5[0] = '\0';
        host[strcspn(host, ".")] = '\0';
    }
}

bool reeve_launch_session_find(pid_t launcher, char path[REEVE_PATH_BYTES_MAX])
{
    struct session_folders s;
    name_sessions(launcher, &s);
    for (int i = 0; i < 4; i++) {
        if (s.path[i][0] == '\0' || !reeve_path_exists(s.path[i])) continue;
        memcpy(path, s.path[i], sizeof(s.path[i]));
        return true;
    }
    return false;
}

void reeve_launch_session_sweep(pid_t launcher)
{
    struct session_folders s;
    name_sessions(launcher, &s);
    for (int i = 0; i < 4; i++)
        if (s.path[i][0] != '\0') (void)reeve_remove_tree(s.path[i], NULL);
}
