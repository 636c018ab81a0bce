/* What a rank program has of CUDA. Two files have these functions, and each program links one of them:
 * rank_device_none.c (reeve-rank) and rank_device_cuda.c (reeve-rank-cuda). Nothing else of the two differs. */
#ifndef REEVE_CLI_RANK_DEVICE_H
#define REEVE_CLI_RANK_DEVICE_H

#include "port/collective.h"
#include "reeve/workload.h"
#include "run/device.h"

/* What is here; host: as MPI names it. */
void reeve_rank_device_place(const char *host, struct reeve_device_place *out);
/* Which card a GPU is, with its UUID; "": not known. */
void reeve_rank_device_card(uint32_t device, char *text, size_t text_bytes);
/* The built-in workload of that name as it computes on a GPU; NULL: it does not. */
const struct reeve_workload_ops *reeve_rank_device_workload(const char *name);
/* The sum over the workers' GPUs; workers: as reeve_coll_mpi_create() takes it. Collective over them. */
reeve_status reeve_rank_device_collective(int workers, uint32_t device, reeve_collective **out,
                                          struct reeve_error *err);
reeve_status reeve_rank_device_alone(uint32_t device, reeve_collective **out, struct reeve_error *err);

#endif
