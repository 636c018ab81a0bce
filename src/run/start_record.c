/* See start_record.h. */
#include "run/start_record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"

#define HOST_BYTES 256

struct reeve_start_record {
    const char *run_dir; /* borrowed */
    struct reeve_start start;
    char (*host)[HOST_BYTES]; /* (workers,) owned; of worker i + 1; "" where none was heard */
    bool joined, warned;
};

static void warn_once(reeve_start_record *r, reeve_status st, const struct reeve_error *err)
{
    if (st == REEVE_OK || r->warned) return;
    r->warned = true;
    reeve_log(REEVE_LOG_WARN, "starts.jsonl cannot be written, the run goes on without: %s", err->text);
}

reeve_start_record *reeve_start_record_create(const char *run_dir, uint32_t epoch, uint64_t step, uint32_t workers,
                                              const struct reeve_allocation *allocation, bool succeeds)
{
    reeve_start_record *r = calloc(1, sizeof(*r));
    if (r == NULL) return NULL;
    r->run_dir = run_dir;
    r->start = (struct reeve_start){.epoch = epoch,
                                    .step = step,
                                    .workers = workers,
                                    .job_id = allocation->job_id,
                                    .restart_count = allocation->restart_count};
    r->host = calloc(workers, sizeof(*r->host));
    if (r->host == NULL) {
        free(r);
        return NULL;
    }
    struct reeve_error err = {0};
    r->joined = succeeds;
    if (!succeeds) warn_once(r, reeve_starts_append_start(run_dir, &r->start, &err), &err);
    return r;
}

void reeve_start_record_destroy(reeve_start_record *r)
{
    if (r == NULL) return;
    free(r->host);
    free(r);
}

void reeve_start_record_host(reeve_start_record *r, uint32_t worker, const char *text, size_t bytes)
{
    if (r == NULL || worker == 0 || worker > r->start.workers) return;
    (void)snprintf(r->host[worker - 1], HOST_BYTES, "%.*s", (int)bytes, text);
}

/* Each host once, in order of workers. */
static void list_hosts(const reeve_start_record *r, char *out, size_t out_bytes)
{
    uint32_t listed[REEVE_HOSTS_BYTES / 2], count = 0; /* a worker of each host; a host takes two bytes at least */
    size_t used = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < r->start.workers; i++) {
        bool seen = r->host[i][0] == '\0';
        for (uint32_t k = 0; k < count && !seen; k++)
            seen = strcmp(r->host[listed[k]], r->host[i]) == 0;
        if (seen) continue;
        if (used + strlen(r->host[i]) + sizeof("  ...") > out_bytes) {
            (void)snprintf(out + used, out_bytes - used, " ...");
            return;
        }
        used += (size_t)snprintf(out + used, out_bytes - used, "%s%s", used > 0 ? " " : "", r->host[i]);
        listed[count++] = i;
    }
}

void reeve_start_record_joined(reeve_start_record *r)
{
    if (r == NULL || r->joined) return;
    r->joined = true;
    struct reeve_error err = {0};
    list_hosts(r, r->start.hosts, sizeof(r->start.hosts));
    warn_once(r, reeve_starts_append_joined(r->run_dir, &r->start, &err), &err);
}

void reeve_start_record_end(reeve_start_record *r, const struct reeve_master_status *s, enum reeve_cause asked,
                            int exit_code)
{
    if (r == NULL) return;
    r->start.cause = reeve_cause_of_exit(asked, exit_code);
    r->start.exit_code = exit_code;
    r->start.last_step = s->step;
    r->start.checkpoint = s->last_checkpoint;
    struct reeve_error err = {0};
    warn_once(r, reeve_starts_append_end(r->run_dir, &r->start, &err), &err);
}
