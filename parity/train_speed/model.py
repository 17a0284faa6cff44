"""The decoder of Stepladder as a PyTorch user would write it: a Llama with factored embeddings, batched, in float32.

Query, key and value are one matrix, gate and up another, as in Stepladder: fewer, larger products. The embedding table is
own + incidence @ factors, computed once a step; the output matrix is the same table.
"""

import torch
from torch import nn
from torch.nn import functional as F


def halves(rows, heads, head):
    """Where the rows of a query or key matrix go when rotary pairs are half a head apart instead of neighbours."""
    index = torch.arange(heads * head).view(heads, head // 2, 2).transpose(1, 2).reshape(-1)
    return index + rows


class Block(nn.Module):
    def __init__(self, shape):
        super().__init__()
        d, ffn = shape["width"], shape["ffn"]
        self.heads, self.kv_heads, self.head = shape["heads"], shape["kv_heads"], d // shape["heads"]
        self.eps = shape["norm_eps"]
        self.norm_attention = nn.Parameter(torch.empty(d))
        self.qkv = nn.Linear(d, (self.heads + 2 * self.kv_heads) * self.head, bias=False)
        self.out = nn.Linear(self.heads * self.head, d, bias=False)
        self.norm_ffn = nn.Parameter(torch.empty(d))
        self.gate_up = nn.Linear(d, 2 * ffn, bias=False)
        self.down = nn.Linear(ffn, d, bias=False)

    def forward(self, x, cos, sin):
        batch, length, width = x.shape
        n = F.rms_norm(x, (width,), self.norm_attention, self.eps)
        heads = [self.heads, self.kv_heads, self.kv_heads]
        q, k, v = self.qkv(n).view(batch, length, -1, self.head).transpose(1, 2).split(heads, dim=1)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self.heads != self.kv_heads)
        x = x + self.out(attended.transpose(1, 2).reshape(batch, length, width))
        gate, up = self.gate_up(F.rms_norm(x, (width,), self.norm_ffn, self.eps)).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * up)


def rotate(x, cos, sin):
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


class Decoder(nn.Module):
    def __init__(self, case):
        super().__init__()
        self.shape = shape = case["shape"]
        d, names = shape["width"], case["factors"]["names"]
        self.own = nn.Parameter(torch.empty(case["vocab"], d))
        self.factors = nn.Parameter(torch.empty(len(names), d))
        incidence = torch.zeros(case["vocab"], len(names))
        for word, factors in enumerate(case["factors"]["of_word"]):
            for factor in factors:
                incidence[word, factor] += 1.0
        self.register_buffer("incidence", incidence)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape["layers"]))
        self.norm = nn.Parameter(torch.empty(d))
        head = d // shape["heads"]
        frequency = shape["rope_theta"] ** (-torch.arange(0, head, 2, dtype=torch.float64) / head)
        angle = torch.outer(torch.arange(shape["max_positions"], dtype=torch.float64), frequency)
        angle = torch.cat((angle, angle), dim=-1)
        self.register_buffer("cos", angle.cos().float())
        self.register_buffer("sin", angle.sin().float())

    def named(self):
        """Parameters under Stepladder's names."""
        parts = {"embed.own": self.own, "embed.factors": self.factors, "norm": self.norm}
        for index, block in enumerate(self.blocks):
            layer = {"norm_attention": block.norm_attention, "norm_ffn": block.norm_ffn}
            layer |= {name: getattr(block, name).weight for name in ("qkv", "out", "gate_up", "down")}
            parts |= {f"layers.{index}.{name}": tensor for name, tensor in layer.items()}
        return parts

    def order(self):
        """Rows of our `qkv` in the order of this model's."""
        shape = self.shape
        head, heads, kv_heads = shape["width"] // shape["heads"], shape["heads"], shape["kv_heads"]
        values = torch.arange((heads + kv_heads) * head, (heads + 2 * kv_heads) * head)
        return torch.cat((halves(0, heads, head), halves(heads * head, kv_heads, head), values))

    @torch.no_grad()
    def load(self, tensors):
        parts = self.named()
        if parts.keys() != tensors.keys():
            raise SystemExit(f"the export has other parameters: {sorted(parts.keys() ^ tensors.keys())}")
        for name, tensor in tensors.items():
            parts[name].copy_(tensor[self.order()] if name.endswith("qkv") else tensor)

    def gradients(self):
        """Gradients under Stepladder's names, rows in its order."""
        found = {name: tensor.grad for name, tensor in self.named().items()}
        back = torch.argsort(self.order())
        return {name: grad[back] if name.endswith("qkv") else grad for name, grad in found.items()}

    def forward(self, ids, positions=None):
        """Logits of all positions `[B, T, V]`, or of some row-major positions `[N, V]`."""
        length = ids.shape[1]
        table = self.own + self.incidence @ self.factors
        x = F.embedding(ids, table)
        cos, sin = self.cos[:length], self.sin[:length]
        for block in self.blocks:
            x = block(x, cos, sin)
        if positions is not None:
            x = x.flatten(0, 1)[positions]
        return F.linear(F.rms_norm(x, (self.shape["width"],), self.norm, self.shape["norm_eps"]), table)
