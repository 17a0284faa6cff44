"""Steps and resets per second of the simulator called directly, through our bridge, and through the Python package.

    cargo build --release -p stepladder-scienceworld --example speed
    python3 parity/scienceworld/compare.py --data ROOT [--rounds 15] [--package VENV/bin/python]

All programs run from beginning to end of the comparison and play the same course of gold paths, one lap each in turn while
the others wait; who begins a round alternates. A ratio is that of two neighbouring laps, so that what else the machine does
weighs on both. Printed: the median ratio and its quartiles, with processor time as well as with the clock: the former
depends less on others. An interrupt ends it with what was measured so far.
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
        before = self.processor_seconds()
        self.process.stdin.write(kind + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} ended with code {self.process.wait()}")
        lap = json.loads(line)
        lap["processor"] = self.processor_seconds() - before
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
    for _ in range(options.warm_up):
        checks = {program.lap("off").get("checksum") for program in programs}
    for _ in range(max(1, options.warm_up // 4)):
        for program in programs:
            program.lap("on")
        ours.lap("two")
    if len(checks - {None}) != 1:
        sys.exit(f"the programs did not play the same episodes: {checks}")

    rates, ratios, resets = {}, {}, {}
    done = 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for number in range(options.rounds):
            play_round(programs, number, rates, ratios, resets)
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
    for (name, kind, clock), values in ratios.items():
        over = "over one" if name == "two worlds" else "over direct"
        print(f"{name} {over}, valid actions {kind}, by {clock}: {quartiles(values)}")
    for program in programs:
        program.process.kill()
        program.process.wait()
    shutil.rmtree(work)


def play_round(programs, number, rates, ratios, resets):
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
    kinds = ["off", "two"] if number % 2 == 0 else ["two", "off"]
    laps = {kind: ours.lap(kind) for kind in kinds}
    ratios.setdefault(("two worlds", "off", "clock"), []).append(laps["two"]["rate"] / laps["off"]["all"])


main()
