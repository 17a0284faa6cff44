"""Environments in the shape of verl-agent's environment managers.

    from stepladder.verl_agent import EnvironmentManager
    envs = EnvironmentManager("alfworld", "train", num_envs=16, group_size=8)
    observations, infos = envs.reset({})
    observations, rewards, dones, infos = envs.step(["<action>look</action>"] * 128)

Environments of a group (`group_size` neighbours) play the same task. A finished environment stays as it is until the next reset, with reward 0
and `done`. `observations` has the keys `text` (prompts with the latest steps), `image` (None) and `anchor` (the bare observations, by which GiGPO groups states).
Each info is that of `TextEnv`, with `is_action_valid`, `projected_action` and `extra.gamefile` (the task's id). Rewards are those of the
environment. verl-agent itself is not imported.
"""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from stepladder import _stepladder
from stepladder.arguments import SEEDS, step_limit, uncopied, whole
from stepladder.catalogue import OptionValue, data_root, option_words, split_name
from stepladder.environment import entropy
from stepladder.errors import InvalidAction, StepBeforeReset, UsageError

__all__ = ["EnvironmentManager", "Memory", "project", "prompt"]

Projection = Callable[[Sequence[str], Sequence[Sequence[str]]], tuple[list[str], list[bool]]]
"""A function from replies and admissible actions to actions and whether each reply was valid."""

Prompt = Callable[[dict[str, Any], str, Sequence[tuple[str, str]], Sequence[str]], str]
"""A function from info, observation, latest (observation, action) pairs and admissible actions to a prompt."""

_ACTION = re.compile(r"<action>(.*?)</action>", re.DOTALL)


def project(replies: Sequence[str], admissible: Sequence[Sequence[str]]) -> tuple[list[str], list[bool]]:
    """Takes the action out of the last `<action>` block of each reply; a reply without one is invalid and played as it is, shortened."""
    actions, valid = [], []
    for reply in replies:
        found = _ACTION.findall(reply)
        actions.append(found[-1].strip() if found else reply.strip()[-60:])
        valid.append(bool(found and found[-1].strip()))
    return actions, valid


def prompt(info: dict[str, Any], observation: str, history: Sequence[tuple[str, str]], admissible: Sequence[str]) -> str:
    """Writes a prompt: task, latest steps, observation, admissible actions, form of the reply."""
    parts = [f"Task: {info['task']}"]
    if history:
        first = max(1, info["steps"] - len(history) + 1)
        steps = [f"{first + at}. Observation: {seen}\n   Action: {action}" for at, (seen, action) in enumerate(history)]
        parts.append("Latest steps:\n" + "\n".join(steps))
    shown = observation if info["context"] in ("", observation) or info["context"] in observation else f"{observation}\n{info['context']}"
    parts.append(f"Observation: {shown}")
    parts.append("Admissible actions:\n" + "\n".join(f"- {action}" for action in admissible))
    parts.append("Think step by step inside <think> </think>. Then write one admissible action inside <action> </action>.")
    return "\n\n".join(parts)


class Memory:
    """Steps of the running episodes, in the shape of verl-agent's `SimpleMemory`."""

    def __init__(self) -> None:
        """Creates a memory without episodes."""
        self._steps: list[list[dict[str, Any]]] = []

    def __len__(self) -> int:
        """Returns the number of episodes."""
        return len(self._steps)

    def __getitem__(self, at: int) -> list[dict[str, Any]]:
        """Returns the steps of one episode, oldest first."""
        return self._steps[at]

    def reset(self, batch_size: int) -> None:
        """Forgets everything and begins `batch_size` episodes."""
        self._steps = [[] for _ in range(batch_size)]

    def store(self, record: dict[str, Sequence[Any]]) -> None:
        """Appends one step to every episode: for each key a list with one value per episode."""
        for at, steps in enumerate(self._steps):
            steps.append({key: values[at] for key, values in record.items()})

    def fetch(self, history_length: int, obs_key: str = "text_obs", action_key: str = "action") -> tuple[list[str], list[int]]:
        """Returns the latest steps of every episode as text, and how many they are."""
        texts, lengths = [], []
        for steps in self._steps:
            latest = steps[-history_length:] if history_length > 0 else []
            first = len(steps) - len(latest) + 1
            lines = [
                f"[Observation {first + at}: '{step[obs_key]}', Action {first + at}: '{step[action_key]}']"
                for at, step in enumerate(latest)
            ]
            texts.append("\n".join(lines))
            lengths.append(len(latest))
        return texts, lengths


