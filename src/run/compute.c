/* Life and queues of the compute thread; what it does with a command is in compute_work.c. */
#include "run/compute.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "core/task.h"
#include "run/compute_state.h"

#define SHARDS_OPEN_MAX 64

static bool is_summed_lease(const struct reeve_frame *f)
{
    return f->kind == REEVE_FRAME_LEASE && (f->a == REEVE_TASK_GRADIENT || f->a == REEVE_TASK_EVAL);
}

/* With a GPU: all that calls the workload, since the sum's digest is asked for from the thread that adds up. */
static bool touches_sums(const reeve_compute *c, const struct reeve_frame *f)
{
    if (c->config.cuda) return f->kind != REEVE_FRAME_LEASE || f->a != REEVE_TASK_STAGE;
    return is_summed_lease(f) || f->kind == REEVE_FRAME_APPLY || f->kind == REEVE_FRAME_DISCARD ||
           f->kind == REEVE_FRAME_STATE;
}

static void *compute_main(void *arg)
{
    reeve_compute *c = arg;
    for (;;) {
        pthread_mutex_lock(&c->lock);
        while (c->command_count == 0 && !atomic_load(&c->stopping))
            pthread_cond_wait(&c->wake, &c->lock);
        if (atomic_load(&c->stopping)) {
            pthread_mutex_unlock(&c->lock);
            break;
        }
        struct reeve_frame command = c->commands[c->command_head];
        c->command_head = (c->command_head + 1) % COMPUTE_COMMANDS_MAX;
        c->command_count--;
        c->hand.command = command;
        c->hand.since_ns = reeve_clock_now();
        c->hand.any = true;
        pthread_mutex_unlock(&c->lock);
        compute_execute(c, &command);
        pthread_mutex_lock(&c->lock);
        c->hand.any = false;
        c->hand.paces_seen |= 1u << reeve_pace_of(&command);
        c->unsettled -= touches_sums(c, &command);
        pthread_mutex_unlock(&c->lock);
    }
    compute_checkpoint_join(c);
    compute_close_workload(c); /* on the thread that opened it */
    return NULL;
}

/* A shard is verified or copied for a micro-batch: that takes as long as the shard is large, and is no part of what the
 * micro-batch is measured by. */
static void takes_long(void *arg, bool begins)
{
    reeve_compute *c = arg;
    reeve_time_ns now_ns = reeve_clock_now();
    pthread_mutex_lock(&c->lock);
    if (begins) c->hand.paused_ns = now_ns;
    else {
        c->hand.since_ns += now_ns - c->hand.paused_ns;
        c->hand.paused_ns = 0;
    }
    pthread_mutex_unlock(&c->lock);
}

reeve_status reeve_compute_create(const struct reeve_compute_config *config, reeve_compute **out,
                                  struct reeve_error *err)
{
    const struct reeve_job *job = config->job;
    reeve_compute *c = calloc(1, sizeof(*c));
    if (c == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "compute thread: out of memory");
    c->config = *config;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->wake, NULL);
    pthread_cond_init(&c->room, NULL);
    struct reeve_plan_config plan_config;
    reeve_job_plan_config(job, &plan_config);
    reeve_status st = reeve_plan_create(config->manifest, &plan_config, &c->plan, err);
    const struct reeve_shard_config shards = {.manifest = config->manifest,
                                              .cache_dir = job->data.cache,
                                              .run_dir = config->run_dir,
                                              .open_max = SHARDS_OPEN_MAX,
                                              .takes_long = takes_long,
                                              .arg = c};
    if (st == REEVE_OK) st = reeve_shard_cache_create(&shards, &c->shards, err);
    if (st == REEVE_OK) {
        c->unit_bits = reeve_exact_unit_bits(reeve_plan_micro_batches(c->plan));
        c->samples = calloc(job->train.micro_batch, sizeof(*c->samples));
        c->tokens = calloc((size_t)job->train.micro_batch * (job->data.sequence + 1u), sizeof(*c->tokens));
        if (config->cuda)
            c->ahead.tokens = calloc((size_t)job->train.micro_batch * (job->data.sequence + 1u), sizeof(int32_t));
        if (c->samples == NULL || c->tokens == NULL || (config->cuda && c->ahead.tokens == NULL))
            st = reeve_fail(err, REEVE_JOB_NO_MEMORY, "memory for a micro-batch of %u samples of %u tokens",
                            job->train.micro_batch, job->data.sequence);
    }
    if (st == REEVE_OK) {
        if (pthread_create(&c->thread, NULL, compute_main, c) != 0)
            st = reeve_fail(err, REEVE_JOB_NO_MEMORY, "cannot start the compute thread");
        else c->thread_started = true;
    }
    if (st != REEVE_OK) {
        reeve_compute_destroy(c);
        return st;
    }
    *out = c;
    return REEVE_OK;
}

