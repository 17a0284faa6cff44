"""What PyTorch makes of offline actor-critic: losses, gradient norms, model, critics and slow copies over five steps.

    python export.py DIRECTORY

reads what `cargo run -p stepladder-algo --example export_offline_case -- DIRECTORY` wrote there (config.json,
model.safetensors, critics.safetensors, case.json) and adds expected.safetensors and meta.json. Decoder, critics, losses
and the order of events are written out in this file, a row at a time and without padding; nothing of Stepladder is
imported. Everything is computed in float64 and stored in float32.
"""

import argparse
import copy
import json
import math
import platform
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

TORCH = "2.11.0"
STEPS = 5
KEPT = (1, STEPS)
LEVELS = ("planner", "executor", "progress")
# Whether each weight of a run reached the clip.
CLIPPED = []
TOLERANCE = {
    "loss": {"relative": 1e-5, "why": "of the value plus 0.1, as losses are differences; float32 against float64"},
    "norm": {"relative": 1e-5, "why": "the same"},
    "after_1": {
        "relative_to_largest_update": 5e-5,
        "why": "found 1.2e-5: parameters near 1 resolve updates of 0.01 to 6e-6 of their size",
    },
    "after_5": {
        "relative_to_largest_update": 5e-5,
        "why": "found 1.2e-5: as after one step, and torch clips by the norm plus 1e-6",
    },
}


class Norm(nn.Module):
    def __init__(self, width, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x):
        return self.weight * x / (x.square().mean(-1, keepdim=True) + self.eps).sqrt()


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        width, self.heads, self.groups = (
            config["hidden_size"],
            config["num_attention_heads"],
            config["num_key_value_heads"],
        )
        self.size, self.theta = width // self.heads, config["rope_theta"]
        self.q_proj = nn.Linear(width, self.heads * self.size, bias=False)
        self.k_proj = nn.Linear(width, self.groups * self.size, bias=False)
        self.v_proj = nn.Linear(width, self.groups * self.size, bias=False)
        self.o_proj = nn.Linear(self.heads * self.size, width, bias=False)

    def rotate(self, x):
        """x: [heads, T, size]; pairs are (i, i + size/2), as in transformers."""
        half = self.size // 2
        frequency = self.theta ** (-torch.arange(half, dtype=torch.float64) / half)
        angle = torch.arange(x.shape[1], dtype=torch.float64)[:, None] * frequency
        a, b = x[..., :half], x[..., half:]
        return torch.cat((a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()), dim=-1)

    def forward(self, x):
        length = x.shape[0]
        split = lambda y, heads: y.view(length, heads, self.size).transpose(0, 1)  # noqa: E731
        q = self.rotate(split(self.q_proj(x), self.heads))
        k = self.rotate(split(self.k_proj(x), self.groups)).repeat_interleave(self.heads // self.groups, 0)
        v = split(self.v_proj(x), self.groups).repeat_interleave(self.heads // self.groups, 0)
        scores = (q @ k.transpose(1, 2)) / math.sqrt(self.size)
        future = torch.ones(length, length, dtype=torch.bool).triu(1)
        mixed = scores.masked_fill(future, -math.inf).softmax(-1) @ v
        return self.o_proj(mixed.transpose(0, 1).reshape(length, -1))


class Mlp(nn.Module):
    def __init__(self, config):
        super().__init__()
        width, inner = config["hidden_size"], config["intermediate_size"]
        self.gate_proj = nn.Linear(width, inner, bias=False)
        self.up_proj = nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x):
        return self.down_proj(nn.functional.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.input_layernorm = Norm(config["hidden_size"], config["rms_norm_eps"])
        self.self_attn = Attention(config)
        self.post_attention_layernorm = Norm(config["hidden_size"], config["rms_norm_eps"])
        self.mlp = Mlp(config)

    def forward(self, x):
        x = x + self.self_attn(self.input_layernorm(x))
        return x + self.mlp(self.post_attention_layernorm(x))


class Llama(nn.Module):
    """One sequence at a time: ids [T] to last-layer vectors after the final norm [T, d]."""

    def __init__(self, config):
        super().__init__()
        self.embed_tokens = nn.Embedding(config["vocab_size"], config["hidden_size"])
        self.layers = nn.ModuleList(Block(config) for _ in range(config["num_hidden_layers"]))
        self.norm = Norm(config["hidden_size"], config["rms_norm_eps"])

    def forward(self, ids):
        x = self.embed_tokens(torch.tensor(ids))
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)

    def logprobs(self, vectors):
        return (vectors @ self.embed_tokens.weight.T).log_softmax(-1)


def head(width):
    return nn.Sequential(
        nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1)
    )


