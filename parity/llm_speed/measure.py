"""What `generation.py` and `cloning.py` share: alternating runs of two programs, each a process of its own, and a table."""

import json
import os
import statistics
import subprocess
import sys

# OpenMP threads that wait must not take the processor from the threads that work.
QUIET = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}


def run(command, threads):
    """Runs a program that prints one JSON object last; adds its processor seconds and peak memory (maximum resident set)."""
    env = dict(os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads), **QUIET)
    process = subprocess.Popen([str(part) for part in command], env=env, stdout=subprocess.PIPE, text=True)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"`{' '.join(map(str, command))}` failed with exit code {process.returncode}")
    report = json.loads(output.strip().splitlines()[-1])
    # A program that repeats its measurement lists the seconds of each; here it makes one.
    for key in ("seconds", "processor_seconds"):
        if isinstance(report[key], list):
            (report[key],) = report[key]
    report["process_seconds"] = usage.ru_utime + usage.ru_stime
    report["peak_mb"] = usage.ru_maxrss * 1024 / 1e6
    return report


def alternate(commands, repeats):
    """Runs each of the named (command, threads) once per repeat, in turns, in an order that changes with the repeat."""
    reports = {name: [] for name in commands}
    for repeat in range(repeats):
        names = list(commands)
        for name in names if repeat % 2 == 0 else reversed(names):
            reports[name].append(run(*commands[name]))
            report = reports[name][-1]
            times = f"{report['seconds']:.2f} s, {report['processor_seconds']:.2f} s of the processor"
            print(f"repeat {repeat + 1}, {name}: {times}", file=sys.stderr, flush=True)
    return reports


def ratios(ours, theirs, key):
    """Returns the ratio of each repeat: how many times theirs is ours."""
    return [their[key] / our[key] for our, their in zip(ours, theirs)]


def middle(values):
    return f"{statistics.median(values):.2f} [{min(values):.2f}, {max(values):.2f}]"


def table(names, columns, reports):
    """Prints the median of each column, with the smallest and the largest value."""
    print("| | " + " | ".join(title for title, _ in columns) + " |")
    print("|---|" + "---:|" * len(columns))
    for name in names:
        cells = [middle([value(report) for report in reports[name]]) for _, value in columns]
        print(f"| {name} | " + " | ".join(cells) + " |")

