/* Attention on the GPU against fp64 on the host, forward and backward, on fresh random numbers.
 *   attention_test [--small] [SEED]      SEED repeats a run; --small: few cases, for the double of a GPU
 * Every output is full of NaN beforehand and lies between guards; each case runs twice, and must give the same bits.
 * One line a case, and one more for what is wrong. Exit 0 all hold, 1 some do not, 77 there is no GPU. */
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "model/gpt/cuda/kernels.cuh"

using namespace reeve_cuda;

namespace
{

struct test_case {
    uint32_t B, T, H, D;
    float deviation; /* of q, k and v; 4 makes the softmax nearly one-hot */
};

void must(cudaError_t error, const char *what)
{
    if (error == cudaSuccess) return;
    std::printf("FAILED: %s: %s\n", what, cudaGetErrorString(error));
    std::exit(1); /* a fault in a kernel leaves nothing to go on with */
}

void in_parallel(uint32_t count, const std::function<void(uint32_t)> &each)
{
    std::atomic<uint32_t> next{0};
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); i++)
        threads.emplace_back([&] {
            for (uint32_t at; (at = next++) < count;)
                each(at);
        });
    for (std::thread &t : threads)
        t.join();
}

/* What is to come out, (B, T, parts, H, D) as the kernels have it. noise: the root of the sum of squares of an
 * element's terms. Terms may cancel (gradients of q and k do where one key has all the weight): errors are judged by
 * their size. */
struct result {
    std::vector<double> value, noise;
};
struct reference {
    result out, lse, dqkv;
};

reference compute(const test_case &c, const std::vector<float> &qkv, const std::vector<float> &dout)
{
    const uint32_t T = c.T, D = c.D;
    const size_t C = static_cast<size_t>(c.H) * D, stride = 3 * C;
    const double scale = 1.0 / std::sqrt(static_cast<double>(D));
    reference ref;
    ref.out.value.assign(c.B * T * C, 0.0);
    ref.lse.value.assign(static_cast<size_t>(c.B) * c.H * T, 0.0);
    ref.dqkv.value.assign(c.B * T * stride, 0.0);
    for (result *r : {&ref.out, &ref.lse, &ref.dqkv})
        r->noise.assign(r->value.size(), 0.0);
    std::vector<double> p(static_cast<size_t>(T) * T), ds(p.size()), ds_noise(p.size());
    for (uint32_t head = 0; head < c.B * c.H; head++) {
        const float *q = &qkv[head / c.H * T * stride + head % c.H * D], *k = q + C, *v = k + C;
        const size_t out0 = head / c.H * T * C + head % c.H * D;
        const size_t d0 = head / c.H * T * stride + head % c.H * D;
        in_parallel(T, [&](uint32_t i) {
            double *pi = &p[static_cast<size_t>(i) * T], *dsi = &ds[static_cast<size_t>(i) * T];
            double most = -INFINITY, total = 0.0, delta = 0.0;
            for (uint32_t j = 0; j <= i; j++) {
                double s = 0.0, dp = 0.0;
                for (uint32_t d = 0; d < D; d++) {
                    s += static_cast<double>(q[i * stride + d]) * k[j * stride + d];
                    dp += static_cast<double>(dout[out0 + i * C + d]) * v[j * stride + d];
                }
                pi[j] = s * scale;
                dsi[j] = dp;
                most = std::max(most, pi[j]);
            }
            for (uint32_t j = 0; j <= i; j++)
                total += pi[j] = std::exp(pi[j] - most);
            ref.lse.value[static_cast<size_t>(head) * T + i] = most + std::log(total);
            for (uint32_t j = 0; j <= i; j++) {
                pi[j] /= total;
                delta += pi[j] * dsi[j];
                for (uint32_t d = 0; d < D; d++) {
                    const double term = pi[j] * v[j * stride + d];
                    ref.out.value[out0 + i * C + d] += term;
                    ref.out.noise[out0 + i * C + d] += term * term;
                }
            }
            double delta_noise = 0.0; /* delta's own terms, one a column */
            for (uint32_t d = 0; d < D; d++)
                delta_noise = std::hypot(delta_noise, dout[out0 + i * C + d] * ref.out.value[out0 + i * C + d]);
            for (uint32_t j = 0; j <= i; j++) {
                const double term = pi[j] * scale * std::hypot(dsi[j], delta_noise);
                ds_noise[static_cast<size_t>(i) * T + j] = term * term;
                dsi[j] = pi[j] * scale * (dsi[j] - delta);
                for (uint32_t d = 0; d < D; d++) {
                    const double kd = k[j * stride + d];
                    ref.dqkv.value[d0 + i * stride + d] += dsi[j] * kd;
                    ref.dqkv.noise[d0 + i * stride + d] += term * term * kd * kd;
                }
            }
        });
        in_parallel(T, [&](uint32_t j) {
            double *dk = &ref.dqkv.value[d0 + j * stride + C], *dv = dk + C;
            double *dk_noise = &ref.dqkv.noise[d0 + j * stride + C], *dv_noise = dk_noise + C;
            for (uint32_t i = j; i < T; i++)
                for (uint32_t d = 0; d < D; d++) {
                    const size_t at = static_cast<size_t>(i) * T + j;
                    const double qd = q[i * stride + d], term = p[at] * dout[out0 + i * C + d];
                    dk[d] += ds[at] * qd;
                    dk_noise[d] += ds_noise[at] * qd * qd;
                    dv[d] += term;
                    dv_noise[d] += term * term;
                }
        });
    }
    for (result *r : {&ref.out, &ref.dqkv})
        for (double &x : r->noise)
            x = std::sqrt(x);
    return ref;
}

