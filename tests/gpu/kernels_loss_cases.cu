/* Cross-entropy and the sum of losses. */
#include "kernels_cases.cuh"

using namespace device_test;
using namespace reeve_cuda;

namespace
{

constexpr uint32_t SEQUENCE = 16, ROWS_BEFORE = 5;
constexpr float SCALE = 1.0f / 8.0f;

struct loss_shape {
    uint32_t V;
    size_t stride;
};
constexpr loss_shape SHAPES[] = {{1, 1},         {7, 7},          {7, 8},         {7, 72},        {256, 256},
                                 {256, 320},     {1000, 1001},    {50257, 50257}, {50257, 50304}, {50304, 50304},
                                 {50304, 50432}, {130001, 130048}}; /* the last fits into no shared memory */

struct rows {
    std::vector<double> losses, others,
        targets; /* gradients of the targets apart: they are thousands of times larger */
};

template <typename T>
rows rows_of(const std::vector<T> &logits, const std::vector<uint32_t> &target, size_t N, const loss_shape &s)
{
    rows out = {std::vector<double>(N), std::vector<double>(N * s.V), std::vector<double>(N)};
    for (size_t r = 0; r < N; r++) {
        const T *x = &logits[r * s.stride];
        double max = -INFINITY, sum = 0.0;
        for (size_t i = 0; i < s.V; i++)
            max = std::max(max, as_double(x[i]));
        for (size_t i = 0; i < s.V; i++)
            sum += out.others[r * s.V + i] = std::exp(as_double(x[i]) - max);
        for (size_t i = 0; i < s.V; i++)
            out.others[r * s.V + i] *= (double)SCALE / sum;
        out.losses[r] = std::log(sum) + max - as_double(x[target[r]]);
        out.targets[r] = out.others[r * s.V + target[r]] - (double)SCALE;
        out.others[r * s.V + target[r]] = 0.0;
    }
    return out;
}

/* Targets of the rows, and tokens that hold them; every other token is one that is none. */
std::vector<int32_t> tokens_for(std::vector<uint32_t> &target, uint32_t V)
{
    const size_t last = ROWS_BEFORE + target.size();
    std::vector<int32_t> tokens((last / SEQUENCE + 1) * (SEQUENCE + 1), INT32_MAX);
    for (size_t i = 0; i < target.size(); i++) {
        const size_t row = ROWS_BEFORE + i;
        target[i] = i == 0 ? V - 1 : fresh_below(V);
        tokens[row / SEQUENCE * (SEQUENCE + 1) + row % SEQUENCE + 1] = (int32_t)target[i];
    }
    return tokens;
}

template <typename T> void loss_case(group &g, size_t N, const loss_shape &s, bool gradient)
{
    if (N * std::max<size_t>(s.stride, 512) > elements_max) return;
    g.at("N=%zu V=%u stride=%zu%s", N, s.V, s.stride, gradient ? " gradient" : "");
    std::vector<T> logits = fresh<T>(N * s.stride, 8.0f);
    for (size_t i = 0; i < logits.size(); i++)
        if (i % s.stride >= s.V) logits[i] = rounded_to<T>(NAN);
    std::vector<uint32_t> target(N);
    const buffer<int32_t> tokens(tokens_for(target, s.V));
    buffer<T> there(N * s.stride);
    buffer<float> losses(N);
    g.twice(
        [&] {
            losses.poison();
            there.set(logits);
            return cross_entropy<T>(there.get(), losses.get(), tokens.get(), N, ROWS_BEFORE, SEQUENCE, s.V, s.stride,
                                    SCALE, gradient, 0);
        },
        {&there, &losses});
    rows expected = rows_of(logits, target, N, s);
    g.close("losses", losses.host(), expected.losses, FP32_SUMS_LIMIT, 1.0);
    const std::vector<T> got = there.host();
    if (!gradient) {
        g.same_bits("logits", got, logits);
        return;
    }
    std::vector<T> others(N * s.V), targets(N), pad, zeros;
    for (size_t r = 0; r < N; r++) {
        for (size_t i = 0; i < s.stride; i++)
            if (i < s.V) others[r * s.V + i] = got[r * s.stride + i];
            else pad.push_back(got[r * s.stride + i]);
        targets[r] = others[r * s.V + target[r]];
        others[r * s.V + target[r]] = rounded_to<T>(0.0f);
    }
    zeros.assign(pad.size(), rounded_to<T>(0.0f));
    const double limit = sizeof(T) == 4 ? FP32_SUMS_LIMIT : BF16_LIMIT;
    g.close("gradient but of the targets", others, expected.others, limit);
    g.close("gradient of the targets", targets, expected.targets, limit, (double)SCALE);
    if (!pad.empty()) g.same_bits("what lies behind the rows", pad, zeros);
}

/* A row with a NaN, or all infinite, must have a loss that is none, not stop the program; the row beside it is sound. */
template <typename T> void odd_row_case(group &g)
{
    const loss_shape s = {500, 512};
    std::vector<T> logits = fresh<T>(3 * s.stride, 8.0f);
    logits[s.stride + 77] = rounded_to<T>(NAN);
    std::vector<uint32_t> target(3);
    const buffer<int32_t> tokens(tokens_for(target, s.V));
    buffer<T> there(logits);
    buffer<float> losses(3);
    g.at("a NaN in the second of three rows");
    MUST(cross_entropy<T>(there.get(), losses.get(), tokens.get(), 3, ROWS_BEFORE, SEQUENCE, s.V, s.stride, SCALE, true,
                          0));
    const std::vector<float> got = losses.host();
    g.check(std::isfinite(got[0]) && !std::isfinite(got[1]) && std::isfinite(got[2]), "which losses are finite");
    const std::vector<T> gradient = there.host();
    g.check(as_double(gradient[s.stride + s.V]) == 0.0, "what lies behind the row with a NaN is not 0");
    g.check(!std::isfinite(as_double(gradient[s.stride + 3])), "the row's gradient looks sound");
}

template <typename T> void loss_cases_of()
{
    group g(std::string("cross_entropy ") + type_name<T>());
    for (const loss_shape &s : SHAPES)
        for (uint32_t N : {1u, 2u, 33u, 257u, 4096u}) {
            if ((size_t)N * s.stride > 3000000) continue;
            loss_case<T>(g, N, s, true);
            loss_case<T>(g, N, s, false);
        }
    odd_row_case<T>(g);
}

void sum_case(group &g, size_t N)
{
    if (N > elements_max) return;
    g.at("N=%zu", N);
    const std::vector<float> losses = fresh<float>(N, 3.0f, 8.0f);
    const buffer<float> there(losses);
    buffer<double> out(1), scratch(1024);
    g.twice(
        [&] {
            out.poison();
            scratch.poison();
            return sum_losses(out.get(), there.get(), scratch.get(), N, 0);
        },
        {&out});
    g.check(scratch.intact(), "wrote beyond its scratch");
    long double sum = 0.0L;
    for (float loss : losses)
        sum += loss;
    const double got = out.host()[0];
    char text[100];
    (void)snprintf(text, sizeof(text), "got %.17g, expected %.17Lg", got, sum);
    g.check(fabsl(got - sum) <= 1e-13L * sum, text);
}

} // namespace

void loss_cases()
{
    loss_cases_of<float>();
    loss_cases_of<bf16>();
    group g("sum_losses");
    for (size_t N : {1, 2, 3, 33, 257, 4096, 65537, 2000003})
        sum_case(g, N);
}
