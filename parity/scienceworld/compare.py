"""Steps and resets per second of the simulator called directly, through our bridge, and through the Python package.

    cargo build --release -p stepladder-scienceworld --example speed
    python3 parity/scienceworld/compare.py --data ROOT [--rounds 15] [--package VENV/bin/python]

All programs run from beginning to end of the comparison and play the same course of gold paths, one lap each in turn while
the others wait; who begins a round alternates. A ratio is that of two neighbouring laps, so that what else the machine does
weighs on both. Printed: the median ratio and its quartiles, with processor time as well as with the clock: the former
depends less on others. `two worlds over one` is the gain by a second world in a second JVM, `direct twice over once` that
by a second process that calls the simulator directly: what the machine gives. An interrupt ends it with what was measured
so far.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
FLAGS = [  # those of crates/stepladder-scienceworld/src/java.rs
    "-Xmx768m", "-XX:+UnlockExperimentalVMOptions", "-XX:hashCode=2", "-XX:+UseSerialGC",
    "-XX:+ExitOnOutOfMemoryError", "-XX:+DisplayVMOutputToStderr", "-XX:-UsePerfData", "-Xshare:auto",
]


class Program:
    def __init__(self, name, command, cwd=None):
        self.name = name
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=-1, stdout=-1, stderr=subprocess.DEVNULL, text=True, cwd=cwd
        )

    def lap(self, kind):
        self.begin(kind)
        return self.end()

    def begin(self, kind):
        self.before = self.processor_seconds()
        self.process.stdin.write(kind + "\n")
        self.process.stdin.flush()

    def end(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} ended with code {self.process.wait()}")
        lap = json.loads(line)
        lap["processor"] = self.processor_seconds() - self.before
        lap["rate"] = lap["steps"] / lap["step_seconds"]
        lap["all"] = lap["steps"] / (lap["step_seconds"] + lap["reset_seconds"])
        return lap

    def processor_seconds(self):
        """Of the program and its children, compilation and collection in JVMs included."""
        total = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if self.process.pid in (int(stat.parent.name), int(fields[1])):
                total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")


class Twice:
    """Two programs, each of which plays every lap."""

    def __init__(self, programs):
        self.programs = programs

    def lap(self, _kind):
        started = time.perf_counter()
        for program in self.programs:
            program.begin("off")
        laps = [program.end() for program in self.programs]
        seconds = time.perf_counter() - started
        total = {key: sum(lap[key] for lap in laps) for key in ("steps", "processor")}
        return {**total, "rate": total["steps"] / seconds}


def quartiles(values):
    if len(values) < 2:
        return f"{values[0]:.3f}"
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{middle:.3f} [{low:.3f}, {high:.3f}]"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--version", default="1.2.3")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--warm-up", type=int, default=10)
    parser.add_argument("--speed", type=Path, default=HERE.parents[1] / "target/release/examples/speed")
    parser.add_argument("--package", type=Path, help="python of an environment with requirements.txt")
    options = parser.parse_args()
    simulator = options.data.resolve() / "scienceworld" / options.version
    work = Path(tempfile.mkdtemp())
    subprocess.run(
        ["javac", "-cp", simulator / "scienceworld.jar", "-d", work, HERE / "Direct.java"], check=True
    )
    shutil.copy(simulator / "object_type_ids.tsv", work)
    java = ["java", *FLAGS, "-cp", f"{work}:{simulator / 'scienceworld.jar'}", "Direct"]
    programs = [
        Program("direct", java, work),
        Program("ours", [options.speed.resolve(), options.data.resolve(), options.version]),
    ]
    if options.package:
        programs.append(Program("package", [options.package, HERE / "package.py"]))
    direct, ours = programs[:2]
    twice = Twice([direct, Program("direct", java, work)])
    for _ in range(options.warm_up):
        checks = {program.lap("off").get("checksum") for program in programs}
        # The second JVMs are to be as warm as the first ones.
        ours.lap("two")
        twice.lap("two")
    for _ in range(max(1, options.warm_up // 4)):
        for program in programs:
            program.lap("on")
    if len(checks - {None}) != 1:
        sys.exit(f"the programs did not play the same episodes: {checks}")

    rates, ratios, resets = {}, {}, {}
    done = 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for number in range(options.rounds):
            play_round(programs, twice, number, rates, ratios, resets)
            done += 1
            print(f"round {done} of {options.rounds}, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    except KeyboardInterrupt:
        # What was measured so far counts.
        pass

    print(f"{done} rounds, {os.cpu_count()} cores, load {os.getloadavg()[1]:.1f}; median [quartiles]")
    for (name, kind), values in rates.items():
        print(f"{name:8} valid actions {kind:3}: {quartiles(values)} steps/s")
    for name, values in resets.items():
        print(f"{name:8} resets: {quartiles(values)} /s")
    over = {"two worlds": " over one", "direct twice": " over once", "two of ours over two direct": ""}
    for (name, kind, clock), values in ratios.items():
        print(f"{name}{over.get(name, ' over direct')}, valid actions {kind}, by {clock}: {quartiles(values)}")
    for program in [*programs, twice.programs[1]]:
        program.process.kill()
        program.process.wait()
    shutil.rmtree(work)


def play_round(programs, twice, number, rates, ratios, resets):
    ours = programs[1]
    turn = programs if number % 2 == 0 else programs[::-1]
    for kind in ["off", "on"]:
        laps = {program.name: program.lap(kind) for program in turn}
        for name, lap in laps.items():
            rates.setdefault((name, kind), []).append(lap["rate"])
            resets.setdefault(name, []).append(lap["resets"] / lap["reset_seconds"])
            if name != "direct":
                reference = laps["direct"]
                ratios.setdefault((name, kind, "clock"), []).append(lap["rate"] / reference["rate"])
                per_step = [lap["processor"] / lap["steps"] for lap in (reference, lap)]
                ratios.setdefault((name, kind, "processor"), []).append(per_step[0] / per_step[1])
    # The same work once and twice at once, loading included.
    pairs = {"two worlds": (programs[1], programs[1]), "direct twice": (programs[0], twice)}
    at_once = {}
    for name, (one, two) in list(pairs.items())[:: 1 if number % 2 == 0 else -1]:
        runs = [("off", one), ("two", two)]
        laps = {kind: program.lap(kind) for kind, program in runs[:: 1 if number % 4 < 2 else -1]}
        at_once[name] = laps["two"]["rate"]
        ratios.setdefault((name, "off", "clock"), []).append(laps["two"]["rate"] / laps["off"]["all"])
        per_step = [laps[kind]["processor"] / laps[kind]["steps"] for kind in ("off", "two")]
        ratios.setdefault((name, "off", "processor"), []).append(per_step[0] / per_step[1])
    ratio = at_once["two worlds"] / at_once["direct twice"]
    ratios.setdefault(("two of ours over two direct", "off", "clock"), []).append(ratio)


main()
