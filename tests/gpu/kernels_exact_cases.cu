/* The exact sum against core's own, bit for bit; the digest against a loop on the host. */
#include "kernels_cases.cuh"

extern "C" {
#include "core/exact_sum.h"
}

using namespace device_test;
using namespace reeve_cuda;

namespace
{

float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

/* Limits, zeros, denormals and what is no number; halves of a unit on both sides of 0, and their neighbours; then any
 * bits at all, and in between what gradients look like. */
std::vector<float> awkward(size_t n, int unit_bits)
{
    const float fixed[] = {256.0f,
                           -256.0f,
                           nextafterf(256.0f, 0),
                           -nextafterf(256.0f, 0),
                           0.0f,
                           -0.0f,
                           NAN,
                           -NAN,
                           INFINITY,
                           -INFINITY,
                           float_of(1),
                           float_of(0x80000001u),
                           float_of(0x7fffff),
                           float_of(0x7f7fffff),
                           float_of(0xff7fffffu),
                           float_of(0x7f800001)};
    std::vector<float> x(n);
    for (size_t i = 0; i < n; i++)
        switch (fresh_below(4)) {
        case 0: x[i] = fixed[fresh_below(sizeof(fixed) / sizeof(fixed[0]))]; break;
        case 1: {
            const float half = ldexpf((float)((int32_t)fresh_below(1u << 22) - (1 << 21)) + 0.5f, -unit_bits);
            const uint32_t which = fresh_below(4);
            x[i] = which == 0 ? nextafterf(half, 1.0f) : which == 1 ? nextafterf(half, -1.0f) : half;
            break;
        }
        case 2: x[i] = float_of((uint32_t)fresh_u64()); break;
        default: x[i] = ldexpf(fresh<float>(1, 1.0f)[0], -(int)fresh_below(40)); break;
        }
    return x;
}

void quantise_case(group &g, size_t n, int unit_bits)
{
    if (n > elements_max) return;
    g.at("n=%zu unit_bits=%d", n, unit_bits);
    std::vector<int64_t> before(n);
    for (int64_t &a : before)
        a = (int64_t)fresh_u64(); /* sums that wrap, too */
    const std::vector<float> grad = awkward(n, unit_bits);
    const buffer<float> grad_there(grad);
    buffer<int64_t> acc(n);
    buffer<unsigned long long> flags(2);
    g.twice(
        [&] {
            acc.set(before);
            flags.set({1000, 2000});
            return quantise_add(acc.get(), grad_there.get(), flags.get(), n, unit_bits, 0);
        },
        {&acc, &flags});
    /* core asks for 64 bytes of alignment */
    int64_t *sum = static_cast<int64_t *>(aligned_alloc(64, (n * sizeof(int64_t) + 63) / 64 * 64));
    float *aligned = static_cast<float *>(aligned_alloc(64, (n * sizeof(float) + 63) / 64 * 64));
    memcpy(sum, before.data(), n * sizeof(int64_t));
    memcpy(aligned, grad.data(), n * sizeof(float));
    struct reeve_exact_flags counted = {1000, 2000};
    reeve_exact_add(sum, aligned, n, unit_bits, &counted);
    g.same_bits("acc", acc.host(), std::vector<int64_t>(sum, sum + n));
    g.same_bits("flags", flags.host(), std::vector<unsigned long long>{counted.nonfinite, counted.overflow});
    free(sum);
    free(aligned);
}

void add_case(group &g, size_t n)
{
    if (n > elements_max) return;
    g.at("n=%zu", n);
    std::vector<float> expected = fresh<float>(n, 1.0f), grad = fresh<float>(n, 1.0f);
    if (n > 5) grad = awkward(n, 40);
    const std::vector<float> before = expected;
    const buffer<float> grad_there(grad);
    buffer<float> acc(n);
    buffer<unsigned long long> flags(2);
    g.twice(
        [&] {
            acc.set(before);
            flags.set({1000, 2000});
            return add_f32(acc.get(), grad_there.get(), flags.get(), n, 0);
        },
        {&acc, &flags});
    struct reeve_exact_flags counted = {1000, 2000};
    reeve_fast_add(expected.data(), grad.data(), n, &counted);
    g.same_bits("acc", acc.host(), expected);
    g.same_bits("flags", flags.host(), std::vector<unsigned long long>{counted.nonfinite, counted.overflow});
}

uint64_t mix(uint64_t value, size_t index)
{
    uint64_t z = value + (index + 1) * 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

template <typename U> uint64_t digest_of(group &g, const std::vector<U> &data)
{
    const buffer<U> there(data);
    buffer<uint64_t> out(1);
    g.twice(
        [&] {
            out.poison();
            return digest(out.get(), there.get(), data.size(), sizeof(U), 0);
        },
        {&out});
    return out.host()[0];
}

template <typename U> void digest_case(group &g, size_t n)
{
    if (n > elements_max) return;
    g.at("n=%zu of %zu bytes", n, sizeof(U));
    std::vector<U> data(n);
    uint64_t expected = 0;
    for (size_t i = 0; i < n; i++) {
        data[i] = (U)fresh_u64();
        expected += mix(data[i], i);
    }
    const uint64_t digest = digest_of(g, data);
    g.check(digest == expected, "another digest than on the host");
    const size_t a = fresh_below((uint32_t)n), b = fresh_below((uint32_t)n);
    std::swap(data[a], data[b]);
    if (data[a] != data[b]) g.check(digest_of(g, data) != digest, "two that changed places were not found");
    std::swap(data[a], data[b]);
    data[a] ^= (U)1 << fresh_below(8 * sizeof(U));
    g.check(digest_of(g, data) != digest, "a changed bit was not found");
}

} // namespace

void exact_cases()
{
    {
        group g("quantise_add");
        for (int unit_bits = 54; unit_bits >= 30; unit_bits--)
            for (size_t n : {1, 2, 3, 4, 5, 33, 1023, 20007})
                quantise_case(g, n, unit_bits);
    }
    {
        group g("add_f32");
        for (size_t n : {1, 3, 4, 5, 1023, 1000003})
            add_case(g, n);
    }
    group g("digest");
    for (size_t n : {1, 2, 3, 4, 5, 1000, 1048579}) {
        digest_case<uint32_t>(g, n);
        digest_case<uint64_t>(g, n);
    }
}
