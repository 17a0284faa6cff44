"""A WebShop catalogue of the full size, made of the official 1,000 products: to measure loading and searching without the 5 GB of files.

    python3 parity/webshop_full_size.py STEPLADDER_DATA DIRECTORY --products 1180000
    stepladder env bench webshop --option catalogue=full --option nouns=stub --split verl-train --data DIRECTORY --json

Writes items_shuffle.json and items_ins_v2.json into DIRECTORY/webshop. Every product is a copy of an official one with an identifier of
its own and two drawn words in its name, so that names, texts, options and attributes have the official lengths, and the index has
hundreds of thousands of different words.
"""

import argparse
import json
import pathlib
import random
import string

LETTERS = string.digits + string.ascii_uppercase


def identifier(number):
    """`B0` and eight digits and letters."""
    return "B0" + "".join(LETTERS[number // 36**place % 36] for place in reversed(range(8)))


def word(rng):
    """A word of two to four syllables."""
    return "".join(rng.choice("bdfgklmnprstvz") + rng.choice("aeiou") for _ in range(rng.randint(2, 4)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=pathlib.Path, help="data root with webshop/items_shuffle_1000.json")
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--products", type=int, default=1_180_000)
    options = parser.parse_args()
    source, target = options.data / "webshop", options.directory / "webshop"
    target.mkdir(parents=True, exist_ok=True)
    products = json.loads((source / "items_shuffle_1000.json").read_text(encoding="utf-8"))
    attributes = json.loads((source / "items_ins_v2_1000.json").read_text(encoding="utf-8"))
    rng = random.Random(0)
    with (
        open(target / "items_shuffle.json", "w", encoding="utf-8") as rows,
        open(target / "items_ins_v2.json", "w", encoding="utf-8") as about,
    ):
        rows.write("[")
        about.write("{")
        for number in range(options.products):
            product = dict(products[number % len(products)])
            known = attributes.get(product["asin"], {"attributes": []})
            product["asin"] = identifier(number)
            product["name"] = f"{product['name']} {word(rng)} {word(rng)}"
            comma = ", " if number else ""
            rows.write(comma + json.dumps(product))
            about.write(f"{comma}{json.dumps(product['asin'])}: {json.dumps(known)}")
        rows.write("]")
        about.write("}")


if __name__ == "__main__":
    main()
