/* job.yaml -> struct reeve_job. Every key, its type, range, default and meaning stand in one table (job_keys.c), from
 * which parsing, error texts, `reeve run --help-keys` and docs/job.md's check come. */
#ifndef REEVE_CONFIG_JOB_FILE_H
#define REEVE_CONFIG_JOB_FILE_H

#include <stdio.h>

#include "core/job.h"
#include "reeve/status.h"

/* Read a job file, apply overrides ("key.sub=value", in order), fill defaults, check ranges and relations.
 * Errors: one line "FILE:LINE:COLUMN: key 'train.step': unknown; did you mean 'train.steps'?", with what was
 * expected; for overrides "--set train.steps=x: ...". INPUT_USAGE: an override that is not key.sub=value, or whose
 * value is no YAML. Paths come out absolute: those of the file are relative to its folder, also in overrides.
 * INPUT_MISSING | INPUT_PERMISSION | INPUT_INVALID | INPUT_USAGE | STORE_READ; *out is untouched then. */
reeve_status reeve_job_read(const char *path, const char *const *overrides, uint32_t override_count,
                            struct reeve_job *out, struct reeve_error *err);

/* The resolved job as YAML (all keys, comments with units); reading it back gives the same struct. *text: free(). */
reeve_status reeve_job_format_yaml(const struct reeve_job *job, char **text, struct reeve_error *err);
/* The same as one JSON object (for the workload ABI and --json). *text: free(). */
reeve_status reeve_job_format_json(const struct reeve_job *job, char **text, struct reeve_error *err);

/* Every key with type, default and meaning, for people. */
void reeve_job_print_keys(FILE *out);

#endif
