"""Writes tiny random models as llama.cpp converts them, beside what they were in transformers.

    python parity/gguf/models.py crates/stepladder-model/tests/gguf

`NAME.gguf` is the file, `NAME.safetensors` holds the tensors before the conversion, `NAME.json` the `config.json` that transformers would
have, in the fields that change the computation. The rule for the rows of queries and keys is `LlamaModel.permute` in
llama.cpp's `convert_hf_to_gguf.py`; gains of Gemma are stored with 1 added.
"""

import argparse
import json
import struct
from pathlib import Path

import numpy as np
from gguf import GGUFWriter

WIDTH, FFN, LAYERS, VOCAB, CONTEXT, EPSILON, BASE = 24, 40, 2, 264, 96, 1e-6, 50000.0
MODELS = {
    # Heads, heads of keys, size of a head, whether the head is tied.
    "llama": (4, 2, 6, True),
    "qwen2": (4, 4, 6, False),
    "qwen3": (2, 1, 16, True),
    "gemma": (3, 1, 16, True),
}
NAMES = {
    "token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head", "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}


def shapes(family, heads, kv_heads, head, tied):
    yield "token_embd.weight", (VOCAB, WIDTH)
    yield "output_norm.weight", (WIDTH,)
    if not tied:
        yield "output.weight", (VOCAB, WIDTH)
    for layer in range(LAYERS):
        rows = {"q": heads * head, "k": kv_heads * head, "v": kv_heads * head}
        for name, count in rows.items():
            yield f"blk.{layer}.attn_{name}.weight", (count, WIDTH)
            if family == "qwen2":
                yield f"blk.{layer}.attn_{name}.bias", (count,)
        yield f"blk.{layer}.attn_output.weight", (WIDTH, heads * head)
        for name, shape in [("ffn_gate", (FFN, WIDTH)), ("ffn_up", (FFN, WIDTH)), ("ffn_down", (WIDTH, FFN))]:
            yield f"blk.{layer}.{name}.weight", shape
        for name in ["attn_norm", "ffn_norm"]:
            yield f"blk.{layer}.{name}.weight", (WIDTH,)
        if family == "qwen3":
            for name in ["attn_q_norm", "attn_k_norm"]:
                yield f"blk.{layer}.{name}.weight", (head,)


def renamed(name):
    *layer, kind, part = name.split(".")
    return (f"model.layers.{layer[1]}." if layer else "") + f"{NAMES[kind]}.{part}"


def permuted(weights, heads):
    return weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:]).swapaxes(1, 2).reshape(weights.shape)


def letters():
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    extra = iter(range(256, 512))
    return [chr(byte if byte in plain else next(extra)) for byte in range(256)]


def write(directory, family):
    heads, kv_heads, head, tied = MODELS[family]
    draw = np.random.default_rng(17)
    writer = GGUFWriter(directory / f"{family}.gguf", family)
    writer.add_block_count(LAYERS)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(EPSILON)
    if family != "gemma":
        writer.add_rope_freq_base(BASE)
    if family in ("qwen3", "gemma"):
        writer.add_key_length(head)
        writer.add_value_length(head)
    pre = {"llama": "llama-bpe", "gemma": "default"}.get(family, "qwen2")
    tokens = [*letters(), "ab", "\u0120a", "12", "abab", "<unused>", "<|begin|>", "<|end|>", "<|user|>"]
    merges = ["a b", "\u0120 a", "1 2"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([1] * 260 + [5, 3, 3, 4])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(261)
    writer.add_eos_token_id(262)
    writer.add_pad_token_id(262)
    writer.add_chat_template("{% for message in messages %}<|user|>{{ message['content'] }}<|end|>\n{% endfor %}")
    header, data = {}, b""
    for name, shape in shapes(family, heads, kv_heads, head, tied):
        values = draw.standard_normal(shape, dtype=np.float32)
        if family == "gemma" and name.endswith("norm.weight"):
            # On a grid on which adding 1 is exact.
            values = np.round(values * 1024) / np.float32(1024)
        header[renamed(name)] = {
            "dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + values.nbytes]}
        data += values.tobytes()
        if family == "llama" and (".attn_q." in name or ".attn_k." in name):
            values = permuted(values, heads if ".attn_q." in name else kv_heads)
        if family == "gemma" and name.endswith("norm.weight"):
            values = values + np.float32(1)
        writer.add_tensor(name, np.ascontiguousarray(values))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    text = json.dumps(header).encode()
    (directory / f"{family}.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    config = {
        "model_type": family, "vocab_size": VOCAB, "hidden_size": WIDTH, "intermediate_size": FFN, "num_hidden_layers": LAYERS,
        "num_attention_heads": heads, "num_key_value_heads": kv_heads, "head_dim": head, "max_position_embeddings": CONTEXT,
        "rms_norm_eps": EPSILON, "rope_theta": 10000.0 if family == "gemma" else BASE, "tie_word_embeddings": tied,
        "hidden_act": "gelu_pytorch_tanh" if family == "gemma" else "silu",
        "bos_token_id": 261, "eos_token_id": 262, "pad_token_id": 262,
    }
    (directory / f"{family}.json").write_text(json.dumps(config, indent=2) + "\n")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("directory", type=Path)
    directory = arguments.parse_args().directory
    for family in MODELS:
        write(directory, family)


if __name__ == "__main__":
    main()
