/* Speed of attention on the GPU alone, bf16.
 *
 *   bench-gpt_cuda_attention [BATCH HEADS WIDTH_OF_HEAD [TOKENS...]]      32 12 64 1024 2048
 *
 * Prints rows of a Markdown table: medians of RUNS runs by the GPU's own clock, each on other buffers than the run
 * before. TFLOP/s counts what the mathematics asks for: 2 products of the half that the mask leaves forward, 5
 * backward; what is computed again, or computed and masked, is not work. Exit 77: there is no GPU. */
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "model/gpt/cuda/kernels.cuh"

using namespace reeve_cuda;

namespace
{

constexpr int RUNS = 20, WARM_UP_RUNS = 3;
constexpr size_t RANDOM_COUNT = size_t{1} << 20;

void must(cudaError_t error, const char *what)
{
    if (error == cudaSuccess) return;
    std::fprintf(stderr, "bench-gpt_cuda_attention: %s: %s\n", what, cudaGetErrorString(error));
    std::exit(1);
}

/* n elements with normal numbers, which the same million makes up: what a GPU draws depends on the bits it turns. */
bf16 *normal_numbers(size_t n)
{
    static const std::vector<bf16> numbers = [] {
        std::mt19937 random(1);
        std::normal_distribution<float> normal;
        std::vector<bf16> made(RANDOM_COUNT);
        for (bf16 &x : made)
            x = bf16(normal(random));
        return made;
    }();
    bf16 *data = nullptr;
    must(cudaMalloc(&data, n * sizeof(bf16)), "cudaMalloc");
    for (size_t i = 0; i < n; i += RANDOM_COUNT)
        must(cudaMemcpy(data + i, numbers.data(), std::min(n - i, RANDOM_COUNT) * sizeof(bf16), cudaMemcpyDefault),
             "cudaMemcpy");
    return data;
}

struct buffers {
    bf16 *qkv, *out, *dout, *dqkv;
    float *lse, *scratch;
};

template <typename F> double median_ms(const F &run)
{
    std::vector<float> ms;
    cudaEvent_t begin, end;
    must(cudaEventCreate(&begin), "cudaEventCreate");
    must(cudaEventCreate(&end), "cudaEventCreate");
    for (int i = 0; i < WARM_UP_RUNS + RUNS; i++) {
        float took = 0.0f;
        must(cudaEventRecord(begin), "cudaEventRecord");
        must(run(i), "launch");
        must(cudaEventRecord(end), "cudaEventRecord");
        must(cudaEventSynchronize(end), "run");
        must(cudaEventElapsedTime(&took, begin, end), "cudaEventElapsedTime");
        if (i >= WARM_UP_RUNS) ms.push_back(took);
    }
    must(cudaEventDestroy(begin), "cudaEventDestroy");
    must(cudaEventDestroy(end), "cudaEventDestroy");
    std::nth_element(ms.begin(), ms.begin() + RUNS / 2, ms.end());
    return ms[RUNS / 2];
}

void measure(uint32_t B, uint32_t T, uint32_t H, uint32_t D)
{
    const size_t elements = static_cast<size_t>(B) * T * H * D;
    buffers two[2];
    for (buffers &b : two) {
        b = {normal_numbers(3 * elements),
             normal_numbers(elements),
             normal_numbers(elements),
             normal_numbers(3 * elements),
             nullptr,
             nullptr};
        must(cudaMalloc(&b.lse, elements / D * sizeof(float)), "cudaMalloc");
        must(cudaMalloc(&b.scratch, attention_backward_scratch(B, T, H, D) * sizeof(float)), "cudaMalloc");
    }
    const double forward = median_ms([&](int i) {
        const buffers &b = two[i % 2];
        return attention_forward(b.out, b.lse, b.qkv, B, T, H, D, nullptr);
    });
    const double backward = median_ms([&](int i) {
        const buffers &b = two[i % 2];
        return attention_backward(b.dqkv, b.dout, b.out, b.qkv, b.lse, b.scratch, B, T, H, D, nullptr);
    });
    const double work = 4.0 * B * H * T * T * D / 2 * 1e-9; /* GFLOP for ms: TFLOP/s */
    std::printf("| %u | %u | %u | %u | %.3f | %.0f | %.3f | %.0f |\n", B, T, H, D, forward, work / forward, backward,
                2.5 * work / backward);
    for (const buffers &b : two)
        for (void *p : {static_cast<void *>(b.qkv), static_cast<void *>(b.out), static_cast<void *>(b.dout),
                        static_cast<void *>(b.dqkv), static_cast<void *>(b.lse), static_cast<void *>(b.scratch)})
            must(cudaFree(p), "cudaFree");
}

} // namespace

int main(int argc, char **argv)
{
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
        std::printf("skipped: no GPU\n");
        return 77;
    }
    std::vector<uint32_t> numbers;
    for (int i = 1; i < argc; i++) {
        char *rest = nullptr;
        const unsigned long x = std::strtoul(argv[i], &rest, 10);
        if (*rest != '\0' || x == 0 || x > UINT32_MAX || argc < 4) {
            std::fprintf(stderr, "usage: bench-gpt_cuda_attention [BATCH HEADS WIDTH_OF_HEAD [TOKENS...]]\n");
            return 2;
        }
        numbers.push_back(static_cast<uint32_t>(x));
    }
    if (numbers.empty()) numbers = {32, 12, 64};
    if (numbers.size() == 3) numbers.insert(numbers.end(), {1024, 2048});
    cudaDeviceProp device;
    must(cudaGetDeviceProperties(&device, 0), "cudaGetDeviceProperties");
    std::printf("%s\n| batch | tokens | heads | width | forward, ms | TFLOP/s | backward, ms | TFLOP/s |\n"
                "| --- | --- | --- | --- | --- | --- | --- | --- |\n",
                device.name);
    for (size_t i = 3; i < numbers.size(); i++)
        measure(numbers[0], numbers[i], numbers[1], numbers[2]);
    return 0;
}
