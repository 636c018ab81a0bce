/* `reeve manifest show`: what is in a lock, for people and programs. */
#include <inttypes.h>
#include <stdio.h>

#include "base/one_line.h"
#include "cli/manifest.h"
#include "cli/output.h"
#include "cli/run_folder.h"
#include "cli/ticker.h"
#include "core/plan.h"
#include "run/lock_manifest.h"

#define SHOWN_AT_EACH_END 20u

/* How a sequence length cuts the shards into samples: asked of the plan, which owns the rule. NULL if it is not asked.
 */
static reeve_status make_plan(const struct reeve_manifest *m, uint32_t sequence, reeve_plan **out,
                              struct reeve_error *err)
{
    if (sequence == 0) return REEVE_OK;
    struct reeve_plan_config config = {
        .shuffle = REEVE_SHUFFLE_NONE, .block_shards = 1, .sequence = sequence, .global_batch = 1, .micro_batch = 1};
    return reeve_plan_create(m, &config, out, err);
}

static json_t *shard_json(const struct reeve_manifest *m, const reeve_plan *plan, uint32_t i)
{
    const struct reeve_shard *s = &m->shards[i];
    json_t *o = json_object();
    reeve_cli_json_set(o, "path", reeve_cli_json_text(reeve_manifest_path(m, (reeve_shard_id){i})));
    reeve_cli_json_set(o, "format", json_string(reeve_shard_format_name(s->format)));
    reeve_cli_json_set(o, "token_bytes", json_integer(s->token_bytes));
    reeve_cli_json_set(o, "tokens", reeve_cli_json_u64(s->token_count));
    reeve_cli_json_set(o, "bytes", reeve_cli_json_u64(s->file_bytes));
    reeve_cli_json_set(o, "data_offset", reeve_cli_json_u64(s->data_offset));
    reeve_cli_json_set(o, "weight", json_integer(s->weight));
    reeve_cli_json_set(o, "priority", json_integer(s->priority));
    reeve_cli_json_set(o, "digest", reeve_cli_json_digest(s->digest));
    if (plan != NULL)
        reeve_cli_json_set(o, "samples", reeve_cli_json_u64(reeve_plan_shard_samples(plan, (reeve_shard_id){i})));
    return o;
}

static int print_json(const struct reeve_manifest *m, const reeve_plan *plan, uint32_t sequence)
{
    json_t *o = reeve_cli_json_object(), *list = json_array();
    reeve_cli_json_set(o, "dataset", reeve_cli_json_text(m->dataset));
    reeve_cli_json_set(o, "tokenizer", reeve_cli_json_text(m->tokenizer));
    reeve_cli_json_set(o, "vocab", json_integer(m->vocab));
    reeve_cli_json_set(o, "manifest_digest", reeve_cli_json_digest(m->digest));
    reeve_cli_json_set(o, "base_dir", reeve_cli_json_text(m->base_dir != NULL ? m->base_dir : ""));
    reeve_cli_json_set(o, "tokens", reeve_cli_json_u64(reeve_manifest_tokens(m)));
    reeve_cli_json_set(o, "bytes", reeve_cli_json_u64(reeve_manifest_bytes(m)));
    reeve_cli_json_set(o, "shard_count", json_integer(m->shard_count));
    if (plan != NULL) {
        reeve_cli_json_set(o, "sequence", json_integer(sequence));
        reeve_cli_json_set(o, "epoch_samples", reeve_cli_json_u64(reeve_plan_epoch_samples(plan)));
        reeve_cli_json_set(o, "dropped_tokens", reeve_cli_json_u64(reeve_plan_dropped_tokens(plan)));
    }
    for (uint32_t i = 0; i < m->shard_count; i++)
        reeve_cli_json_append(list, shard_json(m, plan, i));
    reeve_cli_json_set(o, "shards", list);
    return reeve_cli_print_json(o);
}

