"""Counts failures of HiMAC on Sokoban that are due to the blueprint and to its execution.

    python3 benches/blueprint_failures.py RUN AGENT [SPLIT]

Reads the trace of the final evaluation (needs the `zstd` program). A blueprint is good if all its pushes
are reachable and possible in sequence and leave all boxes on targets.
"""

import collections
import json
import re
import subprocess
import sys
from pathlib import Path

PUSH = re.compile(r"push box from \((\d+),(\d+)\) to \((\d+),(\d+)\)")


def parse(text):
    walls, boxes, targets, player = set(), set(), set(), None
    for row, line in enumerate(text.splitlines()):
        for col, tile in enumerate(line):
            place = (row, col)
            if tile == "#":
                walls.add(place)
            if tile in "X√":
                boxes.add(place)
            if tile in "OS√":
                targets.add(place)
            if tile in "PS":
                player = place
    height, width = row + 1, len(line)
    return walls, boxes, targets, player, (height, width)


def reach(start, blocked, size):
    seen, queue = {start}, [start]
    for row, col in queue:
        for place in ((row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)):
            inside = 0 <= place[0] < size[0] and 0 <= place[1] < size[1]
            if inside and place not in blocked and place not in seen:
                seen.add(place)
                queue.append(place)
    return seen


def good(board, subgoals):
    walls, boxes, targets, player, size = parse(board)
    for text in subgoals:
        found = PUSH.search(text)
        if not found:
            return False
        row, col, to_row, to_col = map(int, found.groups())
        if (row, col) not in boxes or (row != to_row) == (col != to_col):
            return False
        step = ((to_row > row) - (to_row < row), (to_col > col) - (to_col < col))
        while (row, col) != (to_row, to_col):
            if (row - step[0], col - step[1]) not in reach(player, walls | boxes, size):
                return False
            after = (row + step[0], col + step[1])
            if after in walls | boxes:
                return False
            boxes.remove((row, col))
            boxes.add(after)
            player, (row, col) = (row, col), after
    return boxes == targets


def main():
    run, agent = Path(sys.argv[1]), sys.argv[2]
    split = sys.argv[3] if len(sys.argv) > 3 else "dev-6x6-1"
    trace = run / agent / f"sokoban-{split}.jsonl.zst"
    lines = subprocess.run(["zstd", "-dc", trace], check=True, capture_output=True, text=True).stdout
    counts = collections.Counter()
    for line in lines.splitlines():
        episode = json.loads(line)
        reply = (episode["subtasks"][0].get("turn") or {}).get("reply", "")
        subgoals = re.findall(r"^\d+[.):] *(.*)$", reply, re.M)
        counts[(good(episode["start"]["text"], subgoals), episode["won"])] += 1
    total = sum(counts.values())
    for blueprint in (True, False):
        won, lost = counts[(blueprint, True)], counts[(blueprint, False)]
        name = "good" if blueprint else "other"
        share = 100 * won / max(1, won + lost)
        print(f"{name:5} blueprints: {won + lost:5} of {total}, won {won:5} ({share:.1f} %)")


if __name__ == "__main__":
    main()
