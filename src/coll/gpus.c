/* See gpus.h. Name and UUID come from the driver, whose functions for it have no structures that change with versions; the
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

#define ID_BYTES 16 /* a CUuuid */

static bool ask_driver(uint32_t device, char *name, size_t name_bytes, unsigned char id[ID_BYTES])
{
    void *driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
    int (*get)(int *, int) = NULL, (*get_name)(char *, int, int) = NULL, (*get_id)(void *, int) = NULL, handle = 0;
    if (driver == NULL) return false;
    *(void **)&get = dlsym(driver, "cuDeviceGet");
    *(void **)&get_name = dlsym(driver, "cuDeviceGetName");
    *(void **)&get_id = dlsym(driver, "cuDeviceGetUuid");
    bool known = get != NULL && get_name != NULL && get_id != NULL && get(&handle, (int)device) == 0 &&
                 get_name(name, (int)name_bytes, handle) == 0 && get_id(id, handle) == 0;
    (void)dlclose(driver);
    name[known ? name_bytes - 1 : 0] = '\0';
    return known;
}

void reeve_gpus_card(uint32_t device, char *text, size_t text_bytes)
{
    char name[64];
    unsigned char b[ID_BYTES];
    text[0] = '\0';
    if (!ask_driver(device, name, sizeof(name), b)) return;
    (void)snprintf(text, text_bytes,
                   "%s, UUID GPU-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", name, b[0], b[1],
                   b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

uint32_t reeve_gpus_count(char *name, size_t name_bytes, char *trouble, size_t trouble_bytes)
{
    int count = 0;
    memset(name, 0, name_bytes);
    memset(trouble, 0, trouble_bytes);
    cudaError_t rc = cudaGetDeviceCount(&count);
    if (rc != cudaSuccess || count < 1) {
        (void)snprintf(trouble, trouble_bytes, "%s", cudaGetErrorString(rc != cudaSuccess ? rc : cudaErrorNoDevice));
        return 0;
    }
    unsigned char id[ID_BYTES];
    (void)ask_driver(0, name, name_bytes, id);
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
