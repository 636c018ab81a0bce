/* For tests of kernels: buffers on the device with guards around them, fresh random inputs, and groups of checks. A group
 * prints one line, `ok` or `FAILED`, and before it a line for each check that failed, with the first wrong element; the
 * program goes on, so one run on a machine with a GPU tells everything. */
#ifndef REEVE_TESTS_GPU_DEVICE_TEST_CUH
#define REEVE_TESTS_GPU_DEVICE_TEST_CUH

#include <cmath>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <initializer_list>
#include <string>
#include <type_traits>
#include <vector>

#include <cuda_bf16.h>
#include <cuda_runtime.h>

namespace device_test
{

/* ---- start, end ---- */

/* After an error of a kernel every later call fails too: it ends the program. */
inline void must(cudaError_t status, const char *what)
{
    if (status == cudaSuccess) return;
    printf("FAILED  %s: %s\n", what, cudaGetErrorString(status));
    exit(1);
}
#define MUST(call) device_test::must(call, #call)

inline uint64_t fresh_state;
inline int failed_groups;

constexpr size_t SMALL_ELEMENTS = 40000;
inline size_t elements_max = SIZE_MAX; /* of a case; larger ones are left out */

/* Takes --small from the arguments: for the double of a GPU. */
inline void take_small(int *argc, char ***argv)
{
    if (*argc < 2 || strcmp((*argv)[1], "--small") != 0) return;
    elements_max = SMALL_ELEMENTS;
    --*argc, ++*argv;
}

/* A seed, or from the time. Ends the program with 77 where there is no GPU. */
inline void start(const char *seed)
{
    setvbuf(stdout, nullptr, _IOLBF, 0);
    int devices = 0;
    const cudaError_t found = cudaGetDeviceCount(&devices);
    if (found != cudaSuccess || devices == 0) {
        printf("skipped: no GPU (%s)\n", found != cudaSuccess ? cudaGetErrorString(found) : "CUDA counts none");
        exit(77);
    }
    struct timespec now;
    (void)timespec_get(&now, TIME_UTC);
    fresh_state =
        seed != nullptr ? strtoull(seed, nullptr, 10) : (uint64_t)now.tv_nsec * 1000003u + (uint64_t)now.tv_sec;
    cudaDeviceProp device;
    MUST(cudaGetDeviceProperties(&device, 0));
    printf("%s, sm_%d%d; seed %llu\n", device.name, device.major, device.minor, (unsigned long long)fresh_state);
}

inline int end()
{
    printf(failed_groups == 0 ? "all ok\n" : "%d groups FAILED\n", failed_groups);
    return failed_groups == 0 ? 0 : 1;
}

/* ---- fresh inputs: SplitMix64 (Steele, Lea, Flood 2014) ---- */

inline uint64_t fresh_u64()
{
    uint64_t z = fresh_state += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

inline uint32_t fresh_below(uint32_t limit)
{
    return (uint32_t)(fresh_u64() % limit);
}

template <typename T> T rounded_to(float x)
{
    if constexpr (std::is_same_v<T, float>) return x;
    else return __float2bfloat16(x);
}

inline double as_double(float x)
{
    return x;
}

inline double as_double(__nv_bfloat16 x)
{
    return __bfloat162float(x);
}

/* (n,) uniform in middle +- size, rounded to T */
template <typename T> std::vector<T> fresh(size_t n, float size, float middle = 0.0f)
{
    std::vector<T> x(n);
    for (T &element : x)
        element = rounded_to<T>((float)(middle + size * ((double)(fresh_u64() >> 11) * 0x1p-52 - 1.0)));
    return x;
}

template <typename T> const char *type_name()
{
    return std::is_same_v<T, float> ? "fp32" : "bf16";
}

/* ---- buffers ---- */

constexpr size_t GUARD_BYTES = 1024;
constexpr uint8_t GUARD = 0xa5, POISON = 0xff; /* of which each type of floating point is a NaN */

class device_bytes
{
  public:
    explicit device_bytes(size_t bytes) : bytes_(bytes)
    {
        MUST(cudaMalloc(&base_, bytes + 2 * GUARD_BYTES));
        MUST(cudaMemset(base_, GUARD, bytes + 2 * GUARD_BYTES));
        poison();
    }
    ~device_bytes() { (void)cudaFree(base_); }
    device_bytes(const device_bytes &) = delete;
    device_bytes &operator=(const device_bytes &) = delete;

    void poison() { MUST(cudaMemset(base_ + GUARD_BYTES, POISON, bytes_)); }
    std::vector<uint8_t> bytes() const
    {
        std::vector<uint8_t> copy(bytes_);
        MUST(cudaMemcpy(copy.data(), base_ + GUARD_BYTES, bytes_, cudaMemcpyDeviceToHost));
        return copy;
    }
    bool intact() const
    {
        uint8_t guards[2][GUARD_BYTES];
        MUST(cudaMemcpy(guards[0], base_, GUARD_BYTES, cudaMemcpyDeviceToHost));
        MUST(cudaMemcpy(guards[1], base_ + GUARD_BYTES + bytes_, GUARD_BYTES, cudaMemcpyDeviceToHost));
        for (const auto &guard : guards)
            for (uint8_t byte : guard)
                if (byte != GUARD) return false;
        return true;
    }

  protected:
    uint8_t *base_ = nullptr; /* owned */
    size_t bytes_;
};

template <typename T> class buffer : public device_bytes
{
  public:
    explicit buffer(size_t n) : device_bytes(n * sizeof(T)), n_(n) {}
    explicit buffer(const std::vector<T> &x) : buffer(x.size()) { set(x); }
    void set(const std::vector<T> &x)
    {
        MUST(cudaMemcpy(base_ + GUARD_BYTES, x.data(), n_ * sizeof(T), cudaMemcpyHostToDevice));
    }
    T *get() const { return reinterpret_cast<T *>(base_ + GUARD_BYTES); }
    std::vector<T> host() const
    {
        std::vector<T> copy(n_);
        MUST(cudaMemcpy(copy.data(), get(), n_ * sizeof(T), cudaMemcpyDeviceToHost));
        return copy;
    }

  private:
    size_t n_;
};

/* ---- checks ---- */

class group
{
  public:
    explicit group(const std::string &name) : name_(name) {}
    ~group()
    {
        if (failed_ > 0) failed_groups++;
        printf("%s  %s: %d checks", failed_ > 0 ? "FAILED" : "ok    ", name_.c_str(), checks_);
        if (failed_ > 0) printf(", %d FAILED", failed_);
        if (worst_ >= 0.0) printf("; largest error %.2g of its limit, at %s", worst_, worst_at_.c_str());
        printf("\n");
    }

    /* What the checks that follow are about: sizes and the like. */
    __attribute__((format(printf, 2, 3))) void at(const char *format, ...)
    {
        va_list args;
        va_start(args, format);
        char text[200];
        (void)vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        at_ = text;
    }

    void check(bool good, const std::string &what)
    {
        checks_++;
        if (good) return;
        failed_++;
        if (failed_ <= 20) printf("  FAILED  %s, %s: %s\n", name_.c_str(), at_.c_str(), what.c_str());
    }

    /* `run` launches, on outputs that it has poisoned or set itself; twice, for the same bits; nothing beyond them is
     * written. */
    void twice(const std::function<cudaError_t()> &run, std::initializer_list<const device_bytes *> outputs)
    {
        std::vector<std::vector<uint8_t>> first;
        for (int round = 0; round < 2; round++) {
            const std::string what = name_ + ", " + at_;
            must(run(), what.c_str());
            must(cudaDeviceSynchronize(), what.c_str());
            size_t i = 0;
            for (const device_bytes *output : outputs) {
                std::vector<uint8_t> bytes = output->bytes();
                if (round == 0) first.push_back(std::move(bytes));
                else check(bytes == first[i], "output " + std::to_string(i) + ": other bits in a second run");
                i++;
            }
        }
        size_t i = 0;
        for (const device_bytes *output : outputs)
            check(output->intact(), "output " + std::to_string(i++) + ": wrote before its begin or behind its end");
    }

    /* The error's norm over that of what is expected; and no element off by more than eight times the limit, of itself
     * and the mean size. A NaN is off. Where sums may cancel, `floor` is the size of what was added up. */
    template <typename T>
    void close(const char *what, const std::vector<T> &got, const std::vector<double> &expected, double limit,
               double floor = 0.0)
    {
        double error = 0.0, size = floor * floor * (double)expected.size();
        for (size_t i = 0; i < expected.size(); i++) {
            const double off = as_double(got[i]) - expected[i];
            error += off * off;
            size += expected[i] * expected[i];
        }
        const double mean = std::sqrt(size / (double)expected.size()), relative = std::sqrt(error / (size + 1e-60));
        size_t wrong = 0, first = 0;
        for (size_t i = expected.size(); i-- > 0;) {
            if (std::fabs(as_double(got[i]) - expected[i]) <= 8.0 * limit * (std::fabs(expected[i]) + mean)) continue;
            wrong++;
            first = i;
        }
        const bool good = got.size() == expected.size() && wrong == 0 && relative <= limit;
        if (relative / limit > worst_) worst_ = relative / limit, worst_at_ = at_ + ", " + what;
        char text[300];
        (void)snprintf(text, sizeof(text),
                       "%s: relative error %.3g, limit %.3g; %zu of %zu elements wrong, first [%zu]: "
                       "got %.9g, expected %.9g",
                       what, relative, limit, wrong, expected.size(), first, as_double(got[first]), expected[first]);
        check(good, text);
    }

    template <typename T> void same_bits(const char *what, const std::vector<T> &got, const std::vector<T> &expected)
    {
        size_t wrong = 0, first = 0;
        for (size_t i = expected.size(); i-- > 0;)
            if (memcmp(&got[i], &expected[i], sizeof(T)) != 0) wrong++, first = i;
        uint64_t bits[2] = {0, 0};
        memcpy(&bits[0], &got[first], sizeof(T));
        memcpy(&bits[1], &expected[first], sizeof(T));
        char text[300];
        (void)snprintf(text, sizeof(text), "%s: %zu of %zu elements wrong, first [%zu]: got bits %llx, expected %llx",
                       what, wrong, expected.size(), first, (unsigned long long)bits[0], (unsigned long long)bits[1]);
        check(got.size() == expected.size() && wrong == 0, text);
    }

  private:
    std::string name_, at_, worst_at_;
    int checks_ = 0, failed_ = 0;
    double worst_ = -1.0; /* of its limit */
};

} // namespace device_test

#endif
