"""Operations of a GPT for each token, and the share of a GPU's peak that a rate is: one formula for all who are compared.

Model FLOPs of a token, forward and backward: 6 * parameters (without wpe, whose rows are only added) + attention, which
the usual convention counts as if it were not causal, 12 * L * C * T, and the causal one by half. What is computed again,
or computed and masked, is not work.
"""
# Dense TFLOP/s by the vendors' sheets: bf16 on tensor cores, fp32 without them. The first whose words are all in the name.
PEAKS = (("H100 PCIe", 756, 51), ("H100", 989, 67), ("H200", 989, 67), ("A100", 312, 19.5))


def params_without_wpe(layers, width, vocab):
    return layers * (12 * width * width + 13 * width) + 2 * width + vocab * width


def peak_tflops(gpu, precision):
    """None for a GPU that is not in the table."""
    for words, bf16, fp32 in PEAKS:
        if all(word in gpu for word in words.split()):
            return bf16 if precision == "bf16" else fp32
    return None


def rates(tokens_per_s, params, layers, width, sequence, peak):
    """TFLOP/s, MFU, and MFU with causal attention; the latter are None where the peak is not known."""
    matrices, attention = 6 * params, 12 * layers * width * sequence
    tflops = tokens_per_s * (matrices + attention) / 1e12
    causal = tokens_per_s * (matrices + attention / 2) / 1e12
    return {
        "tflops": round(tflops, 1), "peak_tflops": peak,
        "mfu": round(tflops / peak, 4) if peak else None, "mfu_causal": round(causal / peak, 4) if peak else None,
    }
