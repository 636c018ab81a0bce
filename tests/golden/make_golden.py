#!/usr/bin/env python3
"""The numbers that golden.gpt compares with: GPT-2 and AdamW in PyTorch, fp32, on the CPU.

Run once, by hand, where PyTorch is (Debian 13: apt install python3-torch), and commit what it writes beside itself:

    python3 tests/golden/make_golden.py

gpt.txt holds for each shape: its sizes, the loss, the norm of the gradient, the norm of each gradient tensor, the losses
of 20 AdamW steps, and the norm of all parameters after them. gpt_NAME.bin holds all gradients of the first batch: fp32,
little-endian, in the order of the tensors. Parameters and tokens come from an integer formula that the test repeats, so
they need no file.
"""
import math
import pathlib

import torch
import torch.nn.functional as F

SHAPES = {  # layers, heads, width, sequence, batch, vocab
    "small": (2, 2, 32, 16, 3, 61),
    "odd": (1, 3, 21, 13, 2, 37),      # nothing is a multiple of a vector
    "long": (1, 2, 16, 150, 1, 29),    # attention in several blocks of rows
}
STEPS, WARMUP, DECAY_STEPS = 20, 5, 16
LR, MIN_LR, WEIGHT_DECAY, BETA1, BETA2, EPS, CLIP = 1e-2, 1e-3, 0.1, 0.9, 0.95, 1e-8, 0.5
PARAM_STREAM, TOKEN_STREAM = 1, 1000


def mix(stream, index):
    """32 well mixed bits of (stream, index); gpt_golden_test.c has the same lines."""
    x = (index * 2654435761 + stream * 2246822519 + 374761393) % 2**32
    for factor in (0x7FEB352D, 0x846CA68B):
        x ^= x >> 16
        x = x * factor % 2**32
    return x ^ (x >> 15)


def parameter(index, kind, element):
    value = (mix(PARAM_STREAM + index, element) >> 8) / 2**23 - 1.0  # [-1, 1), exact in fp32
    return {"norm": 1.0 + 0.25 * value, "bias": 0.125 * value, "matrix": 0.25 * value}[kind]


def tensor_table(layers, heads, width, sequence, batch, vocab):
    table = [("wte.weight", (vocab, width)), ("wpe.weight", (sequence, width))]
    for layer in range(layers):
        for part, rows, columns in (
            ("ln_1", width, None), ("attn.c_attn", 3 * width, width), ("attn.c_proj", width, width),
            ("ln_2", width, None), ("mlp.c_fc", 4 * width, width), ("mlp.c_proj", width, 4 * width),
        ):
            table.append((f"h.{layer}.{part}.weight", (rows, columns) if columns else (rows,)))
            table.append((f"h.{layer}.{part}.bias", (rows,)))
    return table + [("ln_f.weight", (width,)), ("ln_f.bias", (width,))]


def make_parameters(shape):
    parameters = {}
    for index, (name, size) in enumerate(tensor_table(*shape)):
        kind = "matrix" if len(size) == 2 else "norm" if name.endswith("weight") else "bias"
        values = [parameter(index, kind, element) for element in range(math.prod(size))]
        parameters[name] = torch.tensor(values, dtype=torch.float32).reshape(size).requires_grad_()
    return parameters


def make_tokens(shape, step):
    _, _, _, sequence, batch, vocab = shape
    count = batch * (sequence + 1)
    return torch.tensor([mix(TOKEN_STREAM + step, i) % vocab for i in range(count)]).reshape(batch, sequence + 1)


def loss_of(p, shape, tokens):
    layers, heads, width, sequence, batch, vocab = shape
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    hidden = torch.tril(torch.ones(sequence, sequence)) == 0

    def norm(x, name):
        return F.layer_norm(x, (width,), p[name + ".weight"], p[name + ".bias"], eps=1e-5)

    def linear(x, name):
        return F.linear(x, p[name + ".weight"], p[name + ".bias"])

    def heads_of(x):
        return x.reshape(batch, sequence, heads, width // heads).transpose(1, 2)

    x = p["wte.weight"][inputs] + p["wpe.weight"][:sequence]
    for layer in range(layers):
        h = f"h.{layer}."
        q, k, v = (heads_of(part) for part in linear(norm(x, h + "ln_1"), h + "attn.c_attn").split(width, dim=2))
        scores = (q @ k.transpose(2, 3)) / math.sqrt(width // heads)
        mixed = torch.softmax(scores.masked_fill(hidden, -math.inf), dim=3) @ v
        x = x + linear(mixed.transpose(1, 2).reshape(batch, sequence, width), h + "attn.c_proj")
        wide = F.gelu(linear(norm(x, h + "ln_2"), h + "mlp.c_fc"), approximate="tanh")
        x = x + linear(wide, h + "mlp.c_proj")
    logits = norm(x, "ln_f") @ p["wte.weight"].T
    return F.cross_entropy(logits.reshape(-1, vocab), targets.reshape(-1))


def learning_rate(step):
    if step <= WARMUP:
        return LR * step / WARMUP
    if step >= DECAY_STEPS:
        return MIN_LR
    return MIN_LR + (LR - MIN_LR) * 0.5 * (1.0 + math.cos(math.pi * (step - WARMUP) / (DECAY_STEPS - WARMUP)))


def train(shape):
    p = make_parameters(shape)
    groups = [
        {"params": [t for t in p.values() if t.dim() >= 2], "weight_decay": WEIGHT_DECAY},
        {"params": [t for t in p.values() if t.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=LR, betas=(BETA1, BETA2), eps=EPS)
    losses = []
    for step in range(1, STEPS + 1):
        optimizer.zero_grad()
        loss = loss_of(p, shape, make_tokens(shape, 1 + (step - 1) % 2))  # two batches, in turns
        loss.backward()
        torch.nn.utils.clip_grad_norm_(p.values(), CLIP)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        optimizer.step()
        losses.append(loss.item())
    return losses, math.sqrt(sum(float((t.detach().double() ** 2).sum()) for t in p.values()))


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    here = pathlib.Path(__file__).parent
    lines = [f"# written by make_golden.py with PyTorch {torch.__version__}"]
    for name, shape in SHAPES.items():
        p = make_parameters(shape)
        loss = loss_of(p, shape, make_tokens(shape, 1))
        loss.backward()
        lines.append("shape " + name + " " + " ".join(map(str, shape)))
        lines.append(f"loss {loss.item():.9g}")
        for tensor_name, tensor in p.items():
            lines.append(f"tensor {tensor_name} {tensor.numel()} {float(tensor.grad.double().norm()):.9g}")
        gradient = torch.cat([tensor.grad.reshape(-1) for tensor in p.values()])
        lines.append(f"grad_norm {float(gradient.double().norm()):.9g}")
        (here / f"gpt_{name}.bin").write_bytes(gradient.numpy().astype("<f4").tobytes())
        losses, norm = train(shape)
        lines.append("steps " + " ".join(f"{value:.9g}" for value in losses))
        lines.append(f"param_norm {norm:.9g}")
    (here / "gpt.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
