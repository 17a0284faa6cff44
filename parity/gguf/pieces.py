"""Trains small SentencePiece models, writes them as llama.cpp converts them, and records SentencePiece's ids of a corpus.

    python parity/gguf/pieces.py crates/stepladder-model/tests/gguf

`pieces-NAME.gguf` is a file with the tokenizer and a model of one layer that is all zeros, `pieces-NAME.json` the texts with their
ids. `llama` puts a space before every text and begins it with a token, as Llama 2 and Mistral do; `gemma` has no such space, but
user-defined tokens: runs of spaces and newlines, and one that is a word; `unknown` has no bytes, so that text outside its
alphabet is unknown. Kinds, scores and spaces in user-defined tokens are those of `_create_vocab_sentencepiece` in llama.cpp's
`convert_hf_to_gguf.py`.
"""

import argparse
import io
import json
import sys
from pathlib import Path

import numpy as np
import sentencepiece
from gguf import GGUFWriter, TokenType

sys.path.insert(0, str(Path(__file__).parents[1] / "tokenizers"))
from texts import CORPUS, HOUSE, all_texts  # noqa: E402

WIDTH, FFN = 8, 8
MORE = [
    "The quick brown fox jumps over the lazy dog.",
    "aaa aaaa aaaaa ababab abcabcabc",
    "a  b   c    d\n\n\ne\n\nf",
    "Wer das Ei wärmt, der öffnet die Mikrowelle; où est le café ?",
    "go to drawer 12, go to drawer 123, go to drawer 1234",
]
MODELS = {
    "llama": ("llama", dict(byte_fallback=True, vocab_size=520, add_dummy_prefix=True)),
    "gemma": ("gemma", dict(
        byte_fallback=True, vocab_size=520, add_dummy_prefix=False,
        user_defined_symbols=["\n", "\n\n", "\n\n\n", "▁▁", "▁▁▁", "▁▁▁▁▁▁▁▁", "drawer", "<turn>"])),
    "unknown": ("llama", dict(byte_fallback=False, vocab_size=200, add_dummy_prefix=True)),
}


def trained(options):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter((HOUSE + MORE) * 2), model_writer=model, model_type="bpe", normalization_rule_name="identity",
        remove_extra_whitespaces=False, allow_whitespace_only_pieces=True, split_digits=True, character_coverage=1.0,
        hard_vocab_limit=False, minloglevel=2, num_threads=1, **options)
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


def kind(model, piece):
    if model.is_unknown(piece):
        return TokenType.UNKNOWN
    if model.is_control(piece):
        return TokenType.CONTROL
    if model.is_unused(piece):
        return TokenType.UNUSED
    if model.is_byte(piece):
        return TokenType.BYTE
    return TokenType.NORMAL


def write(directory, name):
    family, options = MODELS[name]
    model, count = trained(options), 0
    user_defined = options.get("user_defined_symbols", [])
    texts, scores, kinds = [], [], []
    for index in range(model.vocab_size()):
        text, of = model.id_to_piece(index), kind(model, index)
        if text in user_defined:
            text, of, count = text.replace("▁", " "), TokenType.USER_DEFINED, count + 1
        texts.append(text.encode())
        scores.append(model.get_score(index))
        kinds.append(of)
    assert count == len(user_defined)
    writer = GGUFWriter(directory / f"pieces-{name}.gguf", family)
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    if family == "gemma":
        writer.add_key_length(4)
        writer.add_value_length(4)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(texts)
    writer.add_token_scores(scores)
    writer.add_token_types(kinds)
    writer.add_bos_token_id(model.bos_id())
    writer.add_eos_token_id(model.eos_id())
    writer.add_unk_token_id(model.unk_id())
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    if not options["add_dummy_prefix"]:
        writer.add_add_space_prefix(False)
    writer.add_chat_template("{% for message in messages %}[{{ message['role'] }}] {{ message['content'] }}{% endfor %}")
    shapes = {
        "token_embd": (len(texts), WIDTH), "output_norm": (WIDTH,),
        **{f"blk.0.attn_{part}": (WIDTH, WIDTH) for part in ["q", "k", "v", "output"]},
        "blk.0.ffn_gate": (FFN, WIDTH), "blk.0.ffn_up": (FFN, WIDTH), "blk.0.ffn_down": (WIDTH, FFN),
        "blk.0.attn_norm": (WIDTH,), "blk.0.ffn_norm": (WIDTH,),
    }
    for part, shape in shapes.items():
        writer.add_tensor(f"{part}.weight", np.zeros(shape, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    cases = [{"text": text, "ids": model.encode(text, add_bos=True)} for text in [*all_texts(), *MORE]]
    assert len(cases) > len(CORPUS) + len(HOUSE) + 100
    lines = ",\n".join(json.dumps(case, ensure_ascii=True) for case in cases)
    (directory / f"pieces-{name}.json").write_text(f"[\n{lines}\n]\n")
    print(f"{name}: {len(texts)} tokens, {len(cases)} texts, {sum(len(case['ids']) for case in cases)} ids")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("directory", type=Path)
    directory = arguments.parse_args().directory
    for name in MODELS:
        write(directory, name)


if __name__ == "__main__":
    main()
