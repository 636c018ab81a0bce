/* cuBLASLt as loops. Matrices are column by column. Sums are of fp32, in the order of their terms. */
#include <cstdio>
#include <cstring>
#include <vector>

#include <cublasLt.h>
#include <cuda_bf16.h>

#include "double.h"

struct double_handle {
};
struct double_preference {
    uint64_t workspace_bytes;
};
struct double_product {
    cublasOperation_t transpose_a, transpose_b;
    cublasLtEpilogue_t epilogue;
    void *bias;
    cudaDataType_t bias_type;
};
struct double_layout {
    cudaDataType_t type;
    uint64_t rows, columns;
    int64_t stride;
};

namespace
{

struct sizes {
    uint64_t m, n, k;
};

size_t element_bytes(cudaDataType_t type)
{
    return type == CUDA_R_32F ? 4 : 2;
}

float element(const void *data, size_t at, cudaDataType_t type)
{
    if (type == CUDA_R_32F) return static_cast<const float *>(data)[at];
    return __bfloat162float(static_cast<const __nv_bfloat16 *>(data)[at]);
}

void put_element(void *data, size_t at, cudaDataType_t type, float x)
{
    if (type == CUDA_R_32F) static_cast<float *>(data)[at] = x;
    else static_cast<__nv_bfloat16 *>(data)[at] = __nv_bfloat16(x);
}

/* (lines, k): the lines of op(A), or the columns of op(B), each contiguous. */
std::vector<float> unfold(const void *data, const double_layout &l, bool line_is_column, uint64_t lines, uint64_t k)
{
    std::vector<float> x(lines * k);
    for (uint64_t line = 0; line < lines; line++)
        for (uint64_t i = 0; i < k; i++)
            x[line * k + i] = element(data, line_is_column ? line * l.stride + i : i * l.stride + line, l.type);
    return x;
}

/* Eight sums side by side, which the compiler makes vectors of. */
float inner(const float *x, const float *y, uint64_t k)
{
    float part[8] = {}, sum = 0.0f;
    uint64_t i = 0;
    for (; i + 8 <= k; i += 8)
        for (uint64_t j = 0; j < 8; j++)
            part[j] += x[i + j] * y[i + j];
    for (; i < k; i++)
        sum += x[i] * y[i];
    for (float p : part)
        sum += p;
    return sum;
}

void multiply(const double_product &p, const sizes &s, const void *a, const double_layout &la, const void *b,
              const double_layout &lb, void *d, const double_layout &ld, bool add)
{
    const std::vector<float> x = unfold(a, la, p.transpose_a == CUBLAS_OP_T, s.m, s.k);
    const std::vector<float> y = unfold(b, lb, p.transpose_b == CUBLAS_OP_N, s.n, s.k);
    for (uint64_t j = 0; j < s.n; j++)
        for (uint64_t i = 0; i < s.m; i++) {
            const size_t at = j * (size_t)ld.stride + i;
            float sum = inner(&x[i * s.k], &y[j * s.k], s.k);
            if (add) sum += element(d, at, ld.type);
            if (p.epilogue == CUBLASLT_EPILOGUE_BIAS) sum += element(p.bias, i, p.bias_type);
            put_element(d, at, ld.type, sum);
        }
    for (uint64_t j = 0; p.epilogue == CUBLASLT_EPILOGUE_BGRADB && j < s.n; j++) {
        float sum = 0.0f;
        for (uint64_t i = 0; i < s.k; i++)
            sum += y[j * s.k + i];
        put_element(p.bias, j, p.bias_type, sum);
    }
}

void check_matrix(const void *data, const double_layout &l, const char *name)
{
    if ((uint64_t)l.stride < l.rows)
        double_broken("matrix %s: columns of %zu, a stride of %zu", name, (size_t)l.rows, (size_t)l.stride);
    if ((uintptr_t)data % 16 != 0) double_broken("matrix %s: not on 16 bytes, which was promised", name);
    double_need_device(data, ((l.columns - 1) * (size_t)l.stride + l.rows) * element_bytes(l.type), name);
}

sizes sizes_of(const double_product &p, const double_layout &a, const double_layout &b, const double_layout &d)
{
    const bool ta = p.transpose_a == CUBLAS_OP_T, tb = p.transpose_b == CUBLAS_OP_T;
    const sizes s = {ta ? a.columns : a.rows, tb ? b.rows : b.columns, ta ? a.rows : a.columns};
    if ((tb ? b.columns : b.rows) != s.k || d.rows != s.m || d.columns != s.n)
        double_broken("a product of sizes that do not fit");
    return s;
}

} // namespace

size_t cublasLtGetVersion(void)
{
    return 130000;
}

