/* The keys of job.yaml, and the two steps of reading one that job_file.c leaves to job_check.c. */
#ifndef REEVE_CONFIG_JOB_KEYS_H
#define REEVE_CONFIG_JOB_KEYS_H

#include "config/keys.h"
#include "core/job.h"

extern const struct reeve_key_table reeve_job_keys; /* sections in the order in which files list them */
#define REEVE_JOB_KEYS_MAX 80

/* Has the key a meaning for that workload? Sections of training have none for exec, and the other way round. */
bool reeve_job_key_applies(const struct reeve_key *key, const char *workload);

/* Where each value came from, by index in the table; tree NULL: the default. Trees are borrowed. */
struct reeve_job_origin {
    const struct reeve_yaml *tree;
    uint32_t node;
};

/* What single ranges cannot say: multiples, orders, products. INPUT_INVALID at the place of the value that was given
 * last of those concerned. */
reeve_status reeve_job_check_relations(const struct reeve_job *job, const struct reeve_job_origin *origins,
                                       struct reeve_error *err);

#endif
