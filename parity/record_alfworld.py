"""Records episodes of the original ALFWorld as JSON lines, one object per step; step 0 is the reset.

Fields: game, mode, step, command, observation, reward, done, won, admissible. Run it with the Python of one of the
virtual environments that setup.sh makes:

    VENV/bin/python parity/record_alfworld.py --mode random --mode corner -o out.jsonl.zst GAME...

Modes
    walkthrough        the game's own solution
    noisy_walkthrough  the solution with detours, looks and nonsense in between
    random             uniform over the admissible commands
    random_verb        uniform over the verbs, then over the commands of the verb: gets further than `random`
    corner             the scenarios of corner_alfworld.py that the game has the objects for, one episode each

Episodes go on after they are won, as the engine does. The same arguments give the same file.
"""

import argparse
import json
import random
import sys
from pathlib import Path

import zstandard

import corner_alfworld
import export_games
import original

MODES = ["walkthrough", "noisy_walkthrough", "random", "random_verb", "corner"]


class Player:
    """Plays one episode and keeps its rows."""

    def __init__(self, engine, name, mode, rng):
        self.engine, self.rng = engine, rng
        self.rows = []
        self._about = {"game": name, "mode": mode}
        self._world = None
        state = engine.reset()
        self._keep(None, state, 0, False)

    def _keep(self, command, state, reward, done):
        step = {"step": len(self.rows), "command": command, "observation": state["feedback"]}
        result = {"reward": reward, "done": bool(done), "won": bool(state["won"]), "admissible": self.admissible}
        self.rows.append(self._about | step | result)
        self._world = None

    @property
    def admissible(self):
        return self.engine.admissible

    @property
    def world(self):
        if self._world is None:
            self._world = original.World(self.engine.state)
        return self._world

    def do(self, *commands):
        for command in commands:
            reward, done = self.engine.step(command)
            self._keep(command, self.engine.state, reward, done)


def play_walkthrough(player):
    player.do(*player.engine.game["walkthrough"])


def play_noisy_walkthrough(player):
    rng = player.rng
    for command in player.engine.game["walkthrough"]:
        for _ in range(rng.choice([0, 0, 1, 2])):
            kind = rng.choice(["look", "inventory", "help", "examine", "nonsense", "detour"])
            if kind == "examine":
                player.do(*rng.sample([c for c in player.admissible if c.startswith("examine ")] or ["examine air"], 1))
            elif kind == "nonsense":
                player.do(rng.choice(["go to fridge 99", "take", "dance", "", "look around", "close your eyes"]))
            elif kind != "detour":
                player.do(kind)
            # Only a command that starts with travelling can be preceded by travelling.
            elif command.startswith("go to "):
                player.do(rng.choice([c for c in player.admissible if c.startswith("go to ")]))
                player.do(*[c for c in player.admissible if c.startswith("open ")][:1])
        player.do(command)


def play_random(player, steps):
    for _ in range(steps):
        player.do(player.rng.choice(player.admissible))


def play_random_verb(player, steps):
    for _ in range(steps):
        verbs = {}
        for command in player.admissible:
            verbs.setdefault(command.split(" ")[0], []).append(command)
        player.do(player.rng.choice(verbs[player.rng.choice(sorted(verbs))]))


def record(path, name, modes, steps, seed):
    """The rows of all episodes of one game."""
    engine = original.Original(path)
    rows = []
    for mode in modes:
        plays = {
            "walkthrough": {mode: play_walkthrough},
            "noisy_walkthrough": {mode: play_noisy_walkthrough},
            "random": {mode: lambda player: play_random(player, steps)},
            "random_verb": {mode: lambda player: play_random_verb(player, steps)},
            "corner": {f"corner_{scenario}": play for scenario, play in corner_alfworld.SCENARIOS.items()},
        }[mode]
        for label, play in plays.items():
            player = Player(engine, name, label, random.Random(f"{seed}/{name}/{label}"))
            try:
                play(player)
            except corner_alfworld.NotApplicable:
                continue
            rows.extend(player.rows)
    engine.close()
    return rows


def write_rows(path, rows):
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8")
    if path.suffix == ".zst":
        text = zstandard.ZstdCompressor(level=19).compress(text)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text)


def describe(arguments, names, rows):
    """What a reader of the fixture has to know (meta.json)."""
    return {
        "exporter": "parity/record_alfworld.py",
        "versions": original.versions(),
        "dialect": original.DIALECT,
        "ported": arguments.port is not None,
        "modes": arguments.mode,
        "steps": arguments.steps,
        "seed": arguments.seed,
        "games": names,
        "rows": len(rows),
        "tolerance": "none: texts, order of admissible commands, rewards and ends are equal byte for byte, "
        "because both engines are deterministic",
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("games", nargs="+", metavar="GAME")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FILE", help=".jsonl or .jsonl.zst")
    parser.add_argument("--mode", action="append", choices=MODES, help="may be given several times")
    parser.add_argument("--steps", type=int, default=30, help="length of a random episode (default 30)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--root", metavar="DIR", help="games are named by their path below this directory")
    parser.add_argument(
        "--port",
        metavar="DIR",
        type=Path,
        help="give the games the rules of the installed package, write them to DIR and play those: "
        "for alfworld 0.3.4 and for generated games",
    )
    parser.add_argument("--meta", type=Path, metavar="FILE", help="also write a meta.json beside a fixture")
    arguments = parser.parse_args()
    arguments.mode = arguments.mode or ["walkthrough"]
    rows, names = [], []
    for path in arguments.games:
        name = export_games.relative_name(path, arguments.root)
        if name in names:
            raise original.GameError(f"{path}: two games are called {name}; name a --root above both")
        if arguments.port is not None:
            export_games.export(path, arguments.port / name, port=True)
            path = arguments.port / name
        names.append(name)
        rows.extend(record(path, name, arguments.mode, arguments.steps, arguments.seed))
        print(f"{name}: {len(rows)} rows", file=sys.stderr, flush=True)
        # Written after every game: a long recording that is interrupted keeps what it has.
        write_rows(arguments.output, rows)
    if arguments.meta is not None:
        text = json.dumps(describe(arguments, names, rows), indent=2, ensure_ascii=False)
        arguments.meta.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except original.GameError as error:
        sys.exit(f"error: {error}")
