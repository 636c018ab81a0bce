/* See host_watch.h. */
#include "run/host_watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST_BYTES 256

struct host {
    char name[HOST_BYTES];
    bool awaited;             /* a worker is there of whom a word is expected */
    reeve_time_ns silence_ns; /* of the worker that was heard last */
};

struct reeve_host_watch {
    uint32_t workers, count;
    struct host *hosts; /* (workers + 1,) owned; the first `count` are in use; 0: of workers that have not joined */
    uint32_t *host_of;  /* (workers + 1,) owned; index of each worker's host */
};

reeve_host_watch *reeve_host_watch_create(uint32_t workers)
{
    reeve_host_watch *w = calloc(1, sizeof(*w));
    if (w == NULL) return NULL;
    w->workers = workers;
    w->count = 1;
    w->hosts = calloc((size_t)workers + 1, sizeof(*w->hosts));
    w->host_of = calloc((size_t)workers + 1, sizeof(*w->host_of));
    if (w->hosts != NULL && w->host_of != NULL) return w;
    reeve_host_watch_destroy(w);
    return NULL;
}

void reeve_host_watch_destroy(reeve_host_watch *w)
{
    if (w == NULL) return;
    free(w->hosts);
    free(w->host_of);
    free(w);
}

void reeve_host_watch_joined(reeve_host_watch *w, uint32_t worker, const char *text, size_t bytes)
{
    if (w == NULL || worker == 0 || worker > w->workers || bytes == 0 || bytes >= HOST_BYTES) return;
    char name[HOST_BYTES];
    (void)snprintf(name, sizeof(name), "%.*s", (int)bytes, text);
    uint32_t at = 1;
    while (at < w->count && strcmp(w->hosts[at].name, name) != 0)
        at++;
    if (at > w->workers) return; /* more names than workers: one of them has changed its mind */
    if (at == w->count) memcpy(w->hosts[w->count++].name, name, sizeof(name));
    w->host_of[worker] = at;
}

const char *reeve_host_watch_silent(reeve_host_watch *w, const reeve_master *m, reeve_time_ns now_ns,
                                    reeve_time_ns since_ns, reeve_time_ns limit_ns, reeve_time_ns *silence_ns)
{
    const struct host *worst = NULL;
    *silence_ns = 0;
    if (w == NULL) return NULL;
    for (uint32_t i = 0; i < w->count; i++)
        w->hosts[i].awaited = false;
    for (uint32_t worker = 1; worker <= w->workers; worker++) {
        struct host *h = &w->hosts[w->host_of[worker]];
        reeve_time_ns silence = 0;
        if (!reeve_master_silence(m, worker, now_ns, since_ns, &silence)) continue;
        if (!h->awaited || silence < h->silence_ns) h->silence_ns = silence;
        h->awaited = true;
    }
    for (uint32_t i = 1; i < w->count; i++) {
        const struct host *h = &w->hosts[i];
        if (h->awaited && h->silence_ns >= limit_ns && (worst == NULL || h->silence_ns > worst->silence_ns)) worst = h;
    }
    if (worst == NULL) return NULL;
    *silence_ns = worst->silence_ns;
    return worst->name;
}
