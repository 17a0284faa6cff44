"""Stepladder and two PyTorch loops in one run, part by part: tokens per second, seconds per epoch, peak memory, ratios.

    python compare.py PROGRAM DIRECTORY [--games N] [--env E] [--parts P] [--turns N] [--threads N]

PROGRAM is target/release/examples/train_beside. All three train on the samples in DIRECTORY (made if absent), one at a
time in turns, a part of an epoch each; the others sleep. A token counts each time that a sample holds it: what merging
identical samples saves is speed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
LOOPS = ("random", "bucketed")
# libtorch's threads would spin while another program has its turn.
QUIET = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}


class Program:
    def __init__(self, command, env):
        self.process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.about = self.read()
        self.parts = []

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args[0]} ended early")
        return json.loads(line)

    def turn(self, keep):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        answer = self.read()
        if keep:
            self.parts.append(answer)

    def peak(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1024

    def speeds(self):
        return [part["tokens"] / part["seconds"] for part in self.parts]

    def seconds_per_epoch(self, tokens):
        seen = sum(part["tokens"] for part in self.parts)
        return tokens / seen * sum(part["seconds"] for part in self.parts)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def spread(values):
    quarters = statistics.quantiles(values, n=4) if len(values) > 1 else [values[0]] * 3
    return f"{statistics.median(values):.2f} [{quarters[0]:.2f}, {quarters[2]:.2f}]"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--games", type=int, default=300)
    parser.add_argument("--env", default="alfworld")
    parser.add_argument("--parts", type=int, default=10)
    parser.add_argument("--turns", type=int, help="parts that are timed; default one epoch")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    directory, threads = arguments.directory, str(arguments.threads)
    ours = dict(os.environ, OMP_NUM_THREADS="1", **QUIET)
    theirs = dict(os.environ, OMP_NUM_THREADS=threads, **QUIET)
    if not (directory / "case.json").exists():
        export = [arguments.program, "export", directory, str(arguments.games), arguments.env]
        subprocess.run(export, env=ours, check=True)

    subprocess.run([arguments.program, "gradient", directory], env=ours, check=True, stdout=subprocess.DEVNULL)
    loop = lambda name, task: [sys.executable, HERE / "loops.py", name, directory, task, threads]  # noqa: E731
    for name in LOOPS:
        output = subprocess.run(loop(name, "gradient"), env=theirs, check=True, capture_output=True, text=True).stdout
        report = json.loads(output)
        print(f"gradient of an epoch, relative difference from `{name}`: {report['relative']:.1e}", end=" ")
        print(f"(worst tensor {report['worst_tensor']:.1e})")
        if report["relative"] >= 1e-5:
            raise SystemExit("the gradients differ: nothing that follows would be comparable")

    parts = str(arguments.parts)
    programs = {"stepladder": Program([arguments.program, "train", directory, parts], ours)}
    programs |= {name: Program(loop(name, parts), theirs) for name in LOOPS}
    turns = arguments.turns or arguments.parts
    for turn in range(turns + 1):
        for program in programs.values():
            # The first part of each is warming up.
            program.turn(keep=turn > 0)
    case = json.loads((directory / "case.json").read_text())
    tokens = sum(len(ids) for _, ids, _, _ in case["rows"])
    samples = programs["random"].about["rows"]
    print(f"{samples} samples, {programs['stepladder'].about['rows']} distinct; {threads} threads; ", end="")
    print(f"{turns} of {arguments.parts} parts of an epoch each, load {os.getloadavg()[0]:.1f}")
    print("| | tokens/s | seconds per epoch | steps per epoch | peak memory |")
    print("|---|---:|---:|---:|---:|")
    for name, program in programs.items():
        speed = statistics.median(program.speeds())
        seconds = program.seconds_per_epoch(tokens)
        print(f"| {name} | {speed:,.0f} | {seconds:.1f} | {program.about['steps']} | {program.peak():.0f} MB |")
    for name in LOOPS:
        ratios = [a / b for a, b in zip(programs["stepladder"].speeds(), programs[name].speeds(), strict=True)]
        print(f"tokens per second beside `{name}`: {spread(ratios)} times, median and quartiles of {len(ratios)}")
    for program in programs.values():
        program.close()


if __name__ == "__main__":
    main()
