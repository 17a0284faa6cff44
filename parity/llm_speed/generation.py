"""Greedy generation: `transformers.generate` and Stepladder's engine on the same requests, in turns.

    python generation.py PROGRAM MODEL REQUESTS [--dtype f32|bf16] [--workers 2] [--repeats 3] [--json FILE]
    python generation.py transformers MODEL REQUESTS DTYPE [DEVICE]       # one measurement, as JSON

PROGRAM is target/release/examples/generation_speed, MODEL a Hugging Face directory, REQUESTS a file of `make_requests.py`.
transformers gets all requests as one batch, padded on the left, with `max_new_tokens` of the largest budget; each reply is cut
to its own budget. No end token is known to either, so that both write all tokens of the budgets. The time is that of the
call, without loading; transformers generates two tokens before, so that nothing is set up in the measured call.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

import measure

# A difference of a logit below this is a near-tie (docs/design.md D3): both tokens are right.
TIE = 1e-3


def requests_of(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def transformers(model, path, dtype, device="cpu"):
    requests = requests_of(path)
    torch, model = measure.open_model(model, dtype, device)
    model.eval()
    width = max(len(request["ids"]) for request in requests)
    ids = torch.zeros(len(requests), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, request in enumerate(requests):
        ids[row, width - len(request["ids"]) :] = torch.tensor(request["ids"])
        mask[row, width - len(request["ids"]) :] = 1
    ids, mask = ids.to(device), mask.to(device)
    most = max(request["budget"] for request in requests)
    config = model.generation_config
    config.eos_token_id, config.pad_token_id = None, 0
    config.do_sample, config.temperature, config.top_p, config.top_k = False, None, None, None
    with torch.inference_mode():
        model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=2)
        start, processor = measure.clock(torch, device)
        output = model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=most)
        end, processor_end = measure.clock(torch, device)
    replies = [output[row, width : width + request["budget"]].tolist() for row, request in enumerate(requests)]
    report = {"seconds": end - start, "processor_seconds": processor_end - processor, "replies": replies}
    report.update(measure.allocator(torch, device), threads=torch.get_num_threads())
    print(json.dumps(report))


def differing(model, requests, ours, theirs):
    """Returns the number of replies that differ, and of those the ones that do so at no near-tie of the model in f32."""
    torch, model = measure.open_model(model, "f32")
    model.eval()
    wrong = 0
    pairs = [(request, ours, theirs) for request, ours, theirs in zip(requests, ours, theirs) if ours != theirs]
    for request, our, their in pairs:
        at = next(at for at, (a, b) in enumerate(zip(our, their)) if a != b)
        with torch.inference_mode():
            logits = model(torch.tensor([request["ids"] + our[:at]])).logits[0, -1]
        wrong += abs(float(logits[our[at]] - logits[their[at]])) > TIE
    return len(pairs), wrong


def main():
    if sys.argv[1:2] == ["transformers"]:
        return transformers(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("model")
    parser.add_argument("requests")
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="file for all measurements")
    arguments = parser.parse_args()
    model, path, dtype, workers = arguments.model, arguments.requests, arguments.dtype, arguments.workers
    requests = requests_of(path)
    commands = {
        "ours": ([arguments.program, model, path, workers, dtype, 1], 1),
        "transformers": ([sys.executable, __file__, "transformers", model, path, dtype], workers),
    }
    reports = measure.alternate(commands, arguments.repeats)
    ours, theirs = reports["ours"], reports["transformers"]
    prompts = [tuple(request["ids"]) for request in requests]
    shared = next(at for at, column in enumerate(zip(*prompts)) if len(set(column)) > 1)
    tokens, new = sum(map(len, prompts)), sum(request["budget"] for request in requests)
    print(
        f"{len(requests)} requests, {tokens} prompt tokens, {shared * len(requests) / tokens:.0%} of them shared, "
        f"{new} new tokens; {dtype}; ours: {workers} workers with 1 thread, transformers: OMP_NUM_THREADS={workers}\n"
    )
    columns = [
        ("seconds", lambda report: report["seconds"]),
        ("processor seconds", lambda report: report["processor_seconds"]),
        ("requests/s", lambda report: len(requests) / report["seconds"]),
        ("new tokens/s", lambda report: new / report["seconds"]),
        ("peak memory, MB", lambda report: report["peak_mb"]),
    ]
    measure.table(commands, columns, reports)
    by_clock = measure.ratios(ours, theirs, "seconds")
    by_processor = measure.ratios(ours, theirs, "processor_seconds")
    count, wrong = differing(model, requests, ours[0]["replies"], theirs[0]["replies"])
    print(f"\ntransformers / ours: {measure.middle(by_clock)} by the clock, {measure.middle(by_processor)} by processor time")
    print(f"{count} of {len(requests)} replies differ, {wrong} of them at no near-tie (logits within {TIE} in f32)")
    summary = {
        "dtype": dtype,
        "workers": workers,
        "requests": len(requests),
        "prompt_tokens": tokens,
        "shared_tokens": shared * len(requests),
        "new_tokens": new,
        "ratio": statistics.median(by_clock),
        "ratio_processor": statistics.median(by_processor),
        "differing": count,
        "differing_at_no_tie": wrong,
    }
    for name, measured in reports.items():
        summary[name] = [{key: value for key, value in report.items() if key != "replies"} for report in measured]
    print(json.dumps(summary))
    if arguments.json:
        arguments.json.write_text(json.dumps(summary, indent=1) + "\n")


if __name__ == "__main__":
    main()