class EnvironmentManager:
    """Environments that answer batches of replies."""

    def __init__(
        self,
        id: str,
        split: str | None = None,
        *,
        num_envs: int = 1,
        group_size: int = 1,
        history_length: int = 2,
        projection: Projection = project,
        prompt: Prompt = prompt,
        max_steps: int | None = None,
        seed: int | None = None,
        data: str | os.PathLike[str] | None = None,
        **options: OptionValue,
    ) -> None:
        """Opens `num_envs` times `group_size` environments.

        `projection` reads replies, `prompt` writes prompts with the latest `history_length` steps, `seed` draws the tasks of all episodes.
        Raises the exceptions of `stepladder.make`.
        """
        num_envs, group_size = whole("num_envs", num_envs), whole("group_size", group_size)
        self.num_processes = num_envs * group_size
        self.memory = Memory()
        self._groups, self._size = num_envs, group_size
        self._history = whole("history_length", history_length, 0)
        self._projection, self._prompt = projection, prompt
        self._draw = np.random.default_rng(entropy() if seed is None else whole("seed", seed, 0, SEEDS))
        self._seen: list[str] = []
        self._admissible: list[list[str]] = []
        self._dones = np.zeros(self.num_processes, dtype=np.bool_)
        self._sessions = _stepladder.Sessions(
            id,
            split_name(id, split),
            options=option_words(options),
            data=data_root(data),
            max_steps=step_limit(max_steps),
            seeds=[0] * self.num_processes,
            tasks=[None] * self.num_processes,
            admissible_actions=True,
            follow="nothing",
        )

    def reset(self, kwargs: Any = None) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Begins an episode in every environment; the same one within a group.

        `kwargs` may be a list with one dictionary per environment or per group, whose `task_id` and `seed` choose the episode; anything else
        is ignored.
        """
        seeds: list[Any] = [int(seed) for seed in self._draw.integers(0, 2**63, self._groups) for _ in range(self._size)]
        tasks: list[Any] = [None] * self.num_processes
        if isinstance(kwargs, (list, tuple, np.ndarray)) and len(kwargs) in (self._groups, self.num_processes):
            each = self.num_processes // len(kwargs)
            for at in range(self.num_processes):
                row = kwargs[at // each] or {}
                seeds[at] = row.get("seed", seeds[at])
                tasks[at] = row.get("task_id")
        texts, columns = self._sessions.reset(seeds, None, tasks)
        infos, _, self._dones = self._infos(columns)
        self.memory.reset(self.num_processes)
        return self._observations(texts, infos), infos

    def step(
        self, text_actions: Sequence[str]
    ) -> tuple[dict[str, Any], NDArray[np.float64], NDArray[np.bool_], list[dict[str, Any]]]:
        """Plays one reply per environment; returns observations, rewards, dones and infos."""
        if not self._seen:
            raise StepBeforeReset("step before reset")
        if not isinstance(text_actions, (list, tuple, np.ndarray)):
            raise UsageError(f"replies are a list with one text per environment, not an object of the type {type(text_actions).__name__}")
        for reply in text_actions:
            if not isinstance(reply, str):
                raise InvalidAction(f"a reply is a text (str), not {type(reply).__name__}")
        if len(text_actions) != self.num_processes:
            raise UsageError(f"{len(text_actions)} replies for {self.num_processes} environments")
        actions, valid = self._projection(text_actions, self._admissible)
        before, over = self._seen, self._dones
        texts, columns, _ = self._sessions.step(actions)
        texts = [old if done else new for new, old, done in zip(texts, before, over, strict=True)]
        infos, rewards, self._dones = self._infos(columns)
        self.memory.store({"text_obs": before, "action": actions})
        for info, action, well in zip(infos, actions, valid, strict=True):
            info["projected_action"] = action
            info["is_action_valid"] = np.array(well)
        return self._observations(texts, infos), rewards, self._dones.copy(), infos

    def success_evaluator(self, *, total_infos: Any, total_batch_list: Any, **_: Any) -> dict[str, NDArray[np.float64]]:
        """Returns the success of every episode, over all and by family: `info["won"]` of its last active step."""
        success: dict[str, list[float]] = defaultdict(list)
        for batch, infos in zip(total_batch_list, total_infos, strict=True):
            active = [info for item, info in zip(batch, infos, strict=True) if item["active_masks"]]
            if active:
                won = float(active[-1]["won"])
                success["success_rate"].append(won)
                success[f"{active[-1]['family']}_success_rate"].append(won)
        return {key: np.array(values) for key, values in success.items()}

    def build_text_obs(self, texts: Sequence[str], infos: Sequence[dict[str, Any]]) -> list[str]:
        """Writes the prompts of the current state."""
        prompts = []
        for at, (text, info) in enumerate(zip(texts, infos, strict=True)):
            latest = self.memory[at][-self._history :] if self._history > 0 else []
            pairs = [(step["text_obs"], step["action"]) for step in latest]
            prompts.append(self._prompt(info, text, pairs, self._admissible[at]))
        return prompts

    def close(self) -> None:
        """Frees the environments."""
        self._sessions.close()

    def __reduce__(self) -> NoReturn:
        """Refuses to be pickled or copied, with `UsageError`: its state is outside Python."""
        uncopied(self)

    def _observations(self, texts: Sequence[str], infos: list[dict[str, Any]]) -> dict[str, Any]:
        self._seen = list(texts)
        return {"text": self.build_text_obs(texts, infos), "image": None, "anchor": list(texts)}

    def _infos(self, columns: dict[str, Any]) -> tuple[list[dict[str, Any]], NDArray[np.float64], NDArray[np.bool_]]:
        """Returns one info per environment, rewards and dones."""
        numbers = {"seed": np.uint64, "steps": np.int64, "max_steps": np.int64, "score": np.float64, "reward": np.float64}
        values: dict[str, Any] = {}
        for key, column in columns.items():
            if isinstance(column, bytearray):
                values[key] = np.frombuffer(column, dtype=numbers.get(key, np.bool_))
            else:
                values[key] = column
        rewards, terminated, truncated = (values.pop(key) for key in ("reward", "terminated", "truncated"))
        self._admissible = values["admissible_actions"]
        lists = {key: column.tolist() if isinstance(column, np.ndarray) else column for key, column in values.items()}
        infos = [{key: column[at] for key, column in lists.items()} for at in range(self.num_processes)]
        for at, info in enumerate(infos):
            info["extra.gamefile"] = info["task_id"]
            info["terminated"], info["truncated"] = bool(terminated[at]), bool(truncated[at])
        return infos, rewards, terminated | truncated
