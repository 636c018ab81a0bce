/* The kernels of model/gpt/cuda but attention, each against fp64 on the host (or bit for bit where that is promised), on
 * fresh inputs and poisoned outputs.
 *
 *   kernels_test [--small] [SEED]    kernels_test --bench    times at the sizes of GPT-2 124M, with no verdict */
#include "kernels_cases.cuh"

int main(int argc, char **argv)
{
    device_test::take_small(&argc, &argv);
    const bool bench = argc > 1 && strcmp(argv[1], "--bench") == 0;
    device_test::start(argc > 1 && !bench ? argv[1] : std::getenv("REEVE_TEST_SEED"));
    if (bench) {
        kernels_bench();
        return 0;
    }
    rows_cases();
    norm_cases();
    gelu_cases();
    loss_cases();
    exact_cases();
    adamw_cases();
    return device_test::end();
}
