/* What `reeve verify` found: a list of findings, one for each file or group of files. */
#ifndef REEVE_CLI_VERIFY_H
#define REEVE_CLI_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/path.h"
#include "cli/history.h"
#include "reeve/status.h"

enum reeve_finding_grade {
    REEVE_FINDING_OK,
    REEVE_FINDING_NOTE,   /* worth a word, and no damage: leftovers, a write that a crash cut short */
    REEVE_FINDING_DAMAGE, /* see status and text */
};

struct reeve_finding {
    enum reeve_finding_grade grade;
    char file[REEVE_PATH_BYTES_MAX]; /* within the run, or as it was typed */
    struct reeve_error error;        /* DAMAGE: which, where; OK and NOTE: .status OK, text what there is to say */
    char follows[512];               /* DAMAGE: what it means for the run, and what to do */
    uint64_t bytes;                  /* that were read */
};

struct reeve_verification {
    const char *path; /* as typed */
    struct reeve_finding *findings;
    uint32_t count, room;
    uint64_t bytes;
};

/* Add a finding (JOB_NO_MEMORY ends the program: a finding is never dropped). The error of the guard's report decides
 * between OK and DAMAGE. The pointer is good until the next one is added. */
struct reeve_finding *reeve_verification_add(struct reeve_verification *v, const char *file);
void reeve_verification_destroy(struct reeve_verification *v);
uint32_t reeve_verification_damaged(const struct reeve_verification *v);
int reeve_verification_exit_code(const struct reeve_verification *v);
void reeve_verification_print_text(const struct reeve_verification *v);
int reeve_verification_print_json(const struct reeve_verification *v);

/* Check all files of a run, or a part of it. */
void reeve_verify_run(struct reeve_verification *v, const char *run_dir);
void reeve_verify_journal(struct reeve_verification *v, const char *run_dir);
void reeve_verify_checkpoint(struct reeve_verification *v, const char *run_dir, uint64_t step);
void reeve_verify_lock(struct reeve_verification *v, const char *path, const char *shown, const char *follows);
void reeve_verify_tasks(struct reeve_verification *v, const char *path, const char *shown);

#endif
