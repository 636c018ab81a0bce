/* See disk.h. */
#include "disk.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"

#define FDS 4096
#define NODES_MAX 4096
#define SECTOR 512u
#define PAGE 4096u
#define NEVER SIZE_MAX

/* An operation with the file and the folders that it concerns. */
struct step {
    int node, folder, folder2; /* -1: none */
    const char *name, *name2;  /* within the folders */
    size_t durable;            /* the operation that made it durable; NEVER */
};

struct disk {
    const struct trace_op *ops;
    size_t count;
    struct step *steps;
    int node_count;
    bool is_folder[NODES_MAX];
    const char *first_path[NODES_MAX]; /* the name it was made under, for people */
};

/* --- names -------------------------------------------------------------------------------------------------------- */

struct entry {
    int folder, node; /* node -1: removed */
    const char *name;
};

struct names {
    struct entry entries[NODES_MAX];
    int count;
};

static struct entry *names_find(struct names *n, int folder, const char *name)
{
    for (int i = 0; i < n->count; i++)
        if (n->entries[i].node >= 0 && n->entries[i].folder == folder && strcmp(n->entries[i].name, name) == 0)
            return &n->entries[i];
    return NULL;
}

static void names_set(struct names *n, int folder, const char *name, int node)
{
    struct entry *e = names_find(n, folder, name);
    for (int i = 0; e == NULL && i < n->count; i++)
        if (n->entries[i].node < 0) e = &n->entries[i];
    if (e == NULL && n->count < NODES_MAX) e = &n->entries[n->count++];
    if (e == NULL) abort();
    *e = (struct entry){folder, node, name};
}

static void names_drop(struct names *n, int folder, const char *name)
{
    struct entry *e = names_find(n, folder, name);
    if (e != NULL) e->node = -1;
}

/* The folder that a path lies in, and its last component; -1: no such folder. */
static int names_walk(struct names *n, const char *path, const char **last)
{
    int folder = 0;
    for (const char *slash; (slash = strchr(path, '/')) != NULL; path = slash + 1) {
        char part[NAME_MAX + 1];
        (void)snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
        const struct entry *e = names_find(n, folder, part);
        if (e == NULL) return -1;
        folder = e->node;
    }
    *last = path;
    return folder;
}

/* Do to the names what an operation does to them. */
static void names_apply(struct names *n, enum trace_kind kind, const struct step *s)
{
    const struct entry *from = s->name != NULL ? names_find(n, s->folder, s->name) : NULL;
    int node = from != NULL ? from->node : -1;
    switch (kind) {
    case TRACE_OPEN: /* that made a file */
    case TRACE_MKDIR: names_set(n, s->folder, s->name, s->node); break;
    case TRACE_LINK: names_set(n, s->folder2, s->name2, s->node); break;
    case TRACE_UNLINK:
    case TRACE_RMDIR: names_drop(n, s->folder, s->name); break;
    case TRACE_RENAME:
        if (node < 0) break;
        names_drop(n, s->folder, s->name);
        names_set(n, s->folder2, s->name2, node);
        break;
    default: break;
    }
}

static bool is_name_op(const struct trace_op *op)
{
    switch (op->kind) {
    case TRACE_OPEN: return op->created;
    case TRACE_MKDIR:
    case TRACE_RMDIR:
    case TRACE_UNLINK:
    case TRACE_LINK:
    case TRACE_RENAME: return true;
    default: return false;
    }
}

static bool is_data_op(const struct trace_op *op)
{
    return op->kind == TRACE_WRITE || op->kind == TRACE_SIZE || op->kind == TRACE_ALLOCATE ||
           (op->kind == TRACE_OPEN && op->truncated && !op->created);
}

/* --- from descriptors to files ------------------------------------------------------------------------------------ */

static void resolve(struct disk *d, size_t i, struct names *names, int *node_of)
{
    const struct trace_op *op = &d->ops[i];
    struct step *s = &d->steps[i];
    *s = (struct step){.node = -1, .folder = -1, .folder2 = -1, .durable = NEVER};
    if (op->kind == TRACE_MARK) return;
    if (op->path == NULL) {
        s->node = node_of[op->fd];
        return;
    }
    s->folder = op->path[0] != '\0' ? names_walk(names, op->path, &s->name) : 0;
    if (op->path2 != NULL) s->folder2 = names_walk(names, op->path2, &s->name2);
    const struct entry *e = s->name != NULL ? names_find(names, s->folder, s->name) : NULL;
    s->node = op->path[0] == '\0' ? 0 : e != NULL ? e->node : -1;
    if (op->kind == TRACE_MKDIR || (op->kind == TRACE_OPEN && op->created)) {
        if (d->node_count == NODES_MAX) abort();
        s->node = d->node_count++;
        d->is_folder[s->node] = op->kind == TRACE_MKDIR;
        d->first_path[s->node] = op->path;
    }
    if (op->kind == TRACE_OPEN) node_of[op->fd] = s->node;
    if (s->node < 0 || s->folder < 0) {
        (void)fprintf(stderr, "operation %zu: %s is not known to the record\n", i, op->path);
        abort();
    }
    if (is_name_op(op)) names_apply(names, op->kind, s);
}

