/* kernels_test --bench: each kernel at the sizes of GPT-2 124M in bf16, 32768 rows: median of 20, and the bytes that must
 * move at least, over that time. Before each launch other memory is read, more than the L2 cache holds. */
#include <algorithm>

#include "kernels_cases.cuh"

using namespace device_test;
using namespace reeve_cuda;

namespace
{

constexpr uint32_t B = 32, SEQUENCE = 1024, N = B * SEQUENCE, C = 768, C4 = 4 * C, V = 50257, STRIDE = 50304;
constexpr size_t P = 124475904; /* each tensor padded to 64 elements */
constexpr int ROUNDS = 20;
constexpr size_t COLD_FLOATS = 64 << 20;

class bench
{
  public:
    bench() : cold_(COLD_FLOATS), scratch_(4096), out_(1)
    {
        MUST(cudaMemset(cold_.get(), 0, COLD_FLOATS * sizeof(float)));
        MUST(cudaEventCreate(&begin_));
        MUST(cudaEventCreate(&end_));
    }

    void time(const char *name, double bytes, const std::function<cudaError_t()> &run)
    {
        std::vector<float> ms(ROUNDS);
        must(run(), name);
        for (float &m : ms) {
            MUST(grad_square_sum<float>(out_.get(), cold_.get(), scratch_.get(), 1.0, 1.0, COLD_FLOATS, 0));
            MUST(cudaEventRecord(begin_));
            must(run(), name);
            MUST(cudaEventRecord(end_));
            must(cudaEventSynchronize(end_), name);
            MUST(cudaEventElapsedTime(&m, begin_, end_));
        }
        std::sort(ms.begin(), ms.end());
        const double median = (ms[ROUNDS / 2 - 1] + ms[ROUNDS / 2]) / 2.0;
        printf("%-28s %9.1f us  %7.0f GB/s  (%.1f to %.1f us)\n", name, median * 1e3, bytes / median / 1e6, ms[0] * 1e3,
               ms[ROUNDS - 1] * 1e3);
    }

