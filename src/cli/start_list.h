/* The starts of a run as starts.jsonl has them, for `audit` and for programs: where, with whom, in which job, and why each
 * ended. */
#ifndef REEVE_CLI_START_LIST_H
#define REEVE_CLI_START_LIST_H

#include <jansson.h>

#include "export/starts_file.h"

/* A table on stdout, and a line that counts the causes; nothing where there are no starts on record. */
void reeve_start_list_print(const struct reeve_starts *all);
/* [{epoch, began, step, workers, hosts[], job_id, restart_count, cause, exit_code, last_step, checkpoint}] */
json_t *reeve_start_list_json(const struct reeve_starts *all);

#endif
