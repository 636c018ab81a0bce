/* status.json, metrics.jsonl and the record in LOCK from anybody: the same bytes are given to all three readers. What
 * status.json is accepted as can be written again. */
#include <stdlib.h>
#include <string.h>

#include "export/metrics_file.h"
#include "export/status_file.h"
#include "fuzz.h"
#include "store/owner.h"
#include "store/owner_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reeve_error err;
    struct reeve_status_report report;
    struct reeve_metrics_row *rows = NULL;
    uint64_t count = 0, skipped = 0;
    char who[512];
    if (reeve_status_file_read(fuzz_file("status.json", data, size), &report, &err) == REEVE_OK)
        FUZZ_CHECK(reeve_status_file_write(fuzz_file("again.json", "", 0), &report, &err) == REEVE_OK,
                   "a status that was read cannot be written: %s", err.text);
    if (reeve_metrics_read(fuzz_file("metrics.jsonl", data, size), &rows, &count, &skipped, &err) == REEVE_OK)
        for (uint64_t i = 1; i < count; i++)
            FUZZ_CHECK(rows[i - 1].step <= rows[i].step, "rows are out of order");
    free(rows);
    (void)fuzz_file("LOCK", data, size);
    (void)reeve_owner_peek(fuzz_folder(), who, sizeof(who));
    struct reeve_owner_record record, again;
    char *text = (char *)fuzz_copy(data, size), printed[REEVE_OWNER_RECORD_BYTES];
    text[size] = '\0';
    if (reeve_owner_record_parse(text, &record)) {
        (void)reeve_owner_record_print(&record, printed);
        FUZZ_CHECK(reeve_owner_record_parse(printed, &again), "a record that was parsed cannot be printed");
    }
    free(text);
    return 0;
}
