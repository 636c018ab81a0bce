/* What `reeve status` knows of one run: what the run last told (status.json), and who is alive (LOCK). Told to people by
 * status_text.c, to programs by status_json.c. */
#ifndef REEVE_CLI_STATUS_LOOK_H
#define REEVE_CLI_STATUS_LOOK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/path.h"
#include "cli/slurm.h"
#include "export/status_file.h"

struct reeve_status_look {
    char run_dir[REEVE_PATH_BYTES_MAX];
    struct reeve_status_report report;
    bool reported;   /* there is a status.json; otherwise the run has not begun */
    bool owned;      /* somebody alive holds it */
    bool supervised; /* and a `reeve run` lives that starts it again */
    char owner[256], supervisor[256];
    bool waits;        /* there is a batch script, and it never began */
    bool submitted;    /* Slurm took it */
    bool stop, save;   /* the files are there: asked, and not yet done */
    const char *state; /* static: running, stopped, complete, died, ... */
    uint64_t job_id;   /* of its last batch job, where Slurm knows that; 0: none */
    struct reeve_slurm_job job;
};

/* Statuses of reeve_run_folder_check() and reeve_status_file_read(), but that a run without a status.json is none. */
reeve_status reeve_status_look_at(const char *run_dir, struct reeve_status_look *s, struct reeve_error *err);
/* What Slurm says of the run's batch job, or its accounting of one that has ended; nothing where neither answers. */
void reeve_status_look_ask_slurm(struct reeve_status_look *s);

/* ---- telling it ---- */

json_t *reeve_status_look_json(const struct reeve_status_look *s); /* the caller's */
void reeve_status_look_print(struct reeve_status_look *s);         /* its texts become lines that are safe to print */
void reeve_status_look_print_heads(void);
void reeve_status_look_print_row(const struct reeve_status_look *s);

#endif
