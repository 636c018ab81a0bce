/* Matrix products by cuBLASLt. It is column-major: what is (M, N) row-major to us is N x M to it, so the factors change
 * sides. With out^T (N x M) = op(A) op(B):
 *   NT  out^T = y x^T:     A = y, seen as K x N, transposed;   B = x, seen as K x M
 *   NN  out^T = y^T x^T:   A = y, seen as N x K;               B = x, seen as K x M
 *   TN  out^T = y^T x:     A = y, seen as N x K;               B = x, seen as M x K, transposed
 * so its m, n, k are our N, M, K. A bias of out's columns is one of its rows, as its epilogue wants; the sums of x over
 * rows are sums of B over k (BGRADB).
 *
 * The same bits each time: one stream and one workspace; for each size the algorithm that the heuristic names first, which
 * depends on the sizes, the GPU and the version alone; never one that adds with atomics. */
#include <cublasLt.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "model/gpt/cuda/gpt_cuda_state.h"

#define ALIGNMENT_BYTES 16u /* that the heuristic may count on */

struct plan {
    enum gpt_cuda_product kind;
    size_t M, N, K;
    bool out_is_f32, add, has_bias;
    cublasLtMatmulDesc_t product;
    cublasLtMatrixLayout_t a, b, out;
    cublasLtMatmulAlgo_t algorithm;
};

struct gpt_cuda_matmul {
    cublasLtHandle_t handle;
    cublasLtMatmulPreference_t preference;
    struct plan *plans; /* owned */
    size_t count, room;
};

static reeve_status check(const reeve_gpt_cuda *g, cublasStatus_t status, const char *what, struct reeve_error *err)
{
    if (status == CUBLAS_STATUS_SUCCESS) return REEVE_OK;
    return reeve_fail(err, REEVE_JOB_DEVICE, "GPU %u: %s: cuBLAS says %s", g->config.device, what,
                      cublasLtGetStatusString(status));
}

reeve_status gpt_cuda_matmul_create(reeve_gpt_cuda *g, struct reeve_error *err)
{
    const uint64_t workspace = GPT_CUDA_WORKSPACE_BYTES;
    const uint32_t schemes = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE,
                   align = ALIGNMENT_BYTES; /* NONE is always allowed */
    const cublasLtMatmulPreferenceAttributes_t aligned[] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
    struct gpt_cuda_matmul *m = g->matmul = calloc(1, sizeof(*m));
    if (m == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "gpt: out of memory");
    cublasStatus_t s = cublasLtCreate(&m->handle);
    if (s == CUBLAS_STATUS_SUCCESS) s = cublasLtMatmulPreferenceCreate(&m->preference);
    if (s == CUBLAS_STATUS_SUCCESS)
        s = cublasLtMatmulPreferenceSetAttribute(m->preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace,
                                                 sizeof(workspace));
    if (s == CUBLAS_STATUS_SUCCESS)
        s = cublasLtMatmulPreferenceSetAttribute(m->preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &schemes,
                                                 sizeof(schemes));
    for (size_t i = 0; i < sizeof(aligned) / sizeof(aligned[0]) && s == CUBLAS_STATUS_SUCCESS; i++)
        s = cublasLtMatmulPreferenceSetAttribute(m->preference, aligned[i], &align, sizeof(align));
    return check(g, s, "start cuBLASLt", err);
}

static void destroy_plan(struct plan *p)
{
    if (p->out != NULL) (void)cublasLtMatrixLayoutDestroy(p->out);
    if (p->b != NULL) (void)cublasLtMatrixLayoutDestroy(p->b);
    if (p->a != NULL) (void)cublasLtMatrixLayoutDestroy(p->a);
    if (p->product != NULL) (void)cublasLtMatmulDescDestroy(p->product);
}

void gpt_cuda_matmul_destroy(struct gpt_cuda_matmul *m)
{
    if (m == NULL) return;
    for (size_t i = 0; i < m->count; i++)
        destroy_plan(&m->plans[i]);
    free(m->plans);
    if (m->preference != NULL) (void)cublasLtMatmulPreferenceDestroy(m->preference);
    if (m->handle != NULL) (void)cublasLtDestroy(m->handle);
    free(m);
}

static cublasStatus_t set_bias(struct plan *p, const void *bias)
{
    return cublasLtMatmulDescSetAttribute(p->product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof(bias));
}

