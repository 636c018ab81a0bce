/* Embedding and column sums. */
#include "kernels_cases.cuh"

using namespace device_test;
using namespace reeve_cuda;

namespace
{

struct batch_shape {
    uint32_t B, sequence, V;
};
/* With 7 tokens 4096 rows are many pieces of each, with 5000 most tokens have none or one. */
constexpr batch_shape SHAPES[] = {{1, 1, 7}, {2, 1, 7}, {3, 11, 7}, {1, 257, 5000}, {4, 1024, 7}, {4, 1024, 5000}};

/* (B, sequence + 1); a third is one token. The last of each sequence is no input, so it may be one that is none. */
std::vector<int32_t> fresh_tokens(const batch_shape &s)
{
    std::vector<int32_t> tokens((size_t)s.B * (s.sequence + 1));
    for (size_t i = 0; i < tokens.size(); i++) {
        tokens[i] = (int32_t)(fresh_below(3) == 0 ? s.V / 2 : fresh_below(s.V));
        if (i % (s.sequence + 1) == s.sequence) tokens[i] = INT32_MAX;
    }
    return tokens;
}

template <typename T> void embed_forward_case(group &g, const batch_shape &s, uint32_t C)
{
    if ((size_t)s.B * s.sequence * C > elements_max) return;
    g.at("B=%u sequence=%u V=%u C=%u", s.B, s.sequence, s.V, C);
    const std::vector<int32_t> tokens = fresh_tokens(s);
    const std::vector<T> wte = fresh<T>((size_t)s.V * C, 1.0f), wpe = fresh<T>((size_t)s.sequence * C, 1.0f);
    const buffer<int32_t> tokens_there(tokens);
    const buffer<T> wte_there(wte), wpe_there(wpe);
    buffer<T> x((size_t)s.B * s.sequence * C);
    g.twice(
        [&] {
            x.poison();
            return embed_forward<T>(x.get(), tokens_there.get(), wte_there.get(), wpe_there.get(), s.B, s.sequence, C,
                                    0);
        },
        {&x});
    std::vector<double> expected((size_t)s.B * s.sequence * C);
    for (size_t b = 0; b < s.B; b++)
        for (size_t t = 0; t < s.sequence; t++)
            for (size_t c = 0; c < C; c++)
                expected[(b * s.sequence + t) * C + c] =
                    as_double(wte[(size_t)tokens[b * (s.sequence + 1) + t] * C + c]) + as_double(wpe[t * C + c]);
    g.close("x", x.host(), expected, limit_of<T>());
}

template <typename T> void embed_backward_case(group &g, const batch_shape &s, uint32_t C)
{
    if ((size_t)s.B * s.sequence * C > elements_max) return;
    g.at("B=%u sequence=%u V=%u C=%u", s.B, s.sequence, s.V, C);
    const size_t N = (size_t)s.B * s.sequence;
    const std::vector<int32_t> tokens = fresh_tokens(s);
    const std::vector<T> dx = fresh<T>(N * C, 1.0f);
    const std::vector<float> before = fresh<float>((size_t)s.V * C, 1.0f);
    std::vector<uint32_t> words(gpt_occurrences_words(N)), count(s.V);
    buffer<uint32_t> words_there(words.size());
    struct gpt_occurrences where;
    gpt_occurrences_sort(words.data(), count.data(), tokens.data(), s.B, s.sequence, s.V, words_there.get(), &where);
    words_there.set(words);
    const buffer<T> dx_there(dx);
    buffer<float> dwte(before.size()), dwpe((size_t)s.sequence * C), scratch(embed_backward_scratch(N, C));
    g.twice(
        [&] {
            dwte.set(before);
            dwpe.poison();
            scratch.poison();
            return embed_backward<T>(dwte.get(), dwpe.get(), dx_there.get(), where, scratch.get(), s.B, s.sequence, C,
                                     0);
        },
        {&dwte, &dwpe});
    g.check(scratch.intact(), "wrote beyond its scratch");
    std::vector<double> by_token(before.begin(), before.end()), by_place((size_t)s.sequence * C);
    for (size_t b = 0; b < s.B; b++)
        for (size_t t = 0; t < s.sequence; t++)
            for (size_t c = 0; c < C; c++) {
                const double d = as_double(dx[(b * s.sequence + t) * C + c]);
                by_token[(size_t)tokens[b * (s.sequence + 1) + t] * C + c] += d;
                by_place[t * C + c] += d;
            }
    g.close("dwte", dwte.host(), by_token, FP32_LIMIT);
    g.close("dwpe", dwpe.host(), by_place, FP32_LIMIT, 0.5);
}

template <typename T> void column_sum_case(group &g, size_t N, uint32_t n)
{
    if (N * n > elements_max) return;
    g.at("N=%zu n=%u", N, n);
    const std::vector<T> x = fresh<T>(N * n, 1.0f, 0.25f);
    const buffer<T> x_there(x);
    buffer<float> out(n), scratch(column_sum_scratch(N, n));
    g.twice(
        [&] {
            out.poison();
            scratch.poison();
            return column_sum<T>(out.get(), x_there.get(), scratch.get(), N, n, 0);
        },
        {&out});
    g.check(scratch.intact(), "wrote beyond its scratch");
    std::vector<double> expected(n);
    for (size_t r = 0; r < N; r++)
        for (size_t c = 0; c < n; c++)
            expected[c] += as_double(x[r * n + c]);
    g.close("out", out.host(), expected, FP32_SUMS_LIMIT, 0.5 * std::sqrt((double)N));
}

template <typename T> void rows_cases_of()
{
    const std::string type = type_name<T>();
    {
        group g("embed_forward " + type);
        for (const batch_shape &s : SHAPES)
            for (uint32_t C : CASE_C)
                embed_forward_case<T>(g, s, C);
    }
    {
        group g("embed_backward " + type);
        for (const batch_shape &s : SHAPES)
            for (uint32_t C : CASE_C)
                embed_backward_case<T>(g, s, C);
    }
    {
        group g("column_sum " + type);
        for (uint32_t C : CASE_C)
            for (uint32_t N : CASE_N)
                column_sum_case<T>(g, N, C);
        column_sum_case<T>(g, 19999, 2);
        column_sum_case<T>(g, 20000, 48); /* pieces of more than 64 rows, the last one short */
        column_sum_case<T>(g, 40001, 17);
    }
}

} // namespace

void rows_cases()
{
    rows_cases_of<float>();
    rows_cases_of<bf16>();
}
