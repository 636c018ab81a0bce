/* What other programs say: mpirun on its way out, Slurm's commands, the environment of a batch job; and starts.jsonl,
 * which anybody may have edited. The same bytes are given to all that read words. */
#include <stdlib.h>
#include <string.h>

#include "cli/allocation_hosts.h"
#include "cli/chaos.h"
#include "cli/launch_words.h"
#include "cli/slurm.h"
#include "export/starts_file.h"
#include "fuzz.h"
#include "run/allocation.h"

/* In pieces, as they come through a pipe; what is not told to us must pass. */
static void launch_words(const char *text, size_t size, size_t piece)
{
    static struct reeve_launch_words w; /* large */
    char *out_text = NULL, *log_text = NULL;
    size_t out_bytes = 0, log_bytes = 0;
    memset(&w, 0, sizeof(w));
    FILE *out = open_memstream(&out_text, &out_bytes), *log = open_memstream(&log_text, &log_bytes);
    if (out == NULL || log == NULL) abort();
    for (size_t at = 0; at < size; at += piece)
        reeve_launch_words_take(&w, text + at, size - at < piece ? size - at : piece, out, log);
    reeve_launch_words_flush(&w, out);
    if (fclose(out) != 0 || fclose(log) != 0) abort();
    FUZZ_CHECK(out_bytes + log_bytes == size, "%zu bytes of mpirun's became %zu", size, out_bytes + log_bytes);
    FUZZ_CHECK(!w.death.known || memchr(w.death.host, '\0', sizeof(w.death.host)) != NULL, "a host without an end");
    free(out_text);
    free(log_text);
}

static void slurm_words(const char *text)
{
    struct reeve_slurm_job job = {0};
    int64_t end_wall_ns = 0;
    if (reeve_slurm_parse_ended(text, &job))
        FUZZ_CHECK(job.ended && job.exit_code >= 0 && job.exit_code < 256 && job.signal >= 0, "sacct's words: %d:%d",
                   job.exit_code, job.signal);
    if (reeve_allocation_parse_end(text, &end_wall_ns)) FUZZ_CHECK(end_wall_ns > 0, "an allocation that never began");
    if (reeve_allocation_parse_line(text, 1, &end_wall_ns)) FUZZ_CHECK(end_wall_ns > 0, "another that never began");
    (void)reeve_slurm_exit_code(text);
    char *line = strdup(text);
    if (line == NULL) abort();
    reeve_slurm_one_line(line);
    FUZZ_CHECK(strlen(line) <= strlen(text) && strpbrk(line, "\n\t\r") == NULL, "one line is more than one");
    FUZZ_CHECK(reeve_allocation_hosts_same(line, line), "a host is not itself");
    (void)reeve_allocation_hosts_same(text, line);
    free(line);
}

static void starts(const uint8_t *data, size_t size)
{
    struct reeve_starts all;
    struct reeve_error err;
    uint32_t ends = 0;
    (void)fuzz_file("starts.jsonl", data, size);
    if (reeve_starts_read(fuzz_folder(), &all, &err) != REEVE_OK) return;
    for (int c = 0; c < REEVE_CAUSE_COUNT; c++)
        ends += all.causes[c];
    FUZZ_CHECK(ends == all.count, "%u starts, and %u causes", all.count, ends);
    reeve_starts_fini(&all);
}

static void marks(const uint8_t *data, size_t size)
{
    struct reeve_chaos_marks m = {0};
    (void)fuzz_file("metrics.jsonl", data, size);
    reeve_chaos_marks_read(&m, fuzz_folder());
    (void)reeve_chaos_marks_back(&m, m.count > 0 ? m.list[0].wall_ns : 0, INT64_MAX);
    (void)reeve_chaos_marks_step_s(&m);
    reeve_chaos_marks_fini(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    char *text = (char *)fuzz_copy(data, size);
    text[size] = '\0';
    launch_words(text + 1, size - 1, 1 + (uint8_t)text[0]);
    slurm_words(text + 1);
    starts(data + 1, size - 1);
    marks(data + 1, size - 1);
    free(text);
    return 0;
}
