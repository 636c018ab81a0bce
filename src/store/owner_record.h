/* What RUN/LOCK says: one line of JSON that names the process that owns the run, and whether that process still lives.
 * Only owner.c, owner_process.c, owner_record.c and their test include this. */
#ifndef REEVE_STORE_OWNER_RECORD_H
#define REEVE_STORE_OWNER_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define REEVE_OWNER_RECORD_BYTES 1024

struct reeve_owner_record {
    char host[256]; /* node name, for people */
    char boot[64];  /* id of the boot of its kernel, and of the process-id name space: there, pid means something */
    long pid;
    uint64_t start;   /* of the process, in clock ticks since boot: tells it from a later one with the same pid */
    char since[21];   /* UTC, when it took the run */
    char nonce[17];   /* 16 hex digits; no two records are equal */
    char job[96];     /* of Slurm: "<cluster>/<job id>"; "": not in a job, and then neither field is in the text */
    uint32_t restart; /* how often Slurm had queued that job again */
};

/* Describe the calling process, with a fresh nonce. */
void reeve_owner_record_make(struct reeve_owner_record *out);
/* At most REEVE_OWNER_RECORD_BYTES with the NUL; returns the length. */
size_t reeve_owner_record_print(const struct reeve_owner_record *r, char text[REEVE_OWNER_RECORD_BYTES]);
/* false: damaged, or cut. */
bool reeve_owner_record_parse(const char *text, struct reeve_owner_record *out);

enum reeve_owner_life {
    REEVE_OWNER_LIVES,   /* the process is here and runs */
    REEVE_OWNER_DEAD,    /* it ran here, and is gone; or elsewhere, in an earlier life of the Slurm job that we are */
    REEVE_OWNER_UNKNOWN, /* it runs, or ran, where we cannot see processes */
};
enum reeve_owner_life reeve_owner_record_life(const struct reeve_owner_record *r);

#endif