/* n elements on the device between guards of 1 KiB. */
template <typename T> class buffer
{
  public:
    buffer(size_t n, unsigned char guard) : n_(n), guard_(guard)
    {
        must(cudaMalloc(&base_, n * sizeof(T) + 2 * GUARD), "cudaMalloc");
        must(cudaMemset(base_, guard, n * sizeof(T) + 2 * GUARD), "cudaMemset");
        must(cudaMemset(data(), 0xff, n * sizeof(T)), "cudaMemset"); /* NaN in either type */
    }
    ~buffer() { (void)cudaFree(base_); }
    buffer(const buffer &) = delete;
    buffer &operator=(const buffer &) = delete;

    T *data() { return reinterpret_cast<T *>(static_cast<unsigned char *>(base_) + GUARD); }
    void set(const std::vector<T> &from)
    {
        must(cudaMemcpy(data(), from.data(), n_ * sizeof(T), cudaMemcpyDefault), "copy");
    }
    std::vector<T> get()
    {
        std::vector<T> to(n_);
        must(cudaMemcpy(to.data(), data(), n_ * sizeof(T), cudaMemcpyDefault), "copy");
        return to;
    }
    bool guards_hold()
    {
        std::vector<unsigned char> all(n_ * sizeof(T) + 2 * GUARD);
        must(cudaMemcpy(all.data(), base_, all.size(), cudaMemcpyDefault), "copy");
        for (size_t i = 0; i < GUARD; i++)
            if (all[i] != guard_ || all[all.size() - 1 - i] != guard_) return false;
        return true;
    }

  private:
    static constexpr size_t GUARD = 1024;
    size_t n_;
    unsigned char guard_;
    void *base_ = nullptr;
};

float wide(float x)
{
    return x;
}
float wide(bf16 x)
{
    return __bfloat162float(x);
}
template <typename T> std::vector<T> narrow(const std::vector<float> &x)
{
    std::vector<T> y(x.size());
    for (size_t i = 0; i < x.size(); i++)
        y[i] = T(x[i]);
    return y;
}

/* ||got - expected|| / ||expected|| (or / ||noise||, where that is larger) over columns [first, first + width) of rows
 * of `stride`; in `wrong` the first row of a head whose own error is more than 5 times the tolerance. */
