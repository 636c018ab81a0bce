#!/usr/bin/env python3
"""How long a job stands still when one of its processes is stopped for good: from SIGSTOP to the next committed step, less a step.

    benchmarks/stop_times.py [--workers 4] [--kills 3] [--jobs 1] [--seed 1] [--json] JOB_FOLDER

JOB_FOLDER holds job.yaml (tests/fault/tiny.sh makes one); `reeve` is found on PATH. Each job has so many of its processes
stopped, a quarter of them masters, at random moments. The next committed step is seen in metrics.jsonl, looked at each
millisecond; for a worker it is the first row with one worker fewer. What is measured is mostly faults.evict_min_s of the
job. Needs an MPI with ULFM. Every job has to end with 0.
"""
import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time

WAIT_S = 60


def ranks(run):
    """Process ids of the job's ranks: those whose command line names its folder."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = open(f"/proc/{pid}/cmdline", "rb").read().split(b"\0")
        except OSError:
            continue
        if os.path.basename(words[0]) == b"reeve-rank" and os.fsencode(run) in words:
            found.append(int(pid))
    return found


def master(run):
    return json.load(open(os.path.join(run, "LOCK")))["pid"]


class Metrics:
    """The rows of metrics.jsonl as they come."""

    def __init__(self, run):
        self.path, self.at, self.rest = os.path.join(run, "metrics.jsonl"), 0, b""

    def new(self):
        try:
            with open(self.path, "rb") as f:
                f.seek(self.at)
                data = f.read()
        except FileNotFoundError:
            return []
        self.at += len(data)
        lines = (self.rest + data).split(b"\n")
        self.rest = lines.pop()
        rows = [json.loads(line) for line in lines if line]
        return [row for row in rows if "step_seconds" in row]

    def wait(self, good):
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            for row in self.new():
                if good(row):
                    return time.monotonic(), row
            time.sleep(0.001)
        sys.exit(f"no step within {WAIT_S} s: {self.path}")


def one_job(options, folder, number, dice, samples):
    run = os.path.join(folder, f"run-{number}")
    shutil.rmtree(run, ignore_errors=True)
    out = open(os.path.join(folder, "run.out"), "w")
    job = subprocess.Popen(["reeve", "run", "job.yaml", "-n", str(options.workers), "--run-dir", run, "-q"],
                           cwd=folder, stdout=out, stderr=out)
    metrics, workers = Metrics(run), options.workers
    for _ in range(options.kills):
        _, row = metrics.wait(lambda row: True)
        seconds = [row["step_seconds"] for row in metrics.new() if row["step_seconds"]]
        time.sleep(dice.uniform(0.2, 0.6))
        seconds += [row["step_seconds"] for row in metrics.new() if row["step_seconds"]]
        head = master(run)
        others = [pid for pid in ranks(run) if pid != head]
        kind = "master" if dice.random() < 0.25 else "worker"
        victim = head if kind == "master" else dice.choice(others)
        alone = kind == "master" and len(others) == workers  # a master that is no worker
        metrics.new()
        began = time.monotonic()
        os.kill(victim, signal.SIGSTOP)
        workers -= 0 if alone else 1
        ended, row = metrics.wait((lambda row: True) if alone else (lambda row: row["workers"] == workers))
        step = statistics.median(seconds) if seconds else 0.0
        samples.append({"kind": kind, "seconds": max(0.0, ended - began - step), "step_seconds": step})
    code = job.wait(timeout=240)
    if code != 0:
        sys.exit(f"the job ended with {code}; see {folder}/run.out")


def summary(samples, kind):
    times = sorted(s["seconds"] for s in samples if kind in (None, s["kind"]))
    if not times:
        return None
    p99 = times[min(len(times) - 1, int(0.99 * len(times)))]
    return {"kills": len(times), "median_s": statistics.median(times), "p99_s": p99, "max_s": times[-1]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--kills", type=int, default=3, help="of one job; fewer than workers")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("folder")
    options = parser.parse_args()
    dice, samples = random.Random(options.seed), []
    for number in range(options.jobs):
        one_job(options, os.path.realpath(options.folder), number, dice, samples)
    result = {kind or "all": summary(samples, kind) for kind in (None, "worker", "master")}
    if options.json:
        print(json.dumps({"summary": result, "samples": samples}))
        return
    for kind, s in result.items():
        if s:
            print(f"{kind:7} {s['kills']:4} stops   median {s['median_s']:.3f} s   p99 {s['p99_s']:.3f} s   "
                  f"max {s['max_s']:.3f} s")


if __name__ == "__main__":
    main()
