/* See gpus.h. The name comes from the driver, whose functions for it have no structures that change with versions; the
 * runtime has loaded it by then. */
#include "coll/gpus.h"

#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#ifndef CUDART_VERSION
#define CUDART_VERSION 0
#endif

static void first_name(char *name, size_t name_bytes)
{
    void *driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
    int (*get)(int *, int) = NULL, (*get_name)(char *, int, int) = NULL, device = 0;
    if (driver == NULL) return;
    *(void **)&get = dlsym(driver, "cuDeviceGet");
    *(void **)&get_name = dlsym(driver, "cuDeviceGetName");
    bool known =
        get != NULL && get_name != NULL && get(&device, 0) == 0 && get_name(name, (int)name_bytes, device) == 0;
    if (!known) name[0] = '\0';
    name[name_bytes - 1] = '\0';
    (void)dlclose(driver);
}

uint32_t reeve_gpus_count(char *name, size_t name_bytes)
{
    int count = 0;
    memset(name, 0, name_bytes);
    if (cudaGetDeviceCount(&count) != cudaSuccess || count < 1) return 0; /* the usual answer without a GPU */
    first_name(name, name_bytes);
    return (uint32_t)count;
}

/* NCCL and cuBLAS count alike: 22809 is 2.28.9. */
static void add(char *text, size_t text_bytes, const char *library, size_t version)
{
    size_t used = strlen(text);
    if (version == 0) return;
    (void)snprintf(text + used, text_bytes - used, "%s%s %zu.%zu.%zu", used > 0 ? ", " : "", library, version / 10000,
                   version % 10000 / 100, version % 100);
}

void reeve_gpus_libraries(char *text, size_t text_bytes)
{
    int cuda = CUDART_VERSION, nccl = 0;
    int (*nccl_version)(int *) = NULL;
    size_t (*blas_version)(void) = NULL;
    *(void **)&nccl_version = dlsym(RTLD_DEFAULT, "ncclGetVersion");
    *(void **)&blas_version = dlsym(RTLD_DEFAULT, "cublasLtGetVersion");
    (void)snprintf(text, text_bytes, "CUDA %d.%d", cuda / 1000, cuda % 1000 / 10);
    if (nccl_version != NULL && nccl_version(&nccl) == 0) add(text, text_bytes, "NCCL", (size_t)nccl);
    if (blas_version != NULL) add(text, text_bytes, "cuBLAS", blas_version());
}
