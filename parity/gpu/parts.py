"""The parts of the GPU script, one per process: `python3 parts.py SETTINGS`, started by `run.py`. See docs/gpu.md.

SETTINGS is JSON: part, device, tiny, seconds (the limit), work (the unpacked inputs), report (the file for measurements).
"""

import ctypes
import importlib.util
import json
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

SETTINGS = json.loads(sys.argv[1])
WORK, DEVICE, TINY = Path(SETTINGS["work"]), SETTINGS["device"], SETTINGS["tiny"]
DEADLINE = time.monotonic() + SETTINGS["seconds"]
INPUTS = json.loads((WORK / "settings.json").read_text())
MEASUREMENTS = {}
# Kept of the limit to write what was measured after a program was stopped.
RESERVE = 3
# Fraction of the limit of cloning that is for training; demonstrations and games take the rest.
TRAINING = 0.45
OURS, THEIRS = "ours", "transformers + peft"


class Failed(Exception):
    """A part's failure, as one sentence."""

    state = "failed"


class Late(Failed):
    state = "timed out"


def report(**measurements):
    """Adds measurements to the report and writes it."""
    MEASUREMENTS.update(measurements)
    save({})


def save(more):
    path = Path(SETTINGS["report"])
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps({"measurements": MEASUREMENTS, **more}, indent=1) + "\n")
    partial.replace(path)


def left():
    """Returns the seconds that a program may take."""
    return max(DEADLINE - time.monotonic() - RESERVE, 0.1)


class Memory:
    """Memory in use on the GPU, by whatever process: the same measure for both sides. Nothing else may run there."""

    def __init__(self):
        self.nvml, self.handle = None, ctypes.c_void_p()
        if DEVICE == "cuda":
            self.nvml = ctypes.CDLL("libnvidia-ml.so.1")
            self.nvml.nvmlInit_v2()
            self.nvml.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(self.handle))
        self.before = self.peak = self.used()

    def used(self):
        if self.nvml is None:
            return 0
        # total, free, used
        info = (ctypes.c_ulonglong * 3)()
        self.nvml.nvmlDeviceGetMemoryInfo(self.handle, ctypes.byref(info))
        return info[2]

    def look(self):
        self.peak = max(self.peak, self.used())

    def megabytes(self):
        return round((self.peak - self.before) / 1e6) if self.nvml else None


def run(command, most=float("inf")):
    """Runs a program for at most `most` seconds and returns what it printed, its memory and its seconds."""
    memory, start = Memory(), time.monotonic()
    until = start + min(most, left())
    output = Path(SETTINGS["report"]).with_suffix(".output")
    with open(output, "wb") as file:
        process = subprocess.Popen([str(part) for part in command], stdout=file)
    try:
        while process.poll() is None:
            memory.look()
            if time.monotonic() > until:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(RESERVE / 2)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                raise Late(f"`{Path(command[0]).name}` took longer than {until - start:.0f} s and was stopped")
            time.sleep(0.05)
        text = output.read_text()
    finally:
        output.unlink()
    sys.stdout.write(text)
    if process.returncode:
        raise Failed(f"`{Path(command[0]).name}` failed with exit code {process.returncode}; its message is in log.txt")
    return text, memory.megabytes(), round(time.monotonic() - start, 2)


def measured(command, most=float("inf")):
    """Runs a program that prints one JSON object last; adds its memory on the GPU and its seconds, loading included."""
    text, memory, seconds = run(command, most)
    return {**json.loads(text.strip().splitlines()[-1]), "gpu_peak_mb": memory, "process_seconds": seconds}


def program(name):
    return WORK / "bin" / name


def parity():
    """Compares results on the device with those of the CPU."""
    found = measured([program("device_parity"), WORK / "checkpoints", DEVICE])
    report(**found)
    wrong = [f"{each['checkpoint']} in {each['dtype']}" for each in found["checkpoints"] if not each["passed"]]
    if wrong:
        raise Failed(f"results differ from the CPU's beyond the limits: {', '.join(wrong)}")


def reference(script, arguments, most):
    """Runs a script with transformers; says so where it is not installed."""
    missing = [name for name in ("torch", "transformers", "peft") if importlib.util.find_spec(name) is None]
    if missing:
        return {"skipped": f"not installed: {', '.join(missing)}"}
    return attempt([sys.executable, WORK / "python" / script, *arguments], most)


def attempt(command, most):
    """Runs a measurement; an error becomes its result, and the others follow."""
    try:
        return measured(command, most)
    except Failed as error:
        return {"error": str(error)}


def check(results):
    """Fails if a measurement failed."""
    found = [
        f"{name}, {side}: {result['error']}"
        for name, sides in results.items()
        for side, result in sides.items()
        if isinstance(result, dict) and "error" in result
    ]
    if found:
        raise Failed("; ".join(found))


def ratio(sides, key):
    """Returns how many times as fast ours is; none where a side has no result."""
    values = [sides[side].get(key) for side in (OURS, THEIRS)]
    return round(values[0] / values[1], 3) if all(values) else None


