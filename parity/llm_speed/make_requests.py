"""Writes the requests of `generation.py`: prompts of unequal length, half of each shared, with unequal budgets.

    python make_requests.py FILE [--count 64] [--shared 128] [--vocab 49152] [--seed 1]

One JSON object per line: `ids`, the token ids of the prompt, and `budget`, its number of new tokens. All prompts begin with
the same `shared` ids; the rest of a prompt has from half to one and a half times as many, so that half of all prompt tokens
are shared. Budgets are from 4 to 60: most replies are short, as actions are, and some long, as notes are.
"""

import argparse
import json
import random
from pathlib import Path

# Ids below this are control tokens of SmolLM2.
FIRST = 17


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--shared", type=int, default=128)
    parser.add_argument("--vocab", type=int, default=49152)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)

    def ids(count):
        return [draw.randrange(FIRST, arguments.vocab) for _ in range(count)]

    shared = ids(arguments.shared)
    half = arguments.shared // 2
    # In pairs whose lengths add up to twice the shared part: the total does not depend on the seed.
    lengths = []
    while len(lengths) < arguments.count:
        length = draw.randint(half, 3 * half)
        lengths += [length, 4 * half - length]
    budgets = [draw.randint(4, 20) if draw.random() < 2 / 3 else draw.randint(20, 60) for _ in range(arguments.count)]
    lines = [{"ids": shared + ids(length), "budget": budget} for length, budget in zip(lengths, budgets)]
    arguments.file.write_text("".join(json.dumps(line) + "\n" for line in lines))


if __name__ == "__main__":
    main()
