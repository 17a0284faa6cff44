"""Records what transformers computes with SmolLM2-135M-Instruct: logits after 50 prompts.

    stepladder model get smollm2-135m-instruct
    python parity/transformers/smollm2.py DATA_ROOT/models/smollm2-135m-instruct \
        crates/stepladder-model/tests/smollm2/expected.json

Of the logits after a prompt, the 16 largest and every 997th are recorded.
"""

import argparse
import json
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

PROMPTS = 50
SUBJECTS = ["a clean mug", "two soap bars", "the heated egg", "a pencil and a lamp", "one cool tomato"]
PLACES = ["the countertop", "drawer 12", "a fridge in the kitchen", "the coffee table", "shelf 3"]
FORMS = [
    "You are in the middle of a room. Your task is to put {subject} on {place}. What do you do first?",
    "Task: find {subject}.\nSeen so far: {place} is empty.\nNext action:",
]


def prompts():
    pairs = [(subject, place) for subject in SUBJECTS for place in PLACES]
    return [form.format(subject=subject, place=place) for form in FORMS for subject, place in pairs]


@torch.no_grad()
def case(model, tokenizer, text, chat):
    if chat:
        messages = [{"role": "user", "content": text}]
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    ids = tokenizer(text, return_tensors="pt", add_special_tokens=False).input_ids
    first = model(ids).logits[0, -1]
    chosen = sorted({*first.topk(16).indices.tolist(), *range(0, first.shape[0], 997)})
    return {
        "prompt": ids[0].tolist(),
        "logits": [[index, round(first[index].item(), 5)] for index in chosen],
    }


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("checkpoint", type=Path)
    arguments.add_argument("output", type=Path)
    options = arguments.parse_args()
    model = AutoModelForCausalLM.from_pretrained(options.checkpoint, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(options.checkpoint)
    cases = [case(model, tokenizer, text, index % 2 == 1) for index, text in enumerate(prompts()[:PROMPTS])]
    options.output.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(case) for case in cases)
    options.output.write_text(f'{{"transformers": "{transformers.__version__}", "cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
