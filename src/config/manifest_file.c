/* Reading shards.yaml; see manifest_file.h. */
#include "config/manifest_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "config/keys.h"
#include "config/manifest_paths.h"
#include "config/scalar.h"

#define MANIFEST_FILE_BYTES_MAX ((size_t)256 << 20)

/* What the file says at its top. */
struct top {
    char dataset[REEVE_MANIFEST_NAME_BYTES];
    char tokenizer[REEVE_MANIFEST_NAME_BYTES];
    uint32_t format, dtype;
    uint32_t vocab;
    uint32_t shards; /* node */
};

/* What one entry of `shards` says. */
struct entry {
    char path[REEVE_PATH_BYTES_MAX];
    char glob[REEVE_PATH_BYTES_MAX];
    uint32_t weight;
    int32_t priority;
    uint32_t format;
};

static const char *const formats[] = {"auto", "text", "llm.c", "nanogpt", "hdf5", NULL}; /* enum reeve_shard_format */
static const char *const dtypes[] = {"uint16", NULL};

enum { TOP_DATASET, TOP_FORMAT, TOP_TOKENIZER, TOP_DTYPE, TOP_VOCAB, TOP_SHARDS, TOP_COUNT };
enum { ENTRY_PATH, ENTRY_GLOB, ENTRY_WEIGHT, ENTRY_PRIORITY, ENTRY_FORMAT, ENTRY_COUNT };

static const struct reeve_key top_keys[TOP_COUNT] = {
    [TOP_DATASET] = {"", "dataset", REEVE_KEY_TEXT, offsetof(struct top, dataset), REEVE_MANIFEST_NAME_BYTES, .low = 1,
                     .unit = "", .meaning = "what people call the data"},
    [TOP_FORMAT] = {"", "format", REEVE_KEY_CHOICE, offsetof(struct top, format), sizeof(uint32_t), .choices = formats,
                    .fallback = "auto", .unit = "", .meaning = "of every shard that does not say its own"},
    [TOP_TOKENIZER] = {"", "tokenizer", REEVE_KEY_TEXT, offsetof(struct top, tokenizer), REEVE_MANIFEST_NAME_BYTES,
                       .low = 1, .fallback = "bytes", .unit = "", .meaning = "bytes, gpt2, or the path of a file"},
    [TOP_DTYPE] = {"", "dtype", REEVE_KEY_CHOICE, offsetof(struct top, dtype), sizeof(uint32_t), .choices = dtypes,
                   .fallback = "uint16", .unit = "", .meaning = "of the tokens of nanogpt shards"},
    [TOP_VOCAB] = {"", "vocab", REEVE_KEY_U32, offsetof(struct top, vocab), .low = 1, .high = INT32_MAX,
                   .fallback = "1", .unit = "tokens", .meaning = "tokens are 0..vocab-1"},
    [TOP_SHARDS] = {"", "shards", REEVE_KEY_NODE, offsetof(struct top, shards), .unit = "",
                    .meaning = "one {path: FILE} or {glob: PATTERN} for each"},
};

static const struct reeve_key entry_keys[ENTRY_COUNT] = {
    [ENTRY_PATH] = {"", "path", REEVE_KEY_TEXT, offsetof(struct entry, path), REEVE_PATH_BYTES_MAX, .fallback = "",
                    .unit = "", .meaning = "a file"},
    [ENTRY_GLOB] = {"", "glob", REEVE_KEY_TEXT, offsetof(struct entry, glob), REEVE_PATH_BYTES_MAX, .fallback = "",
                    .unit = "", .meaning = "all files that match"},
    [ENTRY_WEIGHT] = {"", "weight", REEVE_KEY_U32, offsetof(struct entry, weight), .low = 1,
                      .high = REEVE_SHARD_WEIGHT_MAX, .fallback = "1", .unit = "", .meaning = "visits in each epoch"},
    [ENTRY_PRIORITY] = {"", "priority", REEVE_KEY_I32, offsetof(struct entry, priority), .low = INT32_MIN,
                        .high = INT32_MAX, .fallback = "0", .unit = "", .meaning = "of its staging task"},
    [ENTRY_FORMAT] = {"", "format", REEVE_KEY_CHOICE, offsetof(struct entry, format), sizeof(uint32_t),
                      .choices = formats, .fallback = "auto", .unit = "", .meaning = "instead of the one at the top"},
};

