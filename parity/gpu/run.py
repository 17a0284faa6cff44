"""Runs the GPU measurements of a folder that `cargo xtask gpu` prepared: see docs/gpu.md. Standard library only.

    python3 run.py [--from N] [--to N] [--limit SECONDS] [--device cuda|cpu] [--work DIR] [--out DIR]

Joins and checks the pieces once, then runs the parts in order, each as a process with its own time limit. Writes
`part-N.json` after every measurement and `summary.json` after every part. Exit code 0 if all parts that ran are ok, 1 if
not, 2 for wrong usage.
"""

import argparse
import ctypes
import hashlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Seconds of each part; docs/gpu.md explains the order.
PARTS = {
    1: ("parity", 60),
    2: ("cloning", 240),
    3: ("training", 180),
    4: ("generation", 100),
    5: ("cloning, second seed", 240),
}
# A part other than the first is not started with less than this.
LEAST = 15
# Between the request to end and the kill.
GRACE = 3


def fail(message, code=1):
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)


def write(path, value):
    """Writes JSON under another name first, so that a file is always whole."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(value, indent=1) + "\n")
    partial.replace(path)


class Pieces:
    """The concatenated pieces as one stream. Each is checked before any of its bytes is read."""

    def __init__(self, folder, pieces):
        self.folder, self.left, self.file = folder, list(pieces), None

    def next(self):
        piece = self.left.pop(0)
        path = self.folder / piece["name"]
        again = "copy it again from the folder that `cargo xtask gpu` wrote"
        if not path.is_file():
            fail(f"{path} is missing: {again}")
        data = path.read_bytes()
        if len(data) != piece["bytes"] or hashlib.sha256(data).hexdigest() != piece["sha256"]:
            fail(f"{path} is damaged (size or checksum differs from pieces.json): {again}")
        self.file = memoryview(data)

    def read(self, count):
        while not self.file:
            if not self.left:
                return b""
            self.next()
        part, self.file = self.file[:count], self.file[count:]
        return bytes(part)


def unpack(work):
    """Joins the pieces and unpacks them into `work`, unless that was done before."""
    manifest = json.loads((HERE / "pieces.json").read_text())
    mark = work / "pieces.json"
    if mark.is_file() and json.loads(mark.read_text()) == manifest:
        return manifest
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    with tarfile.open(fileobj=Pieces(HERE / "pieces", manifest["pieces"]), mode="r|gz") as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(work)
    # Last: a folder without it is not whole.
    write(mark, manifest)
    return manifest


def torch():
    """Returns version and library folders of this Python's torch, which is not imported; None without one."""
    spec = importlib.util.find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        return None
    home = Path(list(spec.submodule_search_locations)[0])
    version = home / "version.py"
    found = re.search(r"__version__ = '([^']+)'", version.read_text()) if version.is_file() else None
    folders = [home / "lib", *sorted(home.parent.glob("nvidia/*/lib"))]
    return (found.group(1) if found else "unknown", [str(folder) for folder in folders if folder.is_dir()])


def gpu():
    """Returns the name of the first NVIDIA GPU; None without one."""
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None
    handle, name = ctypes.c_void_p(), ctypes.create_string_buffer(96)
    if nvml.nvmlInit_v2() or nvml.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(handle)):
        return None
    nvml.nvmlDeviceGetName(handle, name, len(name))
    return name.value.decode()


def environment(work, device):
    """Returns the variables of all parts, and what is known of torch and GPU."""
    env = dict(os.environ, OMP_WAIT_POLICY="passive", GOMP_SPINCOUNT="0", PYTHONUNBUFFERED="1")
    env.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", STEPLADDER_DATA=str(work / "data"))
    found = torch()
    named = gpu() if device == "cuda" else None
    if device == "cuda":
        if named is None:
            fail("no NVIDIA GPU was found on this machine; `--device cpu` runs all parts without one")
        if found is None:
            fail(f"{sys.executable} has no torch, whose libraries the programs need: install torch 2.11 with CUDA")
    if found and found[0].startswith("2.11."):
        before = env.get("LD_LIBRARY_PATH")
        env["LD_LIBRARY_PATH"] = ":".join(found[1] + ([before] if before else []))
    elif device == "cuda":
        fail(f"torch is {found[0]}, but the programs were built for torch 2.11: install torch 2.11 with CUDA")
    return env, {"torch": found and found[0], "gpu": named}


