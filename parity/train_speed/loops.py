"""Two PyTorch training loops over the samples that `train_beside export` wrote.

    python loops.py random|bucketed DIRECTORY PARTS THREADS      trains a part of an epoch for every line that it reads
    python loops.py random|bucketed DIRECTORY gradient THREADS   the gradient of an epoch beside gradient.safetensors

random    batches at random, padded on the right, causal attention, logits of all positions, fused AdamW
bucketed  batches of similar length, logits of reply positions only, fused AdamW

Batches are made before the clock runs, which is in favour of these loops.
"""

import json
import random
import sys
import time
from pathlib import Path

import torch
from model import Decoder
from safetensors.torch import load_file
from torch.nn import functional as F

IGNORE = -100
# Batches that are sorted by length together, as in Stepladder.
WINDOW = 32


class Samples:
    def __init__(self, case):
        self.pad, self.budget = case["pad"], case["batch_tokens"]
        self.rows = [(ids, start, count) for _, ids, start, count in case["rows"]]
        self.mean = sum(len(ids) for ids, _, _ in self.rows) / len(self.rows)

    def random(self, rng):
        """As many samples in a batch as fill the budget without padding."""
        order = list(range(len(self.rows)))
        rng.shuffle(order)
        size = max(1, round(self.budget / self.mean))
        return [order[start : start + size] for start in range(0, len(order), size)]

    def bucketed(self, rng):
        order = list(range(len(self.rows)))
        rng.shuffle(order)
        chunk = max(1, int(self.budget / self.mean)) * WINDOW
        groups = []
        for start in range(0, len(order), chunk):
            group = []
            for index in sorted(order[start : start + chunk], key=lambda index: len(self.rows[index][0])):
                if group and (len(group) + 1) * len(self.rows[index][0]) > self.budget:
                    groups.append(group)
                    group = []
                group.append(index)
            groups.append(group)
        rng.shuffle(groups)
        return groups

    def batch(self, group, all_positions):
        rows = [self.rows[index] for index in group]
        length = max(len(ids) for ids, _, _ in rows)
        ids = torch.full((len(rows), length), self.pad)
        labels = torch.full((len(rows), length), IGNORE)
        for slot, (row, start, count) in enumerate(rows):
            row = torch.tensor(row)
            ids[slot, : len(row)] = row
            # The output at t says token t + 1.
            labels[slot, start - 1 : start - 1 + count] = row[start:]
        tokens = sum(len(ids) for ids, _, _ in rows)
        labels = labels.flatten()
        if all_positions:
            return ids, None, labels, tokens
        positions = (labels != IGNORE).nonzero().squeeze(1)
        return ids, positions, labels[positions], tokens


def loss_of(model, ids, positions, labels, reduction):
    logits = model(ids, positions).flatten(0, -2)
    return F.cross_entropy(logits, labels, ignore_index=IGNORE, reduction=reduction)


def gradient(model, samples, groups, all_positions, directory):
    """The sum over all samples, every reply token with the same weight, compared with ours."""
    replies = sum(count for _, _, count in samples.rows)
    total = 0.0
    for group in groups:
        ids, positions, labels, _ = samples.batch(group, all_positions)
        loss = loss_of(model, ids, positions, labels, "sum") / replies
        loss.backward()
        total += loss.item()
    ours = load_file(directory / "gradient.safetensors")
    theirs = model.gradients()
    difference = sum((ours[name] - grad).double().square().sum() for name, grad in theirs.items()).sqrt()
    norm = sum(grad.double().square().sum() for grad in theirs.values()).sqrt()
    worst = max((ours[name] - grad).norm().item() / grad.norm().item() for name, grad in theirs.items())
    report = {"loss": total, "norm": norm.item(), "relative": (difference / norm).item(), "worst_tensor": worst}
    print(json.dumps(report), flush=True)


def train(model, samples, make, all_positions, parts, case):
    numbers = case["optimiser"]
    optimiser = torch.optim.AdamW(
        model.parameters(),
        lr=case["learning_rate"],
        betas=(numbers["beta1"], numbers["beta2"]),
        eps=numbers["eps"],
        weight_decay=numbers["weight_decay"],
        fused=True,
    )
    rng = random.Random(1)
    first = make(rng)
    print(json.dumps({"rows": len(samples.rows), "steps": len(first)}), flush=True)
    while True:
        size = -(-len(first) // parts)
        for start in range(0, len(first), size):
            batches = [samples.batch(group, all_positions) for group in first[start : start + size]]
            if not sys.stdin.readline():
                return
            begun = time.perf_counter()
            for ids, positions, labels, _ in batches:
                optimiser.zero_grad(set_to_none=True)
                loss = loss_of(model, ids, positions, labels, "mean")
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), numbers["clip"])
                optimiser.step()
            last = loss.item()
            seconds = time.perf_counter() - begun
            tokens = sum(batch[3] for batch in batches)
            print(json.dumps({"seconds": seconds, "tokens": tokens, "steps": len(batches), "loss": last}), flush=True)
        first = make(rng)


def main():
    loop, directory, task, threads = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    torch.set_num_threads(threads)
    case = json.loads((directory / "case.json").read_text())
    samples = Samples(case)
    model = Decoder(case)
    model.load(load_file(directory / "params.safetensors"))
    make = {"random": samples.random, "bucketed": samples.bucketed}[loop]
    all_positions = loop == "random"
    if task == "gradient":
        gradient(model, samples, make(random.Random(1)), all_positions, directory)
    else:
        train(model, samples, make, all_positions, int(task), case)


if __name__ == "__main__":
    main()
