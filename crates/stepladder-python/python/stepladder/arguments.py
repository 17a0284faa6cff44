"""Checks of arguments, whose errors are this package's."""

import numbers
import operator
from typing import Any, NoReturn

from stepladder.errors import UsageError

__all__ = ["SEEDS", "number", "step_limit", "text", "uncopied", "whole"]

SEEDS = 2**64 - 1
"""Largest seed."""


def whole(name: str, value: Any, least: int = 1, most: int = 2**63 - 1) -> int:
    """Reads a whole number, numpy's too."""
    try:
        read = operator.index(value)
    except TypeError:
        read = None
    if read is None or isinstance(value, bool) or not least <= read <= most:
        bounds = "" if most == 2**63 - 1 else f" to {most}"
        raise UsageError(f"{name} is {value!r}; it is a whole number from {least}{bounds}")
    return read


def number(name: str, value: Any) -> float:
    """Reads a number."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise UsageError(f"{name} is {value!r}; it is a number")
    return float(value)


def text(name: str, value: Any) -> str:
    """Reads a text."""
    if not isinstance(value, str):
        raise UsageError(f"{name} is {value!r}; it is a text (str)")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{name} is {value!r}; half a surrogate pair is no text") from None
    return value


def step_limit(max_steps: Any) -> int | None:
    """Checks a step limit."""
    return None if max_steps is None else whole("max_steps", max_steps, most=2**32 - 1)


def uncopied(what: object) -> NoReturn:
    """Refuses to pickle or copy."""
    name = type(what).__name__
    article = "an" if name[0] in "AEIOU" else "a"
    raise UsageError(f"{article} {name} cannot be pickled or copied; make another one, in the process that uses it")