class Critics(nn.Module):
    """A V and a Q per level. `load` and `dump` know the order of Stepladder's parameter buffer from case.json."""

    def __init__(self, width):
        super().__init__()
        self.v = nn.ModuleDict({level: head(width) for level in LEVELS})
        self.q = nn.ModuleDict({level: head(width) for level in LEVELS})

    def tensor(self, name):
        level, which, layer, what = name.split(".")
        return getattr(getattr(self, which)[level][2 * int(layer)], what)

    def load(self, flat, entries):
        at = 0
        for name, shape in entries:
            size = math.prod(shape)
            with torch.no_grad():
                self.tensor(name).copy_(flat[at : at + size].view(shape))
            at += size
        assert at == len(flat) == sum(p.numel() for p in self.parameters())

    def dump(self, entries):
        return torch.cat([self.tensor(name).detach().reshape(-1) for name, _ in entries])


def weighted_mean(values, weights):
    return (torch.stack(values) * weights).sum() / weights.sum()


def level_losses(model, online, slow, rows, level, numbers, variant):
    """Actor loss, critic loss and number of samples of one level."""
    rows = [row for row in rows if row["role"] == level]
    v_head, q_head = online.v[level], online.q[level]
    v_slow, q_slow = slow.v[level], slow.q[level]
    td, asymmetric, advantages, qs, spoken = [], [], [], [], []
    for row in rows:
        vectors = model(row["ids"])
        first, last = row["start"], row["start"] + row["len"]
        table = model.logprobs(vectors)
        spoken.append(torch.stack([table[t - 1, row["ids"][t]] for t in range(first, last)]).mean())
        state, action = vectors[first - 1].detach(), vectors[last - 1].detach()
        value, quality = v_head(state)[0], q_head(action)[0]
        with torch.no_grad():
            target = torch.tensor(row["reward"], dtype=torch.float64)
            if not row["done"]:
                discount = numbers["gamma"] ** row["steps"]
                target = target + discount * v_slow(model(row["next"])[-1])[0]
            reference = q_slow(action if variant["v_target_at"] == "action_end" else state)[0]
        td.append((quality - target) ** 2)
        excess = value - reference
        asymmetric.append((1 - numbers["omega"] if excess < 0 else numbers["omega"]) * excess**2)
        advantages.append((quality - value).detach())
        qs.append(quality.detach())
    weights = torch.tensor([float(row["weight"]) for row in rows], dtype=torch.float64)
    critic = weighted_mean(td, weights) + weighted_mean(asymmetric, weights)
    mode = variant["actor_mode"]
    if mode == "awr":
        raw = [min(math.exp(a / numbers["temperature"]), numbers["weight_clip"]) for a in advantages]
        mean = sum(w * c for w, c in zip(raw, weights.tolist())) / weights.sum().item()
        actor = -weighted_mean([w / (mean + 1e-8) * lp for w, lp in zip(raw, spoken)], weights)
        CLIPPED.extend(w == numbers["weight_clip"] for w in raw)
    elif mode == "linear":
        actor = -weighted_mean([a * lp for a, lp in zip(advantages, spoken)], weights)
    elif mode == "linear_outer":
        actor = -weighted_mean(advantages, weights) * weighted_mean(spoken, weights)
    else:
        actor = -weighted_mean([q * lp for q, lp in zip(qs, spoken)], weights)
    return actor, critic, weights.sum().item()


def follow(slow, online, tau):
    with torch.no_grad():
        for old, new in zip(slow.parameters(), online.parameters()):
            old.copy_((1 - tau) * old + tau * new)


