"""Behaviour cloning with LoRA: transformers and peft, and Stepladder, on the same rows, in turns.

    python cloning.py PROGRAM MODEL ROWS [--dtype f32|bf16] [--workers 2] [--tokens 1536] [--repeats 3] [--json FILE]
    python cloning.py peft MODEL ROWS DTYPE TOKENS [LIMIT [DEVICE WARMUP STEPS]]      # one measurement, as JSON

PROGRAM is target/release/examples/cloning_speed, MODEL a Hugging Face directory, ROWS what `PROGRAM export` wrote: one JSON
object per line with `ids` and `start`, the place of the first token of the reply. Adapters of rank 16 on all seven matrices of a
block, dropout 0, AdamW, gradients clipped at norm 1. The loop over transformers and peft is the usual one: rows sorted by
length into batches of at most TOKENS padded tokens, batches shuffled, padded on the right, labels -100 on prompts and
padding, `model(...).loss.backward()`. The time is that of an epoch without its first step, or of STEPS steps after WARMUP. A MODEL without
weights gets random ones.
"""

import argparse
import json
import random
import statistics
import sys
from pathlib import Path

import measure

RANK, ALPHA = 16, 32
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def batches_of(rows, most):
    """Sorts rows by length and divides them into batches of at most `most` padded tokens."""
    batches = []
    for row in sorted(rows, key=lambda row: len(row["ids"])):
        if batches and (len(batches[-1]) + 1) * len(row["ids"]) <= most:
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches


def peft(model, path, dtype, tokens, limit="0", device="cpu", warmup="1", steps="0"):
    from peft import LoraConfig, get_peft_model

    rows = [json.loads(line) for line in Path(path).read_text().splitlines()]
    rows = rows[: int(limit)] if int(limit) else rows
    torch, model = measure.open_model(model, dtype, device)
    torch.manual_seed(1)
    model.config.use_cache = False
    # With a base in bf16, peft keeps the adapters in f32, as ours are.
    lora = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=TARGETS, lora_dropout=0.0, task_type="CAUSAL_LM")
    model = get_peft_model(model, lora)
    model.train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=2e-4, weight_decay=0.01)
    batches = batches_of(rows, int(tokens))
    random.Random(1).shuffle(batches)

    def collate(batch):
        width = max(len(row["ids"]) for row in batch)
        ids = torch.zeros(len(batch), width, dtype=torch.long)
        labels, mask = torch.full_like(ids, -100), torch.zeros_like(ids)
        for at, row in enumerate(batch):
            own = torch.tensor(row["ids"])
            ids[at, : len(own)], mask[at, : len(own)] = own, 1
            labels[at, row["start"] : len(own)] = own[row["start"] :]
        return {"input_ids": ids.to(device), "attention_mask": mask.to(device), "labels": labels.to(device)}

    warmup = int(warmup)
    if len(batches) < warmup + max(int(steps), 1):
        sys.exit(f"{len(rows)} rows make {len(batches)} steps, fewer than WARMUP and STEPS")
    if int(steps):
        del batches[warmup + int(steps) :]
    inputs = [collate(batch) for batch in batches]
    for step, batch in enumerate(inputs):
        if step == warmup:
            start, processor = measure.clock(torch, device)
        loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    end, processor_end = measure.clock(torch, device)
    report = {
        "seconds": end - start,
        "processor_seconds": processor_end - processor,
        "rows": sum(map(len, batches[warmup:])),
        "steps": len(batches) - warmup,
        "tokens": sum(len(row["ids"]) for batch in batches[warmup:] for row in batch),
        "computed_tokens": sum(batch["input_ids"].numel() for batch in inputs[warmup:]),
        **measure.allocator(torch, device),
        "trained_parameters": sum(parameter.numel() for parameter in trained),
        "loss": float(loss.detach()),
        "threads": torch.get_num_threads(),
    }
    print(json.dumps(report))


def main():
    if sys.argv[1:2] == ["peft"]:
        return peft(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("model")
    parser.add_argument("rows")
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=1536, help="padded tokens of a step there, computed tokens here")
    parser.add_argument("--limit", type=int, default=0, help="rows of the file; all by default")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="file for all measurements")
    arguments = parser.parse_args()
    model, path, dtype, workers = arguments.model, arguments.rows, arguments.dtype, arguments.workers
    tokens, limit = arguments.tokens, arguments.limit
    settings = {"rows": limit, "tokens": tokens, "workers": workers, "dtype": dtype, "rank": RANK, "warmup": 1, "steps": 0}
    ours = [arguments.program, "train", model, path, *(f"{key}={value}" for key, value in settings.items())]
    commands = {
        "ours": (ours, 1),
        "transformers + peft": ([sys.executable, __file__, "peft", model, path, dtype, tokens, limit], workers),
    }
    reports = measure.alternate(commands, arguments.repeats)
    print(
        f"{dtype}, {tokens} tokens per step, LoRA of rank {RANK} on all matrices; ours: {workers} workers with 1 thread, "
        f"transformers + peft: OMP_NUM_THREADS={workers}\n"
    )
    columns = [
        ("rows/s", lambda report: report["rows"] / report["seconds"]),
        ("rows per processor second", lambda report: report["rows"] / report["processor_seconds"]),
        ("rows per step", lambda report: report["rows"] / report["steps"]),
        ("tokens computed per row", lambda report: report["computed_tokens"] / report["rows"]),
        ("peak memory, MB", lambda report: report["peak_mb"]),
    ]
    measure.table(commands, columns, reports)
    for found in reports.values():
        for report in found:
            report["row_seconds"] = report["seconds"] / report["rows"]
            report["row_processor_seconds"] = report["processor_seconds"] / report["rows"]
    pair = (reports["ours"], reports["transformers + peft"])
    by_clock = measure.ratios(*pair, "row_seconds")
    by_processor = measure.ratios(*pair, "row_processor_seconds")
    print(f"\nrows/s, ours / peft: {measure.middle(by_clock)} by the clock, {measure.middle(by_processor)} by processor time")
    summary = {
        "dtype": dtype,
        "workers": workers,
        "tokens": tokens,
        "ratio": statistics.median(by_clock),
        "ratio_processor": statistics.median(by_processor),
        **reports,
    }
    print(json.dumps(summary))
    if arguments.json:
        arguments.json.write_text(json.dumps(summary, indent=1) + "\n")


if __name__ == "__main__":
    main()
