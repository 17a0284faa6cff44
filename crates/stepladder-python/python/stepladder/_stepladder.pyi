"""Compiled part of the package. Use the names of `stepladder`."""

import os
from collections.abc import Iterable
from typing import Any

class Session:
    """One environment that plays episodes on demand."""

    def __new__(
        cls,
        id: str,
        split: str,
        *,
        options: dict[str, str],
        data: str | os.PathLike[str] | None,
        max_steps: int | None,
        seed: int,
        admissible_actions: bool,
    ) -> Session:
        """Opens an environment. `seed` names the stream from which episodes without a seed draw theirs."""
    def reset(self, seed: int | None, split: str | None, task: str | int | None) -> tuple[str, dict[str, Any]]:
        """Starts an episode; returns its first text and info."""
    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Plays an action; returns observation, reward, terminated, truncated and info."""
    def admissible_actions(self) -> list[str]:
        """Lists the admissible actions."""
    def solution(self) -> list[str] | None:
        """Returns actions that solve the task from its start, where it has them."""
    def close(self) -> None:
        """Frees the environment."""
    @property
    def closed(self) -> bool:
        """Whether it was closed."""

class Sessions:
    """Several environments of one kind, stepped on threads."""

    def __new__(
        cls,
        id: str,
        split: str,
        *,
        options: dict[str, str],
        data: str | os.PathLike[str] | None,
        max_steps: int | None,
        seeds: list[int],
        tasks: list[str | int | None],
        admissible_actions: bool,
        same_step: bool,
    ) -> Sessions:
        """Opens one environment per seed."""
    def reset(
        self, seeds: list[int | None], split: str | None, tasks: list[str | int | None]
    ) -> tuple[list[str], dict[str, Any]]:
        """Starts an episode in every environment; returns texts and columns of values."""
    def step(self, actions: Iterable[str]) -> tuple[list[str], dict[str, Any], list[tuple[int, str, dict[str, Any]]]]:
        """Plays one action in every environment; returns texts, columns of values, and the last steps of episodes that ended."""
    def close(self) -> None:
        """Frees the environments."""

def ids() -> list[str]:
    """Lists the ids of the environments."""

def describe(id: str) -> dict[str, Any]:
    """Describes an environment."""

def tasks(id: str, split: str, *, options: dict[str, str], data: str | os.PathLike[str] | None) -> list[str]:
    """Lists the ids of the tasks of a split."""
