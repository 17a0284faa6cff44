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
        follow: str,
    ) -> Sessions:
        """Opens one environment per seed. `follow` says what follows an episode: `next_step`, `same_step`, `nothing`."""
    def reset(
        self, seeds: list[int | None], split: str | None, tasks: list[str | int | None]
    ) -> tuple[list[str], dict[str, Any]]:
        """Starts an episode in every environment; returns texts and columns of values."""
    def step(
        self, actions: Iterable[str]
    ) -> tuple[list[str], dict[str, Any], tuple[list[int], list[str], dict[str, Any]] | None]:
        """Plays one action in every environment.

        Returns texts, columns of values, and, of episodes that ended and were followed by the next one, positions, texts and columns.
        """
    def close(self) -> None:
        """Frees the environments."""

class Agent:
    """An agent as a state machine; a request is a pair of its kind and a query as JSON, or an action."""

    def __new__(cls, spec: str, max_steps: int) -> Agent:
        """Creates an agent for episodes of at most `max_steps` steps."""
    def start(self, text: str, task: str, context: str, family: str) -> tuple[str, str]:
        """Begins an episode."""
    def on_reply(self, reply: str) -> tuple[str, str]:
        """Takes the requested reply."""
    def on_step(
        self,
        observation: str,
        reward: float,
        won: bool,
        unknown_action: bool,
        context: str | None,
        terminated: bool,
        truncated: bool,
    ) -> tuple[str, str]:
        """Takes the environment's answer to the requested action."""
    def episode(self, env: str, split: str, task_id: str, seed: int, policy: str) -> str:
        """Takes out the episode so far, as a line of a trace."""

class Expert:
    """The rule-based policy of an environment."""

    def __new__(cls, id: str) -> Expert:
        """Returns the expert of an environment."""
    def reply(self, query: str) -> str:
        """Replies to a query in JSON."""

class TrainedPolicy:
    """A policy of a run or checkpoint directory."""

    def __new__(cls, path: str | os.PathLike[str], id: str, agent: str | None, threads: int) -> TrainedPolicy:
        """Loads a policy for an environment."""
    @property
    def agent(self) -> str:
        """Agent with its ablations."""
    @property
    def env(self) -> str:
        """Id of the environment."""
    @property
    def name(self) -> str:
        """Name in traces."""
    def replies(self, queries: list[str]) -> list[str]:
        """Replies to queries in JSON."""
    def play(
        self,
        split: str,
        *,
        options: dict[str, str],
        data: str | os.PathLike[str] | None,
        count: int,
        max_steps: int | None,
        slots: int,
        temperature: float | None,
        seed: int,
    ) -> list[str]:
        """Plays tasks; returns episodes as JSON."""

def ids() -> list[str]:
    """Lists the ids of the environments."""

def describe(id: str) -> dict[str, Any]:
    """Describes an environment."""

def tasks(id: str, split: str, *, options: dict[str, str], data: str | os.PathLike[str] | None) -> list[str]:
    """Lists the ids of the tasks of a split."""

def transcript(path: str | os.PathLike[str]) -> list[str]:
    """Reads the rows of a transcript, or the episodes of a trace, as JSON."""

def demonstrate(
    id: str,
    split: str,
    *,
    options: dict[str, str],
    data: str | os.PathLike[str] | None,
    count: int,
    agent: str,
    noise: float,
    max_steps: int | None,
    seed: int,
) -> list[str]:
    """Plays tasks with the expert; returns episodes as JSON."""
