"""Plays random admissible actions in several environments at once, and prints how many episodes ended and were won.

    python examples/random_agent.py sokoban --steps 100
"""

import argparse
import random

import stepladder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("env", nargs="?", default="household", help="default household")
    parser.add_argument("--envs", type=int, default=16)
    parser.add_argument("--steps", type=int, default=100)
    arguments = parser.parse_args()
    draw = random.Random(0)
    envs = stepladder.make_vec(arguments.env, arguments.envs, admissible_actions=True, autoreset_mode="SameStep")
    _, infos = envs.reset(seed=0)
    ended = won = 0
    for _ in range(arguments.steps):
        actions = [draw.choice(admissible) for admissible in infos["admissible_actions"]]
        _, _, _, _, infos = envs.step(actions)
        ended += int(infos["_final_info"].sum()) if "_final_info" in infos else 0
        won += int(infos["final_info"]["won"].sum()) if "final_info" in infos else 0
    envs.close()
    print(f"{arguments.steps * arguments.envs} steps, {ended} episodes, {won} won")


if __name__ == "__main__":
    main()
