/* What `reeve doctor` finds, as a list: each finding says what was looked at, what is there, and what follows from it.
 * Probes only look; they change nothing on the machine and wait for nothing without a deadline. */
#ifndef REEVE_CLI_DOCTOR_H
#define REEVE_CLI_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define REEVE_DOCTOR_VALUE_BYTES 256
#define REEVE_DOCTOR_FOLLOWS_BYTES 512
#define REEVE_DOCTOR_FINDINGS_MAX 64

enum reeve_doctor_grade {
    REEVE_DOCTOR_GOOD,    /* as it should be */
    REEVE_DOCTOR_NOTE,    /* works, and the reader may want to know what follows */
    REEVE_DOCTOR_MISSING, /* not here; something optional is not possible */
    REEVE_DOCTOR_BAD,     /* training cannot run here until this is mended */
};

struct reeve_doctor_finding {
    const char *topic; /* static: "machine", "launcher", ...; findings of one topic are added one after the other */
    const char *name;  /* static, unique within its topic: the key in JSON */
    enum reeve_doctor_grade grade;
    bool is_number;
    int64_t number;                           /* if is_number; unit in the name: "memory_bytes" */
    char value[REEVE_DOCTOR_VALUE_BYTES];     /* for people */
    char follows[REEVE_DOCTOR_FOLLOWS_BYTES]; /* "" when nothing does */
};

struct reeve_doctor {
    struct reeve_doctor_finding finding[REEVE_DOCTOR_FINDINGS_MAX];
    size_t finding_count;
    const char *topic; /* of what is added next */
};

/* Add a finding of text. Cut at the size of its field; a full list drops it. Returns it, for reeve_doctor_follows. */
struct reeve_doctor_finding *reeve_doctor_add(struct reeve_doctor *d, const char *name, enum reeve_doctor_grade grade,
                                              const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Add a finding that is a number in JSON and `format` for people. */
struct reeve_doctor_finding *reeve_doctor_add_number(struct reeve_doctor *d, const char *name,
                                                     enum reeve_doctor_grade grade, int64_t number, const char *format,
                                                     ...) __attribute__((format(printf, 5, 6)));
void reeve_doctor_follows(struct reeve_doctor_finding *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The probes, in the order in which they are told. */
void reeve_doctor_probe_build(struct reeve_doctor *d);     /* what this program was made with */
void reeve_doctor_probe_machine(struct reeve_doctor *d);   /* processor, cores, memory, shared memory, user */
void reeve_doctor_probe_folder(struct reeve_doctor *d);    /* disk, file system and sync time of the current folder */
void reeve_doctor_probe_gpu_build(struct reeve_doctor *d); /* CUDA and NCCL, as they were found by the build */
void reeve_doctor_probe_gpus(struct reeve_doctor *d);      /* of this machine, and their driver */
void reeve_doctor_probe_launcher(struct reeve_doctor *d);  /* reeve-rank, mpirun, fault tolerance, a trial launch */
void reeve_doctor_probe_libraries(struct reeve_doctor *d); /* HDF5 and OpenBLAS as they are loaded here */
void reeve_doctor_probe_cluster(struct reeve_doctor *d);   /* Slurm, GPUs */
void reeve_doctor_probe_slurm(struct reeve_doctor *d);     /* only with --slurm: what the cluster allows */

bool reeve_doctor_can_train(const struct reeve_doctor *d); /* nothing is BAD */
void reeve_doctor_print(const struct reeve_doctor *d, FILE *out);
/* One JSON object on stdout: {"schema_version", "can_train", "<topic>": {"<name>": {"value", "grade", "text",
 * "follows"}}}. Returns 0 or REEVE_EXIT_INTERNAL. */
int reeve_doctor_print_json(const struct reeve_doctor *d);

#endif
