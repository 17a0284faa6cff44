"""Recorded episodes: transcripts and traces on disk, and demonstrations of the experts."""

import json
import os
from collections.abc import Iterable
from typing import Any

from stepladder import _stepladder
from stepladder.arguments import SEEDS, number, step_limit, text, whole
from stepladder.catalogue import OptionValue, data_root, option_words, split_name

__all__ = ["demonstrate", "steps", "transcript"]


def transcript(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Reads a `.jsonl` or `.jsonl.zst` file: the rows of a recorded transcript, or the episodes of a trace.

    An episode is a dictionary with `task`, `seed`, `agent`, `policy`, `start`, `subtasks` (their steps and replies), `won`, `score` and `end`.

    Raises `DataMissing`, `DataError`.
    """
    return [json.loads(line) for line in _stepladder.transcript(os.fspath(path))]


def demonstrate(
    id: str,
    split: str | None = None,
    *,
    count: int | None = None,
    agent: str = "step_hrl",
    noise: float = 0.0,
    max_steps: int | None = None,
    seed: int = 0,
    data: str | os.PathLike[str] | None = None,
    **options: OptionValue,
) -> list[dict[str, Any]]:
    """Plays tasks of a split with the environment's expert; returns the episodes, as `transcript` reads them from a trace.

    `count` tasks are drawn with `seed`; without it, all are played. `agent` is `"step_hrl"` (subtasks, actions, progress texts) or `"flat"`, or one of
    them with ablations (`"flat:history=4"`). `noise` is the probability per step of another action than the expert's.
    `steps` turns the episodes into flat records, which `pandas.DataFrame` and `datasets.Dataset.from_list` take.

    Raises the exceptions of `stepladder.make`, and `UsageError` where the expert does not play the agent.
    """
    lines = _stepladder.demonstrate(
        id,
        split_name(id, split),
        options=option_words(options),
        data=data_root(data),
        count=0 if count is None else whole("count", count),
        agent=text("agent", agent),
        noise=number("noise", noise),
        max_steps=step_limit(max_steps),
        seed=whole("seed", seed, 0, SEEDS),
    )
    return [json.loads(line) for line in lines]


def steps(episodes: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns one flat record per step: texts, numbers and flags only, the same keys in each.

    `observation` and `context` are what was seen before the `action`, `answer` is the observation after it. `label` is the expert's reply for that
    state (an executor's says after a semicolon whether the subtask is finished), also where noise replaced the action; `subtask` and `progress` are
    empty for a flat agent.
    """
    return [record for episode in episodes for record in _steps(episode)]


def _steps(episode: dict[str, Any]) -> Iterable[dict[str, Any]]:
    start = episode["start"]
    observation, context, progress = start["text"], start["context"], ""
    at = 0
    for subtask in episode["subtasks"]:
        progress = ""
        for step in subtask["steps"]:
            end = step.get("end")
            yield {
                "env": episode["task"]["env"],
                "split": episode["task"]["split"],
                "task_id": episode["task"]["id"],
                "seed": episode["seed"],
                "family": start["family"],
                "task": start["task"],
                "step": at,
                "subtask": subtask["text"],
                "progress": progress,
                "context": context,
                "observation": observation,
                "action": step["action"],
                "label": step.get("expert") or step["turn"]["reply"],
                "answer": step["observation"],
                "reward": step["reward"],
                "won": step["won"],
                "finished": step["finished"],
                "terminated": end == "terminated",
                "truncated": end == "truncated",
            }
            at += 1
            observation = step["observation"]
            context = step.get("context") or context
            progress = step.get("progress") or ""
