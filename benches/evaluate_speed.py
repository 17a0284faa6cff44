"""Speed-up of `stepladder evaluate` with many concurrent games over one at a time, with the same program and checkpoint.

    python benches/evaluate_speed.py PROGRAM CHECKPOINT [--env E] [--split S] [--slots N] [--turns N]

PROGRAM is target/release/stepladder; official games need STEPLADDER_DATA. Both kinds play all games of the split greedily,
in turns, with caches for keys, values and replies in both. Seconds are those of playing: the program's start (libtorch,
the checkpoint, the split) is excluded and shown separately. Processor seconds are those of the whole program: they tell
how much other work on the machine has to do with the clock. Replies are compared word for word.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path


def turns_of(episode):
    for subtask in episode["subtasks"]:
        yield subtask.get("turn")
        for step in subtask["steps"]:
            yield step.get("turn")
            yield step.get("progress_turn")


def replies(trace):
    with open(trace) as lines:
        episodes = [json.loads(line) for line in lines]
    return [[(turn["prompt"], turn["reply"]) for turn in turns_of(episode) if turn] for episode in episodes]


def play(arguments, slots, trace):
    command = [arguments.program, "evaluate", arguments.checkpoint, "--env", arguments.env, "--split", arguments.split]
    command += ["--slots", str(slots), "--trace", trace, "--json"]
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    output, errors = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    whole = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(errors)
    used = usage.ru_utime + usage.ru_stime
    seconds = float(re.search(r"episodes in ([0-9.]+) s", errors).group(1))
    return {"seconds": seconds, "whole": whole, "processor": used, "peak": usage.ru_maxrss / 1024, "result": json.loads(output)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("checkpoint")
    parser.add_argument("--env", default="alfworld")
    parser.add_argument("--split", default="valid_seen")
    parser.add_argument("--slots", type=int, default=140)
    parser.add_argument("--turns", type=int, default=5)
    arguments = parser.parse_args()
    found = {arguments.slots: [], 1: []}
    differing = set()
    with tempfile.TemporaryDirectory() as directory:
        for _ in range(arguments.turns):
            said = {}
            for slots, results in found.items():
                trace = str(Path(directory) / f"{slots}.jsonl")
                results.append(play(arguments, slots, trace))
                said[slots] = replies(trace)
            many, one = said.values()
            differing |= {index for index, (a, b) in enumerate(zip(many, one, strict=True)) if a != b}
    result = found[1][0]["result"]
    calls = sum(len(episode) for episode in one)
    print(f"{result['n']} games, {100 * result['success']:.1f} % solved, {result['mean_steps']:.1f} steps, ", end="")
    print(f"{calls} replies; {arguments.turns} turns, load {os.getloadavg()[0]:.1f}")
    print("| at once | playing | whole program | processor | peak memory |")
    print("|---|---:|---:|---:|---:|")
    for slots, results in found.items():
        middle = {key: statistics.median(r[key] for r in results) for key in ("seconds", "whole", "processor", "peak")}
        print(f"| {slots} | {middle['seconds']:.2f} s | {middle['whole']:.2f} s | {middle['processor']:.2f} s | ", end="")
        print(f"{middle['peak']:.0f} MB |")
    for key, name in (("seconds", "playing"), ("processor", "processor seconds")):
        ratios = sorted(b[key] / a[key] for a, b in zip(*found.values(), strict=True))
        print(f"{name}: {statistics.median(ratios):.1f} times, {ratios[0]:.1f} to {ratios[-1]:.1f}")
    print(f"games with another reply: {len(differing)}")


if __name__ == "__main__":
    main()
