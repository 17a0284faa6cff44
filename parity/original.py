"""The original ALFWorld, as installed in the virtual environment that runs this file.

Everything that the other scripts know about the original's interface stands here: how it is imported, started and
stepped, where its rules lie, and how its facts read.
"""

import importlib.metadata
import json
import os
import platform
import re
import sys
import types
from collections import defaultdict
from pathlib import Path

# The package creates this directory when it is imported; it holds nothing that is needed here.
os.environ.setdefault("ALFWORLD_DATA", os.path.join(sys.prefix, "alfworld-data"))

import alfworld.agents  # noqa: E402
import textworld  # noqa: E402

VERSION = importlib.metadata.version("alfworld")
# What the command that puts an object down looks like is the visible difference between the versions.
DIALECT = "alfworld-0.3" if VERSION.startswith("0.3.") else "alfworld-0.4"
PUT_TEMPLATE = {"alfworld-0.3": "put {} in/on {}", "alfworld-0.4": "move {} to {}"}
TASK_PREFIX = "Your task is to: "
TASK_PLACEHOLDER = "UNKNOWN GOAL"


def _import_text_environment():
    """`alfred_tw_env` without its package's `__init__`, which in 0.3.4 imports the 3D simulator, torch and OpenCV."""
    name = "alfworld.agents.environment"
    package = types.ModuleType(name)
    package.__path__ = [str(Path(alfworld.agents.__file__).parent / "environment")]
    sys.modules.setdefault(name, package)
    from alfworld.agents.environment import alfred_tw_env

    return alfred_tw_env


_text_environment = _import_text_environment()


class GameError(Exception):
    """A game file that cannot be played; the text is meant for the user."""


def versions():
    """Versions of everything that decides what the original says."""
    packages = ["alfworld", "textworld", "fast-downward-textworld", "TatSu"]
    found = {name: importlib.metadata.version(name) for name in packages}
    found["python"] = platform.python_version()
    return found


def read_game(path):
    try:
        game = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise GameError(f"{path}: not a readable game file: {error}") from error
    if not isinstance(game, dict) or "pddl_problem" not in game:
        raise GameError(f"{path}: not a game file: it has no `pddl_problem`")
    return game


def write_game(path, game):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(game), encoding="utf-8")


def task_of(game, path):
    """The task sentence of a game, from its `task` key or, in official games, from its grammar."""
    if game.get("task"):
        return game["task"]
    match = re.search(re.escape(TASK_PREFIX) + r'(.*?)"', game.get("grammar", ""))
    if match is None or TASK_PLACEHOLDER in match[1]:
        raise GameError(f"{path}: no task sentence, neither as `task` nor in the grammar")
    return match[1]


def with_installed_rules(game, path):
    """The game with domain and grammar of the installed package; objects, goal, task and walkthrough stay.

    The walkthrough's putting commands are reworded for the installed dialect.
    """
    domain = Path(alfworld.ALFRED_PDDL_PATH).read_text(encoding="utf-8")
    grammar = Path(alfworld.ALFRED_TWL2_PATH).read_text(encoding="utf-8")
    # The placeholder is followed by a full stop of its own.
    task = json.dumps(task_of(game, path).removesuffix("."))[1:-1]
    return {
        **game,
        "pddl_domain": domain,
        "grammar": grammar.replace(TASK_PLACEHOLDER, task),
        "walkthrough": [reworded(command) for command in game.get("walkthrough") or []],
    }


def reworded(command):
    """A putting command of either dialect in the installed one; any other command as it is."""
    match = re.fullmatch(r"(?:move (?P<a>.+) to|put (?P<b>.+) in/on) (?P<r>.+)", command)
    return put_command(match["a"] or match["b"], match["r"]) if match else command


def put_command(item, receptacle):
    return PUT_TEMPLATE[DIALECT].format(item, receptacle)


def dialect_of_rules(game):
    """Which dialect a game's own grammar speaks."""
    return "alfworld-0.3" if "put {o} in/on {r}" in game.get("grammar", "") else "alfworld-0.4"


class Original:
    """One game in the original engine, without the gym wrapper and so without a step limit."""

    def __init__(self, path):
        self.game = read_game(path)
        if not self.game.get("pddl_domain") or not self.game.get("grammar"):
            raise GameError(f"{path}: the game has no rules; fill them in with export_games.py or play it with --port")
        if dialect_of_rules(self.game) != DIALECT:
            raise GameError(f"{path}: these are not the rules of alfworld {VERSION}; use --port")
        infos = textworld.EnvInfos(won=True, admissible_commands=True)
        wrappers = [_text_environment.AlfredDemangler(), _text_environment.AlfredInfos]
        self._env = textworld.start(str(path), infos, wrappers=wrappers)
        self.state = None

    def reset(self):
        self.state = self._env.reset()
        return self.state

    def step(self, command):
        """(reward, done); what is seen stands in `state`."""
        self.state, reward, done = self._env.step(command)
        return reward, done

    @property
    def admissible(self):
        return list(self.state["admissible_commands"])

    def close(self):
        self._env.close()


class World:
    """What is true now, in names as the player reads them."""

    def __init__(self, state):
        names = {key: info.name.strip() for key, info in state["_entity_infos"].items()}
        self._facts = defaultdict(set)
        for fact in state["_facts"]:
            self._facts[fact.name].add(tuple(names[argument.name] for argument in fact.arguments))

    def all(self, predicate):
        """Argument tuples of a predicate, in a fixed order."""
        return sorted(self._facts[predicate], key=_natural)

    def each(self, predicate):
        """Arguments of a one-place predicate."""
        return [arguments[0] for arguments in self.all(predicate)]

    def holds(self, predicate, *arguments):
        return arguments in self._facts[predicate]

    @property
    def here(self):
        return self.all("atlocation")[0][1]

    @property
    def held(self):
        holding = self.all("holds")
        return holding[0][1] if holding else None

    def location(self, receptacle):
        return next(l for r, l in self.all("receptacleatlocation") if r == receptacle)

    def receptacles(self, kind=None, location=None):
        """Receptacles of a type (`Fridge`) and at a location, where given."""
        found = [r for r, l in self.all("receptacleatlocation") if location in (None, l)]
        if kind is None:
            return found
        return [r for r in found if self.holds("receptacletype", r, f"{kind.lower()}type")]

    def homes(self, item):
        """The receptacles an object is in; official games have objects in several."""
        return [r for o, r in self.all("inreceptacle") if o == item]

    def reachable(self, predicate=None):
        """Objects that can be picked up from some receptacle, and for which a one-place predicate holds."""
        inside = {o for o, _ in self.all("inreceptacle")}
        pickable = [o for o in self.each("pickupable") if o in inside]
        return [o for o in pickable if predicate is None or self.holds(predicate, o)]

    def kind(self, item):
        """The type of an object, lower case, for example `apple`."""
        return next((t.removesuffix("type") for o, t in self.all("objecttype") if o == item), "")

    def fits(self, item, receptacle):
        """Whether the receptacle's type may hold the object's type."""
        otypes = [t for o, t in self.all("objecttype") if o == item]
        rtypes = [t for r, t in self.all("receptacletype") if r == receptacle]
        return any(self.holds("cancontain", r, o) for r in rtypes for o in otypes)

    def shut(self, receptacle):
        return self.holds("openable", receptacle) and not self.holds("opened", receptacle)


def _natural(arguments):
    return [[int(part) if part.isdigit() else part for part in re.split(r"(\d+)", a)] for a in arguments]
