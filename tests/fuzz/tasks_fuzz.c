/* The tasks of a run from anybody. The first byte of the input says what the rest is:
 *   0  tasks.h5
 *   1  tasks.h5 whose seal is made to fit
 *   2  a job.yaml of workload exec, a NUL, and the file commands.txt that it may name
 * What is accepted is within its bounds, and comes back the same from a file of its own. */
#include <stdlib.h>
#include <string.h>

#include "config/job_file.h"
#include "config/tasks_file.h"
#include "fuzz.h"
#include "store/tasks_lock.h"

#define SEAL_AT 2048u /* where HDF5 puts it in the files that we write */
#define VALUES_MAX 24 /* in a job with a matrix: a product of more has millions of tasks, which is allowed and slow */

static void judge(struct reeve_task_list *l)
{
    struct reeve_error err;
    struct reeve_task_list *again = NULL;
    FUZZ_CHECK(reeve_task_list_check(l, &err) == REEVE_OK, "an accepted list is out of bounds: %s", err.text);
    FUZZ_CHECK(reeve_digest_equal(l->digest, reeve_task_list_digest(l)), "an accepted list has another digest");
    for (uint32_t i = 0; i < l->task_count; i++)
        FUZZ_CHECK(strlen(reeve_task_list_name(l, i)) > 0 &&
                       strlen(reeve_task_list_command(l, i)) < REEVE_TASK_COMMAND_BYTES,
                   "task %u has no name, or a command that is too long", i);
    const char *path = fuzz_file("again.h5", "", 0);
    FUZZ_CHECK(reeve_tasks_lock_write(path, l, &err) == REEVE_OK, "an accepted list cannot be written: %s", err.text);
    FUZZ_CHECK(reeve_tasks_lock_read(path, &again, &err) == REEVE_OK, "a written list is refused: %s", err.text);
    FUZZ_CHECK(reeve_digest_equal(l->digest, again->digest) && strcmp(l->folder, again->folder) == 0,
               "a written list comes back as another one");
    reeve_task_list_destroy(again);
    reeve_task_list_destroy(l);
}

static bool is_large(const uint8_t *text, size_t bytes)
{
    unsigned values = 0;
    for (size_t i = 0; i < bytes; i++)
        values += text[i] == ',' || text[i] == '\n';
    return values > VALUES_MAX && memmem(text, bytes, "matrix", 6) != NULL;
}

static void read_job(const uint8_t *data, size_t size)
{
    static struct reeve_job job;
    struct reeve_error err;
    struct reeve_task_list *l = NULL;
    const uint8_t *end = memchr(data, '\0', size);
    size_t bytes = end != NULL ? (size_t)(end - data) : size;
    if (is_large(data, bytes)) return;
    if (end != NULL) (void)fuzz_file("commands.txt", end + 1, size - bytes - 1);
    const char *path = fuzz_file("job.yaml", data, bytes);
    memset(&job, 0, sizeof(job));
    if (reeve_job_read(path, NULL, 0, &job, &err) != REEVE_OK || reeve_tasks_read(path, &job, &l, &err) != REEVE_OK)
        return;
    judge(l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reeve_error err;
    struct reeve_task_list *l = NULL;
    if (size == 0) return 0;
    if (data[0] % 3 == 2) {
        read_job(data + 1, size - 1);
        return 0;
    }
    uint8_t *bytes = fuzz_copy(data + 1, size - 1);
    if (data[0] % 3 == 1) fuzz_seal(bytes, size - 1, SEAL_AT);
    if (reeve_tasks_lock_read(fuzz_file("tasks.h5", bytes, size - 1), &l, &err) == REEVE_OK) judge(l);
    free(bytes);
    return 0;
}
