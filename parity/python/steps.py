"""Steps per second from Python: this package, single and vectorised, beside the original packages, in one run.

    PYTHON parity/python/steps.py --alfworld PY --scienceworld PY --sokoban PY --games DIR --repeats 5 --out steps.json

PYTHON has the wheel; each PY is the interpreter of a virtual environment with the original (parity/setup.sh, parity/scienceworld/README.md).
An original without interpreter is left out. All play the same policy: a uniformly random one of the listed admissible actions (Sokoban: of the
four moves), reset every 50 steps or at the end; the time includes policy, lists and resets, but not opening. Repeats go round robin, so that load that
comes and goes meets all alike; every measurement is in the JSON beside its median. Only an idle machine gives numbers worth quoting; the load is printed.
"""

import argparse
import json
import os
import pathlib
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

EPISODE = 50
MOVES = ["up", "down", "left", "right"]


def timed(play: Iterator[int], seconds: float) -> dict[str, Any]:
    """Counts the steps that a player makes in a time, after one episode for warming up."""
    next(play)
    steps, begin = 0, time.perf_counter()
    while (passed := time.perf_counter() - begin) < seconds:
        steps += next(play)
    return {"steps": steps, "seconds": passed, "steps_per_second": steps / passed}


def ours(id: str, listed: bool) -> Iterator[int]:
    """Plays episodes with one environment."""
    import stepladder

    draw = random.Random(0)
    env = stepladder.make(id, admissible_actions=listed)
    seed = 0
    while True:
        _, info = env.reset(seed=seed)
        seed += 1
        for step in range(1, EPISODE + 1):
            _, _, terminated, truncated, info = env.step(draw.choice(info["admissible_actions"] if listed else MOVES))
            if terminated or truncated:
                break
        yield step


def ours_together(id: str, listed: bool, count: int) -> Iterator[int]:
    """Plays batches of steps with a vector environment."""
    import stepladder

    draw = random.Random(0)
    envs = stepladder.make_vec(id, count, admissible_actions=listed, autoreset_mode="SameStep", max_steps=EPISODE)
    _, infos = envs.reset(seed=0)
    while True:
        for _ in range(EPISODE):
            actions = [draw.choice(actions or ["look"]) for actions in infos["admissible_actions"]] if listed else draw.choices(MOVES, k=count)
            *_, infos = envs.step(actions)
        yield EPISODE * count


def alfworld(games: str) -> Iterator[int]:
    """Plays official games with the original."""
    sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
    import original

    draw = random.Random(0)
    paths = sorted(pathlib.Path(games).rglob("game.tw-pddl"))[:6]
    opened = [original.Original(path) for path in paths]
    at = 0
    while True:
        engine = opened[at % len(opened)]
        at += 1
        engine.reset()
        for _ in range(EPISODE):
            engine.step(draw.choice(engine.admissible))
        yield EPISODE


def scienceworld() -> Iterator[int]:
    """Plays the package's own tasks."""
    from scienceworld import ScienceWorldEnv

    draw = random.Random(0)
    env = ScienceWorldEnv("", envStepLimit=EPISODE)
    names = env.get_task_names()
    at = 0
    while True:
        env.load(names[at % len(names)], 0, "")
        at += 1
        _, info = env.reset()
        for step in range(1, EPISODE + 1):
            _, _, done, info = env.step(draw.choice(info["valid"]))
            if done:
                break
        yield step


def sokoban() -> Iterator[int]:
    """Plays boards of 6 x 6 with one box; observations are one-pixel pictures, the package's smallest."""
    import gym
    import gym_sokoban  # noqa: F401
    from gym_sokoban.envs.sokoban_env import SokobanEnv

    assert gym
    random.seed(0)
    env = SokobanEnv(dim_room=(6, 6), max_steps=EPISODE, num_boxes=1)
    while True:
        env.reset()
        for step in range(1, EPISODE + 1):
            _, _, done, _ = env.step(random.randrange(1, 5), observation_mode="tiny_rgb_array")
            if done:
                break
        yield step


def worker(arguments: argparse.Namespace) -> None:
    """Measures one player in this process and prints JSON."""
    kind, _, id = arguments.worker.partition(":")
    listed = id != "sokoban"
    players: dict[str, Callable[[], Iterator[int]]] = {
        "single": lambda: ours(id, listed),
        "vector": lambda: ours_together(id, listed, arguments.envs),
        "alfworld": lambda: alfworld(arguments.games),
        "scienceworld": scienceworld,
        "sokoban": sokoban,
    }
    print(json.dumps(timed(players[kind](), arguments.seconds)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ["alfworld", "scienceworld", "sokoban"]:
        parser.add_argument(f"--{name}", metavar="PY", help=f"interpreter with the original {name}")
    parser.add_argument("--games", metavar="DIR", help="folder with official ALFWorld games, for the original")
    parser.add_argument("--families", nargs="+", default=["household", "alfworld", "sokoban", "scienceworld"], metavar="ID")
    parser.add_argument("--envs", type=int, default=256, help="environments of a vector (default 256)")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="per measurement (default 5)")
    parser.add_argument("--out", metavar="FILE", type=pathlib.Path)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(arguments)
        return
    runs = [(f"{kind}:{id}", sys.executable) for id in arguments.families for kind in ["single", "vector"]]
    for name in ["alfworld", "scienceworld", "sokoban"]:
        if interpreter := getattr(arguments, name):
            runs.append((name, interpreter))
    if arguments.alfworld and not arguments.games:
        parser.error("--alfworld needs --games")
    load = os.getloadavg()[0]
    measured: dict[str, list[dict[str, Any]]] = {name: [] for name, _ in runs}
    for repeat in range(arguments.repeats):
        for name, interpreter in runs:
            command = [interpreter, __file__, "--worker", name, "--seconds", str(arguments.seconds), "--envs", str(arguments.envs)]
            if arguments.games:
                command += ["--games", arguments.games]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                raise SystemExit(f"{name}: {done.stderr.strip()}")
            measured[name].append(json.loads(done.stdout.splitlines()[-1]))
            print(f"{repeat + 1}/{arguments.repeats} {name}: {measured[name][-1]['steps_per_second']:,.0f} steps/s", file=sys.stderr)
    medians = {name: statistics.median(one["steps_per_second"] for one in found) for name, found in measured.items() if found}
    ratios = {
        f"{kind}:{id}": medians[f"{kind}:{id}"] / medians[id]
        for id in arguments.families
        for kind in ["single", "vector"]
        if id in medians
    }
    result = {
        "command": sys.argv,
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count(), "load_at_start": load},
        "seconds": arguments.seconds,
        "envs": arguments.envs,
        "median_steps_per_second": medians,
        "ratio_to_the_original": ratios,
        "measurements": measured,
    }
    text = json.dumps(result, indent=2)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
