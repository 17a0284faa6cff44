"""What `generation.py` and `cloning.py` share: models, alternating runs of two programs, each a process of its own, a table."""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

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


def open_model(path, dtype, device="cpu"):
    """Returns torch and the model of a directory on a device; random weights, drawn there, where it has `config.json` alone."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    kind = {"f32": torch.float32, "bf16": torch.bfloat16}[dtype]
    if any(Path(path).glob("*.safetensors")):
        return torch, AutoModelForCausalLM.from_pretrained(path, dtype=kind).to(device)
    torch.manual_seed(1)
    with torch.device(device):
        return torch, AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(path), dtype=kind)


def clock(torch, device):
    """Returns wall and processor seconds once all work on the device is done."""
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter(), time.process_time()


def allocator(torch, device):
    """Returns the largest memory of PyTorch's allocator on a GPU, in use and taken from the driver; nothing on the CPU."""
    if device == "cpu":
        return {}
    return {
        "allocated_peak_mb": torch.cuda.max_memory_allocated() / 1e6,
        "reserved_peak_mb": torch.cuda.max_memory_reserved() / 1e6,
    }


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