/* The operation that made each one durable: the first sync of its file, or of both its folders, that worked. */
static void find_durable(struct disk *d, size_t i, size_t without)
{
    const struct trace_op *op = &d->ops[i];
    struct step *s = &d->steps[i];
    bool data = is_data_op(op);
    if (!data && !is_name_op(op)) return;
    int wait1 = data ? s->node : s->folder, wait2 = data ? s->node : s->folder2 >= 0 ? s->folder2 : s->folder;
    if (op->kind == TRACE_LINK) wait1 = wait2; /* the old name does not change */
    for (size_t k = i + 1; k < d->count && (wait1 >= 0 || wait2 >= 0); k++) {
        int node = d->steps[k].node;
        if (d->ops[k].kind == TRACE_SYNC_FAILED && data && node == wait1) return; /* lost, perhaps, for ever */
        if (d->ops[k].kind != TRACE_SYNC || d->ops[k].lie || k == without) continue;
        if (node == wait1) wait1 = -1;
        if (node == wait2) wait2 = -1;
        if (wait1 < 0 && wait2 < 0) s->durable = k;
    }
}

struct disk *disk_create(const struct trace *t, size_t without)
{
    struct disk *d = calloc(1, sizeof(*d));
    struct names *names = calloc(1, sizeof(*names));
    int *node_of = calloc(FDS, sizeof(*node_of));
    if (d == NULL || names == NULL || node_of == NULL) abort();
    d->ops = t->ops;
    d->count = t->count;
    d->steps = calloc(t->count + 1, sizeof(*d->steps));
    if (d->steps == NULL) abort();
    d->is_folder[0] = true; /* the watched folder */
    d->node_count = 1;
    for (size_t i = 0; i < d->count; i++)
        resolve(d, i, names, node_of);
    for (size_t i = 0; i < d->count; i++)
        find_durable(d, i, without);
    free(node_of);
    free(names);
    return d;
}

void disk_destroy(struct disk *d)
{
    if (d == NULL) return;
    free(d->steps);
    free(d);
}

uint64_t disk_write_bytes(const struct disk *d, size_t n)
{
    return d->ops[n].kind == TRACE_WRITE ? d->ops[n].n : 0;
}

bool disk_is_mark(const struct disk *d, size_t n)
{
    return d->ops[n].kind == TRACE_MARK || d->ops[n].kind == TRACE_CLOSE ||
           (d->ops[n].kind == TRACE_OPEN && !d->ops[n].created && !d->ops[n].truncated);
}

/* --- which names are there ---------------------------------------------------------------------------------------- */

static bool optional(const struct disk *d, const struct disk_state *s, size_t i)
{
    return s->kind != CRASH_KILL && d->steps[i].durable >= s->count;
}

static uint64_t chance(const struct disk_state *s, uint64_t what, uint64_t which, uint64_t below)
{
    return reeve_random_below(s->seed, what, which, below);
}

enum { ABOUT_NAMES = 1, ABOUT_NAME, ABOUT_PAGES, ABOUT_PAGE, ABOUT_SIZE, ABOUT_KEEP };

/* What a lost operation has touched: later ones that touch it are lost with it. */
struct lost {
    int folder;
    const char *name;
};

static bool touches(const struct step *s, const struct lost *l)
{
    return (s->name != NULL && s->folder == l->folder && strcmp(s->name, l->name) == 0) ||
           (s->name2 != NULL && s->folder2 == l->folder && strcmp(s->name2, l->name) == 0);
}

