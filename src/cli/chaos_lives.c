/* What the ranks that outlive losses hold: memory and descriptors, looked at before each strike; see chaos.h. A file
 * that is open for a moment (a checkpoint) is no growth: each look takes the least of a few. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "cli/chaos.h"
#include "cli/processes.h"
#include "store/owner.h"

#define TRIES 4
#define BETWEEN_NS (15 * REEVE_MILLISECOND_NS)

/* Memory of its own and shared memory, not pages of programs and files. False: it is gone. */
static bool look(pid_t pid, struct reeve_chaos_holds *h)
{
    char path[64], line[256];
    unsigned long long kb = 0;
    *h = (struct reeve_chaos_holds){0};
    (void)snprintf(path, sizeof(path), "/proc/%ld/status", (long)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) return false;
    while (fgets(line, sizeof(line), file) != NULL)
        if (sscanf(line, "RssAnon: %llu", &kb) == 1 || sscanf(line, "RssShmem: %llu", &kb) == 1)
            h->memory_bytes += kb * 1024;
    (void)fclose(file);
    (void)snprintf(path, sizeof(path), "/proc/%ld/fd", (long)pid);
    DIR *dir = opendir(path);
    if (dir == NULL) return false;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
        h->descriptors += entry->d_name[0] != '.';
    (void)closedir(dir);
    return h->descriptors > 0;
}

/* A worker that becomes the master holds other things from then on: that is another life. */
static struct reeve_chaos_life *find_life(struct reeve_chaos_lives *l, pid_t pid, bool master)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->list[i].pid == pid && l->list[i].master == master) return &l->list[i];
    if (l->count == l->room) {
        size_t room = l->room == 0 ? 64 : 2 * l->room;
        void *grown = reallocarray(l->list, room, sizeof(*l->list));
        if (grown == NULL) return NULL; /* one that nobody looks at */
        l->list = grown;
        l->room = room;
    }
    l->list[l->count] = (struct reeve_chaos_life){.pid = pid, .master = master};
    return &l->list[l->count++];
}

static void look_at(struct reeve_chaos *c, const struct reeve_process *p, bool master)
{
    struct reeve_chaos_holds least = {.memory_bytes = UINT64_MAX, .descriptors = UINT32_MAX}, h;
    for (int i = 0; i < TRIES; i++) {
        if (i > 0) reeve_clock_sleep(BETWEEN_NS);
        if (!look(p->pid, &h)) return;
        if (h.memory_bytes < least.memory_bytes) least.memory_bytes = h.memory_bytes;
        if (h.descriptors < least.descriptors) least.descriptors = h.descriptors;
    }
    struct reeve_chaos_life *life = find_life(&c->lives, p->pid, master);
    if (life == NULL) return;
    if (life->first.descriptors == 0) {
        life->first = least;
        life->losses_before = c->killed;
    }
    life->last = least;
    life->losses = c->killed - life->losses_before;
}

void reeve_chaos_lives_look(struct reeve_chaos *c)
{
    struct reeve_process list[64]; /* of a larger job some */
    size_t count = reeve_processes_find(c->id, list, sizeof(list) / sizeof(list[0]));
    int64_t master = reeve_owner_master_pid(c->broken);
    for (size_t i = 0; i < count; i++)
        if (list[i].role == REEVE_PROCESS_RANK) look_at(c, &list[i], list[i].pid == (pid_t)master);
    uint64_t bytes = 0;
    size_t files = reeve_launch_shared_files(c->id, &bytes);
    if (files > c->lives.shared_files_max) c->lives.shared_files_max = files;
    if (bytes > c->lives.shared_bytes_max) c->lives.shared_bytes_max = bytes;
}

/* The first loss costs what is made once: only those that outlived at least half as many as anybody are asked. */
void reeve_chaos_lives_sum(const struct reeve_chaos_lives *l, struct reeve_chaos_growth *g)
{
    *g = (struct reeve_chaos_growth){.shared_files_max = l->shared_files_max, .shared_bytes_max = l->shared_bytes_max};
    for (size_t i = 0; i < l->count; i++)
        if (l->list[i].losses > g->losses_max) g->losses_max = l->list[i].losses;
    for (size_t i = 0; i < l->count; i++) {
        const struct reeve_chaos_life *life = &l->list[i];
        if (life->losses == 0 || 2 * life->losses < g->losses_max) continue;
        double per = 1.0 / life->losses;
        double descriptors = ((double)life->last.descriptors - (double)life->first.descriptors) * per;
        double bytes = ((double)life->last.memory_bytes - (double)life->first.memory_bytes) * per;
        if (g->lives == 0 || descriptors > g->descriptors_per_loss) g->descriptors_per_loss = descriptors;
        if (g->lives == 0 || bytes > g->bytes_per_loss) g->bytes_per_loss = bytes;
        g->lives++;
    }
}
