#!/usr/bin/env python3
"""Many kills, and what they cost: `reeve chaos` over as many jobs as it takes, all compared with one undisturbed run.

    benchmarks/recovery_times.py [--kills 200] [--per-job 3] [--workers 3] [--every 0.3] [--seed 1] [--in-job]
                                 [--json FILE] [--set KEY=VALUE]... JOB_FOLDER

JOB_FOLDER holds job.yaml (tests/fault/chaos_job.sh makes one); `reeve` is found on PATH. Job i is broken with seed SEED + i, by
--per-job strikes: three quarters of them at workers, a quarter at masters, one in eight at two ranks in the same instant,
one in eight into the recovery from the one before. No strike leaves fewer than one worker. Its folder is removed when it
kept its promises. A recovery is the time from the kill to the first step committed without the victim, less a step.

--in-job: every loss has to be outlived inside the job: no restart, no step computed again (needs an MPI with ULFM).
Exit code 0: every promise was kept. It stops at the first that was not, and leaves that job's folder. Ctrl-C: the table of
what was done until then.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys

KINDS = ("kill worker", "kill master", "two at once", "all")


def one_job(options, folder, number, against):
    """The report of `reeve chaos`; None where a promise was broken."""
    runs = os.path.join(folder, f"kills-{number}")
    shutil.rmtree(runs, ignore_errors=True)
    command = ["reeve", "chaos", "job.yaml", "-n", str(options.workers), "--kills", str(options.per_job), "--every",
               str(options.every), "--seed", str(options.seed + number), "--run-dir", runs, "--kill-worker",
               "--kill-master", "--leave", "1", "--json"]
    for key in options.set:
        command += ["--set", key]
    if against:
        command += ["--against", against]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=options.timeout)
    report = json.loads(done.stdout) if done.stdout.strip() else {}
    nothing = not report.get("strikes")  # the job was done before: steps are too few for this machine
    good = done.returncode == 0 and report.get("kept") or nothing and report.get("exactly_once")
    if options.in_job and (report.get("restarts") != 0 or report.get("steps_again") != 0):
        good = False
    if not good:
        print(f"job {number} (seed {options.seed + number}) broke a promise; exit code {done.returncode}: {runs}\n"
              f"{done.stderr}{done.stdout}", file=sys.stderr)
        return None
    return report


def kind_of(strike):
    return "two at once" if strike["killed"] > 1 else strike["kind"]


def summary(strikes, kind):
    those = [s for s in strikes if kind in ("all", kind_of(s))]
    times = sorted(s["recovery_s"] for s in those if s["recovery_s"] is not None)
    row = {"strikes": len(those), "killed": sum(s["killed"] for s in those), "recoveries": len(times)}
    if times:
        row |= {"median_s": statistics.median(times), "p99_s": times[-(-99 * len(times) // 100) - 1], "max_s": times[-1]}
    return row


def growth(reports):
    """Of those that outlived a loss, the one that grew most."""
    those = [r["survivors"] for r in reports if r["survivors"]["count"]]
    if not those:
        return None
    return {"losses_outlived_max": max(s["losses_outlived_max"] for s in those),
            "descriptors_per_loss": statistics.median(s["descriptors_per_loss"] for s in those),
            "bytes_per_loss": statistics.median(s["bytes_per_loss"] for s in those),
            "shared_files_max": max(s["shared_files_max"] for s in those),
            "shared_bytes_max": max(s["shared_bytes_max"] for s in those)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=200, help="ranks killed, in all jobs")
    parser.add_argument("--per-job", type=int, default=3, help="strikes of one job")
    parser.add_argument("--workers", type=int, default=3, help="beside the master")
    parser.add_argument("--every", type=float, default=0.3, help="seconds of training between two strikes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--in-job", action="store_true", help="no restart is allowed")
    parser.add_argument("--timeout", type=float, default=900, help="seconds for one job")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("folder")
    options = parser.parse_args()
    folder = os.path.realpath(options.folder)
    reports, strikes, against, broken = [], [], None, False
    try:
        while sum(s["killed"] for s in strikes) < options.kills and not broken:
            report = one_job(options, folder, len(reports), against)
            broken = report is None
            if broken:
                break
            reports.append(report)
            strikes += [s for s in report["strikes"] if s["victim"]]
            if against is None:
                against = os.path.join(report["dir"], "undisturbed")
            else:
                shutil.rmtree(report["dir"], ignore_errors=True)
            killed = sum(s["killed"] for s in strikes)
            print(f"job {len(reports)}: {killed} of {options.kills} killed", file=sys.stderr, flush=True)
            if len(reports) >= 10 and killed == 0:
                sys.exit("nothing is struck before a job is done: raise train.steps, or lower --every")
    except KeyboardInterrupt:
        print("interrupted: what was done until then", file=sys.stderr)
    result = {"kept": not broken, "jobs": len(reports), "seed": options.seed,
              "restarts": sum(r["restarts"] for r in reports),
              "steps": sum(r["steps"] for r in reports), "steps_again": sum(r["steps_again"] for r in reports),
              "weights_digests": sorted({r["weights_digest"] for r in reports}),
              "step_s": statistics.median(r["step_s"] for r in reports) if reports else None,
              "rows": {kind: summary(strikes, kind) for kind in KINDS}, "survivors": growth(reports), "strikes": strikes}
    if options.json:
        with open(options.json, "w") as out:
            json.dump(result, out, indent=1)
    print("| killed | strikes | ranks | recoveries | median | p99 | longest |\n|---|---|---|---|---|---|---|")
    for kind, row in result["rows"].items():
        if row["recoveries"]:
            print(f"| {kind} | {row['strikes']} | {row['killed']} | {row['recoveries']} | {row['median_s']:.3f} s | "
                  f"{row['p99_s']:.3f} s | {row['max_s']:.3f} s |")
    print(f"\n{result['jobs']} jobs, {result['steps']} steps of {1000 * (result['step_s'] or 0):.1f} ms; {result['restarts']} restarts, "
          f"{result['steps_again']} steps computed again; weights: {', '.join(result['weights_digests'])}")
    if result["survivors"]:
        print(f"survivors: {json.dumps(result['survivors'])}")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