static void keep_names(const struct disk *d, const struct disk_state *s, struct names *names)
{
    size_t lost_count = 0, options = 0, seen = 0, last_durable = 0;
    struct lost *lost = calloc(2 * d->count + 2, sizeof(*lost));
    if (lost == NULL) abort();
    for (size_t i = 0; i < s->count; i++) {
        if (!is_name_op(&d->ops[i])) continue;
        if (optional(d, s, i)) options++;
        else last_durable = i;
    }
    uint64_t cut = chance(s, ABOUT_NAMES, 0, options + 1), keep_of_4 = chance(s, ABOUT_NAMES, 1, 5);
    for (size_t i = 0; i < s->count; i++) {
        const struct step *step = &d->steps[i];
        if (!is_name_op(&d->ops[i])) continue;
        bool dropped = false;
        if (optional(d, s, i)) {
            if (s->kind == CRASH_POWER) dropped = i > last_durable && seen >= cut;
            else dropped = chance(s, ABOUT_NAME, i, 4) >= keep_of_4;
            for (size_t k = 0; k < lost_count && !dropped; k++)
                dropped = touches(step, &lost[k]);
            seen++;
        }
        if (!dropped) {
            names_apply(names, d->ops[i].kind, step);
            continue;
        }
        if (step->name != NULL) lost[lost_count++] = (struct lost){step->folder, step->name};
        if (step->name2 != NULL) lost[lost_count++] = (struct lost){step->folder2, step->name2};
    }
    free(lost);
}

/* --- what is in a file -------------------------------------------------------------------------------------------- */

struct content {
    uint8_t *bytes;
    uint64_t size, room;
};

static void content_room(struct content *c, uint64_t end)
{
    if (end <= c->room) return;
    uint64_t room = end > 2 * c->room ? end : 2 * c->room;
    room = (room + PAGE - 1) / PAGE * PAGE;
    c->bytes = realloc(c->bytes, room);
    if (c->bytes == NULL) abort();
    memset(c->bytes + c->room, 0, room - c->room);
    c->room = room;
}

static void content_resize(struct content *c, uint64_t n)
{
    content_room(c, n);
    if (n < c->size) memset(c->bytes + n, 0, c->size - n);
    c->size = n;
}

static void content_put(struct content *c, const uint8_t *data, uint64_t at, uint64_t n)
{
    content_room(c, at + n);
    memcpy(c->bytes + at, data, n);
    if (at + n > c->size) c->size = at + n;
}

/* For each unit of the file: the last write that is surely there, and how many that may be missing came after it. */
struct units {
    uint32_t bytes;
    size_t *sure;
    uint32_t *after, *passed;
    uint64_t room;
};

static void units_room(struct units *u, uint64_t n)
{
    if (n <= u->room) return;
    uint64_t room = 2 * n;
    u->sure = realloc(u->sure, room * sizeof(*u->sure));
    u->after = realloc(u->after, room * sizeof(*u->after));
    u->passed = realloc(u->passed, room * sizeof(*u->passed));
    if (u->sure == NULL || u->after == NULL || u->passed == NULL) abort();
    memset(u->sure + u->room, 0, (room - u->room) * sizeof(*u->sure));
    memset(u->after + u->room, 0, (room - u->room) * sizeof(*u->after));
    memset(u->passed + u->room, 0, (room - u->room) * sizeof(*u->passed));
    u->room = room;
}

static void count_writes(const struct disk *d, const struct disk_state *s, int node, struct units *u)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct trace_op *op = &d->ops[i];
        if (op->kind != TRACE_WRITE || d->steps[i].node != node || op->n == 0) continue;
        uint64_t last = (op->at + op->n - 1) / u->bytes;
        bool sure = !optional(d, s, i);
        units_room(u, last + 1);
        for (uint64_t k = op->at / u->bytes; k <= last; k++) {
            if (sure) u->sure[k] = i;
            u->after[k] = sure ? 0 : u->after[k] + 1;
        }
    }
}

/* A write that may be missing: each unit has the writes up to a moment of its own. What was there when a later write
 * to the same unit became durable went with it. */
static void put_some(const struct disk_state *s, int node, size_t i, const struct trace_op *op, struct units *u,
                     struct content *c)
{
    uint64_t keep = chance(s, ABOUT_KEEP, (uint64_t)node, 5); /* of 4: how likely a unit has all */
    for (uint64_t at = op->at; at < op->at + op->n;) {
        uint64_t unit = at / u->bytes, end = (unit + 1) * u->bytes, which = (uint64_t)node << 40 | unit;
        if (end > op->at + op->n) end = op->at + op->n;
        uint64_t moment = u->after[unit];
        if (chance(s, ABOUT_PAGE, which << 1, 4) >= keep) moment = chance(s, ABOUT_PAGE, which << 1 | 1, moment + 1);
        if (i < u->sure[unit] || u->passed[unit]++ < moment) content_put(c, op->data + (at - op->at), at, end - at);
        at = end;
    }
}

