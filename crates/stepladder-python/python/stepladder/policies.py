"""Policies that `stepladder train` trained, on the CPU and without PyTorch.

    policy = stepladder.load_policy("runs/demo", "household")
    episodes = policy.play("test", count=100)
    print(sum(episode["won"] for episode in episodes) / len(episodes))

A policy is a function from a query to a reply, so `stepladder.play(env, policy.agent, policy)` plays an episode step by step.
"""

import json
import os
from typing import Any, NoReturn

from stepladder import _stepladder
from stepladder.arguments import SEEDS, number, step_limit, text, uncopied, whole
from stepladder.catalogue import OptionValue, data_root, option_words
from stepladder.errors import UsageError

__all__ = ["TrainedPolicy", "load_policy"]

MOST_THREADS = 1024
"""More threads than a machine has processors."""


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
        if temperature is not None and not 0.0 < number("temperature", temperature) < float("inf"):
            raise UsageError(f"temperature is {temperature}; it is a number above 0, or None for greedy decoding")
        lines = self._policy.play(
            text("split", split),
            options=option_words(options),
            data=data_root(data),
            count=0 if count is None else whole("count", count),
            max_steps=step_limit(max_steps),
            slots=whole("slots", slots),
            temperature=None if temperature is None else float(temperature),
            seed=whole("seed", seed, 0, SEEDS),
        )
        return [json.loads(line) for line in lines]

    def __reduce__(self) -> NoReturn:
        """Refuses to be pickled or copied, with `UsageError`: its state is outside Python."""
        uncopied(self)


def load_policy(
    path: str | os.PathLike[str], env: str, *, agent: str | None = None, threads: int | None = None
) -> TrainedPolicy:
    """Loads a policy from a run directory, the directory of one of its agents, or a checkpoint directory.

    `agent` names one of several agents of the run; `env` is the environment that it was trained in. `threads` is by default the number of
    processors. Plain Llamas are supported: every policy that was trained from scratch, and merged ones (`stepladder model merge`).

    Raises `DataMissing`, `DataError`, `UnknownEnvironment`.
    """
    threads = (os.cpu_count() or 1) if threads is None else whole("threads", threads, most=MOST_THREADS)
    agent = None if agent is None else text("agent", agent)
    return TrainedPolicy(_stepladder.TrainedPolicy(os.fspath(path), text("env", env), agent, threads))
