"""Lengths of a shop's pages in tokens of a pretrained model.

    python3 -m venv VENV && VENV/bin/pip install tokenizers
    stepladder demonstrate --env webshop --split train --option pages=short --option products=2000 -o pages.jsonl
    VENV/bin/python parity/webshop_pages.py pages.jsonl $STEPLADDER_DATA/models/smollm2-135m-instruct/tokenizer.json

The page after the purchase is left out: an episode ends there, and no prompt holds it.
"""

import json
import sys

from tokenizers import Tokenizer


def pages(path):
    """Yields every page of the episodes of a trace."""
    with open(path, encoding="utf-8") as trace:
        for episode in map(json.loads, trace):
            yield episode["start"]["text"]
            for subtask in episode["subtasks"]:
                for step in subtask["steps"]:
                    yield step["observation"]


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    tokenizer = Tokenizer.from_file(sys.argv[2])
    texts = [page for page in pages(sys.argv[1]) if not page.startswith("Thank you")]
    lengths = sorted(len(tokenizer.encode(text, add_special_tokens=False).ids) for text in texts)
    results = sorted(len(tokenizer.encode(text).ids) for text in texts if "Total results" in text)
    print(
        f"{len(lengths)} pages: median {lengths[len(lengths) // 2]}, most {lengths[-1]} tokens; "
        f"{len(results)} lists of results: median {results[len(results) // 2]}"
    )


if __name__ == "__main__":
    main()
