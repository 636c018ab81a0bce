/* job.yaml from anybody. What is accepted must come back the same from its own printed form. */
#include <stdlib.h>
#include <string.h>

#include "config/job_file.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct reeve_job job, again; /* large, and compared as memory */
    static char identity[16384];
    struct reeve_error err;
    char *text = NULL, *json = NULL;
    memset(&job, 0, sizeof(job));
    memset(&again, 0, sizeof(again));
    if (reeve_job_read(fuzz_file("job.yaml", data, size), NULL, 0, &job, &err) != REEVE_OK) return 0;
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
