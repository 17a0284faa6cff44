"""Text environments for language-model agents: ALFWorld, ScienceWorld and Sokoban, exact and fast.

    import stepladder
    env = stepladder.make("household", "train", admissible_actions=True)
    observation, info = env.reset(seed=0)
    observation, reward, terminated, truncated, info = env.step(info["admissible_actions"][0])

Importing the package registers the environments with Gymnasium: `gymnasium.make("stepladder/household-v1")`.
"""

from stepladder import errors, spaces
from stepladder.catalogue import Environment, describe, envs, tasks
from stepladder.environment import TextEnv, make
from stepladder.errors import *  # noqa: F403
from stepladder.registration import register
from stepladder.vector import VectorTextEnv, make_vec

__all__ = [
    "Environment",
    "TextEnv",
    "VectorTextEnv",
    "describe",
    "envs",
    "errors",
    "make",
    "make_vec",
    "spaces",
    "tasks",
    *errors.__all__,
]

register()
