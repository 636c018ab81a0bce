#!/usr/bin/env python3
"""The results of run.sh's speed steps side by side: table.py results.jsonl"""
import json
import statistics
import sys


def number(row, key, form="{}"):
    value = row.get(key)
    return "-" if value is None else form.format(value)


def shares(rows, name):
    """Where the time of a step through the dispatcher goes, as lines."""
    by_what = {row["what"]: row for row in rows}
    run, bare, fast = by_what.get("reeve run"), by_what.get("bare loop"), by_what.get("fp32 sums")
    if bare and "sum_share" in bare:
        print(f"{name}: exact sum {100 * bare['sum_share']:.2f} % of a step (bench-gpt_cuda --profile)")
    if bare and fast:
        print(f"{name}: exact sum instead of one in fp32 {100 * (bare['step_ms'] / fast['step_ms'] - 1):+.2f} % of a step")
    if run and bare:
        print(f"{name}: dispatcher {100 * (1 - bare['step_ms'] / run['step_ms']):+.2f} % of a step (reeve run less bare loop)")
    if run and run.get("checkpoint_ms") is not None:
        print(f"{name}: a checkpoint holds the steps up by {run['checkpoint_ms']} ms: "
              f"{100 * run['checkpoint_ms'] / (500 * run['step_ms']):.3f} % with checkpoint.every 500")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        rows = [json.loads(line) for line in file if line.startswith("{")]
    for precision in ("bf16", "fp32"):
        part = [row for row in rows if row.get("precision") == precision]
        if not part:
            continue
        torch = [row["tokens_per_s"] for row in part if row["what"] == "pytorch"]
        print(f"\n{precision}: {part[0].get('gpu', '')}, {part[0]['batch']} samples in micro-batches of {part[0]['micro']}")
        print(f"{'':16}{'tokens/s':>10}{'of PyTorch':>12}{'ms a step':>11}{'low':>10}{'high':>10}{'TFLOP/s':>9}{'MFU':>8}"
              f"{'causal':>8}{'MiB':>8}{'loss':>9}")
        for row in part:
            ratio = f"{row['tokens_per_s'] / statistics.mean(torch):.3f}" if torch else "-"
            print(f"{row['what']:16}{row['tokens_per_s']:>10}{ratio:>12}{number(row, 'step_ms'):>11}"
                  f"{number(row, 'step_ms_low'):>10}{number(row, 'step_ms_high'):>10}{number(row, 'tflops'):>9}"
                  f"{number(row, 'mfu', '{:.1%}'):>8}{number(row, 'mfu_causal', '{:.1%}'):>8}"
                  f"{number(row, 'memory_peak_mib'):>8}{number(row, 'loss'):>9}")
        shares(part, precision)


if __name__ == "__main__":
    main()
