/* Which call fails how; see double.h. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "double.h"
#include "state.h"

#define PLANS_MAX 32
#define CALLS_MAX 48
#define NAME_BYTES 48

struct plan {
    char call[NAME_BYTES];
    enum fault action;
    unsigned number;
    int index; /* in REEVE_DOUBLE_FAULTS; -1: not from there */
};
struct call {
    char name[NAME_BYTES];
    unsigned count;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct plan plans[PLANS_MAX];
static struct call calls[CALLS_MAX];
static bool environment_read;

_Noreturn void double_broken(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fprintf(stderr, "NCCL double, process %d: ", (int)getpid());
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
    abort();
}

_Noreturn void fault_die(void)
{
    (void)kill(getpid(), SIGKILL);
    for (;;)
        (void)pause();
}

static enum fault action_of(const char *name)
{
    static const char *const names[] = {"", "fail", "hang", "async", "die"};
    for (enum fault f = FAULT_FAIL; f <= FAULT_DIE; f++)
        if (strcmp(name, names[f]) == 0) return f;
    double_broken("there is no fault '%s'", name);
}

static struct call *find_call(const char *name)
{
    for (int i = 0; i < CALLS_MAX; i++) {
        if (calls[i].name[0] == '\0') (void)snprintf(calls[i].name, NAME_BYTES, "%s", name);
        if (strcmp(calls[i].name, name) == 0) return &calls[i];
    }
    double_broken("more calls than this double has");
}

static void add_plan(const char *call, const char *action, unsigned number, int index)
{
    for (int i = 0; i < PLANS_MAX; i++) {
        if (plans[i].action != FAULT_NONE) continue;
        plans[i] = (struct plan){.action = action_of(action), .number = number, .index = index};
        (void)snprintf(plans[i].call, NAME_BYTES, "%s", call);
        return;
    }
    double_broken("more than %d faults planned", PLANS_MAX);
}

static unsigned launcher_rank(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"};
    for (int i = 0; i < 3; i++) {
        const char *rank = getenv(names[i]);
        if (rank != NULL) return (unsigned)strtoul(rank, NULL, 10);
    }
    return 0;
}

static void read_environment(void)
{
    char text[1024], call[NAME_BYTES], action[16], *rest = text;
    const char *set = getenv("REEVE_DOUBLE_FAULTS");
    environment_read = true;
    if (set == NULL) return;
    (void)snprintf(text, sizeof(text), "%s", set);
    int index = 0;
    for (char *word; (word = strsep(&rest, ",")) != NULL; index++) {
        unsigned rank = 0, number = 0;
        if (word[0] == '\0') continue;
        if (sscanf(word, "%u:%47[^:]:%15[^:]:%u", &rank, call, action, &number) != 4)
            double_broken("REEVE_DOUBLE_FAULTS: '%s' is not RANK:CALL:ACTION:NUMBER", word);
        if (rank == launcher_rank()) add_plan(call, action, number, index);
    }
}

/* A fault of the environment strikes once, whoever meets it first. */
static bool strikes(const struct plan *p)
{
    char path[512];
    const char *folder = getenv("REEVE_DOUBLE_DIR");
    if (p->index < 0 || folder == NULL) return true;
    (void)snprintf(path, sizeof(path), "%s/struck-%d", folder, p->index);
    int file = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (file >= 0) (void)close(file);
    return file >= 0;
}

enum fault fault_of(const char *name, bool stages)
{
    enum fault action = FAULT_NONE;
    (void)pthread_mutex_lock(&lock);
    if (!environment_read) read_environment();
    unsigned number = ++find_call(name)->count;
    for (int i = 0; i < PLANS_MAX; i++) {
        struct plan *p = &plans[i];
        if (p->action == FAULT_NONE || p->number != number || strcmp(p->call, name) != 0) continue;
        if (strikes(p)) action = p->action;
        p->action = FAULT_NONE;
    }
    (void)pthread_mutex_unlock(&lock);
    if (stages) return action;
    if (action == FAULT_DIE) fault_die();
    while (action == FAULT_HANG)
        (void)pause();
    return action;
}

void nccl_double_fault(const char *call, const char *action, unsigned number)
{
    (void)pthread_mutex_lock(&lock);
    if (!environment_read) read_environment();
    add_plan(call, action, find_call(call)->count + number, -1);
    (void)pthread_mutex_unlock(&lock);
}

unsigned nccl_double_calls(const char *call)
{
    (void)pthread_mutex_lock(&lock);
    unsigned count = find_call(call)->count;
    (void)pthread_mutex_unlock(&lock);
    return count;
}

unsigned nccl_double_forget(void)
{
    unsigned count = 0;
    (void)pthread_mutex_lock(&lock);
    for (int i = 0; i < PLANS_MAX; i++) {
        count += plans[i].action != FAULT_NONE;
        plans[i].action = FAULT_NONE;
    }
    (void)pthread_mutex_unlock(&lock);
    return count;
}