def flat_model(model):
    """All parameters in the alphabetical order of their names in transformers."""
    named = {f"model.{name}": tensor for name, tensor in model.named_parameters()}
    return torch.cat([named[name].detach().reshape(-1) for name in sorted(named)])


def run(variant, case, model, online, slow):
    numbers, adam = case["numbers"], case["optimiser"]
    optimiser = torch.optim.AdamW(
        [
            {"params": list(model.parameters()), "lr": numbers["actor_learning_rate"]},
            {"params": list(online.parameters()), "lr": numbers["critic_learning_rate"]},
        ],
        betas=(adam["beta1"], adam["beta2"]),
        eps=adam["eps"],
        weight_decay=adam["weight_decay"],
    )
    everything = [*model.parameters(), *online.parameters()]
    history, kept = [], {}
    for step in range(STEPS):
        optimiser.zero_grad(set_to_none=True)
        losses = [level_losses(model, online, slow, case["rows"], level, numbers, variant) for level in LEVELS]
        samples = sum(count for _, _, count in losses)
        share = lambda count: count / samples if variant["mixture"] == "pooled" else 1.0  # noqa: B023, E731
        actor = sum(share(count) * loss for loss, _, count in losses)
        critic = sum(share(count) * loss for _, loss, count in losses)
        # While critics learn alone, the model has no gradient at all, so AdamW leaves it and its moments alone.
        (critic if step < variant["critic_warmup"] else actor + critic).backward()
        if variant["target_update"] == "before_step":
            follow(slow, online, numbers["tau"])
        norm = nn.utils.clip_grad_norm_(everything, adam["clip"]).item()
        assert norm > adam["clip"], "a case without clipping tests none"
        optimiser.step()
        if variant["target_update"] == "after_step":
            follow(slow, online, 1 - (1 - numbers["tau"]) ** variant["micro_steps"])
        history.append({"actor_loss": actor.item(), "loss": (actor + critic).item(), "norm": norm})
        if step + 1 in KEPT:
            prefix = f"{variant['name']}/after_{step + 1}"
            kept[f"{prefix}/model"] = flat_model(model)
            kept[f"{prefix}/critics"] = online.dump(case["critics"])
            kept[f"{prefix}/targets"] = slow.dump(case["critics"])
    return history, kept


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path)
    directory = parser.parse_args().directory
    if torch.__version__.split("+")[0] != TORCH:
        raise SystemExit(f"torch {torch.__version__} found; the fixtures are pinned to {TORCH} (requirements.txt)")
    torch.set_default_dtype(torch.float64)
    config = json.loads((directory / "config.json").read_text())
    case = json.loads((directory / "case.json").read_text())
    weights = load_file(directory / "model.safetensors")
    values = load_file(directory / "critics.safetensors")
    assert config["tie_word_embeddings"]
    model, online, slow = Llama(config), Critics(config["hidden_size"]), Critics(config["hidden_size"])
    model.load_state_dict({name.removeprefix("model."): tensor.double() for name, tensor in weights.items()})
    online.load(values["online"].double(), case["critics"])
    slow.load(values["target"].double(), case["critics"])
    expected, histories = {}, {}
    for variant in case["variants"]:
        history, kept = run(variant, case, *copy.deepcopy((model, online, slow)))
        histories[variant["name"]] = history
        expected |= {name: tensor.float().contiguous() for name, tensor in kept.items()}
    assert any(CLIPPED) and not all(CLIPPED), "a case without clipped weights tests no clip"
    save_file(expected, directory / "expected.safetensors")
    meta = {
        "exporter": "parity/offline_ac/export.py",
        "input": "crates/stepladder-algo/examples/export_offline_case.rs",
        "versions": {"torch": TORCH, "python": platform.python_version()},
        "seed": case["seed"],
        "dtype": "computed in float64, stored in float32",
        "steps": histories,
        "tolerance": TOLERANCE,
    }
    (directory / "meta.json").write_text(json.dumps(meta, indent=2) + "\n")


if __name__ == "__main__":
    main()