  private:
    buffer<float> cold_;
    buffer<double> scratch_, out_;
    cudaEvent_t begin_, end_;
};

/* Words are as frequent as in a text: the k-th with 1 / k. */
std::vector<int32_t> text_tokens()
{
    std::vector<int32_t> tokens((size_t)B * (SEQUENCE + 1));
    for (int32_t &token : tokens) {
        const double u = (double)(fresh_u64() >> 11) * 0x1p-53;
        token = std::min((int32_t)(std::exp(u * std::log((double)V)) - 1.0), (int32_t)V - 1);
    }
    return tokens;
}

template <typename T> void fill(buffer<T> &x, size_t n)
{
    const std::vector<T> some = fresh<T>(1 << 20, 1.0f);
    for (size_t i = 0; i < n; i += some.size())
        MUST(cudaMemcpy(x.get() + i, some.data(), std::min(some.size(), n - i) * sizeof(T), cudaMemcpyHostToDevice));
}

void rows_bench(bench &b)
{
    const std::vector<int32_t> tokens = text_tokens();
    std::vector<uint32_t> words(gpt_occurrences_words(N)), count(V);
    buffer<uint32_t> words_there(words.size());
    struct gpt_occurrences where;
    gpt_occurrences_sort(words.data(), count.data(), tokens.data(), B, SEQUENCE, V, words_there.get(), &where);
    words_there.set(words);
    const buffer<int32_t> tokens_there(tokens);
    buffer<bf16> x(N * C), wte((size_t)V * C), wpe(SEQUENCE * C), wide((size_t)N * C4);
    buffer<float> dwte((size_t)V * C), dwpe(SEQUENCE * C), scratch(embed_backward_scratch(N, C)), out(C4),
        column_scratch(column_sum_scratch(N, C4));
    fill(x, N * C), fill(wte, (size_t)V * C), fill(wpe, SEQUENCE * C), fill(wide, (size_t)N * C4);
    fill(dwte, (size_t)V * C);
    const double row = 2.0 * N * C;
    b.time("copy, to compare with", 4.0 * row, [&] {
        return cudaMemcpyAsync(wide.get(), wide.get() + (size_t)N * C4 / 2, 2.0 * row, cudaMemcpyDeviceToDevice, 0);
    });
    b.time("embed_forward", 2.0 * row,
           [&] { return embed_forward<bf16>(x.get(), tokens_there.get(), wte.get(), wpe.get(), B, SEQUENCE, C, 0); });
    b.time("embed_backward", 2.0 * row + 8.0 * C * (where.piece_count - where.split_piece_count), [&] {
        return embed_backward<bf16>(dwte.get(), dwpe.get(), x.get(), where, scratch.get(), B, SEQUENCE, C, 0);
    });
    for (uint32_t n : {C, 3 * C, C4})
        b.time(("column_sum " + std::to_string(n)).c_str(), 2.0 * N * n,
               [&] { return column_sum<bf16>(out.get(), wide.get(), column_scratch.get(), N, n, 0); });
}

void norm_bench(bench &b)
{
    buffer<bf16> x(N * C), branch(N * C), sum(N * C), y(N * C), weight(C), bias(C);
    buffer<float> mean(N), rstd(N), dweight(C), dbias(C), scratch(layernorm_backward_scratch(N, C));
    fill(x, N * C), fill(branch, N * C), fill(weight, C), fill(bias, C);
    const double row = 2.0 * N * C;
    b.time("layernorm_forward", 2.0 * row, [&] {
        return layernorm_forward<bf16>(y.get(), mean.get(), rstd.get(), x.get(), weight.get(), bias.get(), N, C, 0);
    });
    b.time("residual_layernorm_forward", 4.0 * row, [&] {
        return residual_layernorm_forward<bf16>(sum.get(), y.get(), mean.get(), rstd.get(), x.get(), branch.get(),
                                                weight.get(), bias.get(), N, C, 0);
    });
    b.time("layernorm_backward", 4.0 * row, [&] {
        return layernorm_backward<bf16>(sum.get(), dweight.get(), dbias.get(), branch.get(), x.get(), mean.get(),
                                        rstd.get(), weight.get(), scratch.get(), N, C, 0);
    });
}

void gelu_bench(bench &b)
{
    const size_t n = (size_t)N * C4;
    buffer<bf16> x(n), y(n);
    buffer<float> dbias(C4), scratch(column_sum_scratch(N, C4));
    fill(x, n), fill(y, n);
    b.time("gelu_forward", 4.0 * n, [&] { return gelu_forward<bf16>(y.get(), x.get(), n, 0); });
    b.time("gelu_backward", 6.0 * n,
           [&] { return gelu_backward<bf16>(y.get(), x.get(), nullptr, scratch.get(), N, C4, 0); });
    b.time("gelu_backward with dbias", 6.0 * n,
           [&] { return gelu_backward<bf16>(y.get(), x.get(), dbias.get(), scratch.get(), N, C4, 0); });
}

void loss_bench(bench &b)
{
    const buffer<int32_t> tokens(text_tokens());
    buffer<bf16> logits((size_t)N * STRIDE);
    buffer<float> losses(N);
    buffer<double> out(1), scratch(1024);
    fill(logits, (size_t)N * STRIDE);
    const double bytes = 2.0 * N * STRIDE;
    b.time("cross_entropy, loss alone", bytes, [&] {
        return cross_entropy<bf16>(logits.get(), losses.get(), tokens.get(), N, 0, SEQUENCE, V, STRIDE, 1.0f / N, false,
                                   0);
    });
    b.time("cross_entropy", 2.0 * bytes, [&] {
        return cross_entropy<bf16>(logits.get(), losses.get(), tokens.get(), N, 0, SEQUENCE, V, STRIDE, 1.0f / N, true,
                                   0);
    });
    b.time("sum_losses", 4.0 * N, [&] { return sum_losses(out.get(), losses.get(), scratch.get(), N, 0); });
}

void update_bench(bench &b)
{
    buffer<int64_t> sum(P);
    buffer<float> grad(P), weights(P), m(P), v(P);
    buffer<bf16> working(P);
    buffer<uint8_t> decays(P / TENSOR_ALIGN);
    buffer<unsigned long long> flags(2);
    buffer<uint64_t> word(1);
    buffer<double> out(1), scratch(4096);
    MUST(cudaMemset(sum.get(), 0, P * sizeof(int64_t)));
    MUST(cudaMemset(m.get(), 0, P * sizeof(float)));
    MUST(cudaMemset(v.get(), 0, P * sizeof(float)));
    fill(grad, P), fill(weights, P);
    const struct adamw_update u = {0.9f, 0.1f, 0.95f, 0.05f, 6e-4f, 1.0f, 1e-8f, 1.0f, 1.0f};
    b.time("quantise_add", 20.0 * P, [&] { return quantise_add(sum.get(), grad.get(), flags.get(), P, 47, 0); });
    b.time("add_f32", 12.0 * P, [&] { return add_f32(m.get(), grad.get(), flags.get(), P, 0); });
    b.time("digest of int64", 8.0 * P, [&] { return digest(word.get(), sum.get(), P, 8, 0); });
    b.time("grad_square_sum of int64", 8.0 * P,
           [&] { return grad_square_sum<int64_t>(out.get(), sum.get(), scratch.get(), 0x1p-47, 0.125, P, 0); });
    b.time("adamw_step of int64", 34.0 * P, [&] {
        return adamw_step<bf16, int64_t>(weights.get(), m.get(), v.get(), working.get(), sum.get(), decays.get(), u,
                                         0x1p-47, 0.125, P, 0);
    });
    b.time("adamw_step of fp32", 30.0 * P, [&] {
        return adamw_step<bf16, float>(weights.get(), m.get(), v.get(), working.get(), grad.get(), decays.get(), u, 1.0,
                                       0.125, P, 0);
    });
    b.time("round_to_bf16", 6.0 * P, [&] { return round_to_bf16(working.get(), weights.get(), P, 0); });
}

} // namespace

void kernels_bench()
{
    bench b;
    rows_bench(b);
    norm_bench(b);
    gelu_bench(b);
    loss_bench(b);
    update_bench(b);
}
