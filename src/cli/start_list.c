/* See start_list.h. */
#include "cli/start_list.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/output.h"

/* "17", "17.2" for the second time that Slurm started it again; "-" outside batch jobs. */
static const char *job_name(const struct reeve_start *s, char text[48])
{
    if (s->job_id == 0) return "-";
    if (s->restart_count == 0) (void)snprintf(text, 48, "%" PRIu64, s->job_id);
    else (void)snprintf(text, 48, "%" PRIu64 ".%" PRIu32, s->job_id, s->restart_count);
    return text;
}

static void print_causes(const struct reeve_starts *all)
{
    const char *between = "";
    (void)printf("ended by   ");
    for (enum reeve_cause c = REEVE_CAUSE_COMPLETE; c < REEVE_CAUSE_COUNT; c++) {
        if (all->causes[c] == 0) continue;
        (void)printf("%s%s %" PRIu32, between, reeve_cause_name(c), all->causes[c]);
        between = ", ";
    }
    (void)printf("%s\n", *between == '\0' ? "nothing yet" : "");
}

void reeve_start_list_print(const struct reeve_starts *all)
{
    if (all->count == 0) return;
    print_causes(all);
    (void)printf("\nstart                 after step  workers  job         ended by      hosts\n");
    for (uint32_t i = 0; i < all->count; i++) {
        const struct reeve_start *s = &all->start[i];
        char began[21] = "?", job[48];
        if (s->began_wall_ns != 0) reeve_clock_format_utc(s->began_wall_ns, began);
        const char *cause = s->cause == REEVE_CAUSE_NONE ? "-" : reeve_cause_name(s->cause);
        (void)printf("%-20s  %10" PRIu64 "  %7" PRIu32 "  %-10s  %-12s  %s\n", began, s->step, s->workers,
                     job_name(s, job), cause, s->hosts[0] != '\0' ? s->hosts : "-");
    }
}

static json_t *hosts_json(const char *hosts)
{
    json_t *list = json_array();
    char copy[REEVE_HOSTS_BYTES];
    (void)snprintf(copy, sizeof(copy), "%s", hosts);
    for (char *at = copy, *host; (host = strsep(&at, " ")) != NULL;)
        if (*host != '\0') reeve_cli_json_append(list, reeve_cli_json_text(host));
    return list;
}

json_t *reeve_start_list_json(const struct reeve_starts *all)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < all->count; i++) {
        const struct reeve_start *s = &all->start[i];
        json_t *o = json_object();
        reeve_cli_json_set(o, "epoch", json_integer(s->epoch));
        reeve_cli_json_set(o, "began", reeve_cli_json_utc(s->began_wall_ns));
        reeve_cli_json_set(o, "step", reeve_cli_json_u64(s->step));
        reeve_cli_json_set(o, "workers", json_integer(s->workers));
        reeve_cli_json_set(o, "hosts", hosts_json(s->hosts));
        reeve_cli_json_set(o, "job_id", s->job_id != 0 ? reeve_cli_json_u64(s->job_id) : json_null());
        reeve_cli_json_set(o, "restart_count", json_integer(s->restart_count));
        reeve_cli_json_set(o, "cause",
                           s->cause != REEVE_CAUSE_NONE ? json_string(reeve_cause_name(s->cause)) : json_null());
        reeve_cli_json_set(o, "exit_code", s->ended ? json_integer(s->exit_code) : json_null());
        reeve_cli_json_set(o, "last_step", s->ended ? reeve_cli_json_u64(s->last_step) : json_null());
        reeve_cli_json_set(o, "checkpoint", s->ended ? reeve_cli_json_u64(s->checkpoint) : json_null());
        reeve_cli_json_append(list, o);
    }
    return list;
}
