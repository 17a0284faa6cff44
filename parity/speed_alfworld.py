"""Steps per second of the original ALFWorld and of `stepladder env bench alfworld`, measured in one run.

    VENV/bin/python parity/speed_alfworld.py --stepladder target/release/stepladder --data DATA GAME...

The original plays uniformly random admissible commands and is reset every 50 steps; resets and the lists of admissible
commands count, loading a game does not. Stepladder runs its own bench on the same data root, once before and once after
the original, and the slower of the two counts. Only an idle machine gives a ratio worth quoting, so the load is printed
with it, and the original's steps per second of processor time, which depend less on it.
"""

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import time
from pathlib import Path

import original

EPISODE = 50


def measure_original(games, seconds, seed):
    """Rotates through the games until the time is up; only whole episodes count."""
    rng = random.Random(seed)
    loading, resetting, stepping, processor, resets, steps = 0.0, 0.0, 0.0, 0.0, 0, 0
    while True:
        for path in games:
            begin = time.perf_counter()
            engine = original.Original(path)
            loaded, worked = time.perf_counter(), time.process_time()
            engine.reset()
            reset = time.perf_counter()
            for _ in range(EPISODE):
                engine.step(rng.choice(engine.admissible))
            end = time.perf_counter()
            processor += time.process_time() - worked
            engine.close()
            loading, resetting, stepping = loading + loaded - begin, resetting + reset - loaded, stepping + end - reset
            resets, steps = resets + 1, steps + EPISODE
            if resetting + stepping >= seconds:
                return {
                    "versions": original.versions(),
                    "steps_per_second": steps / (resetting + stepping),
                    "resets_per_second": resets / resetting,
                    "bare_steps_per_second": steps / stepping,
                    "steps_per_processor_second": steps / processor,
                    "load_seconds": loading / resets,
                    "steps": steps,
                    "games": len(games),
                    "policy": f"uniform random admissible command, reset every {EPISODE} steps",
                }


def measure_stepladder(binary, data, arguments):
    command = [binary, "env", "bench", "alfworld", "--json", *arguments]
    environment = os.environ | ({"STEPLADDER_DATA": data} if data else {})
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
    except OSError as error:
        raise original.GameError(f"cannot run {binary}: {error}") from error
    if done.returncode != 0:
        raise original.GameError(f"`{' '.join(command)}` failed with {done.returncode}: {done.stderr.strip()}")
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError as error:
        raise original.GameError(f"`{' '.join(command)}` did not print JSON: {error}") from error


def machine():
    """What the numbers were measured on; they mean little without it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    load = os.getloadavg()[0]
    return {"processor": models[0] if models else platform.machine(), "cores": os.cpu_count(), "load_at_start": load}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("games", nargs="+", metavar="GAME", help="official games for the original")
    parser.add_argument("--stepladder", required=True, metavar="BINARY")
    parser.add_argument("--data", metavar="DIR", help="data root of Stepladder (default: STEPLADDER_DATA as it is)")
    parser.add_argument("--seconds", type=float, default=60.0, help="for the original (default 60)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print JSON only")
    parser.add_argument("--bench-argument", action="append", default=[], metavar="ARG", help="passed on to `env bench`")
    arguments = parser.parse_args()
    about_machine = machine()

    def run_ours():
        return measure_stepladder(arguments.stepladder, arguments.data, arguments.bench_argument)

    # The cheap side first: a missing binary or data root shows before a minute has gone.
    before = run_ours()
    theirs = measure_original(arguments.games, arguments.seconds, arguments.seed)
    ours = min(before, run_ours(), key=lambda report: report["steps_per_second"])
    result = {
        "original": theirs,
        "stepladder": ours,
        "ratio_steps": ours["steps_per_second"] / theirs["steps_per_second"],
        "ratio_resets": ours["resets_per_second"] / theirs["resets_per_second"],
        "machine": about_machine,
    }
    if arguments.json:
        print(json.dumps(result, indent=2))
        return
    print(f"{'':24}{'steps/s':>14}{'resets/s':>14}")
    print(f"{'alfworld ' + original.VERSION:24}{theirs['steps_per_second']:14.1f}{theirs['resets_per_second']:14.2f}")
    print(f"{'stepladder':24}{ours['steps_per_second']:14.1f}{ours['resets_per_second']:14.2f}")
    print(f"{'ratio':24}{result['ratio_steps']:14.0f}{result['ratio_resets']:14.0f}")
    if about_machine["load_at_start"] > 0.5:
        load = f"the load was {about_machine['load_at_start']:.1f} on {about_machine['cores']} cores"
        print(f"busy machine ({load}): the ratio says little; the original did ", end="")
        print(f"{theirs['steps_per_processor_second']:.1f} steps per second of processor time")
    print(json.dumps(result))


if __name__ == "__main__":
    try:
        main()
    except original.GameError as error:
        sys.exit(f"error: {error}")
