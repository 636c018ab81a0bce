#!/usr/bin/env python3
"""Times of whole runs: benchmarks/run_times.py WHAT [ROUNDS]

  first-step   from the command `reeve run` to the first task that is given out, and to the first step that is committed:
               a small GPT on two workers, byte by byte
  slow-worker  three workers, one of which takes four times as long for each task: a step against the ideal, which is
               all work over all speed. Tasks sleep (benchmarks/sleeper.c), so two cores can play three workers
  checkpoint   how much longer steps take while a checkpoint is written: a GPT of 10.8 million parameters on two
               workers, a checkpoint of 130 MB every tenth step

Programs from build/bin, or REEVE_BIN. Medians over ROUNDS runs (default 3; 0: as short as it goes, to see that it works)."""
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
BIN = os.environ.get("REEVE_BIN", os.path.join(SOURCE, "build", "bin"))
DEADLINE_S = 120

JOB = """name: {name}
workload: {workload}
seed: 1
data: {{manifest: shards.yaml, sequence: {sequence}, shuffle: global}}
train: {{steps: {steps}, global_batch: {batch}, micro_batch: {micro}}}
{model}
checkpoint: {{every: {every}, keep: 2}}
resources: {{workers: {workers}, threads: 1, device: cpu}}
"""


def start(folder, **job):
    """A fresh run folder and its command."""
    shutil.rmtree(os.path.join(folder, "run"), ignore_errors=True)
    with open(os.path.join(folder, "job.yaml"), "w") as out:
        out.write(JOB.format(**job))
    environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    environment.update(job.get("environment", {}))
    command = [os.path.join(BIN, "reeve"), "run", "job.yaml", "--run-dir", "run", "-q", "-n", str(job["workers"])]
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(process):
    _, words = process.communicate(timeout=DEADLINE_S)
    if process.returncode != 0:
        sys.exit("reeve run: exit code %d: %s" % (process.returncode, words.decode()))


def rows(folder):
    with open(os.path.join(folder, "run", "metrics.jsonl")) as lines:
        found = [json.loads(line) for line in lines]
    return [row for row in found if "event" not in row]


def wait_for(path, text, began):
    """Seconds until the file has the text."""
    while time.monotonic() - began < DEADLINE_S:
        try:
            with open(path) as file:
                if text in file.read():
                    return time.monotonic() - began
        except FileNotFoundError:
            pass
        time.sleep(0.002)
    sys.exit("%s: no '%s' after %d s" % (path, text, DEADLINE_S))


def span(seconds):
    return "%.2f s (%.2f - %.2f)" % (statistics.median(seconds), min(seconds), max(seconds))


def first_step(folder, rounds):
    given, committed = [], []
    for _ in range(max(rounds, 1)):
        began = time.monotonic()
        process = start(folder, name="first", workload="gpt", sequence=64, steps=2, batch=16, micro=4, every=100,
                        workers=2, model="model: {layers: 4, heads: 4, width: 128}")
        given.append(wait_for(os.path.join(folder, "run", "starts.jsonl"), '"joined"', began))
        committed.append(wait_for(os.path.join(folder, "run", "metrics.jsonl"), '"step":1,', began))
        finish(process)
    print("from the command to the first task: %s; to the end of the first step: %s" % (span(given), span(committed)))


def slow_worker(folder, rounds):
    library = os.path.join(BIN, "libreeve-sleeper.so")
    task_ms, steps = (20, 6) if rounds > 0 else (2, 2)
    for tasks in (24, 48, 96) if rounds > 0 else (12,):
        seconds = []
        for _ in range(max(rounds, 1)):
            environment = {"REEVE_SLEEPER_MS": str(task_ms), "REEVE_SLEEPER_SLOW_RANK": "3"}
            finish(start(folder, name="slow", workload=library, sequence=8, steps=steps, batch=tasks, micro=1,
                         every=1000, workers=3, model="", environment=environment))
            seconds += [row["step_seconds"] for row in rows(folder) if row["step"] > 1]
        ideal = tasks * task_ms * 1e-3 / (2 + 1 / 4)
        median = statistics.median(seconds)
        print("%3d tasks of %d ms a step: %.3f s (%.3f - %.3f), ideal %.3f s: %.3f times" %
              (tasks, task_ms, median, min(seconds), max(seconds), ideal, median / ideal))


def checkpoint(folder, rounds):
    steps, every, size = (36, 10, "layers: 6, heads: 6, width: 384")
    if rounds == 0:
        steps, every, size = (7, 3, "layers: 1, heads: 1, width: 32")
    shares, longer, plain = [], [], []
    for _ in range(max(rounds, 1)):
        finish(start(folder, name="save", workload="gpt", sequence=64, steps=steps, batch=8, micro=2, every=every,
                     workers=2, model="model: {%s}" % size))
        counted = [row for row in rows(folder) if row["step"] > 1]
        # A checkpoint is begun behind step k * every and written during the steps after it. What a step takes without
        # one is the median over those of the second half of each interval.
        without = statistics.median(row["step_seconds"] for row in counted if row["step"] % every > every // 2)
        for begun in range(every, steps - every // 2, every):
            extra = sum(row["step_seconds"] - without for row in counted if begun < row["step"] <= begun + every // 2)
            longer.append(extra)
            shares.append(extra / (every * without))
        plain.append(without)
    print("a step takes %.0f ms; the steps during a checkpoint together %.0f ms more (%.0f - %.0f): %.1f %% of the "
          "time with one every %d steps" % (1e3 * statistics.median(plain), 1e3 * statistics.median(longer),
                                       1e3 * min(longer), 1e3 * max(longer), 100 * statistics.median(shares), every))


def main():
    kinds = {"first-step": first_step, "slow-worker": slow_worker, "checkpoint": checkpoint}
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in kinds:
        sys.exit(__doc__)
    folder = tempfile.mkdtemp(prefix="reeve-bench-", dir=os.environ.get("REEVE_BENCH_FOLDER"))
    try:
        with open(os.path.join(folder, "text.txt"), "w") as out:
            out.write("".join("rope %d is passed through ring %d\n" % (i, i * i % 97) for i in range(20000)))
        with open(os.path.join(folder, "shards.yaml"), "w") as out:
            out.write("dataset: ropes\nformat: text\ntokenizer: bytes\nshards:\n  - path: text.txt\n")
        kinds[sys.argv[1]](folder, int(sys.argv[2]) if len(sys.argv) > 2 else 3)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


main()
