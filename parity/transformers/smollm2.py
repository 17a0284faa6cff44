"""Records what transformers computes with SmolLM2-135M-Instruct: logits and greedy replies after 50 prompts.

    stepladder model get smollm2-135m-instruct
    python parity/transformers/smollm2.py DATA_ROOT/models/smollm2-135m-instruct \
        crates/stepladder-model/tests/smollm2/expected.json

Of the logits after a prompt, the 16 largest and every 997th are recorded. A reply is 64 tokens, or those up to and with
the end of a turn. It is decoded here rather than by `generate`, one token a step over the cache, in f32; recorded
beside it are the steps at which the two largest logits are less than `NEAR` apart.
"""

import argparse
import json
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

PROMPTS = 50
REPLY = 64
NEAR = 0.01
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
    first, reply, least, near = None, [], float("inf"), []
    inputs, cache = ids, None
    end = model.generation_config.eos_token_id
    while len(reply) < REPLY and (not reply or reply[-1] != end):
        output = model(inputs, past_key_values=cache, use_cache=True)
        cache, logits = output.past_key_values, output.logits[0, -1]
        first = logits if first is None else first
        (largest, second), (token, _) = (each.tolist() for each in logits.topk(2))
        margin = largest - second
        least = min(least, margin)
        if margin < NEAR:
            near.append([len(reply), round(margin, 6)])
        reply.append(token)
        inputs = torch.tensor([[token]])
    chosen = sorted({*first.topk(16).indices.tolist(), *range(0, first.shape[0], 997)})
    print(f"{len(reply)} tokens, least margin {least:.5f}: {tokenizer.decode(reply)!r}", flush=True)
    return {
        "prompt": ids[0].tolist(),
        "logits": [[index, round(first[index].item(), 5)] for index in chosen],
        "reply": reply,
        "least_margin": round(least, 6),
        "near": near,
    }


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("checkpoint", type=Path)
    arguments.add_argument("output", type=Path)
    options = arguments.parse_args()
    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(options.checkpoint, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(options.checkpoint)
    cases = [case(model, tokenizer, text, index % 2 == 1) for index, text in enumerate(prompts()[:PROMPTS])]
    options.output.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(case) for case in cases)
    options.output.write_text(f'{{"transformers": "{transformers.__version__}", "cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
