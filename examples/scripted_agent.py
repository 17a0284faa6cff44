"""Plays ALFWorld's games by a rule: searches the receptacles for the object, carries it to its place, and puts it there.

    python examples/scripted_agent.py --env alfworld --split valid_seen --games 20     (with the official games)
    python examples/scripted_agent.py                                                  (with generated ones)

It solves tasks of the form "put some mug in cabinet" only, and ends with an error if it solves fewer than half of them.
"""

import argparse
import re

import stepladder


def solve(env: stepladder.TextEnv, info: dict) -> bool:
    """Plays one episode; returns whether the task was solved."""
    wanted, place = re.fullmatch(r"put (?:a|an|some) (\w+) (?:in|on|in/on) (\w+)\.", info["task"]).groups()
    receptacles = [action.removeprefix("go to ") for action in info["admissible_actions"] if action.startswith("go to ")]
    # The object is not needed where it is to go, so those receptacles are searched last.
    held = None
    for receptacle in sorted(receptacles, key=lambda name: name.startswith(f"{place} ")):
        for action in [f"go to {receptacle}", f"open {receptacle}"]:
            if action in info["admissible_actions"]:
                *_, done, cut, info = env.step(action)
                if done or cut:
                    return info["won"]
        taken = [action for action in info["admissible_actions"] if action.startswith(f"take {wanted} ")]
        if taken and not receptacle.startswith(f"{place} "):
            held = taken[0].removeprefix("take ").split(" from ")[0]
            *_, done, cut, info = env.step(taken[0])
            break
    for receptacle in receptacles if held else []:
        if receptacle.startswith(f"{place} ") and not (done or cut):
            for action in [f"go to {receptacle}", f"open {receptacle}", f"move {held} to {receptacle}"]:
                if action in info["admissible_actions"]:
                    *_, done, cut, info = env.step(action)
                    if done or cut:
                        return info["won"]
    return info["won"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="household", choices=["household", "alfworld"])
    parser.add_argument("--split")
    parser.add_argument("--games", type=int, default=20)
    arguments = parser.parse_args()
    env = stepladder.make(arguments.env, arguments.split, admissible_actions=True)
    played = won = task = 0
    while played < arguments.games:
        _, info = env.reset(seed=0, options={"task": task})
        task += 1
        if info["family"] == "pick_and_place_simple" and re.match(r"put (a|an|some) ", info["task"]):
            played += 1
            won += solve(env, info)
    print(f"{won} of {played} games won")
    assert won >= played / 2


if __name__ == "__main__":
    main()
