/* Layer normalisation and GELU. */
#include "kernels_cases.cuh"

using namespace device_test;
using namespace reeve_cuda;

namespace
{

struct norm {
    std::vector<double> y, mean, rstd, xhat;
};

template <typename T>
norm norm_of(const std::vector<T> &x, const std::vector<T> &weight, const std::vector<T> &bias, size_t N, uint32_t C)
{
    norm n = {std::vector<double>(N * C), std::vector<double>(N), std::vector<double>(N), std::vector<double>(N * C)};
    for (size_t r = 0; r < N; r++) {
        double sum = 0.0, square = 0.0;
        for (size_t c = 0; c < C; c++)
            sum += as_double(x[r * C + c]);
        n.mean[r] = sum / C;
        for (size_t c = 0; c < C; c++)
            square += std::pow(as_double(x[r * C + c]) - n.mean[r], 2);
        n.rstd[r] = 1.0 / std::sqrt(square / C + (double)1e-5f);
        for (size_t c = 0; c < C; c++) {
            const size_t i = r * C + c;
            n.xhat[i] = (as_double(x[i]) - n.mean[r]) * n.rstd[r];
            n.y[i] = n.xhat[i] * as_double(weight[c]) + as_double(bias[c]);
        }
    }
    return n;
}

template <typename T> std::vector<T> sum_of(const std::vector<T> &a, const std::vector<T> &b)
{
    std::vector<T> sum(a.size());
    for (size_t i = 0; i < a.size(); i++)
        sum[i] = rounded_to<T>((float)as_double(a[i]) + (float)as_double(b[i]));
    return sum;
}

/* With a branch: the sum into a place of its own, or in place of x. */
enum branch { NONE, APART, IN_PLACE };

template <typename T> void forward_case(group &g, size_t N, uint32_t C, enum branch branch)
{
    if (N * std::max(C, 32u) > elements_max) return; /* a warp a row */
    g.at("N=%zu C=%u%s", N, C, branch == IN_PLACE ? " in place" : "");
    const std::vector<T> x = fresh<T>(N * C, 2.0f, 3.0f), other = fresh<T>(N * C, 1.0f),
                         weight = fresh<T>(C, 0.5f, 1.0f), bias = fresh<T>(C, 0.5f);
    buffer<T> x_there(x), sum(N * C), y(N * C);
    const buffer<T> other_there(other), weight_there(weight), bias_there(bias);
    buffer<float> mean(N), rstd(N);
    buffer<T> &sum_there = branch == IN_PLACE ? x_there : sum;
    g.twice(
        [&] {
            for (device_bytes *output : std::initializer_list<device_bytes *>{&sum, &y, &mean, &rstd})
                output->poison();
            x_there.set(x);
            if (branch == NONE)
                return layernorm_forward<T>(y.get(), mean.get(), rstd.get(), x_there.get(), weight_there.get(),
                                            bias_there.get(), N, C, 0);
            return residual_layernorm_forward<T>(sum_there.get(), y.get(), mean.get(), rstd.get(), x_there.get(),
                                                 other_there.get(), weight_there.get(), bias_there.get(), N, C, 0);
        },
        {&y, &mean, &rstd, &sum_there});
    const std::vector<T> in = branch == NONE ? x : sum_of(x, other);
    if (branch != NONE) g.same_bits("sum", sum_there.host(), in);
    const norm expected = norm_of(in, weight, bias, N, C);
    /* Few elements may lie close together, and then the mean's last bit counts. */
    const double few_limit = sizeof(T) == 4 && C < 16 ? 5e-5 : limit_of<T>(),
                 f32_limit = C < 16 ? 5e-5 : FP32_SUMS_LIMIT;
    g.close("y", y.host(), expected.y, few_limit);
    g.close("mean", mean.host(), expected.mean, f32_limit);
    g.close("rstd", rstd.host(), expected.rstd, f32_limit);
}

template <typename T> void backward_case(group &g, size_t N, uint32_t C)
{
    if (N * std::max(C, 32u) > elements_max) return; /* a warp a row */
    g.at("N=%zu C=%u", N, C);
    const std::vector<T> dy = fresh<T>(N * C, 1.0f, 0.1f), x = fresh<T>(N * C, 2.0f, 3.0f),
                         weight = fresh<T>(C, 0.5f, 1.0f), before = fresh<T>(N * C, 1.0f);
    const norm n = norm_of(x, weight, weight, N, C);
    std::vector<double> dres(N * C), dweight(C), dbias(C);
    for (size_t r = 0; r < N; r++) {
        double plain = 0.0, along = 0.0;
        for (size_t c = 0; c < C; c++) {
            const size_t i = r * C + c;
            const double g_i = as_double(dy[i]) * as_double(weight[c]);
            plain += g_i / C;
            along += g_i * n.xhat[i] / C;
            dweight[c] += as_double(dy[i]) * n.xhat[i];
            dbias[c] += as_double(dy[i]);
        }
        for (size_t c = 0; c < C; c++) {
            const size_t i = r * C + c;
            dres[i] = as_double(before[i]) +
                      n.rstd[r] * (as_double(dy[i]) * as_double(weight[c]) - plain - n.xhat[i] * along);
        }
    }
    const buffer<T> dy_there(dy), x_there(x), weight_there(weight);
    const buffer<float> mean(std::vector<float>(n.mean.begin(), n.mean.end())),
        rstd(std::vector<float>(n.rstd.begin(), n.rstd.end()));
    buffer<T> dres_there(N * C);
    buffer<float> dweight_there(C), dbias_there(C), scratch(layernorm_backward_scratch(N, C));
    g.twice(
        [&] {
            for (device_bytes *output : std::initializer_list<device_bytes *>{&dweight_there, &dbias_there, &scratch})
                output->poison();
            dres_there.set(before);
            return layernorm_backward<T>(dres_there.get(), dweight_there.get(), dbias_there.get(), dy_there.get(),
                                         x_there.get(), mean.get(), rstd.get(), weight_there.get(), scratch.get(), N, C,
                                         0);
        },
        {&dres_there, &dweight_there, &dbias_there});
    g.check(scratch.intact(), "wrote beyond its scratch");
    /* Few elements may lie close together: their rstd is large, and what cancels is multiplied by it. */
    const double sums_limit = C < 16 ? 1e-4 : FP32_SUMS_LIMIT, floor = 0.5 * std::sqrt((double)N);
    g.close("dres", dres_there.host(), dres, C < 16 && sizeof(T) == 4 ? 1e-4 : limit_of<T>());
    g.close("dweight", dweight_there.host(), dweight, sums_limit, floor);
    g.close("dbias", dbias_there.host(), dbias, sums_limit, floor);
}

double gelu(double x)
{
    const double u = std::sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x);
    return x / (1.0 + std::exp(-2.0 * u));
}

