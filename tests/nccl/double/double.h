/* A double of NCCL and of the CUDA runtime, for tests: device memory is ordinary memory, and communicators are between real
 * processes of this machine, through a shared file. It has only the calls that this project makes. Test code, never
 * linked into a release.
 *
 * Faults, by the name of the call and its number in this process:
 *   fail   the call returns an error; a communicator's birth fails a little later, as NCCL's would
 *   hang   the call does not return; a birth never ends; a sum never moves
 *   async  a sum never moves, and its communicator reports that a peer is gone
 *   die    kill -9 of this process; in a sum: in the middle of it
 * By nccl_double_fault(), or from outside: REEVE_DOUBLE_FAULTS="RANK:CALL:ACTION:NUMBER,...", RANK as the launcher counts.
 * With REEVE_DOUBLE_DIR (where communicators meet; else /dev/shm) each of these strikes once in a job's life, however
 * often it is launched again. REEVE_DOUBLE_GPUS: how many there are; 8. Of these CUDA_VISIBLE_DEVICES may show fewer.
 *
 * It ends the process loudly (abort) where the real ones might hang or corrupt memory: a call that waits for the device
 * while a sum is unfinished; a communicator in another thread than its maker's; a call to NCCL, or something put into
 * the stream, before the call before was through; memory that is not the device's; members who bring different sums. */
#ifndef REEVE_TESTS_NCCL_DOUBLE_H
#define REEVE_TESTS_NCCL_DOUBLE_H

#include <stdbool.h>
#include <stddef.h>

/* The number-th (1..) call from now on. At most a few are planned at a time. */
void nccl_double_fault(const char *call, const char *action, unsigned number);
unsigned nccl_double_calls(const char *call); /* made by this process so far */
unsigned nccl_double_forget(void);            /* drops what was planned and has not struck; returns how many that are */

/* Is anything of communicators, streams, events and memory left? At exit the process ends with 86 if so. */
bool nccl_double_is_empty(char *text, size_t bytes);

#endif
