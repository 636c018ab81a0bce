#!/usr/bin/env python3
"""What it costs to be able to lose processes: tasks a second and time of a step, with ULFM and without, in pairs.

    benchmarks/ulfm_cost.py [--pairs 5] [--workers 1] [--tasks 1000000] [--steps 1500] [--only tasks|steps] [--json FILE]
                            [--build build] JOB_FOLDER

JOB_FOLDER holds job.yaml (tests/fault/chaos_job.sh makes one). Needs Open MPI 5. Two measurements, each in pairs of which
one has ULFM and the other has not, in turns who goes first:

  tasks   bench-null_tasks under mpirun --with-ft ulfm, and without: tasks a second, 64 ahead, journal.sync none
  steps   `reeve run` with REEVE_IN_JOB=on, and off: the median time of a step, the first tenth left out

The cost is the median of the pairs' ratios, less 1; beside it stand the least and the largest: where these are of both
signs, the machine's noise is larger than what is measured.
"""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys


def tasks_a_second(options, ulfm):
    command = ["mpirun", "-n", str(1 + options.workers)] + (["--with-ft", "ulfm"] if ulfm else [])
    command += [os.path.join(options.build, "bin/bench-null_tasks"), str(options.tasks), "64", "none", "1", options.folder]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=120).stdout
    return float(re.search(r"(\d+) thousand tasks a second", said).group(1)) * 1e3


def step_seconds(options, ulfm):
    run = os.path.join(options.folder, "ulfm-cost")
    shutil.rmtree(run, ignore_errors=True)
    command = [os.path.join(options.build, "bin/reeve"), "run", "job.yaml", "-n", str(options.workers + 1), "-q", "--run-dir",
               run, "--set", f"train.steps={options.steps}", "--set", "train.eval_every=0", "--set",
               f"checkpoint.every={options.steps}"]
    subprocess.run(command, check=True, cwd=options.folder, timeout=120,
                   env=os.environ | {"REEVE_IN_JOB": "on" if ulfm else "off"})
    rows = [json.loads(line) for line in open(os.path.join(run, "metrics.jsonl"))]
    times = [row["step_seconds"] for row in rows if row.get("step_seconds")]
    shutil.rmtree(run)
    return statistics.median(times[len(times) // 10:])


def measure(options, once, larger_is_better):
    with_ulfm, without, costs = [], [], []
    for pair in range(options.pairs):
        first = pair % 2 == 0
        got = {ulfm: once(options, ulfm) for ulfm in (first, not first)}
        with_ulfm.append(got[True])
        without.append(got[False])
        ratio = got[False] / got[True] if larger_is_better else got[True] / got[False]
        costs.append(100 * (ratio - 1))
    return {"with": statistics.median(with_ulfm), "without": statistics.median(without), "pairs": options.pairs,
            "cost_percent": statistics.median(costs), "least_percent": min(costs), "largest_percent": max(costs)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1, help="of bench-null_tasks; steps have one more")
    parser.add_argument("--tasks", type=int, default=1000000)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--only", choices=("tasks", "steps"))
    parser.add_argument("--build", default="build")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("folder")
    options = parser.parse_args()
    options.folder, options.build = os.path.realpath(options.folder), os.path.realpath(options.build)
    result = {}
    if options.only != "steps":
        result["tasks"] = r = measure(options, tasks_a_second, True)
        print(f"tasks a second: {r['without'] / 1e6:.3f} M without ULFM, {r['with'] / 1e6:.3f} M with it; it costs "
              f"{r['cost_percent']:+.1f} % ({r['least_percent']:+.1f} to {r['largest_percent']:+.1f}, {r['pairs']} pairs)", flush=True)
    if options.only != "tasks":
        result["steps"] = r = measure(options, step_seconds, False)
        print(f"time of a step: {1e3 * r['without']:.3f} ms without ULFM, {1e3 * r['with']:.3f} ms with it; it costs "
              f"{r['cost_percent']:+.1f} % ({r['least_percent']:+.1f} to {r['largest_percent']:+.1f}, {r['pairs']} pairs)")
    if options.json:
        with open(options.json, "w") as out:
            json.dump(result, out, indent=1)


if __name__ == "__main__":
    sys.exit(main())
