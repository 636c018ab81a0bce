/* job.yaml from anybody; behind a NUL and "set", what --set is given, one in a line. What is accepted must come back the
 * same from its own printed form. */
#include <stdlib.h>
#include <string.h>

#include "config/job_file.h"
#include "fuzz.h"

#define SETS_MAX 8

/* Cuts the lines behind the mark off; returns how many there are. *lines: free() when they are no longer used. */
static uint32_t take_sets(const uint8_t *data, size_t *size, char **lines, const char *sets[SETS_MAX])
{
    static const char mark[] = "\0set";
    const uint8_t *at = memmem(data, *size, mark, sizeof(mark) - 1);
    uint32_t count = 0;
    char *rest = NULL;
    *lines = NULL;
    if (at == NULL) return 0;
    size_t left = *size - (size_t)(at - data) - (sizeof(mark) - 1);
    *lines = (char *)fuzz_copy(at + sizeof(mark) - 1, left);
    (*lines)[left] = '\0';
    *size = (size_t)(at - data);
    for (char *set = strtok_r(*lines, "\n", &rest); set != NULL && count < SETS_MAX; set = strtok_r(NULL, "\n", &rest))
        sets[count++] = set;
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct reeve_job job, again; /* large, and compared as memory */
    static char identity[16384];
    struct reeve_error err;
    const char *sets[SETS_MAX];
    char *text = NULL, *json = NULL, *lines;
    memset(&job, 0, sizeof(job));
    memset(&again, 0, sizeof(again));
    uint32_t set_count = take_sets(data, &size, &lines, sets);
    reeve_status st = reeve_job_read(fuzz_file("job.yaml", data, size), sets, set_count, &job, &err);
    free(lines);
    if (st != REEVE_OK) return 0;
    FUZZ_CHECK(reeve_job_format_yaml(&job, &text, &err) == REEVE_OK, "an accepted job cannot be printed: %s", err.text);
    FUZZ_CHECK(reeve_job_format_json(&job, &json, &err) == REEVE_OK, "an accepted job is no JSON: %s", err.text);
    FUZZ_CHECK(reeve_job_read(fuzz_file("job.yaml", text, strlen(text)), NULL, 0, &again, &err) == REEVE_OK,
               "a printed job is refused: %s", err.text);
    FUZZ_CHECK(memcmp(&job, &again, sizeof(job)) == 0, "a printed job is another one:\n%s", text);
    (void)reeve_job_identity(&job, identity, sizeof(identity));
    free(text);
    free(json);
    return 0;
}
