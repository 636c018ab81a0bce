/* The seal of a file whose payload has checks of its own. */
#include "store/seal_outside.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/path.h"

#define PIECE_BYTES ((size_t)1 << 20)
#define SEAL_BYTES sizeof(struct reeve_digest)

struct source {
    int fd;                   /* when memory is NULL */
    const uint8_t *memory;    /* borrowed */
    const char *path;         /* borrowed */
    uint8_t *piece;           /* owned; PIECE_BYTES; when memory is NULL */
    reeve_digester *digester; /* owned */
};

static int span_order(const void *a, const void *b)
{
    const struct reeve_span *x = a, *y = b;
    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

bool reeve_spans_sort(struct reeve_span *spans, size_t count, uint64_t file_bytes)
{
    if (count > 0) qsort(spans, count, sizeof(*spans), span_order);
    uint64_t end = 0;
    for (size_t i = 0; i < count; i++) {
        if (spans[i].offset < end || spans[i].offset > file_bytes || spans[i].bytes > file_bytes - spans[i].offset)
            return false;
        end = spans[i].offset + spans[i].bytes;
    }
    return true;
}

/* Digest the bytes from..to of the source as they are. */
static reeve_status feed(struct source *s, uint64_t from, uint64_t to, struct reeve_error *err)
{
    if (s->memory != NULL) {
        if (from < to) reeve_digester_update(s->digester, s->memory + from, (size_t)(to - from));
        return REEVE_OK;
    }
    while (from < to) {
        size_t n = to - from < PIECE_BYTES ? (size_t)(to - from) : PIECE_BYTES;
        reeve_status st = reeve_pread_all(s->fd, s->piece, n, from, s->path, err);
        if (st != REEVE_OK) return st;
        reeve_digester_update(s->digester, s->piece, n);
        from += n;
    }
    return REEVE_OK;
}

/* The same, with zeros where the seal lies. */
static reeve_status feed_without_seal(struct source *s, uint64_t from, uint64_t to, uint64_t seal,
                                      struct reeve_error *err)
{
    static const uint8_t zeros[SEAL_BYTES];
    if (seal < from || seal >= to || to - seal < SEAL_BYTES) return feed(s, from, to, err);
    reeve_status st = feed(s, from, seal, err);
    if (st != REEVE_OK) return st;
    reeve_digester_update(s->digester, zeros, sizeof(zeros));
    return feed(s, seal + SEAL_BYTES, to, err);
}

static reeve_status seal(struct source *s, uint64_t file_bytes, const struct reeve_span *spans, size_t count,
                         uint64_t seal_offset, struct reeve_digest *out, struct reeve_error *err)
{
    s->digester = reeve_digester_create();
    if (s->memory == NULL) s->piece = malloc(PIECE_BYTES);
    reeve_status st = REEVE_OK;
    if (s->digester == NULL || (s->memory == NULL && s->piece == NULL))
        st = reeve_fail(err, REEVE_JOB_NO_MEMORY, "%s: out of memory while digesting", s->path);
    uint64_t from = 0;
    for (size_t i = 0; i < count && st == REEVE_OK; i++) {
        st = feed_without_seal(s, from, spans[i].offset, seal_offset, err);
        from = spans[i].offset + spans[i].bytes;
    }
    if (st == REEVE_OK) st = feed_without_seal(s, from, file_bytes, seal_offset, err);
    if (st == REEVE_OK) *out = reeve_digester_finish(s->digester);
    free(s->piece);
    reeve_digester_destroy(s->digester);
    return st;
}

reeve_status reeve_seal_outside_file(int fd, uint64_t file_bytes, const struct reeve_span *spans, size_t count,
                                     uint64_t seal_offset, const char *path, struct reeve_digest *out,
                                     struct reeve_error *err)
{
    struct source s = {.fd = fd, .path = path};
    return seal(&s, file_bytes, spans, count, seal_offset, out, err);
}

reeve_status reeve_seal_outside_memory(const void *bytes, uint64_t file_bytes, const struct reeve_span *spans,
                                       size_t count, uint64_t seal_offset, struct reeve_digest *out,
                                       struct reeve_error *err)
{
    struct source s = {.fd = -1, .memory = bytes, .path = "file in memory"};
    return seal(&s, file_bytes, spans, count, seal_offset, out, err);
}
