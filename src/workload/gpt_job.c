/* The job's JSON -> shape and optimiser, key by key, each with what was expected. */
#include "workload/gpt_job.h"

#include <jansson.h>
#include <string.h>

#include "base/error.h"

/* One object of the job and where the first error of it goes. */
struct section {
    const json_t *object;
    const char *name;
    reeve_status status;
    struct reeve_error *err;
};

static const json_t *get(struct section *s, const char *key, bool required)
{
    if (s->status != REEVE_OK) return NULL;
    const json_t *value = json_object_get(s->object, key);
    if (value == NULL && required)
        s->status = reeve_fail(s->err, REEVE_INPUT_INVALID, "gpt: the job has no %s.%s", s->name, key);
    return value;
}

static void read_count(struct section *s, const char *key, bool required, uint64_t max, uint64_t *out)
{
    const json_t *value = get(s, key, required);
    if (value == NULL) return;
    json_int_t n = json_integer_value(value);
    if (!json_is_integer(value) || n < 0 || (uint64_t)n > max)
        s->status = reeve_fail(s->err, REEVE_INPUT_INVALID, "gpt: %s.%s is no whole number from 0 to %llu", s->name,
                               key, (unsigned long long)max);
    else *out = (uint64_t)n;
}

static void read_number(struct section *s, const char *key, bool required, double *out)
{
    const json_t *value = get(s, key, required);
    if (value == NULL) return;
    if (!json_is_number(value))
        s->status = reeve_fail(s->err, REEVE_INPUT_INVALID, "gpt: %s.%s is no number", s->name, key);
    else *out = json_number_value(value);
}

static reeve_status parse_model(const json_t *job, struct reeve_gpt_shape *shape, struct reeve_error *err)
{
    struct section s = {json_object_get(job, "model"), "model", REEVE_OK, err};
    uint64_t layers = 0, heads = 0, width = 0;
    read_count(&s, "layers", true, UINT32_MAX, &layers);
    read_count(&s, "heads", true, UINT32_MAX, &heads);
    read_count(&s, "width", true, UINT32_MAX, &width);
    if (s.status != REEVE_OK) return s.status;
    shape->layers = (uint32_t)layers;
    shape->heads = (uint32_t)heads;
    shape->width = (uint32_t)width;
    return reeve_gpt_check_shape(shape, err);
}

static reeve_status parse_optimizer(const json_t *job, uint64_t steps, struct reeve_adamw_config *o,
                                    struct reeve_error *err)
{
    struct section s = {json_object_get(job, "optimizer"), "optimizer", REEVE_OK, err};
    *o = (struct reeve_adamw_config){.weight_decay = 0.1, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .clip = 1.0};
    const json_t *kind = get(&s, "kind", false);
    if (kind != NULL && (!json_is_string(kind) || strcmp(json_string_value(kind), "adamw") != 0))
        return reeve_fail(err, REEVE_INPUT_INVALID, "gpt: optimizer.kind is not one it has; expected adamw");
    read_number(&s, "lr", true, &o->lr);
    o->min_lr = o->lr / 10.0;
    read_number(&s, "min_lr", false, &o->min_lr);
    read_number(&s, "weight_decay", false, &o->weight_decay);
    read_number(&s, "beta1", false, &o->beta1);
    read_number(&s, "beta2", false, &o->beta2);
    read_number(&s, "eps", false, &o->eps);
    read_number(&s, "clip", false, &o->clip);
    read_count(&s, "warmup", false, INT64_MAX, &o->warmup);
    read_count(&s, "decay_steps", false, INT64_MAX, &o->decay_steps);
    if (s.status != REEVE_OK) return s.status;
    if (o->decay_steps == 0) o->decay_steps = steps;
    reeve_status st = reeve_adamw_check(o, err);
    return st == REEVE_OK ? st : reeve_error_context(err, "gpt");
}

static void read_choice(struct section *s, const char *key, const char *const *choices, uint32_t *out)
{
    const json_t *value = get(s, key, false);
    if (value == NULL) return;
    const char *word = json_is_string(value) ? json_string_value(value) : "";
    for (uint32_t i = 0; choices[i] != NULL; i++)
        if (strcmp(choices[i], word) == 0) {
            *out = i;
            return;
        }
    s->status = reeve_fail(s->err, REEVE_INPUT_INVALID, "gpt: %s.%s is not one that it has; the first is %s", s->name,
                           key, choices[0]);
}

static reeve_status parse_train(const json_t *job, struct gpt_job *out, struct reeve_error *err)
{
    static const char *const precisions[] = {"auto", "bf16", "fp32", NULL}; /* enum gpt_job_precision */
    static const char *const reductions[] = {"exact", "fast", NULL};
    struct section s = {json_object_get(job, "train"), "train", REEVE_OK, err};
    uint32_t precision = GPT_JOB_AUTO, reduction = 0;
    read_choice(&s, "precision", precisions, &precision);
    read_choice(&s, "reduce", reductions, &reduction);
    out->precision = (enum gpt_job_precision)precision;
    out->exact = reduction == 0;
    return s.status;
}

reeve_status gpt_job_parse(const struct reeve_workload_config *config, struct gpt_job *out, struct reeve_error *err)
{
    json_error_t where;
    json_t *job = json_loads(config->job_json, 0, &where);
    if (job == NULL)
        return reeve_fail(err, REEVE_INPUT_INVALID, "gpt: the job is no JSON: line %d, column %d: %s", where.line,
                          where.column, where.text);
    struct gpt_job parsed = {
        .shape = {.vocab = config->vocab, .sequence = config->sequence, .batch = config->micro_batch}};
    reeve_status st = parse_model(job, &parsed.shape, err);
    if (st == REEVE_OK) st = parse_optimizer(job, config->steps, &parsed.optimizer, err);
    if (st == REEVE_OK) st = parse_train(job, &parsed, err);
    json_decref(job);
    if (st == REEVE_OK) *out = parsed;
    return st;
}
