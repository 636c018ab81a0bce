/* The compute thread of a worker, without the thread: commands in the order in which they were posted, each taking its
 * time, then its effect and its answer at one instant. The queue's rules are those of run/compute.h. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "checkers.h"
#include "core/task.h"
#include "run/compute.h"
#include "sim.h"

#define COMMANDS_MAX 256u

struct answer {
    struct reeve_frame frame;
    char text[64];
};

struct reeve_compute {
    struct sim_proc *proc;
    struct reeve_frame command[COMMANDS_MAX]; /* ring; the one in hand is not in it */
    uint32_t head, count;
    bool busy;
    struct reeve_frame hand;
    reeve_time_ns hand_since_ns;
    uint32_t paces_seen;
    uint32_t unsettled;
    struct answer answer[COMMANDS_MAX]; /* ring */
    uint32_t answer_head, answer_count;
    bool writing; /* a part of a checkpoint */
    bool waits;   /* the command in hand, for the end of that */
    struct reeve_frame part;
    struct sim_model staged;
    bool there; /* the model */
    struct sim_model model;
    _Alignas(64) int64_t acc[SIM_SUM_COUNT], sum[SIM_SUM_COUNT];
    int64_t eval_in[REEVE_SUM_WORDS], eval_out[REEVE_SUM_WORDS];
};

static bool is_summed_lease(const struct reeve_frame *f)
{
    return f->kind == REEVE_FRAME_LEASE && (f->a == REEVE_TASK_GRADIENT || f->a == REEVE_TASK_EVAL);
}

static bool touches_sums(const struct reeve_frame *f)
{
    return is_summed_lease(f) || f->kind == REEVE_FRAME_APPLY || f->kind == REEVE_FRAME_DISCARD ||
           f->kind == REEVE_FRAME_STATE;
}

/* ---- what it does ---- */

static struct reeve_frame answer_to(const struct reeve_frame *command, uint16_t kind)
{
    return (struct reeve_frame){.kind = kind,
                                .epoch = command->epoch,
                                .task = command->task,
                                .attempt = command->attempt,
                                .arg = command->arg,
                                .step = command->step};
}

static void answer(reeve_compute *c, const struct reeve_frame *f, const char *text)
{
    REEVE_ASSERT(c->answer_count < COMMANDS_MAX);
    struct answer *a = &c->answer[(c->answer_head + c->answer_count++) % COMMANDS_MAX];
    a->frame = *f;
    (void)snprintf(a->text, sizeof(a->text), "%s", text == NULL ? "" : text);
    sim_turn_soon(c->proc, c->proc->sim->now_ns);
}

static void answer_ready(reeve_compute *c)
{
    struct reeve_frame f = answer_to(&c->hand, REEVE_FRAME_READY);
    struct reeve_digest digest = sim_model_digest(&c->model);
    memcpy(&f.a, digest.bytes, 8);
    memcpy(&f.b, digest.bytes + 8, 8);
    f.c = (uint64_t)(c->proc->sim->now_ns - c->hand_since_ns);
    c->there = true;
    answer(c, &f, NULL);
}

static void restore(reeve_compute *c)
{
    struct reeve_error err = {0};
    reeve_status st = sim_checkpoint_read(c->proc->sim, c->hand.step, c->hand.a, &c->model, &err);
    if (st == REEVE_OK) {
        sim_check_weights(c->proc, &c->model, "restored");
        answer_ready(c);
        return;
    }
    struct reeve_frame f = answer_to(&c->hand, REEVE_FRAME_RESTORE_FAILED);
    f.arg = (uint32_t)st;
    answer(c, &f, err.text);
}

/* Room for it at first; then it is there, of this step, and must be what the undisturbed run has. */
static void take_state(reeve_compute *c)
{
    if (c->hand.b == 0) return;
    c->model.step = c->hand.step;
    sim_check_weights(c->proc, &c->model, "been given");
    answer_ready(c);
}

static void count_words(int64_t *words, uint32_t samples, uint64_t coverage, int64_t loss, uint64_t tokens,
                        struct reeve_exact_flags flags)
{
    words[REEVE_SUM_SAMPLES] += samples;
    words[REEVE_SUM_COVERAGE] = (int64_t)((uint64_t)words[REEVE_SUM_COVERAGE] + coverage);
    words[REEVE_SUM_LOSS] += loss;
    words[REEVE_SUM_TOKENS] += (int64_t)tokens;
    words[REEVE_SUM_NONFINITE] += (int64_t)flags.nonfinite;
    words[REEVE_SUM_OVERFLOW] += (int64_t)flags.overflow;
}

