/* What CUDA finds on this machine. No context is made on any GPU. */
#ifndef REEVE_COLL_GPUS_H
#define REEVE_COLL_GPUS_H

#include <stddef.h>
#include <stdint.h>

/* How many GPUs CUDA counts here, CUDA_VISIBLE_DEVICES respected; 0 also where there is no driver.
 *   out  name     of the first; "" if there is none, or nobody knows
 *   out  trouble  why there is none, in CUDA's words; "" if there is one */
uint32_t reeve_gpus_count(char *name, size_t name_bytes, char *trouble, size_t trouble_bytes);

/* Which card a GPU is, as nvidia-smi writes it: "NVIDIA H100 80GB HBM3, UUID GPU-1c2d..."; "": nobody knows. After
 * reeve_gpus_count(). */
void reeve_gpus_card(uint32_t device, char *text, size_t text_bytes);

/* "CUDA 13.0, NCCL 2.28.9, cuBLAS 13.1.0": the libraries as they are loaded; what is not loaded is left out. */
void reeve_gpus_libraries(char *text, size_t text_bytes);

#endif
