"""Text environments for language-model agents: ALFWorld, ScienceWorld, Sokoban and WebShop, exact and fast.

    import stepladder
    env = stepladder.make("household", "train", admissible_actions=True)
    observation, info = env.reset(seed=0)
    observation, reward, terminated, truncated, info = env.step(info["admissible_actions"][0])

Importing the package registers the environments with Gymnasium: `gymnasium.make("stepladder/household-v1")`.
"""

from stepladder import errors, spaces
from stepladder.agents import Act, Agent, Finished, Policy, Reply, Want, expert, play
from stepladder.catalogue import Environment, describe, envs, tasks
from stepladder.environment import TextEnv, make
from stepladder.episodes import demonstrate, steps, transcript
from stepladder.errors import *  # noqa: F403
from stepladder.policies import TrainedPolicy, load_policy
from stepladder.registration import register
from stepladder.vector import VectorTextEnv, make_vec

__all__ = [
    "Act",
    "Agent",
    "Environment",
    "Finished",
    "Policy",
    "Reply",
    "TextEnv",
    "TrainedPolicy",
    "VectorTextEnv",
    "Want",
    "demonstrate",
    "describe",
    "envs",
    "errors",
    "expert",
    "load_policy",
    "make",
    "make_vec",
    "play",
    "spaces",
    "steps",
    "tasks",
    "transcript",
    *errors.__all__,
]

register()
