/* The facts of a run for people. */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/path.h"
#include "cli/inspect.h"
#include "cli/output.h"

bool reeve_inspect_weights(const struct reeve_inspected *i, struct reeve_digest *digest, uint64_t *step)
{
    const struct reeve_checkpoint_meta *meta = i->checkpoint != NULL ? reeve_checkpoint_meta(i->checkpoint) : NULL;
    if (i->history.weights_step > 0 && (meta == NULL || i->history.weights_step >= meta->step)) {
        *digest = i->history.weights_digest;
        *step = i->history.weights_step;
        return true;
    }
    if (meta == NULL) return false;
    *digest = meta->weights_digest;
    *step = meta->step;
    return true;
}

uint64_t reeve_inspect_checkpoint_bytes(const char *run_dir, uint64_t step)
{
    char path[REEVE_PATH_BYTES_MAX];
    uint64_t bytes = 0;
    reeve_checkpoint_dir(run_dir, step, path, sizeof path);
    DIR *dir = opendir(path);
    if (dir == NULL) return 0;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        struct stat info;
        if (fstatat(dirfd(dir), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode))
            bytes += (uint64_t)info.st_size;
    }
    (void)closedir(dir);
    return bytes;
}

static void print_loss(const char *name, double loss, uint64_t step)
{
    if (isfinite(loss)) (void)printf("%-12s %.4f nats per token after step %" PRIu64 "\n", name, loss, step);
}

static void print_weights(const struct reeve_inspected *i)
{
    struct reeve_digest digest;
    uint64_t step;
    char hex[REEVE_DIGEST_HEX_BYTES];
    if (!reeve_inspect_weights(i, &digest, &step)) return;
    reeve_digest_hex(digest, hex);
    (void)printf("weights      %s after step %" PRIu64 "\n", hex, step);
}

static void print_progress(const struct reeve_inspected *i)
{
    const struct reeve_history *h = &i->history;
    char a[32], b[32], hex[REEVE_DIGEST_HEX_BYTES], lost[REEVE_HISTORY_LOST_BYTES], name[REEVE_PATH_BYTES_MAX];
    uint64_t samples = h->step * i->job.train.global_batch, epoch_samples = reeve_plan_epoch_samples(i->plan);
    (void)printf("run          %s, job %s, id %016" PRIx64 "\n", reeve_cli_plain(i->run_dir, name), i->job.name,
                 h->run_id);
    (void)printf("step         %s%s%s\n", reeve_cli_format_count(h->step, a),
                 h->step > i->job.train.steps ? ", and train.steps asks for " : " of ",
                 reeve_cli_format_count(i->job.train.steps, b));
    (void)printf("samples      %s, epoch %" PRIu64 " (an epoch has %s)\n", reeve_cli_format_count(samples, a),
                 samples / epoch_samples, reeve_cli_format_count(epoch_samples, b));
    print_loss("loss", reeve_history_loss(h, i->job.data.sequence), h->step);
    print_loss("held-out", reeve_history_eval_loss(h), h->eval.step);
    print_weights(i);
    if (i->job.model.init_from[0] != '\0')
        (void)printf("begun with   %s of %s\n", i->job.model.init_weights,
                     reeve_cli_plain(i->job.model.init_from, name));
    reeve_digest_hex(i->manifest->digest, hex);
    (void)printf("manifest     %s, %s, %u shards\n", hex, i->manifest->dataset, i->manifest->shard_count);
    (void)printf("sum          %s%s\n", i->job.train.reduce == REEVE_REDUCE_FAST ? "fast" : "exact",
                 h->fast ? ": steps were reduced in fp32, so other worker counts give other bits" : "");
    (void)printf("workers      %u seen, %s; %u thread%s each\n", h->workers_seen, reeve_history_lost(h, lost),
                 i->job.resources.threads, i->job.resources.threads == 1 ? "" : "s");
    (void)printf("journal      %" PRIu64 " records in %u segment%s%s\n", h->info.last_lsn, h->info.segments,
                 h->info.segments == 1 ? "" : "s",
                 h->info.torn_tail ? "; its last write was cut short, which a crash does" : "");
}

