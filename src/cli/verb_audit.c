/* `reeve audit`: the proof, from the files of the run alone, that every sample entered the model exactly once. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "cli/audit_run.h"
#include "cli/listed.h"
#include "cli/output.h"
#include "cli/start_list.h"
#include "cli/verb.h"
#include "reeve/status.h"

static int print_json(const struct reeve_audit_result *r, const struct reeve_job *job,
                      const struct reeve_starts *starts, int code)
{
    json_t *o = reeve_cli_json_object();
    reeve_cli_json_set(o, "exactly_once", json_boolean(r->exactly_once));
    reeve_cli_json_set(o, "steps", reeve_cli_json_u64(r->steps));
    reeve_cli_json_set(o, "job_steps", reeve_cli_json_u64(job->train.steps));
    reeve_cli_json_set(o, "samples_expected", reeve_cli_json_u64(r->samples_expected));
    reeve_cli_json_set(o, "samples_committed", reeve_cli_json_u64(r->samples_committed));
    reeve_cli_json_set(o, "duplicates", reeve_cli_json_u64(r->duplicates));
    reeve_cli_json_set(o, "missing", reeve_cli_json_u64(r->missing));
    reeve_cli_json_set(o, "samples_refused", reeve_cli_json_u64(r->samples_refused));
    reeve_cli_json_set(o, "epochs_complete", reeve_cli_json_u64(r->epochs_complete));
    reeve_cli_json_set(o, "restarts", reeve_cli_json_u64(r->restarts));
    reeve_cli_json_set(o, "rolled_back_steps", reeve_cli_json_u64(r->rolled_back_steps));
    reeve_cli_json_set(o, "recomputed", reeve_cli_json_u64(r->recomputed));
    reeve_cli_json_set(o, "leases", reeve_cli_json_u64(r->leases));
    reeve_cli_json_set(o, "stale", reeve_cli_json_u64(r->stale));
    reeve_cli_json_set(o, "violations", reeve_cli_json_u64(r->violations));
    reeve_cli_json_set(o, "first_violation", r->violations > 0 ? reeve_cli_json_text(r->first_violation) : json_null());
    reeve_cli_json_set(o, "starts", reeve_start_list_json(starts));
    int printed = reeve_cli_print_json(o);
    return printed != 0 ? printed : code;
}

static void print_exactly_once(const struct reeve_audit_result *r)
{
    char all[32], entered[32], refused[32];
    (void)printf("%sEXACTLY ONCE%s: each of the %s samples of %" PRIu64 " steps ",
                 reeve_cli_style(stdout, REEVE_STYLE_GOOD), reeve_cli_style(stdout, REEVE_STYLE_PLAIN),
                 reeve_cli_format_count(r->samples_committed, all), r->steps);
    if (r->samples_refused == 0) {
        (void)printf("entered the model once, and no other.\n");
        return;
    }
    (void)printf("is accounted for once, and no other: %s entered the model, %s were refused.\n",
                 reeve_cli_format_count(r->samples_committed - r->samples_refused, entered),
                 reeve_cli_format_count(r->samples_refused, refused));
}

static void print_verdict(const struct reeve_audit_result *r)
{
    const char *plain = reeve_cli_style(stdout, REEVE_STYLE_PLAIN);
    if (r->exactly_once) {
        print_exactly_once(r);
        return;
    }
    (void)printf("%sNOT EXACTLY ONCE%s: %" PRIu64 " samples missing, %" PRIu64 " more than once, %" PRIu64
                 " rules broken.\n",
                 reeve_cli_style(stdout, REEVE_STYLE_BAD), plain, r->missing, r->duplicates, r->violations);
    if (r->violations > 0) (void)printf("The first: %s\n", r->first_violation);
}

static int print_text(const struct reeve_audit_result *r, const struct reeve_job *job,
                      const struct reeve_starts *starts, int code)
{
    char a[32], b[32];
    print_verdict(r);
    (void)printf("expected   %s samples: steps 1 to %" PRIu64 " of %" PRIu64 ", %u in each\n",
                 reeve_cli_format_count(r->samples_expected, a), r->steps, job->train.steps, job->train.global_batch);
    (void)printf("committed  %s samples, %" PRIu64 " epoch%s complete\n",
                 reeve_cli_format_count(r->samples_committed, a), r->epochs_complete,
                 r->epochs_complete == 1 ? "" : "s");
    if (r->samples_refused > 0)
        (void)printf(
            "refused    %s of them: in steps whose gradient held NaN, infinity or overflow; they changed no weight\n",
            reeve_cli_format_count(r->samples_refused, a));
    (void)printf("on the way %s leases, %s micro-batches computed again, %" PRIu64 " late words dropped\n",
                 reeve_cli_format_count(r->leases, a), reeve_cli_format_count(r->recomputed, b), r->stale);
    (void)printf("restarts   %" PRIu64 ", with %" PRIu64 " committed steps rolled back and done again\n", r->restarts,
                 r->rolled_back_steps);
    reeve_start_list_print(starts);
    return code;
}

static int audit_main(const struct reeve_verb *verb, int argc, char **argv)
{
    bool json = false;
    for (int id; (id = reeve_verb_option(verb, argc, argv, NULL)) != -1;)
        json = json || id == REEVE_OPT_JSON_ID;
    int code = reeve_verb_operands(verb, argc, argv, 1, 1);
    if (code != 0) return code;
    if (reeve_listed_is_run(argv[optind])) return reeve_listed_audit(argv[optind], json);
    static struct reeve_job job;
    struct reeve_audit_result result = {0};
    struct reeve_error err = {0};
    if (reeve_audit_run(argv[optind], &job, &result, &err) != REEVE_OK) return reeve_cli_fail(&err);
    /* No part of the proof: who ran it, and where, is told as far as it is on record. */
    struct reeve_starts starts;
    if (reeve_starts_read(argv[optind], &starts, &err) != REEVE_OK) reeve_cli_note("%s", err.text);
    code = result.exactly_once ? REEVE_EXIT_DONE : REEVE_EXIT_DATA;
    code = json ? print_json(&result, &job, &starts, code) : print_text(&result, &job, &starts, code);
    reeve_starts_fini(&starts);
    return code;
}

static const struct reeve_opt audit_opts[] = {REEVE_OPT_JSON, {0}};
const struct reeve_verb reeve_verb_audit = {
    "audit",
    "RUN",
    "prove from a run's files that every sample, or task, was used exactly once",
    "Folds the journal over the plan: every micro-batch of every step must have been computed under a lease that was in\n"
    "force, and have entered the sum of its step once, over all restarts of the run. Steps that were rolled back count on\n"
    "the timeline that survived only. Reads job.yaml, manifest.h5 and journal/ of the run for the verdict; starts.jsonl\n"
    "adds where each start ran, in which job, and why it ended. May be used while the run goes on. Of a run of workload\n"
    "exec: every task that is done counted once, under the lease in force, and nothing began before what it waits for; a\n"
    "command may have begun more often than that.\n"
    "\n"
    "Exit codes: 0 exactly once; 65 not so, or the journal is damaged; 66 no such run.\n"
    "\n"
    "Examples:\n"
    "  reeve audit runs/quickstart\n"
    "  reeve audit runs/quickstart --json\n",
    audit_opts,
    audit_main};
