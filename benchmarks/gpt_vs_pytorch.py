#!/usr/bin/env python3
"""The model and the step of bench-gpt_step in PyTorch (eager, fp32), for gpt_vs_pytorch.sh.

    gpt_vs_pytorch.py VOCAB THREADS [STEPS]

Prints: median tokens/s, loss of the last step, resident MiB, and the kernels that its OpenBLAS runs. Written as a
PyTorch user would write it: fused linear layers, scaled_dot_product_attention, fused AdamW, clipping to norm 1, as in
Reeve, whose initial values it has too. The first two steps are not counted.
"""
import ctypes
import math
import statistics
import sys
import time

import torch
import torch.nn.functional as F

LAYERS, HEADS, WIDTH, SEQUENCE, BATCH, WARM_UP_STEPS = 6, 6, 384, 256, 4, 2


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1, self.ln_2 = torch.nn.LayerNorm(WIDTH), torch.nn.LayerNorm(WIDTH)
        self.c_attn, self.attn_proj = torch.nn.Linear(WIDTH, 3 * WIDTH), torch.nn.Linear(WIDTH, WIDTH)
        self.c_fc, self.mlp_proj = torch.nn.Linear(WIDTH, 4 * WIDTH), torch.nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (part.view(b, t, HEADS, c // HEADS).transpose(1, 2) for part in self.c_attn(self.ln_1(x)).split(c, 2))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attn_proj(mixed.transpose(1, 2).reshape(b, t, c))
        return x + self.mlp_proj(F.gelu(self.c_fc(self.ln_2(x)), approximate="tanh"))


class GPT(torch.nn.Module):
    def __init__(self, vocab):
        super().__init__()
        self.wte, self.wpe = torch.nn.Embedding(vocab, WIDTH), torch.nn.Embedding(SEQUENCE, WIDTH)
        self.blocks = torch.nn.ModuleList(Block() for _ in range(LAYERS))
        self.ln_f = torch.nn.LayerNorm(WIDTH)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                torch.nn.init.normal_(p, std=0.02 / math.sqrt(2 * LAYERS) if "proj" in name else 0.02)
            elif "ln_" not in name:
                torch.nn.init.zeros_(p)

    def forward(self, tokens, targets):
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        logits = self.ln_f(x) @ self.wte.weight.T
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.reshape(-1))


def blas_kernels():
    with open("/proc/self/maps") as maps:
        paths = {line.split()[-1] for line in maps if "/libopenblas" in line}
    if len(paths) != 1:
        return f"{len(paths)} OpenBLAS libraries"
    blas = ctypes.CDLL(paths.pop())
    blas.openblas_get_corename.restype = ctypes.c_char_p
    return blas.openblas_get_corename().decode()


def resident_mib():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) // 256


def main():
    vocab, threads, steps = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 5
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    model = GPT(vocab)
    groups = [{"params": [p for p in model.parameters() if p.dim() == 2], "weight_decay": 0.1},
              {"params": [p for p in model.parameters() if p.dim() != 2], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-4, betas=(0.9, 0.95), eps=1e-8, fused=True)
    tokens = torch.randint(vocab, (BATCH, SEQUENCE + 1))
    seconds = []
    for _ in range(steps + WARM_UP_STEPS):
        begin = time.perf_counter()
        loss = model(tokens[:, :-1], tokens[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        last = loss.item()
        seconds.append(time.perf_counter() - begin)
    if not math.isfinite(last) or last > math.log(vocab):
        sys.exit(f"loss {last}: it does not learn")
    rate = BATCH * SEQUENCE / statistics.median(seconds[WARM_UP_STEPS:])
    print(f"{rate:.0f} {last:.3f} {resident_mib()} {blas_kernels()}")


if __name__ == "__main__":
    main()
