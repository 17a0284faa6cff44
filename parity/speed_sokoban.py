"""Steps and boards per second of gym-sokoban 0.0.6 and of `stepladder env bench sokoban`, measured in one run.

    VENV/bin/python parity/speed_sokoban.py --stepladder target/release/stepladder

The original plays uniformly random pushes on boards of 6 x 6 with one box, at most 15 steps each, in three ways: as it is
(a step draws 96 x 96 pixels), with its one-pixel cells, and with drawing left out altogether, which it does not offer.
Resets of episodes are not counted for the original, whose reset generates a board: that is measured by itself. Stepladder
runs its own bench before, between and after these; the median counts and all are printed, because a busy machine spreads
them widely. The original's steps per second of processor time depend less on that.
"""

import argparse
import contextlib
import io
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path


def measure_original(seconds, seed, between):
    warnings.simplefilter("ignore")
    with contextlib.redirect_stderr(io.StringIO()):
        import numpy
        from gym_sokoban.envs.sokoban_env import SokobanEnv

    class Undrawn(SokobanEnv):
        def render(self, *_, **__):
            return None

    random.seed(seed)
    numpy.random.seed(seed)
    warnings.simplefilter("error", RuntimeWarning)
    settings = {"dim_room": (6, 6), "max_steps": 15, "num_boxes": 1}
    result = {"policy": "uniform random push, at most 15 steps, resets not counted"}
    ways = [("rgb", SokobanEnv, "rgb_array"), ("tiny", SokobanEnv, "tiny_rgb_array"), ("undrawn", Undrawn, "tiny_rgb_array")]
    for name, environment, mode in ways:
        with contextlib.redirect_stdout(io.StringIO()):
            env = environment(**settings)
            stepping, steps, resetting, resets, processor = 0.0, 0, 0.0, 0, 0.0
            while stepping + resetting < seconds:
                begin = time.perf_counter()
                env.reset(render_mode=mode)
                begun, working = time.perf_counter(), time.process_time()
                done = False
                while not done:
                    done = env.step(random.randint(1, 4), observation_mode=mode)[2]
                    steps += 1
                resetting, resets = resetting + begun - begin, resets + 1
                stepping += time.perf_counter() - begun
                processor += time.process_time() - working
        result[f"{name}_steps_per_second"] = steps / stepping
        result[f"{name}_steps_per_processor_second"] = steps / processor
        result[f"{name}_boards_per_second"] = resets / resetting
        between()
    return result


def measure_stepladder(binary, arguments):
    command = [binary, "env", "bench", "sokoban", "--json", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        sys.exit(f"error: cannot run {binary}: {error}")
    if done.returncode != 0:
        sys.exit(f"error: `{' '.join(command)}` failed with {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def machine():
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "load_at_start": os.getloadavg()[0],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stepladder", required=True, metavar="BINARY")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each way of the original (default 10)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bench-argument", action="append", default=[], metavar="ARG", help="passed on to `env bench`")
    arguments = parser.parse_args()
    about_machine = machine()
    ours = []

    def run_ours():
        ours.append(measure_stepladder(arguments.stepladder, arguments.bench_argument))

    run_ours()
    theirs = measure_original(arguments.seconds, arguments.seed, run_ours)
    rates = ["steps_per_second", "text_steps_per_second", "generated_per_second"]
    median = {rate: statistics.median(report[rate] for report in ours) for rate in rates}
    result = {
        "original": theirs,
        "stepladder": {rate: [report[rate] for report in ours] for rate in rates},
        "ratio_steps_undrawn": median["steps_per_second"] / theirs["undrawn_steps_per_second"],
        "ratio_steps_text_to_tiny": median["text_steps_per_second"] / theirs["tiny_steps_per_second"],
        "ratio_boards": median["generated_per_second"]
        / max(value for name, value in theirs.items() if name.endswith("boards_per_second")),
        "machine": about_machine,
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