def run_part(number, settings, limit, env, log):
    """Runs a part and returns its final report."""
    name = PARTS[number][0]
    path = Path(settings["out"]) / f"part-{number}.json"
    path.unlink(missing_ok=True)
    settings = dict(settings, part=number, report=str(path), seconds=limit)
    command = [sys.executable, str(Path(settings["work"]) / "python/parts.py"), json.dumps(settings)]
    start = time.monotonic()
    with open(log, "ab") as output:
        output.write(f"==> part {number}, {name}\n".encode())
        output.flush()
        process = subprocess.Popen(command, env=env, stdout=output, stderr=output, start_new_session=True)
        try:
            code = process.wait(limit)
            state = "ok" if code == 0 else "failed"
        except subprocess.TimeoutExpired:
            state = "timed out"
        # The whole group, also after the end of the part: no program that it started may run on.
        for number_of_signal, seconds in ((signal.SIGTERM, GRACE), (signal.SIGKILL, GRACE)):
            try:
                os.killpg(process.pid, number_of_signal)
            except ProcessLookupError:
                break
            until = time.monotonic() + seconds
            while time.monotonic() < until and process.poll() is None:
                time.sleep(0.05)
        process.wait()
    measured = json.loads(path.read_text()) if path.is_file() else {"measurements": {}}
    report = {"part": number, "name": name, "state": state, "seconds": round(time.monotonic() - start, 2), "limit": limit}
    report.update(measured)
    if state == "failed" and "error" not in report:
        tail = Path(log).read_bytes()[-600:].decode(errors="replace")
        report["error"] = f"it ended with exit code {process.returncode}: {tail}"
    write(path, report)
    return report


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    numbers = sorted(PARTS)
    parser.add_argument("--from", dest="first", type=int, default=1, choices=numbers, help="first part")
    parser.add_argument("--to", dest="last", type=int, default=numbers[-1], choices=numbers, help="last part")
    parser.add_argument("--limit", type=float, default=480, help="seconds for all parts together (480)")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--work", type=Path, default=HERE / "work", help="folder for the unpacked inputs (work)")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder for the results (results)")
    arguments = parser.parse_args()
    if arguments.last < arguments.first:
        fail("--to is before --from", 2)
    start = time.monotonic()
    work, out = arguments.work.resolve(), arguments.out.resolve()
    manifest = unpack(work)
    env, machine = environment(work, arguments.device)
    out.mkdir(parents=True, exist_ok=True)
    log = out / "log.txt"
    log.unlink(missing_ok=True)
    summary = {
        "device": arguments.device,
        **machine,
        "python": sys.version.split()[0],
        "commit": manifest["commit"],
        "tiny": manifest["tiny"],
        "parts": [],
    }
    settings = {"work": str(work), "out": str(out), "device": arguments.device, "tiny": manifest["tiny"]}
    for number in numbers:
        name, own = PARTS[number]
        if not arguments.first <= number <= arguments.last:
            summary["parts"].append({"part": number, "name": name, "state": "skipped"})
            continue
        left = arguments.limit - (time.monotonic() - start)
        if number > arguments.first and left < LEAST:
            report = {"part": number, "name": name, "state": "no time left"}
        else:
            report = run_part(number, settings, round(min(own, left), 1), env, log)
        summary["parts"].append(report)
        summary["seconds"] = round(time.monotonic() - start, 2)
        write(out / "summary.json", summary)
        reason = f": {report['error']}" if "error" in report else ""
        print(f"part {number}, {name}: {report['state']}, {report.get('seconds', 0)} s{reason}", flush=True)
    write(out / "summary.json", summary)
    print(f"results are in {out}")
    sys.exit(any(part["state"] in ("failed", "timed out") for part in summary["parts"]))


if __name__ == "__main__":
    main()