static void compute_gradient(reeve_compute *c)
{
    struct sim *s = c->proc->sim;
    const struct sim_shape *shape = s->shape;
    _Alignas(64) float grad[SIM_PARAMS];
    double loss_sum;
    struct reeve_exact_flags flags = {0};
    int bits = reeve_exact_unit_bits(shape->micro_batches);
    sim_gradient(shape, &c->model, c->hand.step, c->hand.arg, grad, &loss_sum);
    uint32_t times = s->mutation == SIM_MUTATE_ADD_TWICE && s->mutation_count++ == 4 ? 2 : 1;
    for (uint32_t i = 0; i < times; i++)
        reeve_exact_add(c->acc, grad, SIM_PARAMS, bits, &flags);
    int64_t loss = reeve_exact_loss(loss_sum, &flags);
    uint32_t samples = shape->job.train.micro_batch;
    count_words(c->acc + SIM_PARAMS, samples, reeve_plan_coverage_word(shape->plan, c->hand.step, c->hand.arg), loss,
                (uint64_t)samples * shape->job.data.sequence, flags);
}

static void compute_eval(reeve_compute *c)
{
    const struct sim_shape *shape = c->proc->sim->shape;
    struct reeve_sample samples[3];
    uint32_t count;
    reeve_plan_eval_batch(shape->plan, c->hand.arg, samples, &count);
    count_words(
        c->eval_in, count, reeve_plan_coverage_word(shape->plan, REEVE_PLAN_EVAL_STEP(c->hand.step), c->hand.arg),
        (int64_t)(c->model.word[0] >> 40), (uint64_t)count * shape->job.data.sequence, (struct reeve_exact_flags){0});
}

static void run_lease(reeve_compute *c)
{
    struct sim *s = c->proc->sim;
    bool faults = s->now_ns < s->faults_end_ns;
    if (!c->there || (faults && sim_chance(s, s->plan.weather.task_fails_ppm))) {
        struct reeve_frame f = answer_to(&c->hand, REEVE_FRAME_FAILED);
        f.arg = REEVE_TASK_FAILED;
        answer(c, &f, "the weather");
        return;
    }
    sim_check_computed(c->proc, &c->hand);
    if (c->hand.a == REEVE_TASK_GRADIENT) compute_gradient(c);
    if (c->hand.a == REEVE_TASK_EVAL) compute_eval(c);
    struct reeve_frame f = answer_to(&c->hand, is_summed_lease(&c->hand) ? REEVE_FRAME_COMPUTED : REEVE_FRAME_DONE);
    f.a = (uint64_t)(s->now_ns - c->hand_since_ns);
    answer(c, &f, c->hand.a == REEVE_TASK_GENERATE ? "a text" : NULL);
}

static void zero_sums(reeve_compute *c)
{
    memset(c->acc, 0, sizeof(c->acc));
    memset(c->eval_in, 0, sizeof(c->eval_in));
    sim_check_zeroed(c->proc);
}

static void apply(reeve_compute *c)
{
    if (c->hand.arg == 0) sim_apply(c->proc->sim->shape, &c->model, c->sum, c->hand.step);
    c->model.step = c->hand.step;
    zero_sums(c);
    sim_check_weights(c->proc, &c->model, "applied");
    struct reeve_frame f = answer_to(&c->hand, REEVE_FRAME_APPLIED);
    f.c = (uint64_t)(c->proc->sim->now_ns - c->hand_since_ns);
    answer(c, &f, NULL);
}

static void part_written(struct sim *s, void *arg, uint64_t number);
static void take_next(reeve_compute *c);

static void begin_part(reeve_compute *c)
{
    struct sim *s = c->proc->sim;
    c->writing = true;
    c->part = c->hand;
    c->staged = c->model;
    sim_at(s, s->now_ns + sim_some_time(s, 30 * REEVE_MILLISECOND_NS), part_written, c->proc, 0);
}

