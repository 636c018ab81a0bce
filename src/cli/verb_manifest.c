/* `reeve manifest lock|check|show`: which data a run trains on, measured once and checked after. */
#include <getopt.h>
#include <string.h>

#include "cli/manifest.h"
#include "cli/suggest.h"
#include "cli/verb.h"
#include "reeve/status.h"

static const struct {
    const char *name;
    int (*main)(const struct reeve_manifest_request *);
} actions[] = {
    {"lock", reeve_manifest_lock_main}, {"check", reeve_manifest_check_main}, {"show", reeve_manifest_show_main}};
#define ACTIONS (sizeof actions / sizeof actions[0])

const char *reeve_shard_format_name(uint8_t format)
{
    switch ((enum reeve_shard_format)format) {
    case REEVE_SHARD_TEXT:
        return "text";
    case REEVE_SHARD_LLMC:
        return "llm.c";
    case REEVE_SHARD_NANOGPT:
        return "nanogpt";
    case REEVE_SHARD_HDF5:
        return "hdf5";
    }
    return "?";
}

uint64_t reeve_manifest_tokens(const struct reeve_manifest *m)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < m->shard_count; i++)
        sum += m->shards[i].token_count;
    return sum;
}

uint64_t reeve_manifest_bytes(const struct reeve_manifest *m)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < m->shard_count; i++)
        sum += m->shards[i].file_bytes;
    return sum;
}

static int run_action(const struct reeve_verb *verb, const char *word, const struct reeve_manifest_request *r)
{
    const char *names[ACTIONS];
    for (size_t i = 0; i < ACTIONS; i++) {
        names[i] = actions[i].name;
        if (strcmp(word, actions[i].name) != 0) continue;
        if (r->output != NULL && strcmp(word, "lock") != 0)
            return reeve_verb_usage(verb, "--output belongs to `lock`, and not to `%s`", word);
        return actions[i].main(r);
    }
    const char *nearest = reeve_cli_nearest(word, names, ACTIONS);
    if (nearest != NULL) return reeve_verb_usage(verb, "unknown word '%s'; did you mean '%s'?", word, nearest);
    return reeve_verb_usage(verb, "unknown word '%s'; expected lock, check or show", word);
}

enum { OPT_ALL = 257 };

static int manifest_main(const struct reeve_verb *verb, int argc, char **argv)
{
    struct reeve_manifest_request r = {0};
    const char *value;
    unsigned long long n = 0;
    int code = 0;
    for (int id; code == 0 && (id = reeve_verb_option(verb, argc, argv, &value)) != -1;) {
        switch (id) {
        case 'o':
            r.output = value;
            break;
        case 'j':
            code = reeve_verb_number(verb, "--jobs", value, 1, 256, &n);
            r.threads = (uint32_t)n;
            break;
        case 's':
            code = reeve_verb_number(verb, "--sequence", value, 1, 1u << 24, &n);
            r.sequence = (uint32_t)n;
            break;
        case OPT_ALL:
            r.all = true;
            break;
        case REEVE_OPT_JSON_ID:
            r.json = true;
            break;
        default:
            break;
        }
    }
    if (code == 0) code = reeve_verb_operands(verb, argc, argv, 2, 2);
    if (code != 0) return code;
    r.path = argv[optind + 1];
    return run_action(verb, argv[optind], &r);
}

static const struct reeve_opt manifest_opts[] = {
    {'o', "output", "FILE", "lock: write FILE instead of SHARDS.lock.h5 beside SHARDS.yaml"},
    {'j', "jobs", "N", "lock, check: read with N threads (default: as many as cores)"},
    {'s', "sequence", "T", "show: count the samples of T tokens, and the tokens behind the last one"},
    {OPT_ALL, "all", NULL, "show: all shards, not only the first and the last 20"},
    REEVE_OPT_JSON,
    {0}};

const struct reeve_verb reeve_verb_manifest = {
    "manifest",
    "lock|check|show SHARDS.yaml|LOCK.h5|RUN",
    "lock, check or show the data of a run",
    "A manifest (SHARDS.yaml) names the files to train on. `lock` reads each of them once, and writes down how many\n"
    "tokens it has and the digest of its bytes, so that every later run sees the same data or says what changed.\n"
    "A run locks by itself when it begins, into its own folder.\n"
    "\n"
    "  lock SHARDS.yaml   measure all shards, write SHARDS.lock.h5 (replaced as a whole, if it is there already)\n"
    "  check ...          compare every shard with its lock; without a lock: see whether every shard can be used\n"
    "  show ...           tell what is in a lock, or would be\n"
    "\n"
    "Exit codes of check: 0 all as locked; 65 a shard changed or is wrong; 66 a shard is missing; 74 reading failed.\n"
    "\n"
    "Examples:\n"
    "  reeve manifest lock shards.yaml --jobs 8\n"
    "  reeve manifest check runs/quickstart\n"
    "  reeve manifest show shards.lock.h5 --sequence 1024\n",
    manifest_opts,
    manifest_main};