static void fill(const struct disk *d, const struct disk_state *s, int node, struct content *c)
{
    struct units u = {.bytes = chance(s, ABOUT_PAGES, 0, 2) == 0 ? PAGE : SECTOR};
    uint64_t full_size = 0;
    bool any_optional = false;
    c->size = 0;
    if (c->room > 0) memset(c->bytes, 0, c->room);
    if (s->kind != CRASH_KILL) count_writes(d, s, node, &u);
    for (size_t i = 0; i < s->count; i++) {
        const struct trace_op *op = &d->ops[i];
        if (d->steps[i].node != node || !is_data_op(op)) continue;
        bool may_be_lost = optional(d, s, i);
        any_optional |= may_be_lost;
        bool keeps = !may_be_lost || chance(s, ABOUT_SIZE, i, 2) == 0;
        uint64_t n = op->n;
        switch (op->kind) {
        case TRACE_WRITE:
            if (i + 1 == s->count && s->torn < n) n = s->torn;
            if (!may_be_lost) content_put(c, op->data, op->at, n);
            else put_some(s, node, i, op, &u, c);
            if (op->at + n > full_size) full_size = op->at + n;
            break;
        case TRACE_ALLOCATE:
            if (keeps && n > c->size) content_resize(c, n);
            if (n > full_size) full_size = n;
            break;
        case TRACE_OPEN: /* that truncated it */ n = 0; /* fall through */
        default:
            if (keeps) content_resize(c, n);
            full_size = n;
            break;
        }
    }
    if (any_optional && full_size > c->size && chance(s, ABOUT_SIZE, UINT64_MAX - (uint64_t)node, 2) == 0)
        content_resize(c, full_size);
    free(u.sure);
    free(u.after);
    free(u.passed);
}

/* --- the folder --------------------------------------------------------------------------------------------------- */

/* Pages of zeros become holes: what reads them cannot tell. */
static void store(const char *path, const struct content *c)
{
    static const uint8_t zeros[PAGE];
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0666);
    bool good = fd >= 0;
    for (uint64_t at = 0; at < c->size && good; at += PAGE) {
        size_t n = c->size - at < PAGE ? (size_t)(c->size - at) : PAGE;
        if (memcmp(c->bytes + at, zeros, n) != 0) good = pwrite(fd, c->bytes + at, n, (off_t)at) == (ssize_t)n;
    }
    good = good && ftruncate(fd, (off_t)c->size) == 0;
    if (fd >= 0 && close(fd) != 0) good = false;
    if (!good) {
        (void)fprintf(stderr, "cannot make %s: no room?\n", path);
        abort();
    }
}

static void build_folder(const struct disk *d, const struct disk_state *s, struct names *names, int folder,
                         const char *path, struct content *scratch)
{
    for (int i = 0; i < names->count; i++) {
        const struct entry *e = &names->entries[i];
        if (e->node < 0 || e->folder != folder) continue;
        char at[PATH_MAX];
        (void)snprintf(at, sizeof(at), "%s/%s", path, e->name);
        if (d->is_folder[e->node]) {
            if (mkdir(at, 0777) != 0) abort();
            build_folder(d, s, names, e->node, at, scratch);
            continue;
        }
        fill(d, s, e->node, scratch);
        store(at, scratch);
    }
}

void disk_build(const struct disk *d, const struct disk_state *s, const char *folder)
{
    struct names *names = calloc(1, sizeof(*names));
    struct content scratch = {0};
    if (names == NULL) abort();
    keep_names(d, s, names);
    build_folder(d, s, names, 0, folder, &scratch);
    free(scratch.bytes);
    free(names);
}

void disk_describe(const struct disk *d, const struct disk_state *s, char *out, size_t out_bytes)
{
    static const char *const words[] = {"open",   "close", "write",  "set size", "allocate", "sync", "failed sync",
                                        "rename", "link",  "unlink", "mkdir",    "rmdir",    "mark"};
    static const char *const kinds[] = {"killed", "power cut, names in order", "power cut, names in any order"};
    if (s->count == 0) {
        (void)snprintf(out, out_bytes, "before the first operation");
        return;
    }
    const struct trace_op *op = &d->ops[s->count - 1];
    int node = d->steps[s->count - 1].node;
    const char *path = op->path != NULL ? op->path : node >= 0 ? d->first_path[node] : NULL;
    int n = snprintf(out, out_bytes, "%s after operation %zu of %zu (%s %s%s%s, %llu bytes at %llu)", kinds[s->kind],
                     s->count, d->count, words[op->kind], path != NULL ? path : "", op->path2 != NULL ? " -> " : "",
                     op->path2 != NULL ? op->path2 : "", (unsigned long long)op->n, (unsigned long long)op->at);
    if (n > 0 && (size_t)n < out_bytes && s->torn != DISK_WHOLE)
        (void)snprintf(out + n, out_bytes - (size_t)n, ", torn at byte %llu", (unsigned long long)s->torn);
    else if (n > 0 && (size_t)n < out_bytes && s->kind != CRASH_KILL)
        (void)snprintf(out + n, out_bytes - (size_t)n, ", state seed %llu", (unsigned long long)s->seed);
}
