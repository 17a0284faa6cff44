"""What there is to play: environments, splits, tasks."""

import dataclasses
import os
from collections.abc import Mapping

from stepladder import _stepladder
from stepladder.arguments import text
from stepladder.errors import UsageError

__all__ = ["Environment", "OptionValue", "envs", "describe", "tasks"]

OptionValue = str | int | bool | os.PathLike[str]
"""Value of an environment's option."""


@dataclasses.dataclass(frozen=True)
class Environment:
    """Description of an environment."""

    id: str
    """Name for `stepladder.make`."""
    version: int
    """Version of its behaviour: goes up when the same actions may lead to another episode."""
    summary: str
    """One line about it."""
    upstream: str
    """Project and version whose behaviour it reproduces."""
    data_licence: str
    """Licence of the data that it reads."""
    splits: tuple[str, ...]
    """Names of the splits; the first is the default of `stepladder.make`."""
    max_steps: int
    """Published step limit."""
    reward_range: tuple[float, float]
    """Least and largest reward of a step."""
    score_range: tuple[float, float] | None
    """Least and largest score of an episode, where the benchmark reports scores."""
    deterministic: bool
    """The episode depends on task and actions alone."""
    forkable: bool
    """An environment that was made before `os.fork` works after it."""
    options: Mapping[str, str]
    """Options that `stepladder.make` takes as keywords, with their meaning."""


def envs() -> list[Environment]:
    """Lists the environments."""
    return [describe(id) for id in _stepladder.ids()]


def describe(id: str) -> Environment:
    """Returns the description of one environment.

    Raises `UnknownEnvironment`.
    """
    described = _stepladder.describe(text("id", id))
    return Environment(**{**described, "splits": tuple(described["splits"])})


def tasks(
    id: str, split: str | None = None, *, data: str | os.PathLike[str] | None = None, **options: OptionValue
) -> list[str]:
    """Lists the ids of the tasks of a split (of the first one by default), in a fixed order.

    `data` is the data root, by default that in the environment variable `STEPLADDER_DATA`; `options` are those of the environment.
    Raises `UnknownEnvironment`, `UnknownSplit`, `UsageError`, `DataMissing`.
    """
    return _stepladder.tasks(id, split_name(id, split), options=option_words(options), data=data_root(data))


def split_name(id: str, split: str | None) -> str:
    """Returns the split: as given, or the first one of the environment."""
    first = describe(id).splits[0]
    return first if split is None else text("split", split)


def data_root(data: str | os.PathLike[str] | None) -> str | None:
    """Returns the data root: as given, or that in `STEPLADDER_DATA`."""
    if data is None:
        return os.environ.get("STEPLADDER_DATA") or None
    if not isinstance(data, (str, os.PathLike)):
        raise UsageError(f"data is {data!r}; it is the path of a directory")
    return os.fspath(data)


def option_words(options: Mapping[str, OptionValue]) -> dict[str, str]:
    """Writes the values of options as the environments read them."""
    words = {}
    for name, value in options.items():
        if isinstance(value, bool):
            words[name] = "true" if value else "false"
        elif isinstance(value, (str, int)):
            words[name] = str(value)
        elif isinstance(value, os.PathLike):
            words[name] = os.fspath(value)
        else:
            raise UsageError(f"option {name!r} is of the type {type(value).__name__}; it takes text, a number, a flag or a path")
    return words
