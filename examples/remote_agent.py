"""A scripted agent that plays an environment on another machine, with nothing installed but OpenEnv.

    stepladder env serve household --split dev
    python examples/remote_agent.py http://127.0.0.1:8000 10

It goes through the places of the room and opens and takes what it finds, one admissible action after the other, never the
same one twice. A server with a token reads it from STEPLADDER_TOKEN here, too.
"""

import os
import sys

from openenv.core import GenericEnvClient

VERBS = ("take", "open", "go", "move", "put", "heat", "cool", "clean", "use")


def choose(actions: list[str], played: set[str]) -> str:
    """Returns the first action of the most useful verb that was not played yet."""
    new = [action for action in actions if action not in played] or actions
    rank = {verb: place for place, verb in enumerate(VERBS)}
    return min(new, key=lambda action: rank.get(action.split()[0], len(VERBS)))


def main(url: str, episodes: int) -> None:
    token = os.environ.get("STEPLADDER_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else None
    won = steps = 0
    with GenericEnvClient(base_url=url, headers=headers).sync() as env:
        for seed in range(episodes):
            result = env.reset(seed=seed, admissible=True)
            print(result.observation["task"])
            played: set[str] = set()
            while not result.done:
                action = choose(result.observation["admissible_actions"], played)
                played.add(action)
                result = env.step({"action": action})
            won += result.observation["won"]
            steps += result.observation["steps"]
    print(f"{episodes} episodes, {won} won, {steps} steps")
    if steps == 0:
        sys.exit("the agent did not play")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000", int(sys.argv[2]) if len(sys.argv) > 2 else 3)
