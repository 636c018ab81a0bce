#!/usr/bin/env python3
"""GPT-2 124M in PyTorch as its users write it for speed: what `workload: gpt` on a GPU is measured against.

    pytorch_gpt2.py [--micro 32] [--batch 512] [--steps 10] [--precision bf16|fp32] [--compile full|blocks|off]
                    [--tokens train.bin] [--turns FOLDER]

The model, its initial values, the optimiser's settings and the step are those of jobs/gpt2-124m.yaml: 12 layers, 12
heads, width 768, sequence 1024, vocabulary 50304, tied head, GELU in its tanh form, biases everywhere but in the head, no
dropout; `batch` samples in micro-batches of `micro`, one AdamW step with the gradient clipped to norm 1. For speed it has
torch.compile (default mode, static shapes), scaled_dot_product_attention (bf16: the flash backend and no other; fp32: the
memory-efficient one, for flash knows no fp32), bf16 autocast over fp32 weights, fused AdamW. fp32 products are fp32 ones:
TF32 is off.

--compile full compiles the model as a whole, blocks one block and the head (a third of the time to compile, for a few per
cent of the speed). --turns FOLDER: be measured in turns with another program. Compiled and warm, it makes FOLDER/ready; it
measures when FOLDER/go-N appears (N = 1, 2, ...), gives back what memory it can, and makes FOLDER/done-N; FOLDER/end ends it.

Measured: seconds of a whole step, device synchronised at both ends; the median counts. Model FLOP utilisation (MFU) is
tokens/s * (6 * parameters (without wpe) + 12 * L * C * T) / peak, the usual convention, which counts attention as if it
were not causal; `mfu_causal` counts the half that the mask leaves, 6 * L * C * T.
The last line on stdout is one JSON object. Exit codes: 0; 69 no GPU; 70 it did not learn.
"""
import argparse
import json
import math
import os
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

import mfu

LAYERS, HEADS, WIDTH, SEQUENCE, VOCAB = 12, 12, 768, 1024, 50304


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
    def __init__(self):
        super().__init__()
        self.wte, self.wpe = torch.nn.Embedding(VOCAB, WIDTH), torch.nn.Embedding(SEQUENCE, WIDTH)
        self.blocks = torch.nn.ModuleList(Block() for _ in range(LAYERS))
        self.ln_f = torch.nn.LayerNorm(WIDTH)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                torch.nn.init.normal_(p, std=0.02 / math.sqrt(2 * LAYERS) if "proj" in name else 0.02)
            elif "ln_" not in name:
                torch.nn.init.zeros_(p)

    def head(self, x, targets):
        logits = F.linear(self.ln_f(x), self.wte.weight)
        return F.cross_entropy(logits.view(-1, VOCAB), targets.reshape(-1))

    def forward(self, tokens, targets):
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1], device=tokens.device))
        for block in self.blocks:
            x = block(x)
        return self.head(x, targets)


class Data:
    """Samples of a file of uint16 tokens one behind another, or random ones; copied from pinned memory, as one does."""

    def __init__(self, path, micro):
        self.micro, self.at = micro, 0
        if path:
            with open(path, "rb") as file:
                tokens = torch.frombuffer(bytearray(file.read()), dtype=torch.uint16).to(torch.int32)
        else:
            tokens = torch.randint(VOCAB, (1 << 21,), dtype=torch.int32)
        self.samples = tokens[: len(tokens) // (SEQUENCE + 1) * (SEQUENCE + 1)].view(-1, SEQUENCE + 1)

    def next(self):
        rows = torch.arange(self.at, self.at + self.micro) % len(self.samples)
        self.at += self.micro
        batch = self.samples[rows].pin_memory().to("cuda", non_blocking=True).long()
        return batch[:, :-1], batch[:, 1:]


class Trainer:
    def __init__(self, args):
        self.args = args
        self.bf16 = args.precision == "bf16"
        self.backend = SDPBackend.FLASH_ATTENTION if self.bf16 else SDPBackend.EFFICIENT_ATTENTION
        torch.manual_seed(1)
        self.model = GPT().cuda()
        decayed = [p for p in self.model.parameters() if p.dim() == 2]
        others = [p for p in self.model.parameters() if p.dim() != 2]
        groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=6e-4, betas=(0.9, 0.95), eps=1e-8, fused=True)
        self.data = Data(args.tokens, args.micro)
        if args.compile == "full":
            self.loss_of = torch.compile(self.model, dynamic=False)
        else:
            self.loss_of = self.model
            if args.compile == "blocks":
                for block in self.model.blocks:
                    block.compile(dynamic=False)
                self.model.head = torch.compile(self.model.head, dynamic=False)

    def step(self):
        """One optimiser step; its mean loss, still on the device."""
        count = self.args.batch // self.args.micro
        total = torch.zeros((), device="cuda")
        batch = self.data.next()
        for i in range(count):
            with torch.autocast("cuda", torch.bfloat16, enabled=self.bf16), sdpa_kernel(self.backend):
                loss = self.loss_of(*batch) / count
            if i + 1 < count:
                batch = self.data.next()
            loss.backward()
            total += loss.detach()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return total

    def measure(self, warm_up, steps):
        """Seconds of each step, and the loss of the last."""
        seconds = []
        for _ in range(warm_up + steps):
            torch.cuda.synchronize()
            begin = time.perf_counter()
            loss = self.step()
            torch.cuda.synchronize()
            seconds.append(time.perf_counter() - begin)
        last = loss.item()
        if not math.isfinite(last) or last > math.log(VOCAB) + 1:
            print(f"pytorch_gpt2: loss {last}: it does not learn", file=sys.stderr)
            sys.exit(70)
        return seconds[warm_up:], last