double gelu_slope(double x)
{
    const double a = std::sqrt(2.0 / M_PI), s = 1.0 / (1.0 + std::exp(-2.0 * a * (x + 0.044715 * x * x * x)));
    return s + x * s * (1.0 - s) * 2.0 * a * (1.0 + 3.0 * 0.044715 * x * x);
}

template <typename T> void gelu_forward_case(group &g, size_t n, float size)
{
    if (n > elements_max) return;
    g.at("n=%zu size=%g", n, (double)size);
    const std::vector<T> x = fresh<T>(n, size);
    const buffer<T> x_there(x);
    buffer<T> y(n);
    g.twice(
        [&] {
            y.poison();
            return gelu_forward<T>(y.get(), x_there.get(), n, 0);
        },
        {&y});
    std::vector<double> expected(n);
    for (size_t i = 0; i < n; i++)
        expected[i] = gelu(as_double(x[i]));
    g.close("y", y.host(), expected, limit_of<T>(), 1e-20); /* far below 0 it is anything as small */
}

template <typename T> void gelu_backward_case(group &g, size_t N, uint32_t C4, bool with_bias)
{
    if (N * C4 > elements_max) return;
    g.at("N=%zu C4=%u%s", N, C4, with_bias ? " with dbias" : "");
    const std::vector<T> x = fresh<T>(N * C4, 6.0f), dy = fresh<T>(N * C4, 1.0f, 0.1f);
    const buffer<T> x_there(x);
    buffer<T> dx(N * C4);
    buffer<float> dbias(C4), scratch(column_sum_scratch(N, C4));
    g.twice(
        [&] {
            dbias.poison();
            scratch.poison();
            dx.set(dy);
            return gelu_backward<T>(dx.get(), x_there.get(), with_bias ? dbias.get() : nullptr, scratch.get(), N, C4,
                                    0);
        },
        {&dx, &dbias});
    g.check(scratch.intact(), "wrote beyond its scratch");
    const std::vector<T> got = dx.host();
    std::vector<double> expected(N * C4), sums(C4);
    for (size_t i = 0; i < N * C4; i++) {
        expected[i] = as_double(dy[i]) * gelu_slope(as_double(x[i]));
        sums[i % C4] += as_double(got[i]); /* of what is left in dy */
    }
    g.close("dx", got, expected, sizeof(T) == 4 ? 4e-6 : BF16_LIMIT);
    if (with_bias) g.close("dbias", dbias.host(), sums, FP32_SUMS_LIMIT, 0.5 * std::sqrt((double)N));
}

template <typename T> void norm_cases_of()
{
    const std::string type = type_name<T>();
    group plain("layernorm_forward " + type), residual("residual_layernorm_forward " + type),
        backward("layernorm_backward " + type);
    for (uint32_t C : {1u, 3u, 16u, 48u, 128u, 384u, 768u, 1024u, 1280u, 1600u, 2049u, 4096u})
        for (uint32_t N : CASE_N) {
            if ((size_t)N * C > 4096u * 768u) continue;
            forward_case<T>(plain, N, C, NONE);
            forward_case<T>(residual, N, C, N % 2 == 0 ? APART : IN_PLACE);
            backward_case<T>(backward, N, C);
        }
    backward_case<T>(backward, 20011, 48); /* more rows than blocks, in uneven pieces */
}

template <typename T> void gelu_cases_of()
{
    const std::string type = type_name<T>();
    group forward("gelu_forward " + type), backward("gelu_backward " + type);
    for (size_t n : {1, 7, 8, 4095, 4096, 4097, 1000003}) {
        gelu_forward_case<T>(forward, n, 6.0f);
        gelu_forward_case<T>(forward, n, 300.0f);
    }
    for (uint32_t C : {1u, 3u, 16u, 48u, 128u, 384u, 768u, 3072u})
        for (uint32_t N : CASE_N) {
            if ((size_t)N * C > 4096u * 384u) continue;
            gelu_backward_case<T>(backward, N, C, true);
            gelu_backward_case<T>(backward, N, C, false);
        }
}

} // namespace

void norm_cases()
{
    norm_cases_of<float>();
    norm_cases_of<bf16>();
}

void gelu_cases()
{
    gelu_cases_of<float>();
    gelu_cases_of<bf16>();
}
