/* What the parts of `reeve chaos` share: verb_chaos.c (the command line), chaos_run.c (the run that is broken, from its
 * start to its end), chaos_strike.c (how it is broken), chaos_plan.c (when and how, from a seed; pure), chaos_disk.c (a
 * small disk of its own), chaos_marks.c (when steps were committed), chaos_lives.c (what survivors hold) and chaos_report.c (what came
 * of it).
 * Only processes that carry the identity of the run under test are ever touched (cli/processes.h). */
#ifndef REEVE_CLI_CHAOS_H
#define REEVE_CLI_CHAOS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/launch_id.h"
#include "base/path.h"
#include "core/audit.h"
#include "core/job.h"
#include "reeve/ids.h"

#define REEVE_CHAOS_STRIKES_MAX 10000u
#define REEVE_CHAOS_WORDS_MAX 80

enum reeve_chaos_kind {
    REEVE_CHAOS_KILL_WORKER,
    REEVE_CHAOS_KILL_MASTER,
    REEVE_CHAOS_KILL_LAUNCHER,
    REEVE_CHAOS_STOP,       /* SIGSTOP, and never SIGCONT */
    REEVE_CHAOS_TORN_WRITE, /* everything dies, the supervisor too, and what was not synced is torn */
    REEVE_CHAOS_DISK_FULL,
    REEVE_CHAOS_KINDS
};
const char *reeve_chaos_kind_name(enum reeve_chaos_kind kind); /* "kill worker"; static storage */

/* One blow, as the plan has it. */
struct reeve_chaos_strike {
    enum reeve_chaos_kind kind;
    reeve_time_ns wait_ns; /* after the run is back from the one before */
    bool at_once;          /* do not wait for that: strike while it recovers */
    uint64_t pick;         /* which of the processes that are there */
    bool pair;             /* a kill of a rank: of another one at the same moment, too */
    uint64_t pick_other;
};

/* The i-th strike of a seed. kinds: a bit for each kind that is wanted, at least one. Three quarters of the kills of
 * ranks are workers'; one kill in eight falls into the recovery from the one before, and one in eight hits two ranks at
 * once. Pure. */
struct reeve_chaos_strike reeve_chaos_plan(uint64_t seed, uint32_t index, uint32_t kinds, reeve_time_ns every_ns);

/* What became of one. Times are of the wall clock, as in metrics.jsonl. */
struct reeve_chaos_blow {
    enum reeve_chaos_kind kind;
    int64_t struck_wall_ns;
    uint64_t step;        /* committed then, as far as was told */
    char victim[192];     /* "worker 2 (process 4711)"; "": nobody was there to be hit */
    uint32_t killed;      /* ranks */
    bool outlived;        /* by all processes (a full disk): there is nothing to be back from */
    int64_t back_wall_ns; /* the first step committed by those who are left, or by the next launch; 0: there was none
                             before the next strike, or the end */
};

/* When steps were committed, read from metrics.jsonl as it grows. */
struct reeve_chaos_mark {
    int64_t wall_ns;
    uint64_t step;
    uint32_t epoch, workers; /* the membership that committed it */
};
struct reeve_chaos_marks {
    FILE *file;                    /* owned; NULL: not there yet */
    struct reeve_chaos_mark *list; /* owned */
    size_t count, room;
};
void reeve_chaos_marks_read(struct reeve_chaos_marks *m, const char *run_dir);
void reeve_chaos_marks_fini(struct reeve_chaos_marks *m);
/* When training was back from a loss at from_wall_ns, given what was committed until end_wall_ns; 0: it was not. A step
 * that was all but committed may still come through: what counts is the first of another membership. If more losses
 * came to light, of the last one; that a replacement joins is none. */
int64_t reeve_chaos_marks_back(const struct reeve_chaos_marks *m, int64_t from_wall_ns, int64_t end_wall_ns);
/* Median time between two steps in a row, in seconds; 0 if there are none. */
double reeve_chaos_marks_step_s(const struct reeve_chaos_marks *m);

