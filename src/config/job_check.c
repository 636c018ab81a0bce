/* Relations between the values of a job; each single range has been checked by then. */
#include "config/job_keys.h"

#include <inttypes.h>
#include <string.h>

#include "base/digest.h"
#include "base/error.h"
#include "config/scalar.h"

#define MICRO_BATCHES_MAX ((uint64_t)1 << 20) /* gradient tasks of one step */
#define TASK_TOKENS_MAX ((uint64_t)1 << 28)   /* of one gradient task: indices into a batch stay below 2^31 */

struct checker {
    const struct reeve_job *job;
    const struct reeve_job_origin *origins;
    struct reeve_error *err;
};

static const struct reeve_job_origin *origin_of(const struct checker *c, const char *section, const char *name)
{
    return &c->origins[reeve_key_find(&reeve_job_keys, section, name) - reeve_job_keys.keys];
}

/* An override speaks after the file, a later one after an earlier one, and anything given after a default. */
static bool later(const struct reeve_job_origin *a, const struct reeve_job_origin *b)
{
    if (a->tree == NULL || b->tree == NULL) return a->tree != NULL;
    if (a->tree->is_override != b->tree->is_override) return a->tree->is_override;
    return a->tree == b->tree ? a->node > b->node : a->tree > b->tree; /* overrides stand in one array, in order */
}

/* `path` and `other` cannot both hold; said at the one that was given last. */
static reeve_status clash(const struct checker *c, const char *section, const char *name, const char *other_section,
                          const char *other_name, const char *text)
{
    const struct reeve_job_origin *at = origin_of(c, section, name), *other = origin_of(c, other_section, other_name);
    if (later(other, at)) at = other, section = other_section, name = other_name;
    if (at->tree == NULL) /* two defaults: the table contradicts itself */
        return reeve_fail(c->err, REEVE_JOB_INTERNAL, "key '%s.%s': %s", section, name, text);
    return reeve_yaml_fail(at->tree, at->node, c->err, REEVE_INPUT_INVALID, "key '%s.%s': %s", section, name, text);
}

static reeve_status check_batch(const struct checker *c)
{
    char text[256];
    uint32_t global_batch = c->job->train.global_batch, micro_batch = c->job->train.micro_batch;
    uint64_t tokens = (uint64_t)micro_batch * ((uint64_t)c->job->data.sequence + 1);
    if (global_batch % micro_batch != 0) {
        (void)snprintf(text, sizeof(text),
                       "train.global_batch = %" PRIu32 " is no multiple of train.micro_batch = %" PRIu32, global_batch,
                       micro_batch);
        return clash(c, "train", "global_batch", "train", "micro_batch", text);
    }
    if (global_batch / micro_batch > MICRO_BATCHES_MAX) {
        (void)snprintf(text, sizeof(text),
                       "train.global_batch / train.micro_batch = %" PRIu32 " tasks in one step; at most %" PRIu64
                       " were expected: use larger micro-batches",
                       global_batch / micro_batch, MICRO_BATCHES_MAX);
        return clash(c, "train", "micro_batch", "train", "global_batch", text);
    }
    if (tokens > TASK_TOKENS_MAX) {
        (void)snprintf(text, sizeof(text),
                       "train.micro_batch * (data.sequence + 1) = %" PRIu64 " tokens in one task; at most %" PRIu64
                       " were expected: use smaller micro-batches",
                       tokens, TASK_TOKENS_MAX);
        return clash(c, "train", "micro_batch", "data", "sequence", text);
    }
    return REEVE_OK;
}

/* A misspelt name must not become the name that a run was begun with. */
static reeve_status check_workload(const struct checker *c)
{
    static const char *const names[] = {"gpt", "exec"};
    const char *workload = c->job->workload;
    for (size_t i = 0; i < 2; i++)
        if (strcmp(workload, names[i]) == 0) return REEVE_OK;
    if (reeve_job_is_plugin(c->job)) return REEVE_OK;
    char text[160], hint[32] = "";
    int near = reeve_scalar_nearest(workload, names, 2);
    if (near >= 0) (void)snprintf(hint, sizeof(hint), "; did you mean '%s'?", names[near]);
    (void)snprintf(text, sizeof(text), "expected gpt, exec, or a path that ends in .so, found '%.60s'%s", workload,
                   hint);
    const struct reeve_job_origin *at = origin_of(c, "", "workload");
    return reeve_yaml_fail(at->tree, at->node, c->err, REEVE_INPUT_INVALID, "key 'workload': %s", text);
}

/* Without --run-dir the run lies in runs/NAME: there, and not hidden from `reeve status`. */
static reeve_status check_name(const struct checker *c)
{
    if (strchr(c->job->name, '/') == NULL && c->job->name[0] != '.') return REEVE_OK;
    const struct reeve_job_origin *at = origin_of(c, "", "name");
    return reeve_yaml_fail(at->tree, at->node, c->err, REEVE_INPUT_INVALID,
                           "key 'name': expected the name of a folder below runs/, without '/' and with no '.' before "
                           "it, found '%s'; --run-dir puts a run elsewhere",
                           c->job->name);
}