template <typename T>
double error_of(const std::vector<T> &got, const result &expected, size_t stride, size_t first, size_t width, size_t D,
                double tolerance, const char *name, std::string &wrong)
{
    double diff = 0.0, size = 0.0, noise = 0.0;
    for (size_t row = 0; row < got.size(); row += stride)
        for (size_t piece = row + first; piece < row + first + width; piece += D) {
            double d = 0.0, s = 0.0, n = 0.0;
            for (size_t i = piece; i < piece + D; i++) {
                const double x = wide(got[i]) - expected.value[i];
                d += x * x, s += expected.value[i] * expected.value[i], n += expected.noise[i] * expected.noise[i];
            }
            if (!(std::sqrt(d) <= 5 * tolerance * std::sqrt(std::max(s, n))) && wrong.empty()) {
                size_t at = piece;
                while (at + 1 < piece + D && std::fabs(wide(got[at]) - expected.value[at]) * 5 < std::sqrt(d / D))
                    at++;
                char text[200];
                std::snprintf(text, sizeof(text), "%s: b*T+t = %zu, head %zu, d = %zu: got %.6g, expected %.6g", name,
                              row / stride, (piece - row - first) / D, at - piece, wide(got[at]), expected.value[at]);
                wrong = text;
            }
            diff += d, size += s, noise += n;
        }
    const double error = std::sqrt(diff / std::max(size, noise));
    if (!(error <= tolerance) && wrong.empty()) wrong = std::string(name) + ": the whole is off";
    return error;
}

template <typename T> bool holds(const test_case &c, std::mt19937_64 &random)
{
    const bool half = sizeof(T) == 2;
    const size_t C = static_cast<size_t>(c.H) * c.D, rows = static_cast<size_t>(c.B) * c.T;
    std::vector<float> qkv(rows * 3 * C), dout(rows * C);
    std::normal_distribution<float> normal;
    for (float &x : qkv)
        x = wide(T(normal(random) * c.deviation));
    for (float &x : dout)
        x = wide(T(normal(random)));
    const reference ref = compute(c, qkv, dout);

    buffer<T> d_qkv(qkv.size(), 0xff), d_dout(dout.size(), 0xff), d_out(dout.size(), 0xa5), d_dqkv(qkv.size(), 0xa5);
    buffer<float> d_lse(rows * c.H, 0xa5), d_scratch(attention_backward_scratch(c.B, c.T, c.H, c.D), 0xa5);
    d_qkv.set(narrow<T>(qkv));
    d_dout.set(narrow<T>(dout));
    std::vector<T> out, dqkv;
    std::vector<float> lse;
    std::string wrong;
    for (int run = 0; run < 2; run++) {
        must(attention_forward<T>(d_out.data(), d_lse.data(), d_qkv.data(), c.B, c.T, c.H, c.D, nullptr), "forward");
        must(cudaDeviceSynchronize(), "forward");
        must(attention_backward<T>(d_dqkv.data(), d_dout.data(), d_out.data(), d_qkv.data(), d_lse.data(),
                                   d_scratch.data(), c.B, c.T, c.H, c.D, nullptr),
             "backward");
        must(cudaDeviceSynchronize(), "backward");
        const std::vector<T> out_now = d_out.get(), dqkv_now = d_dqkv.get();
        const std::vector<float> lse_now = d_lse.get();
        if (run == 1 && (std::memcmp(out.data(), out_now.data(), out.size() * sizeof(T)) != 0 ||
                         std::memcmp(dqkv.data(), dqkv_now.data(), dqkv.size() * sizeof(T)) != 0 ||
                         std::memcmp(lse.data(), lse_now.data(), lse.size() * sizeof(float)) != 0))
            wrong = "other bits when run again";
        out = out_now, dqkv = dqkv_now, lse = lse_now;
    }
    if (!d_out.guards_hold() || !d_dqkv.guards_hold() || !d_lse.guards_hold() || !d_scratch.guards_hold())
        wrong = "wrote beyond an output";

    const double tolerance = half ? 1e-2 : c.deviation > 1.0f ? 1e-4 : 1e-5;
    const double e_out = error_of(out, ref.out, C, 0, C, c.D, tolerance, "out", wrong);
    double e_lse = 0.0;
    for (size_t i = 0; i < lse.size(); i++) {
        const double e = std::fabs(lse[i] - ref.lse.value[i]);
        if (!(e <= 1e-4) && wrong.empty())
            wrong = "lse of head " + std::to_string(i / c.T) + ", t = " + std::to_string(i % c.T) + ": got " +
                    std::to_string(lse[i]) + ", expected " + std::to_string(ref.lse.value[i]);
        if (!(e <= e_lse)) e_lse = e;
    }
    const double e_q = error_of(dqkv, ref.dqkv, 3 * C, 0, C, c.D, tolerance, "dq", wrong);
    const double e_k = error_of(dqkv, ref.dqkv, 3 * C, C, C, c.D, tolerance, "dk", wrong);
    const double e_v = error_of(dqkv, ref.dqkv, 3 * C, 2 * C, C, c.D, tolerance, "dv", wrong);
    std::printf("%s B=%u T=%-4u H=%u D=%-3u x%g: out %.1e lse %.1e dq %.1e dk %.1e dv %.1e %s\n",
                half ? "bf16" : "fp32", c.B, c.T, c.H, c.D, c.deviation, e_out, e_lse, e_q, e_k, e_v,
                wrong.empty() ? "ok" : "FAILED");
    if (!wrong.empty()) std::printf("    %s\n", wrong.c_str());
    std::fflush(stdout);
    return wrong.empty();
}