static cublasStatus_t describe(const reeve_gpt_cuda *g, struct plan *p, const void *bias)
{
    const cudaDataType_t in_type = g->is_bf16 ? CUDA_R_16BF : CUDA_R_32F,
                         out_type = p->out_is_f32 ? CUDA_R_32F : in_type;
    const cublasOperation_t yes = CUBLAS_OP_T, no = CUBLAS_OP_N;
    const cublasOperation_t *a_op = p->kind == GPT_CUDA_NT ? &yes : &no, *b_op = p->kind == GPT_CUDA_TN ? &yes : &no;
    cublasStatus_t s = cublasLtMatmulDescCreate(&p->product, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    if (s == CUBLAS_STATUS_SUCCESS)
        s = cublasLtMatmulDescSetAttribute(p->product, CUBLASLT_MATMUL_DESC_TRANSA, a_op, sizeof(*a_op));
    if (s == CUBLAS_STATUS_SUCCESS)
        s = cublasLtMatmulDescSetAttribute(p->product, CUBLASLT_MATMUL_DESC_TRANSB, b_op, sizeof(*b_op));
    if (s == CUBLAS_STATUS_SUCCESS && p->has_bias) {
        const cublasLtEpilogue_t epilogue = p->kind == GPT_CUDA_TN ? CUBLASLT_EPILOGUE_BGRADB : CUBLASLT_EPILOGUE_BIAS;
        s = cublasLtMatmulDescSetAttribute(p->product, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof(epilogue));
        if (s == CUBLAS_STATUS_SUCCESS)
            s = cublasLtMatmulDescSetAttribute(p->product, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &out_type,
                                               sizeof(out_type));
        if (s == CUBLAS_STATUS_SUCCESS) s = set_bias(p, bias);
    }
    const uint64_t a_rows = p->kind == GPT_CUDA_NT ? p->K : p->N, a_columns = p->kind == GPT_CUDA_NT ? p->N : p->K;
    const uint64_t b_rows = p->kind == GPT_CUDA_TN ? p->M : p->K, b_columns = p->kind == GPT_CUDA_TN ? p->K : p->M;
    if (s == CUBLAS_STATUS_SUCCESS) s = cublasLtMatrixLayoutCreate(&p->a, in_type, a_rows, a_columns, (int64_t)a_rows);
    if (s == CUBLAS_STATUS_SUCCESS) s = cublasLtMatrixLayoutCreate(&p->b, in_type, b_rows, b_columns, (int64_t)b_rows);
    if (s == CUBLAS_STATUS_SUCCESS) s = cublasLtMatrixLayoutCreate(&p->out, out_type, p->N, p->M, (int64_t)p->N);
    return s;
}

static reeve_status make_plan(const reeve_gpt_cuda *g, struct plan *p, const void *bias, struct reeve_error *err)
{
    const struct gpt_cuda_matmul *m = g->matmul;
    cublasLtMatmulHeuristicResult_t found;
    int count = 0;
    cublasStatus_t s = describe(g, p, bias);
    if (s == CUBLAS_STATUS_SUCCESS)
        s = cublasLtMatmulAlgoGetHeuristic(m->handle, p->product, p->a, p->b, p->out, p->out, m->preference, 1, &found,
                                           &count);
    if (s == CUBLAS_STATUS_SUCCESS && count > 0) s = found.state;
    if (s == CUBLAS_STATUS_SUCCESS && count == 0) s = CUBLAS_STATUS_NOT_SUPPORTED;
    if (s == CUBLAS_STATUS_SUCCESS) {
        p->algorithm = found.algo;
        return REEVE_OK;
    }
    const char *const kinds[] = {"NT", "NN", "TN"};
    reeve_status st = check(g, s, "choose a matrix product", err);
    return st == REEVE_OK
               ? st
               : reeve_error_context(err, "product %s of %zu x %zu x %zu in %s%s", kinds[p->kind], p->M, p->N, p->K,
                                     g->is_bf16 ? "bf16" : "fp32", p->has_bias ? " with bias" : "");
}

static bool fits(const struct plan *p, const struct gpt_cuda_product_call *c)
{
    return p->kind == c->kind && p->M == c->M && p->N == c->N && p->K == c->K && p->out_is_f32 == c->out_is_f32 &&
           p->add == c->add && p->has_bias == (c->bias != NULL);
}

static reeve_status find_plan(reeve_gpt_cuda *g, const struct gpt_cuda_product_call *c, struct plan **out,
                              struct reeve_error *err)
{
    struct gpt_cuda_matmul *m = g->matmul;
    for (size_t i = 0; i < m->count; i++)
        if (fits(&m->plans[i], c)) {
            *out = &m->plans[i];
            return REEVE_OK;
        }
    if (m->count == m->room) {
        size_t room = m->room == 0 ? 32 : 2 * m->room;
        struct plan *plans = realloc(m->plans, room * sizeof(*plans));
        if (plans == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "gpt: out of memory");
        m->plans = plans;
        m->room = room;
    }
    struct plan p = {.kind = c->kind,
                     .M = c->M,
                     .N = c->N,
                     .K = c->K,
                     .out_is_f32 = c->out_is_f32,
                     .add = c->add,
                     .has_bias = c->bias != NULL};
    reeve_status st = make_plan(g, &p, c->bias, err);
    if (st != REEVE_OK) {
        destroy_plan(&p);
        return st;
    }
    m->plans[m->count] = p;
    *out = &m->plans[m->count++];
    return REEVE_OK;
}

reeve_status gpt_cuda_product(reeve_gpt_cuda *g, const struct gpt_cuda_product_call *call, struct reeve_error *err)
{
    const float one = 1.0f, beta = call->add ? 1.0f : 0.0f;
    struct plan *p = NULL;
    reeve_status st = find_plan(g, call, &p, err);
    if (st != REEVE_OK) return st;
    cublasStatus_t s = p->has_bias ? set_bias(p, call->bias) : CUBLAS_STATUS_SUCCESS;
    if (s == CUBLAS_STATUS_SUCCESS)
        s = cublasLtMatmul(g->matmul->handle, p->product, &one, call->y, p->a, call->x, p->b, &beta, call->out, p->out,
                           call->out, p->out, &p->algorithm, g->workspace, GPT_CUDA_WORKSPACE_BYTES, g->stream);
    return check(g, s, "matrix product", err);
}
