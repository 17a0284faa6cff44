"""Encodes a corpus as llama.cpp does with the pre-tokenizer `smollm`, in Python without a tokenizer library.

    python parity/gguf/smollm.py SmolLM2-135M-Instruct.Q4_1.gguf crates/stepladder-model/tests/gguf/smollm2.json

llama.cpp's rule (`llm_tokenizer_bpe` in `llama-vocab.cpp`): special tokens are cut out of the text; the rest is split at `\\p{N}`,
each by itself; every piece is split by GPT-2's pattern; the bytes of each of those are merged by rank. Bytes without a token
are left out.
"""

import argparse
import json
import random
import unicodedata
from pathlib import Path

from gguf import GGUFReader

# Property White_Space.
SPACES = {*map(chr, range(9, 14)), *map(chr, range(0x2000, 0x200B)), *" \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000"}
CONTRACTIONS = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"]


def kind(char):
    """One of the classes of GPT-2's pattern."""
    if char in SPACES:
        return "space"
    major = unicodedata.category(char)[0]
    return {"L": "letter", "N": "number"}.get(major, "other")


def digits(text):
    """Splits at `\\p{N}`: every number character is a piece."""
    piece = ""
    for char in text:
        if kind(char) == "number":
            if piece:
                yield piece
            yield char
            piece = ""
        else:
            piece += char
    if piece:
        yield piece


def gpt2(text):
    """Splits by `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+`."""
    at = 0
    while at < len(text):
        found = next((word for word in CONTRACTIONS if text.startswith(word, at)), None)
        end = at + len(found) if found else run(text, at)
        yield text[at:end]
        at = end


def run(text, at):
    first = at + 1 if text[at] == " " and at + 1 < len(text) and kind(text[at + 1]) != "space" else at
    wanted = kind(text[first])
    end = first
    while end < len(text) and kind(text[end]) == wanted:
        end += 1
    # Spaces before a word leave the last one to it.
    if wanted == "space" and end < len(text) and end - at > 1:
        end -= 1
    return end