const char *cublasLtGetStatusString(cublasStatus_t status)
{
    return status == CUBLAS_STATUS_SUCCESS ? "success" : "an error of the double";
}

#define CREATE_AND_DESTROY(Name, type)                                                                                 \
    cublasStatus_t cublasLt##Name##Create(type **made)                                                                 \
    {                                                                                                                  \
        *made = new type();                                                                                            \
        return CUBLAS_STATUS_SUCCESS;                                                                                  \
    }                                                                                                                  \
    cublasStatus_t cublasLt##Name##Destroy(type *made)                                                                 \
    {                                                                                                                  \
        delete made;                                                                                                   \
        return CUBLAS_STATUS_SUCCESS;                                                                                  \
    }
CREATE_AND_DESTROY(, double_handle)
CREATE_AND_DESTROY(MatmulPreference, double_preference)

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute, const void *value,
                                                    size_t bytes)
{
    if (attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES) {
        if (bytes != sizeof(uint64_t)) return CUBLAS_STATUS_INVALID_VALUE;
        memcpy(&preference->workspace_bytes, value, bytes);
    } else {
        if (bytes != sizeof(uint32_t)) return CUBLAS_STATUS_INVALID_VALUE;
        uint32_t number;
        memcpy(&number, value, bytes);
        if (attribute != CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK && number > 16) return CUBLAS_STATUS_INVALID_VALUE;
    }
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *product, cublasComputeType_t, cudaDataType_t)
{
    *product = new double_product{CUBLAS_OP_N, CUBLAS_OP_N, CUBLASLT_EPILOGUE_DEFAULT, nullptr, CUDA_R_32F};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t product)
{
    delete product;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t product, cublasLtMatmulDescAttributes_t attribute,
                                              const void *value, size_t bytes)
{
    void *field = attribute == CUBLASLT_MATMUL_DESC_TRANSA         ? (void *)&product->transpose_a
                  : attribute == CUBLASLT_MATMUL_DESC_TRANSB       ? (void *)&product->transpose_b
                  : attribute == CUBLASLT_MATMUL_DESC_EPILOGUE     ? (void *)&product->epilogue
                  : attribute == CUBLASLT_MATMUL_DESC_BIAS_POINTER ? (void *)&product->bias
                                                                   : (void *)&product->bias_type;
    if (bytes != (attribute == CUBLASLT_MATMUL_DESC_BIAS_POINTER ? sizeof(void *) : sizeof(int32_t)))
        return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(field, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout, cudaDataType_t type, uint64_t rows,
                                          uint64_t columns, int64_t stride)
{
    *layout = new double_layout{type, rows, columns, stride};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout)
{
    delete layout;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t product, cublasLtMatrixLayout_t a,
                                              cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t,
                                              cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t, int wanted,
                                              cublasLtMatmulHeuristicResult_t *found, int *count)
{
    const sizes s = sizes_of(*product, *a, *b, *d);
    *count = wanted > 0;
    *found = {{s.m * 1000003 + s.n * 1009 + s.k}, CUBLAS_STATUS_SUCCESS};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t product, const void *alpha, const void *a,
                              cublasLtMatrixLayout_t a_layout, const void *b, cublasLtMatrixLayout_t b_layout,
                              const void *beta, const void *c, cublasLtMatrixLayout_t, void *d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t *algorithm, void *workspace,
                              size_t workspace_bytes, cudaStream_t stream)
{
    const sizes s = sizes_of(*product, *a_layout, *b_layout, *d_layout);
    if (algorithm->plan != s.m * 1000003 + s.n * 1009 + s.k) double_broken("an algorithm chosen for other sizes");
    const float factor = *static_cast<const float *>(alpha), add = *static_cast<const float *>(beta);
    if (factor != 1.0f || (add != 0.0f && add != 1.0f) || c != d)
        double_broken("a product that the double does not have");
    check_matrix(a, *a_layout, "A");
    check_matrix(b, *b_layout, "B");
    check_matrix(d, *d_layout, "D");
    double_need_device(workspace, workspace_bytes, "workspace");
    if (product->epilogue != CUBLASLT_EPILOGUE_DEFAULT) {
        const uint64_t n = product->epilogue == CUBLASLT_EPILOGUE_BIAS ? s.m : s.n;
        if ((uintptr_t)product->bias % 16 != 0) double_broken("a bias that is not on 16 bytes");
        double_need_device(product->bias, n * element_bytes(product->bias_type), "bias");
    }
    double_enqueue(stream, [=, p = *product, la = *a_layout, lb = *b_layout, ld = *d_layout] {
        return multiply(p, s, a, la, b, lb, d, ld, add != 0.0f), true;
    });
    return CUBLAS_STATUS_SUCCESS;
}
