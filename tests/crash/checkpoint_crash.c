/* Goal: after any crash the two newest checkpoints on record are there, whole and unchanged, whatever was being written,
 * replaced or swept at that moment; and the next one can be written.
 * Method: checkpoints of four steps in two parts, each with its record in a journal, retention of two after each; the
 * folder of one step is there already, from a commit that never came on record. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/path.h"
#include "crash.h"
#include "store/checkpoint.h"
#include "store/journal.h"

#define RUN_ID 0x0102030405060708u
#define TENSORS 4u
#define PARTS 2u
#define KEEP 2u
#define RECORDS_MAX 16

static const struct {
    const char *name;
    uint32_t group;
    uint64_t count;
} shapes[TENSORS] = {
    {"wte.weight", REEVE_TENSOR_MODEL, 5000},
    {"h.0.ln.bias", REEVE_TENSOR_MODEL, 3},
    {"wte.weight", REEVE_TENSOR_OPTIMIZER, 5000},
    {"h.0.ln.bias", REEVE_TENSOR_OPTIMIZER, 3},
};

static void make_tensors(uint64_t step, struct reeve_tensor *tensors)
{
    memset(tensors, 0, TENSORS * sizeof(*tensors));
    for (uint32_t i = 0; i < TENSORS; i++) {
        struct reeve_tensor *t = &tensors[i];
        (void)snprintf(t->name, sizeof(t->name), "%s", shapes[i].name);
        t->group = shapes[i].group;
        t->rank = 1;
        t->shape[0] = shapes[i].count;
        t->data = malloc(shapes[i].count * sizeof(float));
        if (t->data == NULL) abort();
        for (uint64_t e = 0; e < shapes[i].count; e++)
            t->data[e] = (float)(step * 1000 + i) + (float)e * 0.5f;
    }
}

static void free_tensors(struct reeve_tensor *tensors)
{
    for (uint32_t i = 0; i < TENSORS; i++)
        free(tensors[i].data);
}

static reeve_status save(const char *root, uint64_t step, uint32_t epoch, uint64_t lsn, struct reeve_digest *digest,
                         struct reeve_error *err)
{
    struct reeve_tensor tensors[TENSORS];
    struct reeve_checkpoint_part parts[PARTS];
    uint32_t part_of[TENSORS];
    struct reeve_checkpoint_meta meta = {.run_id = RUN_ID, .lsn = lsn, .epoch = epoch, .workers = PARTS, .threads = 1};
    make_tensors(step, tensors);
    meta.weights_digest = reeve_weights_digest(tensors, TENSORS);
    reeve_checkpoint_assign(tensors, TENSORS, PARTS, part_of);
    reeve_status st = reeve_checkpoint_begin(root, step, epoch, err);
    for (uint32_t p = 0; p < PARTS && st == REEVE_OK; p++) {
        struct reeve_tensor mine[TENSORS];
        uint32_t count = 0;
        for (uint32_t i = 0; i < TENSORS; i++)
            if (part_of[i] == p) mine[count++] = tensors[i];
        st = reeve_checkpoint_write_part(root, step, epoch, p, mine, count, &parts[p], err);
    }
    free_tensors(tensors);
    if (st != REEVE_OK) return st;
    return reeve_checkpoint_commit(root, step, epoch, &meta, parts, PARTS, "queue", 5, digest, err);
}

/* The record that makes it count. */
static reeve_status put_on_record(reeve_journal *j, uint64_t step, const struct reeve_digest *digest,
                                  struct reeve_error *err)
{
    struct reeve_event ev = {.kind = REEVE_EVENT_CKPT_COMMIT, .step = step, .arg = PARTS + 1};
    reeve_journal_port *port = reeve_journal_as_port(j);
    memcpy(&ev.a, digest->bytes, sizeof(ev.a));
    reeve_status st = port->ops->append(port, &ev, err);
    if (st == REEVE_OK) st = port->ops->sync(port, err);
    if (st == REEVE_OK) trace_mark(MARK_CHECKPOINT, step, ev.a);
    return st;
}

/* What the journal has on record, in order. */
struct records {
    uint64_t step[RECORDS_MAX], digest64[RECORDS_MAX];
    uint32_t count;
};

static reeve_status note(void *arg, const struct reeve_event *ev, struct reeve_error *err)
{
    (void)err;
    struct records *r = arg;
    if (ev->kind != REEVE_EVENT_CKPT_COMMIT || r->count == RECORDS_MAX) return REEVE_OK;
    r->step[r->count] = ev->step;
    r->digest64[r->count++] = ev->a;
    return REEVE_OK;
}

static reeve_status open_journal(const char *root, struct records *r, reeve_journal **out, uint32_t *epoch,
                                 struct reeve_error *err)
{
    struct reeve_journal_info info;
    r->count = 0;
    reeve_status st = reeve_journal_replay(root, note, r, &info, err);
    *epoch = info.last_epoch + 1;
    if (st == REEVE_OK) st = reeve_journal_open_sized(root, &info, *epoch, RUN_ID, 64, out, err);
    return st;
}

