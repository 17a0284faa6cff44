"""Replays recorded turns of a checkpoint with transformers: token ids of prompts, greedy tokens, log-probabilities.

    stepladder evaluate RUN --agent NAME --trace played.jsonl --trace-tokens
    python parity/transformers/replay.py CHECKPOINT played.jsonl

The trace must be greedy and of one model (not of an agent with weights per role). Exit code 1 if anything differs.
"""

import argparse
import io
import json
import sys
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer


def lines(path):
    if path.suffix == ".zst":
        import zstandard
        with path.open("rb") as file:
            yield from io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), encoding="utf-8")
    else:
        with path.open(encoding="utf-8") as file:
            yield from file


def turns(value):
    """All turns with tokens anywhere in an episode."""
    if isinstance(value, dict):
        if "tokens" in value and "prompt" in value:
            yield value
        for part in value.values():
            yield from turns(part)
    elif isinstance(value, list):
        for part in value:
            yield from turns(part)


def chosen(path, count):
    """Turns with different prompts, evenly spread over the trace, so that every role is among them."""
    distinct = {}
    for line in lines(path):
        for turn in turns(json.loads(line)):
            distinct.setdefault(tuple(turn["tokens"]["prompt"]), turn)
    found = list(distinct.values())
    if len(found) < count:
        raise SystemExit(f"{path} has {len(found)} different turns with tokens, {count} are wanted: was it recorded "
                         "with --trace-tokens, and over enough episodes?")
    return [found[index * len(found) // count] for index in range(count)]


def load(checkpoint):
    model, info = AutoModelForCausalLM.from_pretrained(checkpoint, output_loading_info=True)
    wrong = {name: found for name, found in info.items() if found}
    if wrong:
        raise SystemExit(f"{checkpoint}: transformers loads it, but reports {wrong}")
    if model.dtype != torch.float32:
        raise SystemExit(f"{checkpoint}: transformers loads it as {model.dtype}")
    return model.eval(), AutoTokenizer.from_pretrained(checkpoint)


@torch.no_grad()
def check(model, tokenizer, turn):
    """What differs, as words, and the largest difference of a log-probability."""
    tokens = turn["tokens"]
    prompt, reply = tokens["prompt"], tokens["reply"]
    problems = []
    if tokenizer(turn["prompt"])["input_ids"] != prompt:
        problems.append("the tokenizer reads the prompt as other ids")
    ids = torch.tensor([prompt])
    # The checkpoint's own generation_config.json says: greedy, until its end token.
    written = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=len(reply))[0, len(prompt):]
    if written.tolist() != reply:
        problems.append(f"generate() writes {written.tolist()} for {reply}")
    logprobs = model(torch.tensor([prompt + reply])).logits[0, len(prompt) - 1:-1].log_softmax(-1)
    if logprobs.argmax(-1).tolist() != reply:
        problems.append("the most likely tokens are others")
    theirs = logprobs.gather(-1, torch.tensor(reply)[:, None])[:, 0]
    return problems, (theirs - torch.tensor(tokens["logprobs"])).abs().max().item()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("checkpoint", type=Path)
    arguments.add_argument("trace", type=Path)
    arguments.add_argument("--turns", type=int, default=200)
    arguments.add_argument("--tolerance", type=float, default=1e-5, help="for log-probabilities, default 1e-5")
    options = arguments.parse_args()
    transformers.logging.set_verbosity_error()
    model, tokenizer = load(options.checkpoint)
    for name in ["eos_token", "pad_token", "unk_token"]:
        if getattr(tokenizer, name) is None:
            raise SystemExit(f"{options.checkpoint}: the tokenizer has no {name}")
    if (tokenizer.eos_token_id, tokenizer.pad_token_id) != (model.config.eos_token_id, model.config.pad_token_id):
        raise SystemExit(f"{options.checkpoint}: tokenizer and model have other end or padding tokens")
    same, tokens, worst, roles = 0, 0, 0.0, {}
    played = chosen(options.trace, options.turns)
    for number, turn in enumerate(played, 1):
        problems, difference = check(model, tokenizer, turn)
        if not difference <= options.tolerance:
            problems.append(f"a log-probability differs by {difference:.1e}")
        for problem in problems:
            print(f"turn {number} ({turn['role']}): {problem}")
        same += not problems
        worst = max(worst, difference)
        tokens += len(turn["tokens"]["reply"])
        roles[turn["role"]] = roles.get(turn["role"], 0) + 1
    print(f"transformers {transformers.__version__}, torch {torch.__version__}: {same} of {len(played)} turns "
          f"({', '.join(f'{count} {role}' for role, count in roles.items())}) with {tokens} new tokens are the same; "
          f"the largest difference of a log-probability is {worst:.1e}")
    sys.exit(same != len(played))


if __name__ == "__main__":
    main()