def figures(trainer, seconds, loss, compile_s):
    args, name = trainer.args, torch.cuda.get_device_name()
    params = sum(p.numel() for p in trainer.model.parameters()) - trainer.model.wpe.weight.numel()
    rate = args.batch * SEQUENCE / statistics.median(seconds)
    return {
        "what": "pytorch", "gpu": name, "torch": torch.__version__, "cuda": torch.version.cuda,
        "precision": args.precision, "compile": args.compile, "batch": args.batch, "micro": args.micro,
        "steps": len(seconds), "tokens_per_s": round(rate), "step_ms": round(1e3 * statistics.median(seconds), 2),
        "step_ms_low": round(1e3 * min(seconds), 2), "step_ms_high": round(1e3 * max(seconds), 2),
        "memory_peak_mib": torch.cuda.max_memory_reserved() >> 20, "params_without_wpe": params,
        **mfu.rates(rate, params, LAYERS, WIDTH, SEQUENCE, args.peak_tflops or mfu.peak_tflops(name, args.precision)),
        "loss": round(loss, 4), "compile_s": round(compile_s, 1),
    }


def wait_for(folder, names):
    """The first of the files that is there; gives up when the one who started us has gone."""
    parent = os.getppid()
    while os.getppid() == parent:
        for name in names:
            if os.path.exists(os.path.join(folder, name)):
                return name
        time.sleep(0.05)
    sys.exit(70)


def tell(folder, name, row):
    with open(os.path.join(folder, name + ".part"), "w", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    os.rename(os.path.join(folder, name + ".part"), os.path.join(folder, name))


def in_turns(trainer, compile_s):
    folder, turn = trainer.args.turns, 1
    torch.cuda.empty_cache()
    tell(folder, "ready", {"compile_s": round(compile_s, 1)})
    while wait_for(folder, [f"go-{turn}", "end"]) != "end":
        seconds, loss = trainer.measure(2, trainer.args.steps) # the first takes its memory again
        row = figures(trainer, seconds, loss, compile_s)
        torch.cuda.empty_cache()
        print(json.dumps(row), flush=True)
        tell(folder, f"done-{turn}", row)
        turn += 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--micro", type=int, default=32, help="samples of one forward and backward pass")
    parser.add_argument("--batch", type=int, default=512, help="samples of one optimiser step; a multiple of --micro")
    parser.add_argument("--steps", type=int, default=10, help="measured steps")
    parser.add_argument("--precision", choices=["bf16", "fp32"], default="bf16")
    parser.add_argument("--compile", choices=["full", "blocks", "off"], default="full")
    parser.add_argument("--tokens", help="a file of uint16 tokens; random ones without it")
    parser.add_argument("--turns", metavar="FOLDER", help="measure in turns with another program, see above")
    parser.add_argument("--peak-tflops", type=float, help="of the GPU in this precision, where its name is not known")
    args = parser.parse_args()
    if args.micro < 1 or args.batch % args.micro or args.steps < 1:
        parser.error("--batch must be a multiple of --micro, and --steps at least 1")
    if not torch.cuda.is_available():
        print("pytorch_gpt2: no GPU that PyTorch can use", file=sys.stderr)
        sys.exit(69)
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False

    begin = time.perf_counter()
    trainer = Trainer(args)
    wanted, args.batch = args.batch, min(args.batch, 2 * args.micro)  # one short step compiles all there is
    trainer.measure(0, 1)
    args.batch = wanted
    compile_s = time.perf_counter() - begin
    print(f"compiled ({args.compile}) in {compile_s:.1f} s", file=sys.stderr, flush=True)
    if args.turns:
        in_turns(trainer, compile_s)
        return
    seconds, loss = trainer.measure(2, args.steps)
    row = figures(trainer, seconds, loss, compile_s)
    share = f", MFU {100 * row['mfu']:.1f} % (causal {100 * row['mfu_causal']:.1f} %)" if row["mfu"] else ""
    print(f"PyTorch {row['torch']}, {row['gpu']}, {args.precision}: {row['tokens_per_s']} tokens/s, {row['step_ms']} ms a "
          f"step ({row['step_ms_low']} to {row['step_ms_high']}), {row['memory_peak_mib']} MiB, {row['tflops']} TFLOP/s{share}")
    print(json.dumps(row))


if __name__ == "__main__":
    main()