static void part_written(struct sim *s, void *arg, uint64_t number)
{
    struct sim_proc *p = arg;
    reeve_compute *c = p->compute;
    if (!p->alive || c == NULL) return;
    if (p->stalled_until_ns > s->now_ns) {
        sim_at(s, p->stalled_until_ns, part_written, p, number);
        return;
    }
    struct reeve_error err = {0};
    struct reeve_frame part = c->part, f = answer_to(&part, REEVE_FRAME_CKPT_PART);
    struct sim_model staged = c->staged;
    enum sim_seam_outcome seam = sim_seam(p, "part of a checkpoint"); /* if it dies, c is gone */
    if (seam == SIM_SEAM_DEAD || seam == SIM_SEAM_DIE_WITHIN) return;
    reeve_status st = sim_checkpoint_write_part(s, f.step, f.epoch, f.arg, (uint32_t)part.a, &staged, &f.b, &err);
    if (seam != SIM_SEAM_PASS) return;
    c->writing = false;
    if (st != REEVE_OK) f.kind = REEVE_FRAME_CKPT_PART_FAILED;
    f.a = st != REEVE_OK ? (uint64_t)st : 1;
    f.c = 1;
    answer(c, &f, err.text);
    if (!c->waits) return;
    c->waits = c->busy = false;
    begin_part(c);
    take_next(c);
}

static void checkpoint(reeve_compute *c)
{
    struct reeve_frame f = answer_to(&c->hand, REEVE_FRAME_WEIGHTS);
    if (!c->there || (c->writing && c->part.epoch == c->hand.epoch)) {
        f.kind = REEVE_FRAME_CKPT_PART_FAILED;
        f.a = REEVE_JOB_INTERNAL;
        answer(c, &f, "the part before is still being written");
        return;
    }
    struct reeve_digest digest = sim_model_digest(&c->model);
    memcpy(&f.a, digest.bytes, 8);
    memcpy(&f.b, digest.bytes + 8, 8);
    answer(c, &f, NULL);
    c->waits = c->writing; /* where a regrouping gave the one before up */
    if (!c->waits) begin_part(c);
}

static void execute(reeve_compute *c)
{
    sim_check_obeyed(c->proc, &c->hand);
    switch (c->hand.kind) {
    case REEVE_FRAME_INIT:
        sim_model_init(&c->model);
        answer_ready(c);
        break;
    case REEVE_FRAME_RESTORE: restore(c); break;
    case REEVE_FRAME_LEASE: run_lease(c); break;
    case REEVE_FRAME_APPLY: apply(c); break;
    case REEVE_FRAME_DISCARD: zero_sums(c); break;
    case REEVE_FRAME_CHECKPOINT: checkpoint(c); break;
    case REEVE_FRAME_STATE: take_state(c); break;
    default: REEVE_ASSERT(!"a command that the worker does not post");
    }
    if (touches_sums(&c->hand)) c->unsettled--;
    c->paces_seen |= 1u << reeve_pace_of(&c->hand);
}

/* ---- one command after the other ---- */

static void command_ended(struct sim *s, void *arg, uint64_t number);

static void take_next(reeve_compute *c)
{
    struct sim *s = c->proc->sim;
    if (c->busy || c->count == 0) return;
    c->hand = c->command[c->head];
    c->head = (c->head + 1) % COMMANDS_MAX;
    c->count--;
    c->busy = true;
    c->hand_since_ns = s->now_ns;
    bool quick = c->hand.kind == REEVE_FRAME_DISCARD || c->hand.kind == REEVE_FRAME_CHECKPOINT;
    sim_at(s, s->now_ns + (quick ? 0 : sim_some_time(s, s->plan.weather.compute_ns)), command_ended, c->proc, 0);
}

static void command_ended(struct sim *s, void *arg, uint64_t number)
{
    struct sim_proc *p = arg;
    reeve_compute *c = p->compute;
    if (!p->alive || c == NULL) return;
    if (p->stalled_until_ns > s->now_ns) {
        sim_at(s, p->stalled_until_ns, command_ended, p, number);
        return;
    }
    if (p->hangs_until_ns > s->now_ns) {
        sim_at(s, p->hangs_until_ns, command_ended, p, number);
        return;
    }
    if (sim_seam(p, reeve_frame_name(c->hand.kind)) != SIM_SEAM_PASS) return; /* c is gone with it */
    c->busy = false;
    if (s->mutation == SIM_MUTATE_OLD_EPOCH && s->mutation_count++ == 9) c->hand.epoch--;
    if (s->mutation != SIM_MUTATE_DEAF || p->rank != 1 || c->hand.step < 2) execute(c);
    sim_turn_soon(p, s->now_ns);
    c->busy = c->waits;
    take_next(c);
}

/* ---- run/compute.h ---- */

reeve_compute *sim_compute_create(struct sim_proc *p)
{
    reeve_compute *c = aligned_alloc(64, (sizeof(*c) + 63) / 64 * 64);
    REEVE_ASSERT(c != NULL);
    memset(c, 0, sizeof(*c));
    c->proc = p;
    return c;
}

