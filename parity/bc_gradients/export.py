"""What PyTorch makes of a model and a batch: losses, gradients, and parameters after one and five AdamW steps.

    python export.py DIRECTORY

reads config.json, model.safetensors and case.json there, as `cargo run -p stepladder-algo --example export_bc_case`
writes them, and adds expected.safetensors and meta.json. The model is a Llama decoder written out in this file; nothing
of Stepladder is imported. Everything is computed in float64 and stored in float32.
"""

import argparse
import json
import math
import platform
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

TORCH = "2.11.0"
STEPS = 5
TOLERANCE = {
    "loss": {"relative": 1e-5, "why": "float32 forward pass against float64"},
    "gradient": {
        "relative_to_largest_entry": 1e-5,
        "why": "found 7e-7: float32 sums of a few hundred terms against float64",
    },
    "after_1": {
        "relative_to_largest_update": 1e-4,
        "why": "found 2e-5: an update divides by |g| + eps, which magnifies the rounding of small gradients, and parameters "
        "near 1 resolve updates of 0.01 to 6e-6 of their size",
    },
    "after_5": {
        "relative_to_largest_update": 1e-4,
        "why": "found 1e-5: as after one step, and the clipping of torch divides by the norm plus 1e-6",
    },
}


def rms_norm(x, gain, eps):
    return gain * (x / torch.sqrt(x.pow(2).mean(-1, keepdim=True) + eps))


def rotate_half(x):
    first, second = x.chunk(2, dim=-1)
    return torch.cat((-second, first), dim=-1)


def heads_of(x, count):
    batch, length, width = x.shape
    return x.view(batch, length, count, width // count).transpose(1, 2)


def forward(weights, config, ids, present):
    """Logits [B, T, V]; `present` [B, T] says which columns of a row are no padding."""
    eps, heads, kv_heads = config["rms_norm_eps"], config["num_attention_heads"], config["num_key_value_heads"]
    head = config["hidden_size"] // heads
    batch, length = ids.shape
    frequency = config["rope_theta"] ** (-torch.arange(0, head, 2, dtype=torch.float64) / head)
    angle = torch.outer(torch.arange(length, dtype=torch.float64), frequency)
    angle = torch.cat((angle, angle), dim=-1)
    cos, sin = angle.cos(), angle.sin()
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    # Padding never sees itself as a key; its own rows carry no loss, but must not become NaN.
    visible = (causal & present[:, None, :]) | torch.eye(length, dtype=torch.bool)
    hide = torch.zeros(batch, 1, length, length, dtype=torch.float64).masked_fill(~visible[:, None], -math.inf)

    x = weights["model.embed_tokens.weight"][ids]
    for layer in range(config["num_hidden_layers"]):
        get = lambda name: weights[f"model.layers.{layer}.{name}.weight"]  # noqa: B023, E731
        n = rms_norm(x, get("input_layernorm"), eps)
        q = heads_of(n @ get("self_attn.q_proj").T, heads)
        k = heads_of(n @ get("self_attn.k_proj").T, kv_heads)
        v = heads_of(n @ get("self_attn.v_proj").T, kv_heads)
        q = q * cos + rotate_half(q) * sin
        k = k * cos + rotate_half(k) * sin
        k = k.repeat_interleave(heads // kv_heads, dim=1)
        v = v.repeat_interleave(heads // kv_heads, dim=1)
        scores = q @ k.transpose(2, 3) / math.sqrt(head) + hide
        attended = (torch.softmax(scores, dim=-1) @ v).transpose(1, 2).reshape(batch, length, -1)
        x = x + attended @ get("self_attn.o_proj").T
        n = rms_norm(x, get("post_attention_layernorm"), eps)
        inner = torch.nn.functional.silu(n @ get("mlp.gate_proj").T) * (n @ get("mlp.up_proj").T)
        x = x + inner @ get("mlp.down_proj").T
    table = "model.embed_tokens.weight" if config["tie_word_embeddings"] else "lm_head.weight"
    return rms_norm(x, weights["model.norm.weight"], eps) @ weights[table].T


def losses(weights, config, case):
    """Row mean and token mean: −mean over replies of the mean over tokens, and −mean over all reply tokens."""
    rows = case["rows"]
    length = max(len(row["ids"]) for row in rows)
    ids = torch.tensor([row["ids"] + [case["pad"]] * (length - len(row["ids"])) for row in rows])
    present = torch.arange(length) < torch.tensor([[len(row["ids"])] for row in rows])
    logprobs = torch.log_softmax(forward(weights, config, ids, present), dim=-1)
    row_sum = row_count = token_sum = token_count = 0
    for index, row in enumerate(rows):
        for start, count in row["replies"]:
            said = [logprobs[index, t - 1, row["ids"][t]] for t in range(start, start + count)]
            total = torch.stack(said).sum()
            row_sum, row_count = row_sum + row["weight"] * total / count, row_count + row["weight"]
            token_sum, token_count = token_sum + row["weight"] * total, token_count + row["weight"] * count
    return -row_sum / row_count, -token_sum / token_count


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path)
    directory = parser.parse_args().directory
    if torch.__version__.split("+")[0] != TORCH:
        raise SystemExit(f"torch {torch.__version__} found; the fixtures are pinned to {TORCH} (requirements.txt)")
    config = json.loads((directory / "config.json").read_text())
    case = json.loads((directory / "case.json").read_text())
    start = load_file(directory / "model.safetensors")
    weights = {name: tensor.double().requires_grad_() for name, tensor in start.items()}
    numbers = case["optimiser"]
    optimiser = torch.optim.AdamW(
        weights.values(),
        lr=numbers["learning_rate"],
        betas=(numbers["beta1"], numbers["beta2"]),
        eps=numbers["eps"],
        weight_decay=numbers["weight_decay"],
    )
    expected, history, norms = {}, [], []
    for step in range(1, STEPS + 1):
        optimiser.zero_grad()
        loss, token_mean = losses(weights, config, case)
        loss.backward()
        if step == 1:
            first_token_mean = token_mean.item()
            expected |= {f"gradient/{name}": tensor.grad.clone() for name, tensor in weights.items()}
        norm = torch.nn.utils.clip_grad_norm_(weights.values(), numbers["clip"]).item()
        assert norm > numbers["clip"], "a case without clipping tests none"
        history.append(loss.item())
        norms.append(norm)
        optimiser.step()
        if step in (1, STEPS):
            expected |= {f"after_{step}/{name}": tensor.detach().clone() for name, tensor in weights.items()}
    stored = {name: tensor.float().contiguous() for name, tensor in expected.items()}
    save_file(stored, directory / "expected.safetensors")
    meta = {
        "exporter": "parity/bc_gradients/export.py",
        "input": "crates/stepladder-algo/examples/export_bc_case.rs",
        "versions": {"torch": TORCH, "python": platform.python_version()},
        "seed": case["seed"],
        "dtype": "computed in float64, stored in float32",
        "loss_row_mean": history[0],
        "loss_token_mean": first_token_mean,
        "losses": history,
        "gradient_norms": norms,
        "tolerance": TOLERANCE,
    }
    (directory / "meta.json").write_text(json.dumps(meta, indent=2) + "\n")


if __name__ == "__main__":
    main()