static void print_head(const struct reeve_manifest *m, const reeve_plan *plan, uint32_t sequence)
{
    char hex[REEVE_DIGEST_HEX_BYTES], count[32], size[32];
    reeve_digest_hex(m->digest, hex);
    (void)printf("dataset    %s\ntokenizer  %s, vocabulary of %u\ndigest     %s\n", m->dataset, m->tokenizer, m->vocab,
                 hex);
    (void)printf("shards     %u, below %s\n", m->shard_count, m->base_dir != NULL ? m->base_dir : ".");
    (void)printf("tokens     %s in %s\n", reeve_cli_format_count(reeve_manifest_tokens(m), count),
                 reeve_cli_format_bytes(reeve_manifest_bytes(m), size));
    if (plan == NULL) return;
    (void)printf("samples    %s of %u tokens in an epoch (weights counted)\n",
                 reeve_cli_format_count(reeve_plan_epoch_samples(plan), count), sequence);
    (void)printf("dropped    %s tokens behind the last sample of their shard\n",
                 reeve_cli_format_count(reeve_plan_dropped_tokens(plan), count));
}

static void print_shard(const struct reeve_manifest *m, const reeve_plan *plan, uint32_t i)
{
    const struct reeve_shard *s = &m->shards[i];
    char hex[REEVE_DIGEST_HEX_BYTES];
    reeve_digest_hex(s->digest, hex);
    (void)printf("%6u  %-7s  u%-2u  %14" PRIu64 "  %6u  %8d", i, reeve_shard_format_name(s->format),
                 8u * s->token_bytes, s->token_count, s->weight, s->priority);
    if (plan != NULL) (void)printf("  %12" PRIu64, reeve_plan_shard_samples(plan, (reeve_shard_id){i}));
    (void)printf("  %.12s  %s\n", hex, reeve_manifest_path(m, (reeve_shard_id){i}));
}

static void print_shards(const struct reeve_manifest *m, const reeve_plan *plan, bool all)
{
    (void)printf("\n%6s  %-7s  %-3s  %14s  %6s  %8s", "shard", "format", "as", "tokens", "weight", "priority");
    if (plan != NULL) (void)printf("  %12s", "samples");
    (void)printf("  %-12s  %s\n", "digest", "path");
    bool cut = !all && m->shard_count > 2 * SHOWN_AT_EACH_END;
    for (uint32_t i = 0; i < m->shard_count; i++) {
        if (cut && i == SHOWN_AT_EACH_END) {
            (void)printf("%6s  (%u more: --all)\n", "...", m->shard_count - 2 * SHOWN_AT_EACH_END);
            i = m->shard_count - SHOWN_AT_EACH_END;
        }
        print_shard(m, plan, i);
    }
}

int reeve_manifest_show_main(const struct reeve_manifest_request *r)
{
    struct reeve_error err = {0};
    struct reeve_manifest *m = NULL;
    reeve_plan *plan = NULL;
    struct reeve_ticker ticker;
    reeve_ticker_begin(&ticker, "measured");
    reeve_status st;
    if (reeve_is_folder(r->path)) st = reeve_run_folder_read(r->path, NULL, &m, &err);
    else st = reeve_manifest_open(r->path, r->threads, reeve_ticker_shards, &ticker, &m, NULL, &err);
    reeve_ticker_end(&ticker);
    if (st == REEVE_OK) st = make_plan(m, r->sequence, &plan, &err);
    int code = 0;
    if (st != REEVE_OK) {
        code = reeve_cli_fail(&err);
    } else if (r->json) {
        code = print_json(m, plan, r->sequence);
    } else {
        /* The lock may be somebody else's; what else it says was checked when it was read. */
        if (m->base_dir != NULL) reeve_one_line(m->base_dir);
        print_head(m, plan, r->sequence);
        print_shards(m, plan, r->all);
    }
    reeve_plan_destroy(plan);
    reeve_manifest_destroy(m);
    return code;
}