void reeve_compute_destroy(reeve_compute *c)
{
    if (c != NULL) c->proc->compute = NULL;
    free(c);
}

bool reeve_compute_post(reeve_compute *c, const struct reeve_frame *frame)
{
    if (c->count == COMMANDS_MAX) return false;
    c->command[(c->head + c->count++) % COMMANDS_MAX] = *frame;
    c->unsettled += touches_sums(frame);
    take_next(c);
    return true;
}

bool reeve_compute_take(reeve_compute *c, struct reeve_frame *frame, char *text)
{
    if (c->answer_count == 0) return false;
    const struct answer *a = &c->answer[c->answer_head];
    *frame = a->frame;
    (void)snprintf(text, sizeof(a->text), "%s", a->text);
    c->answer_head = (c->answer_head + 1) % COMMANDS_MAX;
    c->answer_count--;
    return true;
}

static uint32_t keep_waiting(reeve_compute *c, bool (*drop)(const struct reeve_frame *, uint32_t, uint32_t),
                             uint32_t task, uint32_t attempt)
{
    uint32_t kept = 0, before = c->count;
    for (uint32_t i = 0; i < before; i++) {
        struct reeve_frame f = c->command[(c->head + i) % COMMANDS_MAX];
        if (drop(&f, task, attempt)) c->unsettled -= touches_sums(&f);
        else c->command[(c->head + kept++) % COMMANDS_MAX] = f;
    }
    c->count = kept;
    return before - kept;
}

static bool is_this_lease(const struct reeve_frame *f, uint32_t task, uint32_t attempt)
{
    return f->kind == REEVE_FRAME_LEASE && f->task == task && f->attempt == attempt;
}

static bool is_any_summed(const struct reeve_frame *f, uint32_t task, uint32_t attempt)
{
    (void)task, (void)attempt;
    return is_summed_lease(f);
}

bool reeve_compute_revoke(reeve_compute *c, uint32_t task, uint32_t attempt)
{
    return keep_waiting(c, is_this_lease, task, attempt) > 0;
}

void reeve_compute_drop_waiting(reeve_compute *c)
{
    (void)keep_waiting(c, is_any_summed, 0, 0);
}

uint32_t reeve_compute_waiting(reeve_compute *c)
{
    return c->count;
}

enum reeve_pace reeve_compute_pace(reeve_compute *c, bool *first, reeve_time_ns *since_ns)
{
    enum reeve_pace pace = c->busy ? reeve_pace_of(&c->hand) : REEVE_PACE_NONE;
    *first = (c->paces_seen >> pace & 1u) == 0;
    *since_ns = c->hand_since_ns;
    return pace;
}

bool reeve_compute_is_settled(reeve_compute *c)
{
    return c->unsettled == 0;
}

size_t reeve_compute_state_bytes(const reeve_compute *c)
{
    return sizeof(c->model.word);
}

void reeve_compute_state_read(const reeve_compute *c, size_t offset, void *out, size_t bytes)
{
    memcpy(out, (const char *)c->model.word + offset, bytes);
}

void reeve_compute_state_write(reeve_compute *c, size_t offset, const void *in, size_t bytes)
{
    if (c->proc->sim->mutation == SIM_MUTATE_NEW_EMPTY) return;
    memcpy((char *)c->model.word + offset, in, bytes);
}

struct reeve_digest reeve_compute_weights_digest(const reeve_compute *c)
{
    return sim_model_digest(&c->model);
}

bool sim_compute_has_state(const struct sim_proc *p)
{
    return p->compute != NULL && p->compute->there;
}

void reeve_compute_get_sum(reeve_compute *c, bool eval, struct reeve_compute_sum *out)
{
    *out = (struct reeve_compute_sum){.in = eval ? c->eval_in : c->acc,
                                      .out = eval ? c->eval_out : c->sum,
                                      .count = eval ? REEVE_SUM_WORDS : SIM_SUM_COUNT};
    out->words = out->out + out->count - REEVE_SUM_WORDS;
    out->in[out->count - REEVE_SUM_WORDS + REEVE_SUM_MEMBERS] = 1;
}

reeve_status reeve_compute_device_digest(reeve_compute *c, uint64_t *digest, struct reeve_error *err)
{
    REEVE_ASSERT(!"the simulator computes on CPUs");
    return REEVE_JOB_INTERNAL;
}
