/* The batch job that this process runs in, as far as Slurm tells: its number, how often it was started, and when it ends.
 * The end is asked for again now and then, because it can be changed (scontrol update, pre-emption with grace), without
 * ever waiting for the answer: squeue is a child that is looked after at each turn. */
#ifndef REEVE_RUN_ALLOCATION_H
#define REEVE_RUN_ALLOCATION_H

#include <stdbool.h>
#include <sys/types.h>

#include "reeve/ids.h"

struct reeve_allocation {
    uint64_t job_id; /* 0: not in a batch job */
    uint32_t restart_count;
    int64_t end_wall_ns; /* of the job; INT64_MAX: without end, or unknown */
    pid_t child;         /* the question under way; 0: none */
    int answer;          /* read end of its output; -1: it was killed, and has not gone yet */
    char line[64];       /* of the answer, so far */
    size_t line_bytes;
    reeve_time_ns asked_ns, next_ns; /* when the question was put; when the next one is due */
};

/* From SLURM_JOB_ID, SLURM_RESTART_COUNT and SLURM_JOB_END_TIME (Slurm 23.02 and later). */
void reeve_allocation_init(struct reeve_allocation *a, reeve_time_ns now_ns);
/* Ends a question under way. A child that no signal ends is left behind after a second. */
void reeve_allocation_fini(struct reeve_allocation *a);
/* Ask squeue when it is time, and take its answer when it is there. Returns true if the end is another one now. */
bool reeve_allocation_turn(struct reeve_allocation *a, reeve_time_ns now_ns);
/* What was asked before since_ns is old: ask anew at the next turn. */
void reeve_allocation_ask_anew(struct reeve_allocation *a, reeve_time_ns since_ns, reeve_time_ns now_ns);
/* Has a question that was put at since_ns or later been answered, or come to nothing? */
bool reeve_allocation_has_asked(const struct reeve_allocation *a, reeve_time_ns since_ns);

/* A moment as Slurm prints it with SLURM_TIME_FORMAT=%s: seconds since 1970 -> *end_wall_ns; words for "never" and "not
 * known" -> INT64_MAX. False: no answer that makes sense; *end_wall_ns is untouched. */
bool reeve_allocation_parse_end(const char *text, int64_t *end_wall_ns);
/* A line of `squeue --noheader --format="%A %e"`: of this job? As above. */
bool reeve_allocation_parse_line(const char *line, uint64_t job_id, int64_t *end_wall_ns);

#endif
