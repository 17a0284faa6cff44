"""Writes a tiny random checkpoint of every model family, with what transformers computes with it.

    python parity/transformers/families.py crates/stepladder-model/tests/families

One directory per checkpoint. `expected.safetensors` holds, for two sequences, last hidden states and logits, and the
gradient of the first one's negative log-likelihood; `expected.json` the sequences and greedy continuations. transformers
computes in f32, whatever the dtype of the file, since a file in bf16 or f16 is widened without loss.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, GenerationConfig
from transformers import GemmaConfig, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

VOCAB, END, PAD = 30, 2, 0
COMMON = dict(vocab_size=VOCAB, hidden_size=12, intermediate_size=20, num_hidden_layers=2, num_attention_heads=2,
              num_key_value_heads=1, max_position_embeddings=64, bos_token_id=1, eos_token_id=END, pad_token_id=PAD)
LLAMA3 = {"rope_type": "llama3", "rope_theta": 50.0, "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 3.0,
          "original_max_position_embeddings": 16}


def plain(base):
    return {"rope_type": "default", "rope_theta": base}


# Name: configuration, dtype of the file, bytes of a shard. Rotary bases are small, so that pairs differ in short sequences.
MODELS = {
    "llama-biased-llama3": (LlamaConfig(
        **COMMON, rms_norm_eps=1e-6, attention_bias=True, mlp_bias=True, rope_parameters=LLAMA3), torch.float32, None),
    "llama-linear-f16": (LlamaConfig(
        **COMMON, rms_norm_eps=1e-5, tie_word_embeddings=True,
        rope_parameters={"rope_type": "linear", "rope_theta": 50.0, "factor": 2.0}), torch.float16, None),
    "mistral-shards": (MistralConfig(
        **COMMON, head_dim=8, rms_norm_eps=1e-5, sliding_window=40, rope_parameters=plain(30.0)), torch.float32, 4000),
    "qwen2-bf16": (Qwen2Config(
        **COMMON, rms_norm_eps=1e-6, tie_word_embeddings=True, rope_parameters=plain(60.0)), torch.bfloat16, None),
    "qwen3": (Qwen3Config(
        **COMMON, head_dim=10, rms_norm_eps=1e-6, rope_parameters=plain(40.0)), torch.float32, None),
    "gemma": (GemmaConfig(
        **COMMON, head_dim=8, rms_norm_eps=1e-6, rope_parameters=plain(50.0)), torch.float32, None),
}


def randomise(model, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            # Gains that are not 1 (Gemma stores them minus one), and matrices with distributions that are far from uniform.
            parameter.copy_(parameter + 0.3 * noise if parameter.dim() == 1 else 0.5 * noise)


def expected(model, generator):
    tensors, sequences = {}, []
    for index, length in enumerate([7, 31]):
        ids = torch.randint(3, VOCAB, [1, length], generator=generator)
        output = model(ids, output_hidden_states=True)
        tensors[f"hidden.{index}"] = output.hidden_states[-1][0].detach().contiguous()
        tensors[f"logits.{index}"] = output.logits[0].detach().contiguous()
        if index == 0:
            logprobs = output.logits[0, :-1].log_softmax(-1).gather(-1, ids[0, 1:, None])
            (-logprobs.sum()).backward()
            for name, parameter in model.named_parameters():
                tensors[f"gradient.{name}"] = parameter.grad.clone()
        greedy = GenerationConfig(do_sample=False, max_new_tokens=8, eos_token_id=END, pad_token_id=PAD)
        with torch.no_grad():
            reply = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=greedy)[0, length:]
        sequences.append({"ids": ids[0].tolist(), "reply": reply.tolist()})
    return tensors, sequences


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("directory", type=Path)
    root = arguments.parse_args().directory
    for seed, (name, (config, dtype, shard)) in enumerate(MODELS.items()):
        directory = root / name
        shutil.rmtree(directory, ignore_errors=True)
        model = AutoModelForCausalLM.from_config(config).float()
        randomise(model, seed)
        model.to(dtype).save_pretrained(directory, max_shard_size=shard or "1GB")
        # Whatever was saved is what gets measured.
        model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()
        tensors, sequences = expected(model, torch.Generator().manual_seed(9))
        save_file(tensors, directory / "expected.safetensors")
        text = json.dumps({"transformers": transformers.__version__, "sequences": sequences})
        (directory / "expected.json").write_text(text + "\n")
        print(name, sum(parameter.numel() for parameter in model.parameters()), sequences[0]["reply"])


if __name__ == "__main__":
    main()