void reeve_compute_destroy(reeve_compute *c)
{
    if (c == NULL) return;
    pthread_mutex_lock(&c->lock);
    atomic_store(&c->stopping, true);
    pthread_cond_broadcast(&c->wake);
    pthread_cond_broadcast(&c->room);
    pthread_mutex_unlock(&c->lock);
    if (c->thread_started) pthread_join(c->thread, NULL);
    for (; c->answer_count > 0; c->answer_count--) {
        free(c->answers[c->answer_head].text);
        c->answer_head = (c->answer_head + 1) % COMPUTE_ANSWERS_MAX;
    }
    compute_free_sums(c);
    free(c->ahead.tokens);
    free(c->tokens);
    free(c->samples);
    free(c->stage.tensors);
    free(c->stage.bytes);
    reeve_shard_cache_destroy(c->shards);
    reeve_plan_destroy(c->plan);
    pthread_cond_destroy(&c->room);
    pthread_cond_destroy(&c->wake);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

bool reeve_compute_post(reeve_compute *c, const struct reeve_frame *frame)
{
    pthread_mutex_lock(&c->lock);
    bool fits = c->command_count < COMPUTE_COMMANDS_MAX;
    if (fits) {
        c->commands[(c->command_head + c->command_count) % COMPUTE_COMMANDS_MAX] = *frame;
        c->command_count++;
        c->unsettled += touches_sums(c, frame);
        pthread_cond_signal(&c->wake);
    }
    pthread_mutex_unlock(&c->lock);
    return fits;
}

void compute_answer(reeve_compute *c, const struct reeve_frame *frame, const char *text)
{
    char *copy = text != NULL && text[0] != '\0' ? strndup(text, REEVE_FRAME_TEXT_MAX) : NULL;
    pthread_mutex_lock(&c->lock);
    while (c->answer_count == COMPUTE_ANSWERS_MAX && !atomic_load(&c->stopping))
        pthread_cond_wait(&c->room, &c->lock);
    if (c->answer_count < COMPUTE_ANSWERS_MAX) {
        c->answers[(c->answer_head + c->answer_count) % COMPUTE_ANSWERS_MAX] = (struct compute_answer){*frame, copy};
        c->answer_count++;
        copy = NULL;
    }
    pthread_mutex_unlock(&c->lock);
    free(copy);
}

bool reeve_compute_take(reeve_compute *c, struct reeve_frame *frame, char *text)
{
    pthread_mutex_lock(&c->lock);
    bool any = c->answer_count > 0;
    struct compute_answer answer = {0};
    if (any) {
        answer = c->answers[c->answer_head];
        c->answer_head = (c->answer_head + 1) % COMPUTE_ANSWERS_MAX;
        c->answer_count--;
        pthread_cond_signal(&c->room);
    }
    pthread_mutex_unlock(&c->lock);
    if (!any) return false;
    *frame = answer.frame;
    text[0] = '\0';
    if (answer.text != NULL) {
        size_t n = strnlen(answer.text, REEVE_FRAME_TEXT_MAX);
        memcpy(text, answer.text, n);
        text[n] = '\0';
    }
    free(answer.text);
    return true;
}

/* Keep the waiting commands for which keep() holds, in order. Under lock. */
static uint32_t filter_waiting(reeve_compute *c, bool (*keep)(const struct reeve_frame *, uint32_t, uint32_t),
                               uint32_t task, uint32_t attempt)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < c->command_count; i++) {
        struct reeve_frame f = c->commands[(c->command_head + i) % COMPUTE_COMMANDS_MAX];
        if (keep(&f, task, attempt)) c->commands[(c->command_head + kept++) % COMPUTE_COMMANDS_MAX] = f;
        else c->unsettled -= touches_sums(c, &f);
    }
    uint32_t removed = c->command_count - kept;
    c->command_count = kept;
    return removed;
}

