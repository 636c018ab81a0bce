/* A process that cannot go on, while the run can. */
#ifndef REEVE_RUN_LOST_H
#define REEVE_RUN_LOST_H

/* End this process so that the others lose a worker and nothing more. Say why before. By SIGKILL: a launcher ends the
 * whole job where a rank exits with an error, also one that would survive the loss of a process. */
_Noreturn void reeve_end_as_lost(void);

#endif