/* One block of each kernel and its edges, two tiles, and several batches and heads. */
std::vector<test_case> small_cases()
{
    std::vector<test_case> all;
    for (uint32_t D : {1u, 4u, 16u, 32u, 64u, 96u, 128u, 256u})
        for (uint32_t T : {1u, 17u, 65u})
            all.push_back({1, T, 1, D, 1.0f});
    for (uint32_t D : {32u, 64u, 128u}) {
        all.push_back({1, 130, 1, D, 4.0f});
        all.push_back({2, 5, 3, D, 1.0f});
    }
    all.push_back({2, 33, 3, 8, 1.0f});
    return all;
}

std::vector<test_case> cases()
{
    std::vector<test_case> all;
    for (uint32_t D : {1u, 4u, 16u, 32u, 64u, 96u, 128u, 256u})
        for (uint32_t T : {1u, 2u, 17u, 63u, 64u, 65u, 127u, 128u, 129u, 200u, 256u})
            all.push_back({2, T, 3, D, 1.0f});
    for (uint32_t D : {32u, 64u, 128u}) {
        for (uint32_t T : {65u, 200u})
            all.push_back({1, T, 2, D, 4.0f});
        all.push_back({5, 130, 9, D, 1.0f}); /* more heads than attention_place_of() takes together */
        for (uint32_t T : {1000u, 1024u})
            all.push_back({1, T, 2, D, 1.0f});
    }
    return all;
}

} // namespace

int main(int argc, char **argv)
{
    int devices = 0;
    const cudaError_t error = cudaGetDeviceCount(&devices);
    if (error != cudaSuccess || devices == 0) {
        std::printf("skipped: no GPU: %s\n", cudaGetErrorString(error));
        return 77;
    }
    const bool small = argc > 1 && std::strcmp(argv[1], "--small") == 0;
    argc -= small, argv += small;
    const char *given = argc > 1 ? argv[1] : std::getenv("REEVE_TEST_SEED");
    const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
    std::mt19937_64 random(seed);
    unsigned run = 0, failed = 0;
    for (const test_case &c : small ? small_cases() : cases()) {
        failed += !holds<bf16>(c, random);
        failed += !holds<float>(c, random);
        run += 2;
    }
    std::printf("%u cases, %u FAILED\n", run, failed);
    return failed == 0 ? 0 : 1;
}
