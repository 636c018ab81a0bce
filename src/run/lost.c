/* See lost.h. */
#include "run/lost.h"

#include <signal.h>
#include <unistd.h>

#include "reeve/status.h"

_Noreturn void reeve_end_as_lost(void)
{
    (void)kill(getpid(), SIGKILL);
    _exit(REEVE_EXIT_INTERNAL);
}
