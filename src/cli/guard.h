/* Reading damaged files in a child process: libhdf5 has crashed on malformed files before, and a check of files that
 * crashes on the file that it should name would be of little use. */
#ifndef REEVE_CLI_GUARD_H
#define REEVE_CLI_GUARD_H

#include <stdint.h>

#include "reeve/status.h"

#define REEVE_GUARD_TEXT_BYTES 256

struct reeve_guard_report {
    struct reeve_error error;          /* .status OK: nothing wrong */
    uint64_t bytes;                    /* that were read */
    char note[REEVE_GUARD_TEXT_BYTES]; /* what there is to say of a sound file; "" */
};

/* Fills the report; runs in the child, where nothing it changes survives. */
typedef void reeve_guard_work(void *arg, struct reeve_guard_report *report);

/* Run work in a child, and wait for it. A child that a signal ended (a crash, or more processor time than cpu_s_max
 * seconds) leaves STORE_CORRUPT, worded with `what`. on_wait (may be NULL) is called a few times a second meanwhile.
 * Call it from a process with one thread. JOB_INTERNAL in report->error if no child could be made. */
void reeve_guard_run(reeve_guard_work *work, void *arg, const char *what, uint32_t cpu_s_max, void (*on_wait)(void *),
                     void *on_wait_arg, struct reeve_guard_report *report);

#endif