static const struct reeve_key_table top_table = {top_keys, TOP_COUNT, NULL};
static const struct reeve_key_table entry_table = {entry_keys, ENTRY_COUNT, NULL};

struct reader {
    const char *path;
    struct reeve_yaml yaml;
    struct top top;
    uint32_t top_given[TOP_COUNT];
    struct reeve_manifest *manifest;
    struct reeve_manifest_paths paths;
    bool has_ids;     /* some shard holds token ids: llm.c, nanogpt, hdf5 */
    bool has_nanogpt; /* some shard is, or may be, nanogpt */
    struct reeve_error *err;
};

/* Values that people know from elsewhere, and that deserve more than "expected one of". */
static reeve_status refuse_known(struct reader *r, uint32_t mapping)
{
    uint32_t format = reeve_yaml_find(&r->yaml, mapping, "format"), dtype = reeve_yaml_find(&r->yaml, mapping, "dtype");
    if (format != REEVE_YAML_NONE && r->yaml.nodes[format].kind == REEVE_YAML_SCALAR &&
        strcmp(reeve_yaml_text(&r->yaml, format), "megatron") == 0)
        return reeve_yaml_fail(&r->yaml, format, r->err, REEVE_INPUT_INVALID,
                               "key 'format': megatron (.bin with .idx) cannot be read; write the tokens as nanogpt "
                               "(raw uint16), llm.c or hdf5 (/tokens)");
    if (dtype == REEVE_YAML_NONE || r->yaml.nodes[dtype].kind != REEVE_YAML_SCALAR) return REEVE_OK;
    const char *text = reeve_yaml_text(&r->yaml, dtype);
    if (strcmp(text, "uint8") == 0)
        return reeve_yaml_fail(&r->yaml, dtype, r->err, REEVE_INPUT_INVALID,
                               "key 'dtype': nanogpt tokens are uint16; for a token in each byte write `format: text`");
    if (strcmp(text, "uint32") == 0)
        return reeve_yaml_fail(&r->yaml, dtype, r->err, REEVE_INPUT_INVALID,
                               "key 'dtype': nanogpt tokens are uint16; uint32 tokens are read from hdf5 (/tokens)");
    return REEVE_OK;
}

static reeve_status expect_mapping(struct reader *r, uint32_t node, const char *what)
{
    char found[REEVE_YAML_FOUND_BYTES];
    if (r->yaml.nodes[node].kind == REEVE_YAML_MAPPING) return refuse_known(r, node);
    return reeve_yaml_fail(&r->yaml, node, r->err, REEVE_INPUT_INVALID, "expected %s, found %s", what,
                           reeve_yaml_found(&r->yaml, node, found));
}

/* The format of an entry, and what follows from it for the whole file. */
static reeve_status settle_format(struct reader *r, const struct entry *e, const uint32_t *given, uint32_t node,
                                  struct reeve_shard *like)
{
    static const uint8_t token_bytes[] = {0, 1, 2, 2, 0};
    bool own = given[ENTRY_FORMAT] != REEVE_YAML_NONE;
    uint32_t format = own ? e->format : r->top.format;
    like->format = (uint8_t)format;
    like->token_bytes = token_bytes[format];
    if (format > REEVE_SHARD_TEXT) r->has_ids = true;
    if (format == 0 || format == REEVE_SHARD_NANOGPT) r->has_nanogpt = true;
    if (format != REEVE_SHARD_TEXT || strcmp(r->top.tokenizer, "bytes") == 0) return REEVE_OK;
    uint32_t at = own ? given[ENTRY_FORMAT] : r->top_given[TOP_FORMAT];
    return reeve_yaml_fail(&r->yaml, at != REEVE_YAML_NONE ? at : node, r->err, REEVE_INPUT_INVALID,
                           "key 'format': text is read byte by byte, but the tokenizer is '%s'; write `tokenizer: "
                           "bytes`, or tokenise the text first and give the format of the result",
                           r->top.tokenizer);
}

