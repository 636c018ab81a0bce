/* Stacks of their own for the processes: run/rank.c is a loop that waits, so each process is a function that is left in
 * the middle, when it waits, and entered there again. One thread; who runs is decided by the events alone. */
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/error.h"
#include "sim.h"

#define STACK_BYTES ((size_t)256 << 10)
#define STACKS_KEPT 64u

struct sim_fiber {
    ucontext_t own, back;
    unsigned char *stack;
    void (*run)(struct sim_proc *);
    struct sim_proc *proc;
    bool active, done;
};

static unsigned char *kept[STACKS_KEPT];
static uint32_t kept_count;

static unsigned char *take_stack(void)
{
    if (kept_count > 0) return kept[--kept_count];
    unsigned char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REEVE_ASSERT(stack != MAP_FAILED);
    long page = sysconf(_SC_PAGESIZE);
    (void)mprotect(stack, (size_t)page, PROT_NONE); /* it grows down to here */
    return stack;
}

static void give_stack(unsigned char *stack)
{
    if (kept_count < STACKS_KEPT) kept[kept_count++] = stack;
    else (void)munmap(stack, STACK_BYTES);
}

static void begin(void)
{
    struct sim_fiber *f = sim_running->fiber;
    f->run(f->proc);
    f->done = true;
    (void)swapcontext(&f->own, &f->back);
}

void sim_fiber_begin(struct sim_proc *p, void (*run)(struct sim_proc *))
{
    struct sim_fiber *f = calloc(1, sizeof(*f));
    REEVE_ASSERT(f != NULL);
    f->stack = take_stack();
    f->run = run;
    f->proc = p;
    (void)getcontext(&f->own);
    f->own.uc_stack.ss_sp = f->stack;
    f->own.uc_stack.ss_size = STACK_BYTES;
    makecontext(&f->own, begin, 0);
    p->fiber = f;
}

void sim_fiber_enter(struct sim_proc *p)
{
    struct sim_fiber *f = p->fiber;
    if (f == NULL || f->active) return;
    struct sim_proc *before = sim_running;
    sim_running = p;
    f->active = true;
    (void)swapcontext(&f->back, &f->own);
    f->active = false;
    sim_running = before;
    if (!f->done) return;
    give_stack(f->stack);
    free(f);
    p->fiber = NULL;
}

void sim_fiber_leave(struct sim_proc *p)
{
    (void)swapcontext(&p->fiber->own, &p->fiber->back);
}
