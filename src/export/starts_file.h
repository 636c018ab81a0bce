/* RUN/starts.jsonl: who ran this run, where, and why it ended: what the journal, which knows no hosts and no clusters,
 * cannot say. One JSON object a line; lines are only ever added. Format: docs/format/starts.md.
 *
 * It is for people, and for the decision whether a job is to be queued again; nothing that is computed depends on it. */
#ifndef REEVE_EXPORT_STARTS_FILE_H
#define REEVE_EXPORT_STARTS_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/requeue.h"
#include "reeve/status.h"

#define REEVE_HOSTS_BYTES 1024

/* One start of the run: from the opening of its journal to its end. */
struct reeve_start {
    uint32_t epoch;                       /* membership epoch: the key to the journal */
    int64_t began_wall_ns, ended_wall_ns; /* 0: unknown */
    uint64_t step;                        /* resumed at */
    uint32_t workers;
    char hosts[REEVE_HOSTS_BYTES]; /* "n1 n2", in order of workers, each once; cut with " ..." */
    uint64_t job_id;               /* of Slurm; 0: none */
    uint32_t restart_count;        /* of this job, by Slurm's count */
    bool ended;                    /* it had a last word: */
    enum reeve_cause cause;        /* filled in by reading where there was none */
    int exit_code;
    uint64_t last_step, checkpoint; /* committed; saved */
    bool queued_again;              /* `reeve requeue` had the job queued again after this start */
};

/* Each opens the file (made if it is not there), appends one line, and closes it. STORE_CREATE | STORE_WRITE.
 * {"event":"start"}: epoch, step, workers, job_id and restart_count */
reeve_status reeve_starts_append_start(const char *run_dir, const struct reeve_start *s, struct reeve_error *err);
/* {"event":"joined"}: epoch and hosts, once all workers are there */
reeve_status reeve_starts_append_joined(const char *run_dir, const struct reeve_start *s, struct reeve_error *err);
/* {"event":"end"}: epoch, cause, exit_code, last_step and checkpoint */
reeve_status reeve_starts_append_end(const char *run_dir, const struct reeve_start *s, struct reeve_error *err);
/* {"event":"submitted"}: job_id; by `reeve submit`, before there is any start */
reeve_status reeve_starts_append_submitted(const char *run_dir, const struct reeve_start *s, struct reeve_error *err);
/* {"event":"requeued"}: the job of this start was queued again; checkpoint: the newest there is */
reeve_status reeve_starts_append_requeued(const char *run_dir, const struct reeve_start *s, struct reeve_error *err);

struct reeve_starts {
    struct reeve_start *start; /* (count,) owned */
    uint32_t count;
    uint32_t causes[REEVE_CAUSE_COUNT]; /* how many starts ended for which cause */
    uint64_t job_id;                    /* of the batch job that was last submitted or began; 0: none */
    uint64_t saved;  /* newest checkpoint when the job was last queued again; 0: none, or never was */
    uint32_t barren; /* the last so many times that it was, no newer checkpoint had been made since the time before */
};
/* All starts, oldest first. A start without a last word that is not the newest ended by a crash, or, where the same job
 * came back with a higher count that we had not asked for, by the failure of a node. Lines that are none of ours are
 * skipped; a missing file has no starts. STORE_READ | INPUT_PERMISSION | JOB_NO_MEMORY. */
reeve_status reeve_starts_read(const char *run_dir, struct reeve_starts *out, struct reeve_error *err);
void reeve_starts_fini(struct reeve_starts *starts);

#endif
