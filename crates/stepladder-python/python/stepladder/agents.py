"""Agents as state machines, driven by a policy: a function from a query to a reply.

    env = stepladder.make("household", "dev")
    episode = stepladder.play(env, "flat", lambda query: "look")

An agent consumes events (the start of an episode, a reply, a step) and answers with a request: `Reply` to a query, `Act` in the
environment, or `Finished`. The queries are the only prompts there are; a policy renders them as it likes.
"""

import dataclasses
import json
from collections.abc import Callable
from typing import Any, SupportsFloat

import gymnasium

from stepladder import _stepladder
from stepladder.arguments import text, whole
from stepladder.errors import InvalidAction

__all__ = ["Act", "Agent", "Finished", "Policy", "Reply", "Want", "expert", "play"]

Policy = Callable[[dict[str, Any]], str]
"""A function from a query, a dictionary whose `role` says what is asked, to the reply."""


@dataclasses.dataclass(frozen=True)
class Reply:
    """The agent requests a reply to a query."""

    query: dict[str, Any]
    """`role` (`planner`, `executor`, `progress`, `flat`, `macro`, `micro`) and the contents of the prompt of that role."""


@dataclasses.dataclass(frozen=True)
class Act:
    """The agent requests an action in the environment."""

    action: str
    """The action."""


@dataclasses.dataclass(frozen=True)
class Finished:
    """The agent requests nothing: the episode is over."""


Want = Reply | Act | Finished
"""Request of an agent."""


class Agent:
    """An agent in an episode.

    `spec` is its kind with ablations: `"flat"`, `"flat:history=4"`, `"step_hrl"`, `"step_hrl:planner=false"`, `"himac"`. Events that the agent
    does not wait for raise `UsageError`.
    """

    def __init__(self, spec: str, *, max_steps: int = 50) -> None:
        """Creates an agent for episodes of at most `max_steps` steps."""
        self.spec = spec
        self._agent = _stepladder.Agent(text("agent", spec), whole("max_steps", max_steps, most=2**32 - 1))
        self._info: dict[str, Any] = {}

    def start(self, observation: str, info: dict[str, Any]) -> Want:
        """Begins an episode with what `reset` returned."""
        want = self._agent.start(observation, info["task"], info["context"], info["family"])
        self._info = info
        return _want(want)

    def on_reply(self, reply: str) -> Want:
        """Takes the requested reply."""
        if not isinstance(reply, str):
            raise InvalidAction(f"a reply is a text (str), not {type(reply).__name__}")
        return _want(self._agent.on_reply(reply))

    def on_step(self, observation: str, reward: SupportsFloat, terminated: bool, truncated: bool, info: dict[str, Any]) -> Want:
        """Takes what `step` returned for the requested action."""
        # Before `start`, the agent refuses the step.
        changed = info["context"] != self._info.get("context")
        want = self._agent.on_step(
            observation,
            float(reward),
            info["won"],
            info["unknown_action"],
            info["context"] if changed else None,
            bool(terminated),
            bool(truncated),
        )
        self._info = info
        return _want(want)

    def episode(self, *, env: str = "", policy: str = "python") -> dict[str, Any]:
        """Takes out the episode so far, in the form that `transcript` reads from a trace."""
        info = self._info
        text = self._agent.episode(env, info.get("split", ""), info.get("task_id", ""), info.get("seed", 0), policy)
        episode: dict[str, Any] = json.loads(text)
        return episode


def play(
    env: gymnasium.Env[str, str],
    agent: str | Agent,
    policy: Policy,
    *,
    seed: int | None = None,
    options: dict[str, Any] | None = None,
    name: str = "python",
) -> dict[str, Any]:
    """Plays an episode: `policy` replies to the queries of the agent, whose actions are played in the environment.

    `seed` and `options` are those of `reset`; `name` names the policy in the episode that is returned (`transcript` describes its form).
    """
    observation, info = env.reset(seed=seed, options=options)
    player = Agent(agent, max_steps=info["max_steps"]) if isinstance(agent, str) else agent
    want = player.start(observation, info)
    while not isinstance(want, Finished):
        want = player.on_reply(policy(want.query)) if isinstance(want, Reply) else player.on_step(*env.step(want.action))
    id = getattr(env.unwrapped, "id", "")
    return player.episode(env=id, policy=name)


def expert(id: str) -> Policy:
    """Returns the rule-based policy of an environment.

    It raises `UsageError` for roles that it does not play.
    """
    rules = _stepladder.Expert(text("id", id))
    return lambda query: rules.reply(json.dumps(query))


def _want(requested: tuple[str, str]) -> Want:
    kind, content = requested
    if kind == "reply":
        return Reply(json.loads(content))
    return Act(content) if kind == "act" else Finished()
