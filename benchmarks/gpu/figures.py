#!/usr/bin/env python3
"""Figures as one JSON object a line, for table.py.

    figures.py run RUN_DIR PRECISION [WARM_UP_STEPS]    of a run, from its metrics.jsonl
    figures.py bench FILE PRECISION WHAT                of what bench-gpt_cuda printed

Of a run: the median interval of two commits is a step with all that the dispatcher, the exact sum and the journal add to
it. What checkpoints add is the rest of the time between the first and the last commit: mean less median.
"""
import json
import statistics
import subprocess
import sys

import mfu

VOCAB = 50304


def step_rows(path):
    rows = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            if row.get("event") == "resumed":
                rows = [r for r in rows if r["step"] <= row["step"]]
            elif "event" not in row:
                rows.append(row)
    return rows


def gpu_name():
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return ""


def of_run(run, precision, warm_up):
    with open(f"{run}/job.yaml", encoding="utf-8") as file:
        job = {}
        for line in file:  # the resolved job: one `key: value  # meaning` a line, below its section
            key, _, value = line.partition("#")[0].strip().partition(":")
            job[key] = value.strip()
    layers, width, sequence, every = (int(job[key]) for key in ("layers", "width", "sequence", "every"))
    rows = step_rows(f"{run}/metrics.jsonl")
    if len(rows) < warm_up + 3:
        sys.exit(f"figures: {len(rows)} steps in {run}, and {warm_up + 3} are needed")
    times = [row["time"] for row in rows[max(warm_up - 1, 0):]]
    intervals = [b - a for a, b in zip(times, times[1:])]
    median = statistics.median(intervals)
    samples = rows[-1]["samples"] - rows[-2]["samples"]
    rate, gpu = samples * sequence / median, gpu_name()
    row = {
        "what": "reeve run", "gpu": gpu, "precision": precision, "batch": samples, "micro": int(job["micro_batch"]),
        "steps": len(intervals), "tokens_per_s": round(rate), "step_ms": round(1e3 * median, 2),
        "step_ms_low": round(1e3 * min(intervals), 2), "step_ms_high": round(1e3 * max(intervals), 2),
        "step_ms_mean": round(1e3 * statistics.mean(intervals), 2), "loss": round(rows[-1]["loss"], 4),
        **mfu.rates(rate, mfu.params_without_wpe(layers, width, VOCAB), layers, width, sequence,
                    mfu.peak_tflops(gpu, precision)),
    }
    if every:
        saved = sum(1 for r in rows[warm_up:] if r["step"] % every == 0)
        row["checkpoints"] = saved
        row["checkpoint_ms"] = round(1e3 * (sum(intervals) - len(intervals) * median) / saved, 2) if saved else None
    return row


def of_bench(path, precision, what):
    tables = []  # of Markdown: one dict for each row
    with open(path, encoding="utf-8") as file:
        lines = [[cell.strip() for cell in line.strip(" |\n").split("|")] for line in file if line.startswith("|")]
    for i, line in enumerate(lines):
        if i + 1 < len(lines) and set("".join(lines[i + 1])) == {"-"}:
            header = line
        elif set("".join(line)) != {"-"}:
            tables.append(dict(zip(header, line)))
    row, parts = tables[0], tables[1:]
    layers, width, sequence, batch, micro = (int(row[key]) for key in ("L", "C", "T", "batch", "micro-batches"))
    rate, gpu = float(row["tokens/s"]), gpu_name()
    ms = {part[next(iter(part))]: float(part["ms"]) for part in parts}
    figures = {
        "what": what, "gpu": gpu, "precision": precision, "batch": batch * micro, "micro": batch,
        "tokens_per_s": round(rate), "step_ms": float(row["ms a step"]), "loss": float(row["loss"]),
        "memory_peak_mib": round(1024 * float(row["GiB"])),
        **mfu.rates(rate, mfu.params_without_wpe(layers, width, int(row["V"])), layers, width, sequence,
                    mfu.peak_tflops(gpu, precision)),
    }
    if "quantise and add" in ms:
        figures["sum_share"] = round(ms["quantise and add"] / ms["all"], 5)
    return figures


def main():
    kind, source, precision = sys.argv[1:4]
    if kind == "run":
        print(json.dumps(of_run(source, precision, int(sys.argv[4]) if len(sys.argv) > 4 else 2)))
    else:
        print(json.dumps(of_bench(source, precision, sys.argv[4])))


if __name__ == "__main__":
    main()
