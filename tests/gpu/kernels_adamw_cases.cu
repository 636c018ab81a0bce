/* AdamW, the norm of the gradient, and the working copy: bit for bit the arithmetic of model/adamw.c. */
#include "kernels_cases.cuh"

using namespace device_test;
using namespace reeve_cuda;

namespace
{

constexpr double UNIT = 0x1p-47, MEAN = 1.0 / 12.0; /* 12 micro-batches: a scale that rounds */

/* What a step's sum may hold: gradients of many sizes, and zeros. */
template <typename S> std::vector<S> fresh_sums(size_t n)
{
    std::vector<S> sum(n);
    for (S &s : sum) {
        const double g = ldexp((double)fresh<float>(1, 1.0f)[0], -(int)fresh_below(30));
        s = fresh_below(50) == 0 ? S(0) : S(sizeof(S) == 8 ? g * 0x1p47 : g);
    }
    return sum;
}

template <typename S> float mean_of(S sum)
{
    return (float)((double)sum * (sizeof(S) == 8 ? UNIT : 1.0) * MEAN);
}

/* volatile: each operation is rounded for itself, whatever the compiler may fuse. */
void update_one(float &weight, float &m, float &v, float mean, float keep, const struct adamw_update &u)
{
    volatile float g = mean * u.grad_scale, square = g * g;
    volatile float old_m = u.beta1 * m, new_m = u.one_less_beta1 * g, old_v = u.beta2 * v,
                   new_v = u.one_less_beta2 * square;
    m = old_m + new_m;
    v = old_v + new_v;
    volatile float root = sqrtf(v), size = root * u.root, divisor = size + u.eps, rate = u.rate * m,
                   kept = weight * keep;
    volatile float change = rate / divisor;
    weight = kept - change;
}

template <typename T, typename S> void step_case(group &g, size_t n, bool with_working)
{
    if (n > elements_max) return;
    g.at("n=%zu%s", n, with_working ? "" : " without a working copy");
    const struct adamw_update u = {0.9f, 0.1f, 0.95f, 0.05f, 6e-4f / (1.0f - 0.81f), 3.2f, 1e-8f, 1.0f - 6e-5f, 0.7f};
    const std::vector<S> sum = fresh_sums<S>(n);
    std::vector<float> weights = fresh<float>(n, 0.1f), m = fresh<float>(n, 0.01f), v = fresh<float>(n, 1e-4f, 1e-4f);
    std::vector<uint8_t> decays(n / TENSOR_ALIGN);
    for (uint8_t &d : decays)
        d = (uint8_t)fresh_below(2);
    const buffer<S> sum_there(sum);
    const buffer<uint8_t> decays_there(decays);
    buffer<float> weights_there(n), m_there(n), v_there(n);
    buffer<T> working(n);
    g.twice(
        [&] {
            weights_there.set(weights);
            m_there.set(m);
            v_there.set(v);
            working.poison();
            return adamw_step<T, S>(weights_there.get(), m_there.get(), v_there.get(),
                                    with_working ? working.get() : nullptr, sum_there.get(), decays_there.get(), u,
                                    sizeof(S) == 8 ? UNIT : 1.0, MEAN, n, 0);
        },
        {&weights_there, &m_there, &v_there, &working});
    std::vector<T> rounded(n);
    for (size_t i = 0; i < n; i++) {
        update_one(weights[i], m[i], v[i], mean_of(sum[i]), decays[i / TENSOR_ALIGN] != 0 ? u.keep : 1.0f, u);
        rounded[i] = rounded_to<T>(weights[i]);
    }
    g.same_bits("weights", weights_there.host(), weights);
    g.same_bits("m", m_there.host(), m);
    g.same_bits("v", v_there.host(), v);
    if (with_working) g.same_bits("working", working.host(), rounded);
}

template <typename S> void square_case(group &g, size_t n)
{
    if (n > elements_max) return;
    g.at("n=%zu", n);
    const std::vector<S> sum = fresh_sums<S>(n);
    const buffer<S> there(sum);
    buffer<double> out(1), scratch(4096);
    g.twice(
        [&] {
            out.poison();
            scratch.poison();
            return grad_square_sum<S>(out.get(), there.get(), scratch.get(), sizeof(S) == 8 ? UNIT : 1.0, MEAN, n, 0);
        },
        {&out});
    g.check(scratch.intact(), "wrote beyond its scratch");
    long double expected = 0.0L;
    for (S s : sum)
        expected += (long double)mean_of(s) * mean_of(s);
    const double got = out.host()[0];
    char text[100];
    (void)snprintf(text, sizeof(text), "got %.17g, expected %.17Lg", got, expected);
    g.check(fabsl(got - expected) <= 1e-13L * expected, text);
}

void round_case(group &g, size_t n)
{
    if (n > elements_max) return;
    g.at("n=%zu", n);
    std::vector<float> weights(n);
    std::vector<bf16> expected(n);
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = (uint32_t)fresh_u64();
        if (fresh_below(3) == 0) bits = (bits & 0xffff0000u) | 0x8000u; /* a tie */
        if ((bits & 0x7f800000u) == 0x7f800000u) bits &= 0x80000000u;   /* no infinities */
        memcpy(&weights[i], &bits, sizeof(bits));
        expected[i] = __float2bfloat16_rn(weights[i]);
    }
    const buffer<float> there(weights);
    buffer<bf16> working(n);
    g.twice(
        [&] {
            working.poison();
            return round_to_bf16(working.get(), there.get(), n, 0);
        },
        {&working});
    g.same_bits("working", working.host(), expected);
}

template <typename S> void cases_of(const char *sum_name)
{
    {
        group g(std::string("adamw_step ") + sum_name);
        for (size_t n : {64, 192, 4096, 64 * 1001}) {
            step_case<float, S>(g, n, true);
            step_case<float, S>(g, n, false);
            step_case<bf16, S>(g, n, true);
        }
    }
    group g(std::string("grad_square_sum ") + sum_name);
    for (size_t n : {1, 2, 3, 5, 64, 1023, 1000003, 10000000})
        square_case<S>(g, n);
}

} // namespace

void adamw_cases()
{
    cases_of<int64_t>("of int64");
    cases_of<float>("of fp32");
    group g("round_to_bf16");
    for (size_t n : {1, 7, 8, 9, 2048, 100003})
        round_case(g, n);
}