def letters():
    """GPT-2's printable character for every byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    extra = iter(range(256, 512))
    return {byte: chr(byte if byte in plain else next(extra)) for byte in range(256)}


class Encoder:
    def __init__(self, path):
        fields = GGUFReader(path).fields
        values = {key.removeprefix("tokenizer.ggml."): field.contents() for key, field in fields.items() if "tokenizer" in key}
        assert (values["model"], values["pre"]) == ("gpt2", "smollm")
        self.ids = {token: index for index, token in enumerate(values["tokens"])}
        self.ranks = {tuple(merge.split(" ")): rank for rank, merge in enumerate(values["merges"])}
        special = [token for token, kind in zip(values["tokens"], values["token_type"]) if kind in (2, 3, 4)]
        self.special = sorted(special, key=len, reverse=True)
        self.letters = letters()

    def encode(self, text):
        parts = [text]
        for token in self.special:
            split = []
            for part in parts:
                if part in self.special:
                    split.append(part)
                    continue
                between = part.split(token)
                for index, rest in enumerate(between):
                    split += [token] * (index > 0) + [rest] * (rest != "")
            parts = split
        ids = []
        for part in parts:
            if part in self.special:
                ids.append(self.ids[part])
            else:
                ids += [index for piece in digits(part) for word in gpt2(piece) for index in self.merge(word)]
        return ids

    def merge(self, word):
        parts = [self.letters[byte] for byte in word.encode()]
        while len(parts) > 1:
            pairs = [(self.ranks[pair], at) for at, pair in enumerate(zip(parts, parts[1:])) if pair in self.ranks]
            if not pairs:
                break
            _, at = min(pairs)
            parts[at:at + 2] = [parts[at] + parts[at + 1]]
        return [self.ids[part] for part in parts if part in self.ids]


HOUSEHOLD = [
    "You are in the middle of a room. Looking quickly around you, you see a cabinet 4, a cabinet 13, and a fridge 1.",
    "put a clean mug in coffeemachine 1", "go to countertop 2", "take soapbar 12 from sinkbasin 1", "heat potato 3 with microwave 1",
    "It's the user's 2nd mug; I'll wash it, they're dirty, we've time, I'm sure he'd do it, don't.",
    "THAT'S THE USER'S MUG", "Nothing happens.", "On the shelf 1, you see a vase 2, and nothing else.",
    "<|im_start|>user\nPut 2 apples in the fridge.<|im_end|>\n<|im_start|>assistant\n", "a<|im_end|>b<|endoftext|>", "<|im_start", "<|im_end|><|im_end|>",
]
CODE = [
    "def f(x):\n    return x[1:-1] ** 2  # 100%\n", "if (a && b || !c) { return \"\\n\"; }\r\n", "\tint a[16] = {0x1F, 1e-5};\n\n\n\tgoto out;",
    "https://example.org/a?b=1&c=%20#d", "{\"key\": [1, 2.5, null, true]}", "SELECT * FROM t WHERE a <> 'b''s';", "x += 1;;; --y...", "'s't're've'm'll'd'x",
]
NUMBERS = [
    "0", "7", "42", "1234567890", "3.14159", "-273.15", "1,000,000", "2026-11-29T06:29:28Z", " 12", "12 ", "a1b22c333", "1 2  3   4", "\u0661\u0662\u0663 \u0967\u0968",
    "\u00bd\u00bc\u00b2\u2075\u2162\u3007\u4e00\u2460", "\u216b\u2488 \U0001d7d8\U0001d7ff", "IPv4 10.0.0.1:8080", "1st 2nd 3rd",
]
SCRIPTS = [
    "\u5bb6\u91cc\u7684\u676f\u5b50\u5728\u684c\u5b50\u4e0a\u3002", "\u53f0\u6240\u306e\u30b3\u30c3\u30d7\u30923\u3064\u6d17\u3046", "\ubd80\uc5cc\uc5d0 \ucef5\uc774 \uc788\uc5b4\uc694", "\u041f\u043e\u043b\u043e\u0436\u0438 \u044f\u0431\u043b\u043e\u043a\u043e \u0432 \u0445\u043e\u043b\u043e\u0434\u0438\u043b\u044c\u043d\u0438\u043a",
    "\u05d4\u05e1\u05e4\u05dc \u05e2\u05dc \u05d4\u05e9\u05d5\u05dc\u05d7\u05df", "\u0627\u0644\u0643\u0648\u0628 \u0639\u0644\u0649 \u0627\u0644\u0637\u0627\u0648\u0644\u0629", "\u0939\u093f\u0928\u094d\u0926\u0940 \u092e\u0947\u0902 \u0915\u092a", "\u0e41\u0e01\u0e49\u0e27\u0e2d\u0e22\u0e39\u0e48\u0e1a\u0e19\u0e42\u0e15\u0e4a\u0e30", "Stra\u00dfe, \u00c5ngstr\u00f6m, na\u00efve, \u0130stanbul",
    "e\u0301 vs \u00e9, a\u0308\u0323, o\u0302\u0301", "Z\u0351\u0344\u0341a\u0300\u0301\u0302lgo", "\u1112\u1161\u11ab", "\ufb01ne \ufb03", "\u0915\u094d\u200d\u0937", "\u200bzero\u200bwidth\ufeff", "\u202eright to left\u202c",
    "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f44d\U0001f3fd \U0001f3f3\ufe0f\u200d\U0001f308 \U0001f1e9\U0001f1ea \u2764\ufe0f 1\ufe0f\u20e3", "\U00020000\U0002a6d6 \U00012000 \U00010348 \U000e0001 \U0010fffd \U000f0000",
]
BLANKS = [
    "", " ", "  ", "   a", "a   ", "a  b", "\n", "\n\n", "\n\na", "a\n\nb", " \n ", "\t\t x", "\r\n\r\n", "a \t\n b", "\u00a0\u00a0x", "x\u3000\u3000y", "\u2003a\u2028b\u2029c", " \u00a0 1", "\x0b\x0c\x85z", "   1   2", "a\u1680 b",
]
CONTROLS = ["".join(map(chr, range(32))), "a\x00b", "\x1b[31mred\x1b[0m", "\x7f\x80\x9f", "a\x1cb\x1fc", "\x01" * 5, "\ufffd\ufffe\uffff"]


def corpus():
    draw = random.Random(17)
    texts = HOUSEHOLD + CODE + NUMBERS + SCRIPTS + BLANKS + CONTROLS
    alphabets = [
        "ab '\"s.,!12 \n\t", "".join(SCRIPTS) + "0123 ", "".join(map(chr, range(256))), "".join(NUMBERS) + "xyz '  ", "\u200d\ufe0f\u0301\U0001f468\U0001f469a 1\n",
    ]
    for alphabet in alphabets:
        texts += ["".join(draw.choices(alphabet, k=draw.randrange(1, 40))) for _ in range(40)]
    # Characters of all planes, of those that every version of Unicode in use has assigned.
    assigned = [chr(code) for code in range(0x30000) if unicodedata.category(chr(code)) not in ("Cn", "Cs", "Co")]
    texts += ["".join(draw.choices(assigned, k=12)) for _ in range(60)]
    return texts


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("model", type=Path)
    arguments.add_argument("output", type=Path)
    options = arguments.parse_args()
    encoder = Encoder(options.model)
    cases = [{"text": text, "ids": encoder.encode(text)} for text in corpus()]
    lines = ",\n".join(json.dumps(case) for case in cases)
    options.output.write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