def cloning(seed):
    """Clones SmolLM2 on ALFWorld for a part of the time and plays games of its development split."""
    folder = WORK / f"run-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    settings = {
        "seed": seed,
        "model.from": json.dumps(str(WORK / INPUTS["model"])),
        "data.games": 0,
        "eval.episodes": 140,
        "eval.slots": 140,
        "eval.transfer": "[]",
        "agents.step_hrl.batch_tokens": 8192,
        "agents.step_hrl.budget": f"{{ minutes = {TRAINING * SETTINGS['seconds'] / 60:.3f} }}",
        "log.checkpoint_seconds": 1e6,
    }
    if TINY:
        settings |= {"data.games": 4, "data.noisy_passes": 0, "env.max_steps": 5, "eval.episodes": 2}
        settings |= {"threads": 1, "log.every_seconds": 1e-9}
        settings |= {"agents.step_hrl.batch_tokens": 2048, "agents.step_hrl.budget": "{ steps = 3 }"}
    sets = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    begun = time.time()
    command = [program("stepladder"), "train", INPUTS["preset"], "--device", DEVICE, "--run-dir", folder, *sets]
    report(preset=INPUTS["preset"], seed=seed, budget=settings["agents.step_hrl.budget"])
    try:
        _, memory, _ = run(command)
        report(gpu_peak_mb=memory)
    finally:
        collect(folder, begun)
    if "evaluation" not in MEASUREMENTS:
        raise Failed(f"{folder} has no evaluation")


def collect(folder, begun):
    """Reports what a run directory holds so far."""
    agent = folder / "step_hrl"
    lines = agent / "metrics.jsonl"
    if lines.is_file():
        steps = lines.read_text().splitlines()
        last = json.loads(steps[-1]) if steps else {}
        report(last_step={key: last.get(key) for key in ("step", "loss", "epoch", "seconds", "tokens_per_second")})
    times = {"begun": begun}
    demonstrations, trained = folder / "demonstrations.sha256", agent / "trained.json"
    if demonstrations.is_file():
        times["demonstrations"] = demonstrations.stat().st_mtime
    if trained.is_file():
        values = json.loads(trained.read_text())
        report(training={key: values[key] for key in ("step", "tokens", "seconds")})
        times["training"] = trained.stat().st_mtime
    for path in agent.glob("*.json"):
        if path != trained:
            report(evaluation=json.loads(path.read_text()))
            times["evaluation"] = path.stat().st_mtime
    moments = list(times.items())
    phases = zip(moments, moments[1:])
    report(phase_seconds={name: round(end - start, 2) for (_, start), (name, end) in phases})


def training():
    """Trains adapters on models with random weights, beside transformers and peft."""
    rows, results = WORK / "rows.jsonl", {}
    warmup, steps = (1, 1) if TINY else (3, 12)
    for name in INPUTS["shapes"]:
        tokens = 1536 if TINY else 4096 if name.endswith("7b") else 8192
        shape = WORK / "shapes" / name
        settings = {"device": DEVICE, "dtype": "bf16", "tokens": tokens, "warmup": warmup, "steps": steps}
        ours = [program("cloning_speed"), "train", shape, rows, *(f"{key}={value}" for key, value in settings.items())]
        theirs = ["peft", shape, rows, "bf16", tokens, 0, DEVICE, warmup, steps]
        sides = results[name] = {"tokens_per_step": tokens}
        sides[OURS] = attempt(ours, 60)
        report(models=results)
        sides[THEIRS] = reference("cloning.py", theirs, 60)
        if "tokens" in sides[THEIRS]:
            for unit in ("rows", "tokens"):
                sides[THEIRS][f"{unit}_per_second"] = sides[THEIRS][unit] / sides[THEIRS]["seconds"]
        sides["ratio"] = ratio(sides, "tokens_per_second")
        report(models=results)
        # Batches as theirs are: rows of similar length, nothing shared.
        sides["ours, nothing shared"] = attempt([*ours, "group_rows=0"], 60)
        report(models=results)
    check(results)


def generation():
    """Writes greedy replies beside `generate`: the model that was cloned, and one with random weights."""
    requests, results = WORK / "requests.jsonl", {}
    size = ["--count", 8, "--shared", 16, "--vocab", 400] if TINY else ["--count", 64]
    run([sys.executable, WORK / "python/make_requests.py", requests, *size])
    new = sum(json.loads(line)["budget"] for line in requests.read_text().splitlines())
    for model in (INPUTS["model"], f"shapes/{INPUTS['shapes'][0]}"):
        sides = results[Path(model).name] = {"new_tokens": new}
        ours = attempt([program("generation_speed"), WORK / model, requests, 1, "bf16", 4, DEVICE], 60)
        if "seconds" in ours:
            # The first repeat also sets up.
            ours["seconds"] = statistics.median(ours["seconds"][1:])
        theirs = reference("generation.py", ["transformers", WORK / model, requests, "bf16", DEVICE], 60)
        replies = [side.pop("replies", None) for side in (ours, theirs)]
        for side in (ours, theirs):
            if "seconds" in side:
                side["new_tokens_per_second"] = new / side["seconds"]
        sides |= {OURS: ours, THEIRS: theirs}
        sides["ratio"] = ratio(sides, "new_tokens_per_second")
        if all(replies):
            sides["same_replies"] = sum(one == other for one, other in zip(*replies))
        report(models=results)
    check(results)


PARTS = {1: parity, 2: lambda: cloning(1), 3: training, 4: generation, 5: lambda: cloning(2)}


def main():
    try:
        PARTS[SETTINGS["part"]]()
    except Failed as error:
        save({"state": error.state, "error": str(error)})
        sys.exit(1)
    except Exception as error:
        save({"error": f"{type(error).__name__}: {error}"})
        raise
    save({})


if __name__ == "__main__":
    main()
