"""Gives a generated game the oddities of official games that the generator leaves out, for the fixtures.

    python3 parity/odd_game.py generated/game.tw-pddl -o odd/game.tw-pddl

* dishes with things in them: two in one dish, one in each of two dishes, and a dish in itself (20 official games)
* food outside the fridge that is cool from the start (399 official games have cool things)
* an object that is at a second location (34 official games)
* a receptacle that is open from the start (no official game)
"""

import argparse
import json
import re
from pathlib import Path


def oddities(problem):
    """The facts to add, chosen by the order of the names."""
    facts = sorted(set(re.findall(r"\((\w+) (\w+)(?: (\w+))?\)", problem)))
    first = {name: [x for p, x, _ in facts if p == name] for name in ("isReceptacleObject", "heatable", "openable")}
    homes = {o: r for p, o, r in facts if p == "inReceptacle"}
    pickable = [o for p, o, _ in facts if p == "pickupable" and o in homes]
    dishes = [o for o in first["isReceptacleObject"] if o in pickable]
    loose = [o for o in pickable if o not in dishes]
    food = [o for o in first["heatable"] if o in loose and not homes[o].startswith("Fridge")]
    locations = [l for p, _, l in facts if p == "receptacleAtLocation"]
    found = []
    if len(dishes) >= 3 and len(loose) >= 3:
        # The later name first: the original lists by name, not by fact.
        found += [("inReceptacleObject", loose[1], dishes[0]), ("inReceptacleObject", loose[0], dishes[0])]
        found += [("inReceptacleObject", dishes[0], dishes[1]), ("inReceptacleObject", dishes[1], dishes[1])]
        found += [("inReceptacleObject", dishes[2], dishes[2])]
    found += [("isCool", item) for item in food[:2]]
    for item in loose[:1] + dishes[:1]:
        own = {l for p, o, l in facts if p == "objectAtLocation" and o == item}
        found += [("objectAtLocation", item, next(l for l in locations if l not in own))]
    found += [("opened", receptacle) for receptacle in first["openable"][:1]]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("game", type=Path)
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FILE")
    arguments = parser.parse_args()
    game = json.loads(arguments.game.read_text(encoding="utf-8"))
    added = "".join(f"({' '.join(fact)})\n" for fact in oddities(game["pddl_problem"]))
    game["pddl_problem"] = game["pddl_problem"].replace("(:init\n", "(:init\n" + added, 1)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(game), encoding="utf-8")


if __name__ == "__main__":
    main()