static reeve_status read_entry(struct reader *r, uint32_t node)
{
    struct entry e;
    uint32_t given[ENTRY_COUNT];
    reeve_status st = expect_mapping(r, node, "{path: FILE} or {glob: PATTERN}");
    if (st == REEVE_OK) st = reeve_keys_read(&entry_table, &r->yaml, node, &e, given, r->err);
    if (st != REEVE_OK) return st;
    bool has_path = given[ENTRY_PATH] != REEVE_YAML_NONE, has_glob = given[ENTRY_GLOB] != REEVE_YAML_NONE;
    if (has_path == has_glob)
        return reeve_yaml_fail(&r->yaml, node, r->err, REEVE_INPUT_INVALID,
                               has_path ? "`path` and `glob` in one entry; make two of it"
                                        : "neither `path` nor `glob`; expected one of them");
    uint32_t named = has_path ? given[ENTRY_PATH] : given[ENTRY_GLOB];
    if (has_path ? e.path[0] == '\0' : e.glob[0] == '\0')
        return reeve_yaml_fail(&r->yaml, named, r->err, REEVE_INPUT_INVALID, "key '%s': empty; expected %s",
                               has_path ? "path" : "glob", has_path ? "the path of a file" : "a pattern of paths");
    struct reeve_shard like = {.weight = (uint16_t)e.weight, .priority = e.priority};
    st = settle_format(r, &e, given, node, &like);
    if (st != REEVE_OK) return st;
    if (has_path) return reeve_manifest_paths_add(&r->paths, e.path, named, &like, r->err);
    return reeve_manifest_paths_add_glob(&r->paths, e.glob, named, &like, r->err);
}

static reeve_status read_shards(struct reader *r)
{
    const struct reeve_yaml *y = &r->yaml;
    char found[REEVE_YAML_FOUND_BYTES];
    uint32_t list = r->top.shards;
    if (y->nodes[list].kind != REEVE_YAML_LIST)
        return reeve_yaml_fail(y, list, r->err, REEVE_INPUT_INVALID,
                               "key 'shards': expected a list (- path: FILE), found %s",
                               reeve_yaml_found(y, list, found));
    if (y->nodes[list].count == 0)
        return reeve_yaml_fail(y, list, r->err, REEVE_INPUT_INVALID,
                               "key 'shards': empty; expected a list (- path: FILE)");
    for (uint32_t at = y->nodes[list].first; at != REEVE_YAML_NONE; at = y->nodes[at].next) {
        reeve_status st = read_entry(r, at);
        if (st != REEVE_OK) return st;
    }
    return REEVE_OK;
}

/* What needs all shards to be known: whether the tokens' meaning has been said. */
static reeve_status check_tokens(struct reader *r)
{
    uint32_t dtype = r->top_given[TOP_DTYPE];
    if (r->has_ids && r->top_given[TOP_TOKENIZER] == REEVE_YAML_NONE)
        return reeve_yaml_fail(&r->yaml, 0, r->err, REEVE_INPUT_INVALID,
                               "key 'tokenizer': missing; some shards hold token ids, so say whose: bytes, gpt2, or "
                               "the path of a file");
    if (dtype != REEVE_YAML_NONE && !r->has_nanogpt)
        return reeve_yaml_fail(&r->yaml, dtype, r->err, REEVE_INPUT_INVALID,
                               "key 'dtype': no shard is nanogpt; the other formats say it themselves, leave it out");
    return REEVE_OK;
}