static void print_trouble(const struct reeve_history *h)
{
    if (h->refused_count > 0)
        (void)printf("refused      %u step%s for NaN, infinity or overflow, the last was %" PRIu64 "\n",
                     h->refused_count, h->refused_count == 1 ? "" : "s", h->refused[h->refused_count - 1]);
    if (h->rolled_back_steps > 0) (void)printf("rolled back  %" PRIu64 " steps, done again\n", h->rolled_back_steps);
    if (h->steps_aborted > 0) (void)printf("aborted      %" PRIu64 " steps before their commit\n", h->steps_aborted);
    if (h->dead_tasks > 0) (void)printf("dead         %" PRIu64 " tasks\n", h->dead_tasks);
    if (h->checkpoints_failed > 0)
        (void)printf("checkpoints  %" PRIu64 " could not be written\n", h->checkpoints_failed);
}

static void print_starts(const struct reeve_history *h)
{
    (void)printf("\nstart                 from step  steps          workers  ended\n");
    for (uint32_t i = 0; i < h->opening_count; i++) {
        const struct reeve_opening *o = &h->openings[i];
        char began[21] = "?", steps[48] = "-";
        if (o->wall_ns != 0) reeve_clock_format_utc(o->wall_ns, began);
        if (o->first_step > 0) (void)snprintf(steps, sizeof steps, "%" PRIu64 "-%" PRIu64, o->first_step, o->last_step);
        (void)printf("%-20s  %9" PRIu64 "  %-13s  %7u  %s%s%s\n", began, o->resumed_at, steps, o->workers_joined,
                     reeve_opening_end_name(o->end), o->end == REEVE_OPENING_STOPPED ? ": " : "",
                     o->end == REEVE_OPENING_STOPPED ? reeve_status_text((reeve_status)o->reason) : "");
    }
}

static void print_checkpoints(const struct reeve_inspected *i)
{
    bool any = false;
    for (uint32_t n = 0; n < i->history.checkpoint_count; n++) {
        const struct reeve_history_checkpoint *c = &i->history.checkpoints[n];
        char size[32];
        uint64_t bytes = reeve_inspect_checkpoint_bytes(i->run_dir, c->step);
        if (bytes == 0) continue;
        if (!any) (void)printf("\ncheckpoint  size        files  index\n");
        any = true;
        (void)printf("%10" PRIu64 "  %-10s  %5u  %016" PRIx64 "\n", c->step, reeve_cli_format_bytes(bytes, size),
                     c->files, c->digest64);
    }
    if (!any) (void)printf("\nno checkpoint yet\n");
}

static void print_meta(const struct reeve_checkpoint_meta *m)
{
    char written[21], age[32], hex[REEVE_DIGEST_HEX_BYTES];
    reeve_clock_format_utc(m->wall_ns, written);
    double seconds = (double)(reeve_clock_wall_ns() - m->wall_ns) / (double)REEVE_SECOND_NS;
    reeve_digest_hex(m->weights_digest, hex);
    (void)printf("\ncheckpoint of step %" PRIu64 ", written %s (%s ago) by %u worker%s of %u thread%s\n", m->step,
                 written, reeve_cli_format_seconds(seconds < 0 ? 0 : seconds, age), m->workers,
                 m->workers == 1 ? "" : "s", m->threads, m->threads == 1 ? "" : "s");
    (void)printf("  weights    %s\n  queue      %016" PRIx64 " at record %" PRIu64 "\n  build      %s\n", hex,
                 m->queue_digest, m->lsn, m->build);
}

static void print_tensors(const reeve_checkpoint *c)
{
    (void)printf("\n%-10s  %-40s  shape\n", "group", "tensor");
    for (uint32_t i = 0; i < reeve_checkpoint_tensor_count(c); i++) {
        struct reeve_tensor t;
        reeve_checkpoint_tensor(c, i, &t);
        (void)printf("%-10s  %-40s ", t.group == REEVE_TENSOR_MODEL ? "model" : "optimizer", t.name);
        for (uint32_t d = 0; d < t.rank; d++)
            (void)printf("%s%" PRIu64, d == 0 ? " " : " x ", t.shape[d]);
        (void)printf("\n");
    }
}

int reeve_inspect_print_text(const struct reeve_inspected *i, bool tensors)
{
    if (!tensors) {
        print_progress(i);
        print_trouble(&i->history);
        print_starts(&i->history);
        print_checkpoints(i);
    }
    if (i->checkpoint != NULL) print_meta(reeve_checkpoint_meta(i->checkpoint));
    if (i->checkpoint != NULL && tensors) print_tensors(i->checkpoint);
    return REEVE_EXIT_DONE;
}
