"""Similarities of thefuzz 0.19.0 on difflib, for crates/stepladder-webshop/tests/fuzzy.rs.

    VENV/bin/python parity/webshop_fuzzy.py > crates/stepladder-webshop/tests/fuzzy.json
    VENV/bin/python parity/webshop_fuzzy.py --data DIR --count 20000 > pairs.jsonl
    cargo run --release -p stepladder-webshop --example webshop_parity -- ratios pairs.jsonl

VENV has `thefuzz==0.19.0`, and neither python-Levenshtein nor another version: they compute other numbers. The first form writes
scores of texts that the test draws again, by the same draws from Python's generator. The second form takes pairs of attributes,
options and names from the official files in DIR, with their scores.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import pathlib
import random
import sys
import warnings
from difflib import SequenceMatcher

warnings.simplefilter("ignore")
from thefuzz import fuzz

WORDS = (
    "large x-large xx-large small medium red dark-red wine navy blue 8x10\" men's women's 5'6\" pack of 12 oz inch 28\" | a b c "
    "aa ab bb easy install easily installed long lasting machine wash stainless steel ★new★ café naïve ÆØ é 黒色 ΣΑΣ İstanbul "
    "zero\u200bwidth a\\b tab\tnew\nline non\u00a0breaking _under_ 10.5 (wide) #3 &amp; Ⓐ ² ½ ½inch"
).split(" ")
LETTERS = "aabcde x"


def phrase(draw):
    below = draw._randbelow
    long = below(16) == 0
    count = 25 + below(40) if long else 1 + below(7)
    words = []
    for _ in range(count):
        word = WORDS[below(len(WORDS))]
        if below(4) == 0 or long:
            place = below(len(word) + 1)
            word = word[:place] + LETTERS[below(len(LETTERS))] + word[place:]
        words.append(word)
    return words


def pair(draw):
    below = draw._randbelow
    one = phrase(draw)
    other = phrase(draw)
    if below(2) == 0:
        other = one[below(len(one)) :] + other[: below(3)]
    left, right = " ".join(one), " ".join(other)
    if below(3) == 0:
        right = str((WORDS[below(len(WORDS))], right))
    return left, right


def letters(draw):
    size = draw._randbelow(300)
    kinds = 2 + draw._randbelow(len(LETTERS) - 2)
    return "".join(LETTERS[draw._randbelow(kinds)] for _ in range(size))


def golden():
    draw = random.Random(19)
    scores = [fuzz.token_set_ratio(*pair(draw)) for _ in range(3000)]
    blocks = []
    for _ in range(300):
        matcher = SequenceMatcher(None, letters(draw), letters(draw))
        blocks.append(sum(block.size for block in matcher.get_matching_blocks()))
    return {"source": "thefuzz 0.19.0, CPython " + sys.version.split()[0], "scores": scores, "matches": blocks}


def official(directory, count):
    def read(name):
        return json.loads((directory / name).read_text(encoding="utf-8"))

    products = read("items_shuffle_1000.json")
    attributes = [text for entry in read("items_ins_v2_1000.json").values() for text in entry["attributes"]]
    options = []
    for product in products:
        for name, contents in (product["customization_options"] or {}).items():
            for content in contents or []:
                options.append((name.lower(), content["value"].strip().replace("/", " | ").lower()))
    names = [product["name"] for product in products]
    draw = random.Random(1)
    for number in range(count):
        kind = number % 4
        if kind == 0:
            one, other = draw.choice(attributes), draw.choice(attributes)
        elif kind == 1:
            one, other = draw.choice(options)[1], str(draw.choice(options))
        elif kind == 2:
            index = draw.randrange(len(options))
            near = options[max(0, index - 3) : index + 4]
            one, other = options[index][1], str(draw.choice(near))
        else:
            one, other = draw.choice(names), draw.choice(names)
        yield one, other


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=20000)
    arguments = parser.parse_args()
    if importlib.metadata.version("thefuzz") != "0.19.0" or importlib.util.find_spec("Levenshtein"):
        sys.exit("needs thefuzz 0.19.0 without python-Levenshtein")
    if arguments.data is None:
        json.dump(golden(), sys.stdout)
        print()
        return
    for one, other in official(arguments.data, arguments.count):
        print(json.dumps([one, other, fuzz.token_set_ratio(one, other)]))


main()