/* Vocabulary: what the tokenizer has, or more (padded), or what the file says. */
static reeve_status settle_tokenizer(struct reader *r)
{
    const struct reeve_yaml *y = &r->yaml;
    const char *tokenizer = r->top.tokenizer;
    uint32_t node = r->top_given[TOP_TOKENIZER], vocab = r->top_given[TOP_VOCAB];
    uint32_t least = strcmp(tokenizer, "bytes") == 0 ? 256 : strcmp(tokenizer, "gpt2") == 0 ? 50257 : 0;
    if (least == 0) {
        char file[REEVE_PATH_BYTES_MAX];
        reeve_status st = reeve_path_join(file, sizeof(file), r->manifest->base_dir, tokenizer, r->err);
        if (st != REEVE_OK) return st;
        if (!reeve_path_exists(file))
            return reeve_yaml_fail(y, node, r->err, REEVE_INPUT_INVALID,
                                   "key 'tokenizer': '%s' is neither bytes nor gpt2, and there is no such file",
                                   tokenizer);
        if (vocab == REEVE_YAML_NONE)
            return reeve_yaml_fail(y, node, r->err, REEVE_INPUT_INVALID,
                                   "key 'vocab': missing; only bytes (256) and gpt2 (50257) say their vocabulary");
    }
    if (vocab == REEVE_YAML_NONE) r->top.vocab = least;
    else if (r->top.vocab < least)
        return reeve_yaml_fail(y, vocab, r->err, REEVE_INPUT_INVALID,
                               "key 'vocab': %" PRIu32 " is less than the %" PRIu32 " tokens of %s; leave it out",
                               r->top.vocab, least, tokenizer);
    return REEVE_OK;
}

static reeve_status create_manifest(struct reader *r)
{
    char dir[REEVE_PATH_BYTES_MAX];
    r->manifest = calloc(1, sizeof(*r->manifest));
    if (r->manifest == NULL) return reeve_fail(r->err, REEVE_JOB_NO_MEMORY, "%s: out of memory", r->path);
    reeve_path_dirname(r->path, dir, sizeof(dir));
    r->manifest->base_dir = realpath(dir, NULL);
    if (r->manifest->base_dir == NULL)
        return reeve_fail(r->err, reeve_status_from_errno_read(errno), "folder %s of the manifest: %m", dir);
    return reeve_manifest_paths_init(&r->paths, r->manifest, &r->yaml, r->err);
}

static reeve_status read_manifest(struct reader *r)
{
    reeve_status st = reeve_yaml_read(r->path, MANIFEST_FILE_BYTES_MAX, &r->yaml, r->err);
    if (st == REEVE_OK) st = expect_mapping(r, 0, "keys with values (a mapping: dataset, format, tokenizer, shards)");
    if (st == REEVE_OK) st = reeve_keys_read(&top_table, &r->yaml, 0, &r->top, r->top_given, r->err);
    if (st == REEVE_OK) st = create_manifest(r);
    if (st == REEVE_OK) st = settle_tokenizer(r);
    if (st == REEVE_OK) st = read_shards(r);
    if (st == REEVE_OK) st = check_tokens(r);
    if (st != REEVE_OK) return st;
    memcpy(r->manifest->dataset, r->top.dataset, sizeof(r->top.dataset));
    memcpy(r->manifest->tokenizer, r->top.tokenizer, sizeof(r->top.tokenizer));
    r->manifest->vocab = r->top.vocab;
    return REEVE_OK;
}

reeve_status reeve_manifest_file_read(const char *path, struct reeve_manifest **out, struct reeve_error *err)
{
    struct reader r = {.path = path, .err = err, .paths = {.base_fd = -1}};
    reeve_status st = read_manifest(&r);
    reeve_manifest_paths_fini(&r.paths);
    reeve_yaml_fini(&r.yaml);
    if (st == REEVE_OK) *out = r.manifest;
    else reeve_manifest_destroy(r.manifest);
    return st;
}
