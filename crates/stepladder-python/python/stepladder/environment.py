"""One environment, for Gymnasium."""

import copy
import os
from collections.abc import Mapping
from typing import Any, NoReturn

import gymnasium

from stepladder import _stepladder
from stepladder.arguments import SEEDS, step_limit, text, uncopied, whole
from stepladder.catalogue import OptionValue, data_root, describe, option_words, split_name
from stepladder.errors import Closed, StepBeforeReset, UsageError
from stepladder.spaces import Text

__all__ = ["TextEnv", "make"]


class TextEnv(gymnasium.Env[str, str]):
    """A text environment: observations and actions are texts.

    The dictionary `info` of `reset` and `step` holds

    * `context`: what is visible beside the observation (ALFWorld: the room; ScienceWorld: room and inventory),
    * `task`: the task sentence; `family`: the type of the task,
    * `task_id`, `split`, `seed`: they lead to the same episode again,
    * `steps`, `max_steps`, `score`, `won`: steps played, step limit, score so far, whether the task is solved,
    * `unknown_action`: the environment did not understand the action,
    * `admissible_actions`: the actions that it accepts now, if they were asked for.

    `terminated` says that the environment ended the episode, `truncated` that the step limit did.
    """

    metadata = {"render_modes": ["ansi"], "render_fps": 4}

    def __init__(
        self,
        env_id: str,
        split: str | None = None,
        *,
        task: str | int | None = None,
        max_steps: int | None = None,
        data: str | os.PathLike[str] | None = None,
        admissible_actions: bool = False,
        render_mode: str | None = None,
        **options: OptionValue,
    ) -> None:
        """Opens an environment; see `stepladder.make`, whose `id` is `env_id` here."""
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise UsageError(f"render_mode is {render_mode!r}; it is None or 'ansi'")
        split = split_name(env_id, split)
        self.id = env_id
        self.render_mode = render_mode
        self.observation_space = Text()
        self.action_space = Text()
        self._task = task
        self._shown: str | None = None
        self._session = _stepladder.Session(
            env_id,
            split,
            options=option_words(options),
            data=data_root(data),
            max_steps=step_limit(max_steps),
            seed=entropy(),
            admissible_actions=bool(admissible_actions),
        )
        self._step = self._session.step

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Starts an episode.

        `seed` draws the task and seeds the environment, also in the following resets without a seed. `options` may hold `task`
        (an id or a position in the list of the split) and `split` (of this episode and the following ones).

        Raises `UnknownTask`, `UnknownSplit`, `DataMissing`, `BackendError`, `Closed`.
        """
        split, task = choices(options)
        if seed is not None:
            seed = whole("seed", seed, 0, SEEDS)
        observation, info = self._session.reset(seed, split, self._task if task is None else task)
        if seed is not None:
            super().reset(seed=seed)
        self._shown = observation
        return observation, info

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Plays an action; returns observation, reward, terminated, truncated and info.

        Raises `InvalidAction`, `StepBeforeReset`, `EpisodeOver`, `BackendError`, `Closed`.
        """
        result = self._step(action)
        self._shown = result[0]
        return result

    def admissible_actions(self) -> list[str]:
        """Lists the actions that the environment accepts now; none once the episode is over."""
        return self._session.admissible_actions()

    def solution(self) -> list[str] | None:
        """Returns actions that solve the task from its start, where it has them."""
        return self._session.solution()

    def render(self) -> str | None:
        """Returns the last observation if the render mode is `ansi`."""
        if self._session.closed:
            raise Closed(f"{self.id}: the environment is closed")
        if self.render_mode is None:
            gymnasium.logger.warn("render() without a render mode; make the environment with render_mode='ansi'")
            return None
        if self._shown is None:
            raise StepBeforeReset("render before reset")
        return self._shown

    def close(self) -> None:
        """Frees the environment; every later call but `close` raises `Closed`."""
        self._session.close()

    def __reduce__(self) -> NoReturn:
        """Refuses to be pickled or copied, with `UsageError`: its state is outside Python."""
        uncopied(self)


def make(
    id: str,
    split: str | None = None,
    *,
    task: str | int | None = None,
    max_steps: int | None = None,
    data: str | os.PathLike[str] | None = None,
    admissible_actions: bool = False,
    render_mode: str | None = None,
    **options: OptionValue,
) -> TextEnv:
    """Makes an environment.

    `id` is one of `stepladder.envs()`, `split` one of its splits (by default the first). `task` plays the same task in every
    episode; without it, each reset draws one. `max_steps` replaces the step limit of the split. `data` is the data root, by default that in
    `STEPLADDER_DATA`. With `admissible_actions`, every info lists them. Further keywords are options of the environment.

    Raises `UnknownEnvironment`, `UnknownSplit`, `UsageError`, `DataMissing`.
    """
    keywords: dict[str, Any] = {
        "split": split,
        "task": task,
        "max_steps": max_steps,
        "data": data,
        "admissible_actions": admissible_actions,
        "render_mode": render_mode,
        **options,
    }
    env = TextEnv(id, **keywords)
    spec = copy.deepcopy(gymnasium.spec(gymnasium_id(id)))
    spec.kwargs.update(keywords)
    env.spec = spec
    return env


def gymnasium_id(id: str) -> str:
    """Returns the name under which an environment is registered with Gymnasium."""
    return f"stepladder/{id}-v{describe(id).version}"


def entropy() -> int:
    """Returns the seed of an environment that is never seeded."""
    return int.from_bytes(os.urandom(8), "little")


def choices(options: dict[str, Any] | None) -> tuple[str | None, Any]:
    """Returns split and task of the options of a reset."""
    if options is None:
        return None, None
    if not isinstance(options, Mapping):
        raise UsageError(f"options are {options!r}; they are a dictionary with 'split' and 'task', or None")
    unknown = options.keys() - {"split", "task"}
    if unknown:
        raise UsageError(f"reset has no option {min(unknown, key=str)!r}; it has 'split' and 'task'")
    split = options.get("split")
    return None if split is None else text("split", split), options.get("task")
