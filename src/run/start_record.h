/* What this start of the run leaves in starts.jsonl: that it began, on which hosts, and why it ended. Never needed for
 * correctness: a failure is a warning, once. */
#ifndef REEVE_RUN_START_RECORD_H
#define REEVE_RUN_START_RECORD_H

#include "core/master.h"
#include "export/starts_file.h"
#include "run/allocation.h"

typedef struct reeve_start_record reeve_start_record;

/* {"event":"start"}, unless this process only goes on with a start that is on record (succeeds). epoch: of the start.
 * run_dir is borrowed until destroy; NULL (out of memory) is taken by all of these. */
reeve_start_record *reeve_start_record_create(const char *run_dir, uint32_t epoch, uint64_t step, uint32_t workers,
                                              const struct reeve_allocation *allocation, bool succeeds);
void reeve_start_record_destroy(reeve_start_record *r);
/* The host that a worker named when it joined; text is not terminated. */
void reeve_start_record_host(reeve_start_record *r, uint32_t worker, const char *text, size_t bytes);
/* {"event":"joined"}, once: all workers are there. */
void reeve_start_record_joined(reeve_start_record *r);
/* {"event":"end"}. asked: why the run was asked to stop; NONE: it was not. */
void reeve_start_record_end(reeve_start_record *r, const struct reeve_master_status *s, enum reeve_cause asked,
                            int exit_code);

#endif
