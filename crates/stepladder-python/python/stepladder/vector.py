"""Several environments at once, for Gymnasium."""

import copy
import os
from collections.abc import Sequence
from typing import Any, NoReturn

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from stepladder import _stepladder
from stepladder.arguments import SEEDS, step_limit, uncopied, whole
from stepladder.catalogue import OptionValue, data_root, option_words, split_name
from stepladder.environment import choices, entropy, gymnasium_id
from stepladder.errors import UsageError
from stepladder.spaces import Text

__all__ = ["VectorTextEnv", "make_vec"]

_NUMBERS: dict[str, type[np.generic]] = {
    "seed": np.uint64,
    "steps": np.int64,
    "max_steps": np.int64,
    "score": np.float64,
    "reward": np.float64,
    "won": np.bool_,
    "unknown_action": np.bool_,
    "terminated": np.bool_,
    "truncated": np.bool_,
}


class VectorTextEnv(VectorEnv[tuple[str, ...], Sequence[str], NDArray[Any]]):
    """Several text environments of one kind, stepped on threads outside Python's global lock.

    Observations are a tuple of texts; `infos` holds one array per key of `TextEnv`'s info, with the mask that Gymnasium wants. An episode that
    ends is followed by the next one: in the next step (`AutoresetMode.NEXT_STEP`, whose action is ignored), or in the same step
    (`AutoresetMode.SAME_STEP`; `infos["final_obs"]` and `infos["final_info"]` then hold the last observation and info).
    """

    def __init__(
        self,
        env_id: str,
        num_envs: int = 1,
        split: str | None = None,
        *,
        task: str | int | Sequence[str | int] | None = None,
        max_steps: int | None = None,
        data: str | os.PathLike[str] | None = None,
        admissible_actions: bool = False,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
        **options: OptionValue,
    ) -> None:
        """Opens the environments; see `stepladder.make_vec`, whose `id` is `env_id` here."""
        num_envs = whole("num_envs", num_envs)
        if render_mode is not None:
            raise UsageError(f"render_mode is {render_mode!r}; a vector environment renders nothing")
        mode = _mode(autoreset_mode)
        self.num_envs = num_envs
        self.metadata = {"render_modes": [], "autoreset_mode": mode}
        self.single_observation_space = self.single_action_space = Text()
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._all = np.ones(num_envs, dtype=np.bool_)
        self._sessions = _stepladder.Sessions(
            env_id,
            split_name(env_id, split),
            options=option_words(options),
            data=data_root(data),
            max_steps=step_limit(max_steps),
            seeds=[entropy() for _ in range(num_envs)],
            tasks=self._each("task", task),
            admissible_actions=bool(admissible_actions),
            follow="same_step" if mode == AutoresetMode.SAME_STEP else "next_step",
        )

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | NDArray[np.integer[Any]] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Starts an episode in every environment.

        Environment i is seeded with `seed + i`, or with `seed[i]` of a list. `options` may hold `task` (one for all, or a list) and `split`.

        Raises the exceptions of `TextEnv.reset`. After one that the arguments do not explain (a task or data that are absent, a failed simulator),
        some environments may have begun their next episode: reset them again.
        """
        split, task = choices(options)
        seeds = self._each("seed", seed)
        first: int | None = None
        if seed is not None and all(each is seed for each in seeds):
            first = whole("seed", seed, 0, SEEDS)
            seeds = [first + at for at in range(self.num_envs)]
        seeds = [None if each is None else whole("seed", each, 0, SEEDS) for each in seeds]
        observations, columns = self._sessions.reset(seeds, split, self._each("task", task))
        if first is not None:
            super().reset(seed=first)
        infos, *_ = self._arrays(columns)
        return tuple(observations), infos

    def step(
        self, actions: Sequence[str]
    ) -> tuple[tuple[str, ...], NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Plays one action in every environment; returns observations, rewards, terminations, truncations and infos.

        Raises the exceptions of `TextEnv.step`. After one, reset the environments.
        """
        observations, columns, finals = self._sessions.step(actions)
        infos, rewards, terminations, truncations = self._arrays(columns)
        if finals is not None:
            self._add_finals(infos, *finals)
        return tuple(observations), rewards, terminations, truncations, infos

    def close_extras(self, **kwargs: Any) -> None:
        """Frees the environments."""
        self._sessions.close()

    def __reduce__(self) -> NoReturn:
        """Refuses to be pickled or copied, with `UsageError`: its state is outside Python."""
        uncopied(self)

    def _each(self, what: str, values: Any) -> list[Any]:
        """Returns one value per environment."""
        try:
            each = [values] * self.num_envs if isinstance(values, (str, bytes)) else list(values)
        except TypeError:  # not a list: one for all
            return [values] * self.num_envs
        if len(each) != self.num_envs:
            raise UsageError(f"{len(each)} values of {what} for {self.num_envs} environments")
        return each

    def _arrays(self, columns: dict[str, Any]) -> tuple[dict[str, Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Returns infos, rewards, terminations and truncations."""
        arrays = _columns(columns)
        step = [arrays.pop(key) for key in ("reward", "terminated", "truncated")]
        infos = {}
        for key, values in arrays.items():
            infos[key] = values
            infos[f"_{key}"] = self._all.copy()
        return infos, step[0], step[1], step[2]

    def _add_finals(self, infos: dict[str, Any], at: list[int], texts: list[str], columns: dict[str, Any]) -> None:
        """Adds the last observations and infos of the episodes that ended, in the environments `at`."""
        mask = np.zeros(self.num_envs, dtype=np.bool_)
        mask[at] = True
        observations = np.full(self.num_envs, None, dtype=object)
        observations[at] = texts
        final: dict[str, Any] = {}
        for key, values in _columns(columns).items():
            if key not in ("reward", "terminated", "truncated"):
                spread = np.full(self.num_envs, None, dtype=object) if values.dtype == object else np.zeros(self.num_envs, dtype=values.dtype)
                spread[at] = values
                final[key] = spread
                final[f"_{key}"] = mask.copy()
        infos.update(final_obs=observations, _final_obs=mask.copy(), final_info=final, _final_info=mask)


def _columns(columns: dict[str, Any]) -> dict[str, NDArray[Any]]:
    """Returns columns of values as arrays."""
    return {
        key: np.frombuffer(values, dtype=_NUMBERS[key])
        if key in _NUMBERS
        else np.fromiter(values, dtype=object, count=len(values))
        for key, values in columns.items()
    }


def make_vec(
    id: str,
    num_envs: int = 1,
    split: str | None = None,
    *,
    task: str | int | Sequence[str | int] | None = None,
    max_steps: int | None = None,
    data: str | os.PathLike[str] | None = None,
    admissible_actions: bool = False,
    autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    **options: OptionValue,
) -> VectorTextEnv:
    """Makes several environments that are stepped together.

    `autoreset_mode` is one of Gymnasium's modes, or its value as text (`"NextStep"`, `"SameStep"`); `task` is one for all environments or a list.
    The other arguments are those of `stepladder.make`. The number of threads is that of the cores, or `RAYON_NUM_THREADS`.

    Raises the exceptions of `stepladder.make`.
    """
    keywords: dict[str, Any] = {
        "split": split,
        "task": task,
        "max_steps": max_steps,
        "data": data,
        "admissible_actions": admissible_actions,
        "autoreset_mode": autoreset_mode,
        **options,
    }
    num_envs = whole("num_envs", num_envs)
    env = VectorTextEnv(id, num_envs, **keywords)
    spec = copy.deepcopy(gymnasium.spec(gymnasium_id(id)))
    spec.kwargs.update(keywords, num_envs=num_envs)
    env.spec = spec
    return env


def _mode(mode: AutoresetMode | str) -> AutoresetMode:
    """Reads the autoreset mode."""
    known = [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP]
    for entry in known:
        if mode in (entry, entry.value):
            return entry
    raise UsageError(f"autoreset_mode is {mode!r}; it is one of {', '.join(repr(entry.value) for entry in known)}")
