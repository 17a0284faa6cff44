"""Writes a tiny random Llama as transformers saves it, with what transformers computes with it.

    python parity/transformers/fixture.py crates/stepladder-model/tests/llama/tied-4.57 --tied   # with transformers 4.57
    python parity/transformers/fixture.py crates/stepladder-model/tests/llama/untied-5.24         # with transformers 5.24

`expected.json` holds the logits of some sequences, and greedy continuations with their log-probabilities.
"""

import argparse
import json
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

WORDS = ["<pad>", "<unk>", "<end>", *(f"w{word:02}" for word in range(3, 24))]
PAD, END = 0, 2


def model(tied):
    config = LlamaConfig(
        vocab_size=len(WORDS), hidden_size=12, intermediate_size=20, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1 if tied else 2, max_position_embeddings=48, rms_norm_eps=1e-6, tie_word_embeddings=tied,
        bos_token_id=None, eos_token_id=END, pad_token_id=PAD)
    # A base with which three rotary pairs differ within 48 positions, under the name that this version has.
    if transformers.__version__.startswith("4."):
        config.rope_theta = 50.0
    else:
        config.rope_parameters = {"rope_type": "default", "rope_theta": 50.0}
    llama = LlamaForCausalLM(config).eval()
    generator = torch.Generator().manual_seed(4 if tied else 5)
    with torch.no_grad():
        for name, parameter in llama.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            # Gains that are not 1, and matrices large enough for distributions that are far from flat.
            parameter.copy_(1.0 + 0.3 * noise if parameter.dim() == 1 else 0.5 * noise)
    return llama


def tokenizer(limit):
    words = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", unk_token="<unk>", eos_token="<end>", model_max_length=limit)


def expected(llama):
    generator = torch.Generator().manual_seed(6)
    cases = []
    with torch.no_grad():
        for length in [1, 5, 24]:
            ids = torch.randint(3, len(WORDS), [1, length], generator=generator)
            logits = llama(ids).logits[0]
            greedy = GenerationConfig(do_sample=False, max_new_tokens=8, eos_token_id=END, pad_token_id=PAD)
            reply = llama.generate(ids, attention_mask=torch.ones_like(ids), generation_config=greedy)[0, length:]
            whole = llama(torch.cat((ids, reply[None]), dim=1)).logits[0].log_softmax(-1)
            logprobs = whole[length - 1:-1].gather(-1, reply[:, None])[:, 0]
            cases.append({
                "prompt": ids[0].tolist(),
                "logits": [[round(value, 6) for value in row] for row in logits.tolist()],
                "reply": reply.tolist(),
                "logprobs": [round(value, 6) for value in logprobs.tolist()],
            })
    return cases


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("directory", type=Path)
    arguments.add_argument("--tied", action="store_true", help="tied embeddings and grouped queries")
    options = arguments.parse_args()
    llama = model(options.tied)
    options.directory.mkdir(parents=True, exist_ok=True)
    llama.save_pretrained(options.directory)
    tokenizer(llama.config.max_position_embeddings).save_pretrained(options.directory)
    # Whatever was saved is what gets measured.
    llama = LlamaForCausalLM.from_pretrained(options.directory).eval()
    text = json.dumps({"transformers": transformers.__version__, "cases": expected(llama)})
    (options.directory / "expected.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