/* Save, put on record, sweep. */
static reeve_status checkpoint(const char *root, reeve_journal *j, struct records *r, uint64_t step, uint32_t epoch,
                               struct reeve_error *err)
{
    struct reeve_digest digest;
    reeve_status st = save(root, step, epoch, reeve_journal_last_lsn(j), &digest, err);
    if (st == REEVE_OK) st = put_on_record(j, step, &digest, err);
    if (st != REEVE_OK) return st;
    r->step[r->count++] = step;
    uint32_t kept = r->count < KEEP ? r->count : KEEP;
    return reeve_checkpoint_sweep(root, r->step + r->count - kept, kept, err);
}

static reeve_status act(const char *root, struct reeve_error *err)
{
    struct records r;
    struct reeve_digest ignored;
    reeve_journal *j;
    uint32_t epoch;
    TRY(open_journal(root, &r, &j, &epoch, err));
    for (uint64_t step = 10; step <= 30; step += 10)
        TRY(checkpoint(root, j, &r, step, epoch, err));
    TRY(save(root, 40, epoch, 7, &ignored, err)); /* and dies before the record */
    TRY(open_journal(root, &r, &j, &epoch, err));
    for (uint64_t step = 40; step <= 50; step += 10)
        TRY(checkpoint(root, j, &r, step, epoch, err));
    return reeve_journal_close(j, err);
}

/* The step after the newest on record, whose folder a commit that failed may have left. */
static reeve_status again(const char *root, struct reeve_error *err)
{
    struct records r;
    reeve_journal *j;
    uint32_t epoch;
    TRY(open_journal(root, &r, &j, &epoch, err));
    TRY(checkpoint(root, j, &r, r.count > 0 ? r.step[r.count - 1] + 10 : 10, epoch, err));
    return reeve_journal_close(j, err);
}

static bool same_tensors(const reeve_checkpoint *c, uint64_t step, struct reeve_error *err)
{
    struct reeve_tensor expected[TENSORS], found[TENSORS];
    make_tensors(step, expected);
    make_tensors(0, found);
    bool same = reeve_checkpoint_read(c, found, TENSORS, err) == REEVE_OK;
    for (uint32_t i = 0; i < TENSORS && same; i++)
        same = memcmp(found[i].data, expected[i].data, shapes[i].count * sizeof(float)) == 0;
    free_tensors(expected);
    free_tensors(found);
    return same;
}

static bool is_whole(const char *folder, uint64_t step, uint64_t digest64, char *why, size_t why_bytes)
{
    struct reeve_error err = {0};
    reeve_checkpoint *c = NULL;
    if (reeve_checkpoint_open(folder, step, &digest64, &c, &err) != REEVE_OK)
        return crash_found(why, why_bytes, "step %llu is on record: %s", (unsigned long long)step, err.text);
    bool good = reeve_checkpoint_verify(c, NULL, &err) == REEVE_OK && same_tensors(c, step, &err);
    reeve_checkpoint_close(c);
    if (good) return true;
    return crash_found(why, why_bytes, "step %llu is on record, and not what was saved: %s", (unsigned long long)step,
                       err.text);
}

static bool named_folders_read(const char *folder, char *why, size_t why_bytes)
{
    for (uint64_t step = 10; step <= 60; step += 10) {
        char dir[4096];
        reeve_checkpoint_dir(folder, step, dir, sizeof(dir));
        if (!crash_stock_reads_all(dir, 0, why, why_bytes)) return false;
    }
    return true;
}

static bool check(const char *folder, const struct crash_promise *p, char *why, size_t why_bytes)
{
    struct reeve_error err = {0};
    struct records r = {.count = 0};
    reeve_journal *j = NULL;
    uint32_t epoch;
    if (open_journal(folder, &r, &j, &epoch, &err) != REEVE_OK)
        return crash_found(why, why_bytes, "the journal: %s", err.text);
    bool good = p->step == 0 || (r.count > 0 && r.step[r.count - 1] >= p->step);
    if (!good) (void)crash_found(why, why_bytes, "the record of step %llu is lost", (unsigned long long)p->step);
    for (uint32_t i = 0; i < r.count && good; i++) { /* what retention has removed is gone, not half gone */
        char dir[4096];
        reeve_checkpoint_dir(folder, r.step[i], dir, sizeof(dir));
        if (i + KEEP >= r.count || reeve_path_exists(dir))
            good = is_whole(folder, r.step[i], r.digest64[i], why, why_bytes);
    }
    good = good && named_folders_read(folder, why, why_bytes);
    if (good && checkpoint(folder, j, &r, 60, epoch, &err) != REEVE_OK)
        good = crash_found(why, why_bytes, "going on: %s", err.text);
    if (reeve_journal_close(j, &err) != REEVE_OK && good) good = crash_found(why, why_bytes, "closing: %s", err.text);
    r.count = 0;
    if (good && (reeve_journal_replay(folder, note, &r, NULL, &err) != REEVE_OK || r.step[r.count - 1] != 60))
        good = crash_found(why, why_bytes, "what was added is not on record: %s", err.text);
    return good && is_whole(folder, 60, r.digest64[r.count - 1], why, why_bytes);
}

int main(int argc, char **argv)
{
    static const struct crash_case cases[] = {
        {.name = "checkpoint", .act = act, .check = check, .again = again, .share = 1}};
    return crash_main(argc, argv, cases, 1);
}
