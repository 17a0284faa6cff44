"""Policies that `stepladder train` trained, on the CPU and without PyTorch.

    policy = stepladder.load_policy("runs/demo", "household")
    episodes = policy.play("test", count=100)
    print(sum(episode["won"] for episode in episodes) / len(episodes))

A policy is a function from a query to a reply, so `stepladder.play(env, policy.agent, policy)` plays an episode step by step.
"""

import json
import os
from typing import Any

from stepladder import _stepladder
from stepladder.catalogue import OptionValue, data_root, option_words
from stepladder.environment import step_limit
from stepladder.errors import UsageError

__all__ = ["TrainedPolicy", "load_policy"]


class TrainedPolicy:
    """A trained policy; `load_policy` makes one."""

    def __init__(self, policy: _stepladder.TrainedPolicy) -> None:
        """Wraps the policy of the extension module."""
        self._policy = policy

    @property
    def agent(self) -> str:
        """The agent that it was trained for, as `stepladder.Agent` takes it: `"step_hrl"`, `"flat"`, `"himac"`, with ablations."""
        return self._policy.agent

    @property
    def env(self) -> str:
        """Id of the environment."""
        return self._policy.env

    @property
    def name(self) -> str:
        """Fingerprint of its weights, its name in episodes."""
        return self._policy.name

    def __call__(self, query: dict[str, Any]) -> str:
        """Replies to a query of an agent, greedily."""
        return self.replies([query])[0]

    def replies(self, queries: list[dict[str, Any]]) -> list[str]:
        """Replies to queries in one batch, greedily; a batch is faster than one query after the other and gives the same replies."""
        return self._policy.replies([json.dumps(query) for query in queries])

    def play(
        self,
        split: str,
        *,
        count: int | None = None,
        max_steps: int | None = None,
        slots: int = 64,
        temperature: float | None = None,
        seed: int = 0,
        data: str | os.PathLike[str] | None = None,
        **options: OptionValue,
    ) -> list[dict[str, Any]]:
        """Plays tasks of a split, many at once; returns the episodes, as `stepladder.transcript` reads them from a trace.

        `count` tasks are those that `stepladder evaluate --episodes COUNT` plays; without it, all. `slots` episodes run at once. Decoding is greedy
        without a `temperature`; `seed` is that of sampled tokens. The remaining keywords are those of `stepladder.make`.

        Raises the exceptions of `stepladder.make`.
        """
        for name, value in (("count", count), ("slots", slots)):
            if value is not None and value < 1:
                raise UsageError(f"{name} is {value}; it is a whole number from 1")
        if temperature is not None and not 0.0 < temperature < float("inf"):
            raise UsageError(f"temperature is {temperature}; it is a number above 0, or None for greedy decoding")
        lines = self._policy.play(
            split,
            options=option_words(options),
            data=data_root(data),
            count=count or 0,
            max_steps=step_limit(max_steps),
            slots=slots,
            temperature=temperature,
            seed=seed,
        )
        return [json.loads(line) for line in lines]


def load_policy(
    path: str | os.PathLike[str], env: str, *, agent: str | None = None, threads: int | None = None
) -> TrainedPolicy:
    """Loads a policy from a run directory, the directory of one of its agents, or a checkpoint directory.

    `agent` names one of several agents of the run; `env` is the environment that it was trained in. `threads` is by default the number of
    processors. Plain Llamas are supported: every policy that was trained from scratch, and merged ones (`stepladder model merge`).

    Raises `DataMissing`, `DataError`, `UnknownEnvironment`.
    """
    if threads is not None and threads < 1:
        raise UsageError(f"threads is {threads}; it is a whole number from 1")
    return TrainedPolicy(_stepladder.TrainedPolicy(os.fspath(path), env, agent, threads or os.cpu_count() or 1))
