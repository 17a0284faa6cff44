"""Boards of the original generator, one JSON text per line, for the example `distribution` of stepladder-sokoban.

    VENV/bin/python parity/levels_sokoban.py --rows 6 --cols 6 --boxes 1 --count 2000 --seed 0 -o boards.jsonl
    python3 parity/levels_sokoban.py --transcript sokoban_verl_agent.jsonl --rows 6 --cols 6 --boxes 1 --depth 30 -o boards.jsonl

The first form runs gym-sokoban 0.0.6 (`parity/requirements/gym-sokoban-0.0.6.txt`); a failed room is drawn again, as its
environment does. The second takes the first board of every recorded episode of that size and search depth; a board that
several episodes begin with counts once.
"""

import argparse
import json
import random
import sys
import warnings

SYMBOLS = "#_O√XPS"


def grid(room_state, room_fixed):
    def symbol(state, fixed):
        return SYMBOLS[6 if state == 5 and fixed == 2 else int(state)]

    return "\n".join("".join(map(symbol, states, fixed)) for states, fixed in zip(room_state, room_fixed))


def generated(arguments):
    warnings.simplefilter("ignore")
    import numpy
    from gym_sokoban.envs.room_utils import generate_room

    warnings.simplefilter("error", RuntimeWarning)
    random.seed(arguments.seed)
    numpy.random.seed(arguments.seed)
    steps = int(1.7 * (arguments.rows + arguments.cols))
    boards = 0
    while boards < arguments.count:
        try:
            fixed, state, _ = generate_room((arguments.rows, arguments.cols), num_steps=steps, num_boxes=arguments.boxes)
        except (RuntimeError, RuntimeWarning):
            continue
        boards += 1
        yield grid(state, fixed)


def recorded(arguments):
    seen = set()
    with open(arguments.transcript, encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            wanted = ([arguments.rows, arguments.cols], arguments.boxes, arguments.depth)
            if row["step"] == 0 and (row["dim"], row["boxes"], row.get("search_depth")) == wanted:
                if row["text"] not in seen:
                    seen.add(row["text"])
                    yield row["text"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=6)
    parser.add_argument("--cols", type=int, default=6)
    parser.add_argument("--boxes", type=int, default=1)
    parser.add_argument("--count", type=int, default=2000, help="boards to generate (default 2000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--transcript", metavar="FILE", help="take recorded boards instead (.jsonl)")
    parser.add_argument("--depth", type=int, default=30, help="search depth of recorded boards (default 30)")
    parser.add_argument("-o", "--output", required=True)
    arguments = parser.parse_args()
    count = 0
    with open(arguments.output, "w", encoding="utf-8") as output:
        for board in recorded(arguments) if arguments.transcript else generated(arguments):
            output.write(json.dumps(board, ensure_ascii=False) + "\n")
            count += 1
    print(f"{count} boards in {arguments.output}", file=sys.stderr)


if __name__ == "__main__":
    main()
