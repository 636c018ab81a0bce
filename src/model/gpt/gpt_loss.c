/* The output head, tied to wte, and the loss: logits exist for a block of rows at a time, and become their own gradient
 * in place, so memory does not grow with B*T*V. */
#include "model/gpt/gpt_state.h"
#include "model/gpt/kernels.h"
#include "model/gpt/matmul.h"

/* Rows [begin, begin + rows) of ln_f -> losses; with scale > 0 logits become their gradient. */
static void loss_rows(const reeve_gpt *g, const int32_t *tokens, size_t T, size_t begin, size_t rows, float scale)
{
    size_t V = g->shape.vocab;
#pragma omp parallel for schedule(static) num_threads(g->threads)
    for (size_t i = 0; i < rows; i++) {
        size_t r = begin + i;
        size_t target = (size_t)tokens[r / T * (T + 1) + r % T + 1];
        float *logits = g->logits + i * V;
        g->losses[r] = scale > 0.0f ? gpt_loss_row_gradient(logits, V, target, scale) : gpt_loss_row(logits, V, target);
    }
}

size_t gpt_even_rows(size_t all, size_t rows_max)
{
    size_t blocks = (all + rows_max - 1) / rows_max, rows = (all + blocks - 1) / blocks;
    rows = (rows + GPT_ROWS_CHUNK - 1) / GPT_ROWS_CHUNK * GPT_ROWS_CHUNK;
    return rows < rows_max ? rows : rows_max;
}

bool gpt_head(reeve_gpt *g, const int32_t *tokens, size_t B, size_t T, float *grad, double *loss_sum,
              const struct gpt_cancel *cancel)
{
    size_t V = g->shape.vocab, C = g->shape.width, BT = B * T, block = gpt_even_rows(BT, g->logit_rows);
    const float *wte = gpt_param(g, WTE);
    float scale = grad == NULL ? 0.0f : 1.0f / (float)BT;
    for (size_t begin = 0; begin < BT; begin += block) {
        if (gpt_is_cancelled(cancel)) return false;
        size_t rows = BT - begin < block ? BT - begin : block;
        matmul_nt(g->logits, g->ln_f + begin * C, wte, rows, V, C, 0.0f);
        loss_rows(g, tokens, T, begin, rows, scale);
        if (grad == NULL) continue;
        matmul_nn(g->dsmall + begin * C, g->logits, wte, rows, C, V, 0.0f);
        matmul_tn(grad + g->grad_offset[WTE], g->logits, g->ln_f + begin * C, V, C, rows, begin == 0 ? 0.0f : 1.0f);
    }
    double sum = 0.0;
    for (size_t r = 0; r < BT; r++)
        sum += g->losses[r];
    *loss_sum = sum;
    return true;
}
