"""Fills the rules into games that Stepladder generated, so that the original ALFWorld plays them.

A generated game has the keys of an official one, but its `pddl_domain` and `grammar` are empty, and two keys more:
`dialect` (`alfworld-0.4` or `alfworld-0.3`) and `task`, the sentence after "Your task is to: ". Run this with the
Python of the virtual environment whose rules the games shall have:

    VENV/bin/python parity/export_games.py generated/*/game.tw-pddl -o playable/
"""

import argparse
import os
import sys
from pathlib import Path

import original


def export(path, target, port=False):
    """Writes the playable form of the game at `path` to `target`; `port` allows a change of dialect."""
    game = original.read_game(path)
    dialect = game.get("dialect") or original.dialect_of_rules(game)
    if dialect != original.DIALECT and not port:
        raise original.GameError(
            f"{path}: its dialect is {dialect}, but the installed alfworld {original.VERSION} speaks {original.DIALECT}; "
            "use the other virtual environment, or --port to change the dialect"
        )
    original.write_game(target, original.with_installed_rules(game, path) | {"dialect": original.DIALECT})


def relative_name(path, root):
    """A game's path below `root`; without a root, below the official data set's directory or as the file is called."""
    path = Path(path)
    if root is not None:
        return Path(os.path.relpath(path, root)).as_posix()
    parts = Path(os.path.abspath(path)).parts
    below = [i for i, part in enumerate(parts) if part.startswith("json_2.")]
    return Path(*parts[below[-1] + 1 :]).as_posix() if below else path.name


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("games", nargs="+", metavar="GAME")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="DIR")
    parser.add_argument("--root", metavar="DIR", help="the games keep their path below this directory")
    parser.add_argument("--port", action="store_true", help="give a game of another dialect the installed one")
    arguments = parser.parse_args()
    taken = {}
    for path in arguments.games:
        target = arguments.output / relative_name(path, arguments.root)
        if target in taken:
            raise original.GameError(f"{path} and {taken[target]} would both become {target}; name a --root above both")
        taken[target] = path
        export(path, target, arguments.port)
        print(target)


if __name__ == "__main__":
    try:
        main()
    except original.GameError as error:
        sys.exit(f"error: {error}")
