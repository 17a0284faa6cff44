"""Registration with Gymnasium."""

import gymnasium

from stepladder.catalogue import envs
from stepladder.environment import gymnasium_id

__all__ = ["register"]


def register() -> None:
    """Registers every environment as `stepladder/ID-vN`; a second call has no effect."""
    for environment in envs():
        name = gymnasium_id(environment.id)
        if name not in gymnasium.registry:
            gymnasium.register(
                id=name,
                entry_point="stepladder.environment:TextEnv",
                vector_entry_point="stepladder.vector:VectorTextEnv",
                kwargs={"env_id": environment.id},
            )
