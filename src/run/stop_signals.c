/* See stop_signals.h. */
#include "run/stop_signals.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "reeve/status.h"

#define ECHO_NS (250 * REEVE_MILLISECOND_NS)

static _Atomic reeve_time_ns counted_ns; /* when the last one that counts came; 0: none has */
static volatile sig_atomic_t signal_count, signal_last, leave_asked, leave_second, in_batch_job;

/* What sends a signal both to a process and to its group, as timeout(1) does, and what hands on a Ctrl-C that all have got
 * already, asks once. A person's second Ctrl-C comes later than that; and who holds the keys down is heard soon enough. */
static bool is_echo(void)
{
    reeve_time_ns now_ns = reeve_clock_now(), before_ns = atomic_load(&counted_ns);
    if (before_ns != 0 && now_ns - before_ns < ECHO_NS) return true;
    return !atomic_compare_exchange_strong(&counted_ns, &before_ns, now_ns); /* another thread has just counted one */
}

static void handle(int number)
{
    if (is_echo()) return;
    signal_last = number;
    signal_count = signal_count + 1;
    if (signal_count < 2 || (number != SIGINT && (number != SIGTERM || in_batch_job))) return;
    leave_asked = 1;
    if (leave_second) _exit(REEVE_EXIT_INTERRUPTED);
}

static void pass(int number)
{
    (void)number;
}

void reeve_stop_signals_install(int leave_on_second)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGHUP};
    leave_second = leave_on_second;
    in_batch_job = getenv("SLURM_JOB_ID") != NULL;
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = handle;
    action.sa_flags = SA_RESTART;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct sigaction before;
        bool nohup = numbers[i] == SIGHUP && sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler == SIG_IGN;
        if (!nohup) (void)sigaction(numbers[i], &action, NULL);
    }
    action.sa_handler = pass; /* beyond `ulimit -f` write() fails then, and says so: no process was lost */
    (void)sigaction(SIGXFSZ, &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN); /* a closed terminal ends the progress line, not the run */
}

void reeve_stop_signals_spare_term(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = pass;
    action.sa_flags = SA_RESTART;
    (void)sigaction(SIGTERM, &action, NULL);
}

int reeve_stop_signals_count(void)
{
    return signal_count;
}

int reeve_stop_signals_last(void)
{
    return signal_last;
}

bool reeve_stop_signals_leave(void)
{
    return leave_asked;
}
