"""Typed client of `stepladder env serve`, over OpenEnv's client.

    from stepladder.openenv import Client
    with Client("http://127.0.0.1:8000").sync() as env:
        result = env.reset(seed=0, admissible=True)
        while not result.done:
            result = env.step(result.observation.admissible_actions[0])

It needs the package `openenv` (0.10), which `import stepladder` does not.
"""

from collections.abc import Mapping
from typing import Any

try:
    from openenv.core.client_types import StepResult
    from openenv.core.env_client import EnvClient
    from openenv.core.env_server import types
except ImportError as error:
    raise ImportError("stepladder.openenv needs OpenEnv: pip install 'openenv>=0.10,<0.11'") from error

from stepladder.errors import InvalidAction

__all__ = ["Action", "Client", "Observation", "State"]


class Action(types.Action):
    """An action in the words of the environment."""

    action: str
    """The text, for example `go to desk 1`."""
    admissible: bool | None = None
    """Whether the observation lists the admissible actions; None: as the reset asked."""


class Observation(types.Observation):
    """Answer of the environment; `reward` and `done` as in every observation of OpenEnv."""

    text: str
    """Text of the environment."""
    context: str
    """What is visible beside the text (ALFWorld: the room; ScienceWorld: room and inventory)."""
    task: str | None
    """Sentence of the task; None after the reset."""
    score: float
    """Score so far."""
    won: bool
    """The task is solved."""
    unknown_action: bool
    """The environment did not understand the action."""
    terminated: bool
    """The environment ended the episode."""
    truncated: bool
    """The step limit ended the episode."""
    steps: int
    """Steps played."""
    admissible_actions: list[str] | None
    """The actions that the environment accepts now, if they were asked for."""


class State(types.State):
    """State of the session; None where there is no episode. `episode_id` and `step_count` as in every state of OpenEnv."""

    env: str
    """Id of the environment."""
    split: str
    """Split of the episode."""
    task_id: str | None
    """Id of the task."""
    task_index: int | None
    """Position of the task in its split, from 0."""
    family: str | None
    """Type of the task."""
    seed: int | None
    """Seed of the episode: with split and task it leads to the same episode again."""
    score: float
    """Score so far."""
    won: bool
    """The task is solved."""
    max_steps: int
    """Step limit."""


class Client(EnvClient[Action, Observation, State]):
    """Client of one session. As in OpenEnv, methods are awaited; `sync()` returns the same client for code that does not await.

    `reset` takes `seed`, `split`, `task` (id or position), `episode_id` and `admissible`.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        **rest: Any,
    ) -> None:
        """Prepares a client of the server at `base_url`. `token` is the one that the server was started with."""
        headers = dict(headers or {})
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        super().__init__(base_url, headers=headers or None, **rest)

    def _step_payload(self, action: Action | str) -> dict[str, Any]:
        if isinstance(action, str):
            action = Action(action=action)
        if not isinstance(action, Action):
            raise InvalidAction(f"an action is a text (str) or an Action, not {type(action).__name__}")
        return action.model_dump(exclude_none=True)

    def _parse_result(self, payload: dict[str, Any]) -> StepResult[Observation]:
        reward, done = payload["reward"], payload["done"]
        observation = Observation(**payload["observation"], reward=reward, done=done)
        return StepResult(observation=observation, reward=reward, done=done)

    def _parse_state(self, payload: dict[str, Any]) -> State:
        return State(**payload)
