/* A record of what a program does to a folder of its disk, and faults put into it on the way.
 *
 * trace.c defines open, pwrite, fsync, rename and their like itself, and calls the kernel by number. The executable's
 * definitions win over the C library's, for Reeve's own code and for libhdf5.so alike, so every call of either passes
 * here. Calls on other files than those below the watched folder are handed on untouched.
 *
 * The record lies in shared memory: the program under test is a child process, which really ends, and its parent reads
 * the record. */
#ifndef REEVE_TEST_CRASH_TRACE_H
#define REEVE_TEST_CRASH_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum trace_kind {
    TRACE_OPEN, /* fd, path; created, truncated */
    TRACE_CLOSE,
    TRACE_WRITE,    /* fd, at, n, data */
    TRACE_SIZE,     /* fd, n: ftruncate */
    TRACE_ALLOCATE, /* fd, n: the file is at least so long */
    TRACE_SYNC,     /* fd, of a file or of a folder; lie: the caller was told so, and nothing was synced */
    TRACE_SYNC_FAILED,
    TRACE_RENAME, /* path -> path2 */
    TRACE_LINK,   /* path -> path2 */
    TRACE_UNLINK,
    TRACE_MKDIR,
    TRACE_RMDIR,
    TRACE_MARK, /* mark, a, b: something that the program under test was told */
};

/* What a mark means. */
enum trace_mark {
    MARK_FLUSHED = 1, /* a: records up to this LSN survive the process */
    MARK_SYNCED,      /* a: records up to this LSN survive the machine */
    MARK_CHECKPOINT,  /* a: step; b: the first 8 bytes of the index's digest: committed and on record */
    MARK_RETAINED,    /* a: the oldest step that was to be kept */
    MARK_WRITTEN,     /* a: number of the version of a file that was replaced: durable */
    MARK_OWNED,       /* the run was taken */
    MARK_RELEASED,
};

struct trace_op {
    enum trace_kind kind;
    int fd;
    bool created, truncated, lie;
    enum trace_mark mark;
    uint64_t at, n, a, b;
    const uint8_t *data;
    const char *path, *path2; /* within the watched folder; "" is the folder itself */
};

struct trace {
    size_t count;
    const struct trace_op *ops;
};

/* Allocate the record; before the child is forked. */
void trace_init(void);
/* Forget what was recorded, and begin to watch what lies below root (absolute, without links). In the child. */
void trace_begin(const char *root);
/* The same behind what is there: another process, and the same folder. */
void trace_go_on(const char *root);
void trace_end(void);
void trace_mark(enum trace_mark mark, uint64_t a, uint64_t b);
void trace_get(struct trace *out);

/* --- faults ------------------------------------------------------------------------------------------------------- */

enum fault_call {
    FAULT_WRITE = 1, /* write, pwrite */
    FAULT_SYNC = 2,  /* fsync, fdatasync, of files and folders */
    FAULT_CLOSE = 4,
    FAULT_READ = 8,    /* read, pread */
    FAULT_CREATE = 16, /* open that makes a file, mkdir */
    FAULT_RENAME = 32, /* rename, link */
    FAULT_ALLOCATE = 64,
    FAULT_OPEN = 128, /* open of what is there */
};

struct fault {
    unsigned calls;   /* enum fault_call */
    unsigned first;   /* the first call that fails, counted from 1; 0: none */
    bool for_good;    /* and all after it; otherwise that one only */
    int error;        /* errno */
    bool half;        /* writes and reads do half of what they are asked, no error (with first = 1, for_good) */
    bool interrupted; /* every call fails with EINTR once before it succeeds */
    bool sync_lies;   /* fsync and fdatasync say OK and do nothing */
    bool no_flags;    /* renameat2 knows none, as on NFS */
    bool no_links;    /* link is not supported */
};

/* From now on, in this process. */
void fault_set(const struct fault *fault);
/* How many calls of that kind there were since fault_set(): where to stop counting. */
unsigned fault_seen(void);

#endif