static bool is_other_lease(const struct reeve_frame *f, uint32_t task, uint32_t attempt)
{
    return f->kind != REEVE_FRAME_LEASE || f->task != task || f->attempt != attempt;
}

static bool is_not_summed(const struct reeve_frame *f, uint32_t task, uint32_t attempt)
{
    (void)task;
    (void)attempt;
    return !is_summed_lease(f);
}

bool reeve_compute_revoke(reeve_compute *c, uint32_t task, uint32_t attempt)
{
    pthread_mutex_lock(&c->lock);
    bool removed = filter_waiting(c, is_other_lease, task, attempt) > 0;
    pthread_mutex_unlock(&c->lock);
    return removed;
}

void reeve_compute_drop_waiting(reeve_compute *c)
{
    pthread_mutex_lock(&c->lock);
    (void)filter_waiting(c, is_not_summed, 0, 0);
    pthread_mutex_unlock(&c->lock);
}

uint32_t reeve_compute_waiting(reeve_compute *c)
{
    pthread_mutex_lock(&c->lock);
    uint32_t n = c->command_count;
    pthread_mutex_unlock(&c->lock);
    return n;
}

enum reeve_pace reeve_compute_pace(reeve_compute *c, bool *first, reeve_time_ns *since_ns)
{
    pthread_mutex_lock(&c->lock);
    enum reeve_pace pace = c->hand.any ? reeve_pace_of(&c->hand.command) : REEVE_PACE_NONE;
    *since_ns = c->hand.since_ns;
    if (c->hand.paused_ns != 0) {
        pace = REEVE_PACE_OTHER;
        *since_ns = c->hand.paused_ns;
    }
    *first = (c->hand.paces_seen >> pace & 1u) == 0;
    pthread_mutex_unlock(&c->lock);
    return pace;
}

bool reeve_compute_is_settled(reeve_compute *c)
{
    pthread_mutex_lock(&c->lock);
    bool settled = c->unsettled == 0;
    pthread_mutex_unlock(&c->lock);
    return settled;
}

void reeve_compute_get_sum(reeve_compute *c, bool eval, struct reeve_compute_sum *out)
{
    bool words_alone = c->acc == NULL;
    *out = (struct reeve_compute_sum){0};
    if (eval) {
        out->in = c->eval_in;
        out->out = out->words = c->eval_out;
        out->count = REEVE_SUM_WORDS;
    } else {
        out->in = words_alone ? c->words_in : c->acc;
        out->out = words_alone ? c->words_out : c->sum;
        out->count = REEVE_SUM_WORDS + (words_alone ? 0 : c->param_count);
        out->words = c->words_out;
        out->fast_in = c->fast_acc;
        out->fast_out = c->fast_sum;
        out->fast_count = c->fast_acc != NULL ? c->param_count : 0;
        out->device = c->device;
    }
    out->in[out->count - REEVE_SUM_WORDS + REEVE_SUM_MEMBERS] = 1;
}