static reeve_status check_model(const struct checker *c)
{
    char text[128];
    uint32_t width = c->job->model.width, heads = c->job->model.heads;
    if (width % heads == 0) return REEVE_OK;
    (void)snprintf(text, sizeof(text), "model.width = %" PRIu32 " is no multiple of model.heads = %" PRIu32, width,
                   heads);
    return clash(c, "model", "width", "model", "heads", text);
}

static reeve_status check_initial(const struct checker *c)
{
    struct reeve_digest digest;
    const char *hex = c->job->model.init_weights;
    const struct reeve_job_origin *at = origin_of(c, "model", "init_weights");
    if (hex[0] == '\0') return REEVE_OK;
    if (strspn(hex, "0123456789abcdef") != strlen(hex) || !reeve_digest_parse(hex, &digest))
        return reeve_yaml_fail(at->tree, at->node, c->err, REEVE_INPUT_INVALID,
                               "key 'model.init_weights': expected the weights_digest that `reeve inspect` shows, 32 "
                               "hex digits in lower case, found '%s'",
                               hex);
    if (c->job->model.init_from[0] != '\0') return REEVE_OK;
    return reeve_yaml_fail(at->tree, at->node, c->err, REEVE_INPUT_INVALID,
                           "key 'model.init_weights': says which weights to begin with, and model.init_from not where "
                           "they are");
}

static reeve_status check_precision(const struct checker *c)
{
    if (c->job->train.precision != REEVE_PRECISION_BF16 || c->job->resources.device != REEVE_DEVICE_CPU)
        return REEVE_OK;
    return clash(c, "train", "precision", "resources", "device",
                 "train.precision = bf16, but resources.device = cpu computes in fp32");
}

static reeve_status check_optimizer(const struct checker *c)
{
    char text[160], low[REEVE_SCALAR_REAL_BYTES], high[REEVE_SCALAR_REAL_BYTES];
    if (c->job->optimizer.min_lr <= c->job->optimizer.lr) return REEVE_OK;
    const struct reeve_job_origin *given = origin_of(c, "optimizer", "min_lr");
    (void)snprintf(text, sizeof(text), "optimizer.min_lr = %s%s is larger than optimizer.lr = %s",
                   reeve_scalar_format_real(c->job->optimizer.min_lr, low), given->tree == NULL ? " (its default)" : "",
                   reeve_scalar_format_real(c->job->optimizer.lr, high));
    return clash(c, "optimizer", "min_lr", "optimizer", "lr", text);
}

static reeve_status check_faults(const struct checker *c)
{
    char text[160];
    uint32_t warn_s = c->job->faults.silence_warn_s, stop_s = c->job->faults.silence_stop_s;
    if (warn_s <= stop_s) return REEVE_OK;
    (void)snprintf(text, sizeof(text),
                   "faults.silence_warn_s = %" PRIu32 " s is longer than faults.silence_stop_s = %" PRIu32 " s", warn_s,
                   stop_s);
    return clash(c, "faults", "silence_warn_s", "faults", "silence_stop_s", text);
}

static reeve_status check_exec(const struct checker *c)
{
    char text[128];
    if (c->job->exec.slots <= c->job->exec.ahead) return REEVE_OK;
    (void)snprintf(text, sizeof(text), "exec.slots = %" PRIu32 " is more than exec.ahead = %" PRIu32,
                   c->job->exec.slots, c->job->exec.ahead);
    return clash(c, "exec", "slots", "exec", "ahead", text);
}

/* Words that become options of sbatch: nothing in them may become something else there. */
static reeve_status check_word(const struct checker *c, const char *name, const char *word, const char *allowed,
                               const char *example)
{
    size_t n = strspn(word, allowed);
    if (word[n] == '\0' && word[0] != '-') return REEVE_OK;
    const struct reeve_job_origin *at = origin_of(c, "resources", name);
    return reeve_yaml_fail(at->tree, at->node, c->err, REEVE_INPUT_INVALID,
                           "key 'resources.%s': expected a word of Slurm's such as %s, found '%s'", name, example,
                           word);
}

static reeve_status check_slurm(const struct checker *c)
{
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    reeve_status st = check_word(c, "time", c->job->resources.time, "0123456789-:", "12:00:00 or 2-00");
    if (st == REEVE_OK)
        st = check_word(c, "partition", c->job->resources.partition, LETTERS "_.,+-", "gpu or long,short");
    if (st == REEVE_OK) st = check_word(c, "account", c->job->resources.account, LETTERS "_.+-@", "proj123");
#undef LETTERS
    return st;
}

reeve_status reeve_job_check_relations(const struct reeve_job *job, const struct reeve_job_origin *origins,
                                       struct reeve_error *err)
{
    struct checker c = {job, origins, err};
    reeve_status st = check_workload(&c);
    if (st == REEVE_OK) st = check_name(&c);
    if (st == REEVE_OK) st = check_faults(&c);
    if (st == REEVE_OK) st = check_slurm(&c);
    if (st == REEVE_OK && reeve_job_is_list(job)) return check_exec(&c);
    if (st == REEVE_OK) st = check_batch(&c);
    if (st == REEVE_OK) st = check_model(&c);
    if (st == REEVE_OK) st = check_initial(&c);
    if (st == REEVE_OK) st = check_precision(&c);
    if (st == REEVE_OK) st = check_optimizer(&c);
    return st;
}
