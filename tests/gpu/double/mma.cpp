/* What the lanes of a warp do together on matrices. */
#include "double.h"
#include "model/gpt/cuda/mma.cuh"

namespace reeve_cuda
{

static float bf16_of(uint32_t pair, uint32_t which)
{
    return __uint_as_float(which == 0 ? pair << 16 : pair & 0xffff0000u);
}

uint32_t shared_address(const void *p)
{
    return double_shared_address(p);
}

static void load_matrices(uint32_t (&r)[4], uint32_t row, bool transposed)
{
    const uint32_t g = double_lane() / 4, t = double_lane() % 4;
    const unsigned char *mine = double_shared_at(row, 16);
    const unsigned char *all =
        double_exchange(transposed ? "ldmatrix.trans" : "ldmatrix", (const void *)&mine, sizeof(mine));
    for (uint32_t i = 0; i < 4; i++) {
        uint16_t half[2];
        for (uint32_t j = 0; j < 2; j++) {
            const uint32_t at_row = transposed ? 2 * t + j : g, at_column = transposed ? g : 2 * t + j;
            const unsigned char *line;
            std::memcpy(&line, all + (8 * i + at_row) * WARP_SLOT, sizeof(line));
            std::memcpy(&half[j], line + 2 * at_column, 2);
        }
        r[i] = (uint32_t)half[1] << 16 | half[0];
    }
}

void ldmatrix(uint32_t (&r)[4], uint32_t row)
{
    load_matrices(r, row, false);
}

void ldmatrix_transposed(uint32_t (&r)[4], uint32_t row)
{
    load_matrices(r, row, true);
}

void mma(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
{
    const uint32_t g = double_lane() / 4, t = double_lane() % 4;
    const uint32_t mine[6] = {a[0], a[1], a[2], a[3], b0, b1};
    const unsigned char *all = double_exchange("mma", mine, sizeof(mine));
    for (uint32_t i = 0; i < 4; i++) {
        float sum = 0.0f;
        for (uint32_t k = 0; k < 16; k++) {
            /* A's row g or g + 8 is with the lanes 4g..; B's column 2t or 2t + 1 with those of 4 * that column */
            const uint32_t pair = k % 8 / 2, upper = k / 8;
            uint32_t left[6], right[6];
            std::memcpy(left, all + (4 * g + pair) * WARP_SLOT, sizeof(left));
            std::memcpy(right, all + (4 * (2 * t + i % 2) + pair) * WARP_SLOT, sizeof(right));
            sum += bf16_of(left[2 * upper + i / 2], k % 2) * bf16_of(right[4 + upper], k % 2);
        }
        c[i] += sum;
    }
}

void copy_async(uint32_t to, const void *from, bool real)
{
    double_copy_async(double_shared_at(to, 16), from, 16, real);
}

} // namespace reeve_cuda
