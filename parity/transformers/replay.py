"""Replays recorded turns of a checkpoint with transformers: token ids of prompts, greedy tokens, log-probabilities.

    stepladder evaluate RUN --agent NAME --trace played.jsonl --trace-tokens
    python parity/transformers/replay.py CHECKPOINT played.jsonl

A checkpoint of adapters is loaded with peft over the pretrained model that it names, whose matrices are in `--dtype`, as in
the run (`model.dtype`); with bf16 the products are rounded in another order, so that a tolerance of 0.05 is in place.

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


def load_adapters(checkpoint, dtype):
    from peft import PeftModel

    base = json.loads((checkpoint / "adapter_config.json").read_text())["base_model_name_or_path"]
    model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype)
    model = PeftModel.from_pretrained(model, checkpoint, autocast_adapter_dtype=True)
    expected = len(json.loads((checkpoint / "adapter_config.json").read_text())["target_modules"])
    found = sum("lora_A" in name for name, _ in model.named_parameters())
    if found != expected * model.config.num_hidden_layers:
        raise SystemExit(f"{checkpoint}: peft finds {found} adapters")
    return model.eval(), AutoTokenizer.from_pretrained(base)


def load(checkpoint):
    model, info = AutoModelForCausalLM.from_pretrained(checkpoint, output_loading_info=True)
    wrong = {name: found for name, found in info.items() if found}
    if wrong:
        raise SystemExit(f"{checkpoint}: transformers loads it, but reports {wrong}")
    if model.dtype != torch.float32:
        raise SystemExit(f"{checkpoint}: transformers loads it as {model.dtype}")
    return model.eval(), AutoTokenizer.from_pretrained(checkpoint)


@torch.no_grad()
def check(model, tokenizer, turn, own):
    """What differs, as words, and the largest difference of a log-probability. `own`: the tokenizer adds special tokens; a
    rendered chat template has them already."""
    tokens = turn["tokens"]
    prompt, reply = tokens["prompt"], tokens["reply"]
    problems = []
    if tokenizer(turn["prompt"], add_special_tokens=own)["input_ids"] != prompt:
        problems.append("the tokenizer reads the prompt as other ids")
    ids = torch.tensor([prompt])
    # The checkpoint's own generation_config.json says: greedy, until its end token.
    written = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=len(reply))
    written = written[0, len(prompt):]
    if written.tolist() != reply:
        problems.append(f"generate() writes {written.tolist()} for {reply}")
    logprobs = model(torch.tensor([prompt + reply])).logits[0, len(prompt) - 1:-1].log_softmax(-1)
    if logprobs.argmax(-1).tolist() != reply:
        problems.append("the most likely tokens are others")
    theirs = logprobs.gather(-1, torch.tensor(reply)[:, None])[:, 0]
    return problems, (theirs - torch.tensor(tokens["logprobs"])).abs().max().item()


def check_tokenizer(checkpoint, model, tokenizer):
    for name in ["eos_token", "pad_token", "unk_token"]:
        if getattr(tokenizer, name) is None:
            raise SystemExit(f"{checkpoint}: the tokenizer has no {name}")
    if (tokenizer.eos_token_id, tokenizer.pad_token_id) != (model.config.eos_token_id, model.config.pad_token_id):
        raise SystemExit(f"{checkpoint}: tokenizer and model have other end or padding tokens")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("checkpoint", type=Path)
    arguments.add_argument("trace", type=Path)
    arguments.add_argument("--turns", type=int, default=200)
    arguments.add_argument("--tolerance", type=float, default=1e-5, help="for log-probabilities, default 1e-5")
    arguments.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32",
                           help="of the pretrained model below adapters")
    options = arguments.parse_args()
    transformers.logging.set_verbosity_error()
    adapters = (options.checkpoint / "adapter_config.json").exists()
    if adapters:
        model, tokenizer = load_adapters(options.checkpoint, getattr(torch, options.dtype))
    else:
        model, tokenizer = load(options.checkpoint)
        check_tokenizer(options.checkpoint, model, tokenizer)
    same, tokens, worst, roles = 0, 0, 0.0, {}
    played = chosen(options.trace, options.turns)
    for number, turn in enumerate(played, 1):
        problems, difference = check(model, tokenizer, turn, not adapters)
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