/* What ranks hold that outlive losses. */
struct reeve_chaos_holds {
    uint64_t memory_bytes; /* of its own, and shared memory */
    uint32_t descriptors;
};
struct reeve_chaos_life {
    pid_t pid;
    bool master;
    uint32_t losses_before, losses; /* of other ranks: before the first look, and from then to the last one */
    struct reeve_chaos_holds first, last;
};
struct reeve_chaos_lives {
    struct reeve_chaos_life *list; /* owned */
    size_t count, room;
    uint64_t shared_files_max, shared_bytes_max; /* in the launch's folder of shared memory, at any look */
};
struct reeve_chaos_growth { /* for each loss, of the rank that grew most; negative: all shrank */
    uint32_t lives;         /* ranks that were looked at, see below; 0: nothing is known */
    uint32_t losses_max;    /* that one of them outlived */
    double descriptors_per_loss, bytes_per_loss;
    uint64_t shared_files_max, shared_bytes_max;
};
struct reeve_chaos;
/* Look at all ranks on this host. */
void reeve_chaos_lives_look(struct reeve_chaos *c);
/* Of the ranks that outlived at least half as many losses as any. */
void reeve_chaos_lives_sum(const struct reeve_chaos_lives *l, struct reeve_chaos_growth *g);

struct reeve_chaos {
    /* asked for */
    const char *words[REEVE_CHAOS_WORDS_MAX]; /* of `reeve run`, behind the job: --set and the like */
    int word_count;
    const char *job;
    char program[REEVE_PATH_BYTES_MAX]; /* this one, by its path: /proc/self/exe means the old name space later on */
    char dir[REEVE_PATH_BYTES_MAX];     /* absolute; holds the two runs */
    char broken[REEVE_PATH_BYTES_MAX];  /* the run that is broken, and the one that is not */
    char whole[REEVE_PATH_BYTES_MAX];
    bool whole_is_given; /* --against: it is there already */
    uint32_t kinds, strikes;
    uint32_t leave;       /* no kill leaves fewer workers than that */
    enum reeve_sync sync; /* journal.sync of the job: what a power cut may tear */
    reeve_time_ns every_ns;
    uint64_t seed;
    FILE *out; /* for progress */
    /* as it goes */
    char id[REEVE_LAUNCH_ID_BYTES]; /* of any launch of the broken run: the first REEVE_LAUNCH_RUN_CHARS */
    pid_t child;                    /* `reeve run`; 0: not there */
    struct reeve_chaos_marks marks;
    struct reeve_chaos_lives lives;
    uint32_t killed; /* ranks, so far */
    uint64_t torn_records;
    uint32_t starts_by_hand; /* after a torn write or a full disk, which end `reeve run` itself */
    bool finished;           /* the run ended by itself, with 0 */
    /* what came of it */
    struct reeve_chaos_blow *blows; /* owned; `struck` of them */
    uint32_t struck;
    size_t processes_left, segments_left;
};

/* Start `reeve run` on a folder, as a user would: 0, or an exit code after a message. */
int reeve_chaos_start(struct reeve_chaos *c, const char *run_dir, pid_t *child);
/* Has it ended? *code: its exit code; 128 + the signal that killed it. */
bool reeve_chaos_ended(pid_t child, int *code);
/* Break the run as planned, until all strikes are done or it has ended; then let it come to its end. 0, or an exit code
 * after a message. */
int reeve_chaos_break(struct reeve_chaos *c);
/* The same job undisturbed, in the other folder. 0, or an exit code after a message. */
int reeve_chaos_run_whole(struct reeve_chaos *c);
/* Deliver one. 0, or an exit code after a message. */
int reeve_chaos_strike(struct reeve_chaos *c, const struct reeve_chaos_strike *strike, struct reeve_chaos_blow *blow);

/* A file system of its own on dir, which only this process and its children see. 0, or an exit code after a message. */
int reeve_chaos_disk_make(const char *dir);
bool reeve_chaos_disk_fill(const char *dir);
bool reeve_chaos_disk_make_room(const char *dir);

/* Compare both runs, audit, and tell. Returns the exit code. */
int reeve_chaos_report(struct reeve_chaos *c, bool json);

#endif
