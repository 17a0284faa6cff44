"""The benchmark's course played with the Python package, as it comes; commanded by compare.py.

`on`: `ScienceWorldEnv.step`, which always lists the valid actions. `off`, which the package does not offer: the same calls
without that list. Gold paths are the simulator's; without equal identity hashes they may differ from run to run.
"""

import json
import sys
import time

from scienceworld import ScienceWorldEnv

COURSE = [
    "boil", "chemistry-mix", "find-animal", "grow-plant", "lifespan-longest-lived", "power-component",
    "test-conductivity", "use-thermometer",
]


def lean(env, action):
    server = env.server
    answer = server.step(action)
    return answer, env.look(), env.inventory(), server.getScore(), server.getCompleted(), server.getNumMoves()


def main():
    source = ScienceWorldEnv("", envStepLimit=10_000)
    gold = []
    for task in COURSE:
        source.load(task, 0, "", generateGoldPath=True)
        gold.append(source.get_gold_action_sequence())
    source.close()
    env = ScienceWorldEnv("", envStepLimit=10_000)
    for line in sys.stdin:
        valid = line.strip() == "on"
        steps, stepping, resetting = 0, 0.0, 0.0
        for task, path in zip(COURSE, gold):
            started = time.perf_counter()
            env.load(task, 0, "")
            lean(env, "look around")
            resetting += time.perf_counter() - started
            started = time.perf_counter()
            for action in path:
                done = env.step(action)[2] if valid else lean(env, action)[4]
                steps += 1
                if done:
                    break
            stepping += time.perf_counter() - started
        lap = {"steps": steps, "step_seconds": stepping, "resets": len(COURSE), "reset_seconds": resetting}
        print(json.dumps(lap), flush=True)


main()
