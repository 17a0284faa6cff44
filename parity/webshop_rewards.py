"""Rewards of the original WebShop, for the example webshop_parity of stepladder-webshop.

    VENV/bin/python parity/webshop_rewards.py --webshop CHECKOUT --data DIR --count 20000 > rows.jsonl
    cargo run --release -p stepladder-webshop --example webshop_parity -- rewards rows.jsonl DIR

CHECKOUT is a copy of https://github.com/princeton-nlp/WebShop, of which `web_agent_site/engine/goal.py` and `normalize.py` run as
they are. DIR has the official files of the small catalogue and the table of nouns, which stands in for spaCy. VENV has
`thefuzz==0.19.0`, and no python-Levenshtein.

Rows pair goals with products that are their own, share their search, or are any; chosen options are those of the goal, those of
the product, or none. Every second goal has its options as a list, as goals written by people have.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import pathlib
import random
import sys
import types
import warnings

warnings.simplefilter("ignore")


def original(checkout, nouns):
    """Imports goal.py with a module `spacy` that reads the table."""

    def token(text):
        return types.SimpleNamespace(text=text, pos_="NOUN")

    spacy = types.ModuleType("spacy")
    spacy.load = lambda model: lambda name: [token(text) for text in nouns[name]]
    rich = types.ModuleType("rich")
    rich.print = print
    sys.modules.update(spacy=spacy, rich=rich)
    sys.path.insert(0, str(checkout))
    from web_agent_site.engine import goal

    return goal


def options_of(row):
    contents = row["customization_options"] or {}
    values = {name.lower(): contents[name] for name in contents if contents[name]}
    return {name: [v["value"].strip().replace("/", " | ").lower() for v in all_] for name, all_ in values.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--webshop", type=pathlib.Path, required=True)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--count", type=int, default=20000)
    arguments = parser.parse_args()
    if importlib.metadata.version("thefuzz") != "0.19.0" or importlib.util.find_spec("Levenshtein"):
        sys.exit("needs thefuzz 0.19.0 without python-Levenshtein")

    def read(name):
        return json.loads((arguments.data / name).read_text(encoding="utf-8"))

    attributes = read("items_ins_v2_1000.json")
    products = {}
    for row in read("items_shuffle_1000.json"):
        bullets = row["small_description"]
        products[row["asin"]] = {
            "query": row["query"].lower().strip(),
            "product_category": row["product_category"],
            "name": row["name"],
            "Title": row["name"],
            "Description": row["full_description"],
            "BulletPoints": bullets if isinstance(bullets, list) else [bullets],
            "Attributes": attributes[row["asin"]]["attributes"],
            "options": options_of(row),
        }
    module = original(arguments.webshop, read("nouns_en_core_web_sm_3.8.0.json")["nouns"])
    goals = read("goals_synthetic_seed42.json")
    by_query = {}
    for asin, product in products.items():
        by_query.setdefault(product["query"], []).append(asin)
    draw = random.Random(1)
    for number in range(arguments.count):
        goal = dict(draw.choice(goals))
        bought = draw.choice([[goal["asin"]], by_query[goal["query"]], list(products)][draw.randrange(3)])
        product = products[bought]
        offered = {name: draw.choice(values) for name, values in product["options"].items()}
        chosen = [goal["goal_options"], offered, offered, {**offered, **goal["goal_options"]}, {}][draw.randrange(5)]
        if number % 2:
            goal["goal_options"] = list(goal["goal_options"].values())
        if draw.randrange(4) == 0:
            goal["attributes"] = goal["attributes"] + [draw.choice(draw.choice(goals)["attributes"])]
        price = draw.choice([10.0, goal["price_upper"], goal["price_upper"] + 0.01])
        reward, info = module.get_reward(product, goal, price, chosen, verbose=True)
        row = {"goal": goal["asin"], "bought": bought, "price": price, "chosen": list(chosen.values())}
        row |= {key: goal[key] for key in ("attributes", "goal_options", "price_upper")}
        print(json.dumps(row | {"reward": reward, "info": info}))


main()
