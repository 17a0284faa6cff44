"""Texts on which tokenizers are trained and compared."""

import random

HOUSE = [
    "You are in the middle of a room. Looking quickly around you, you see a bed 1, a desk 1, and a drawer 12.",
    "You arrive at countertop 4. On the countertop 4, you see a butterknife 1, a plate 1, and a spatula 2.",
    "take spatula 1 from diningtable 1; True",
    "go to cabinet 13; False",
    "Searching. || [Checked: cabinet 1, cabinet 2, drawer 10]",
    "put two newspapers in the drawer, then heat some egg with the microwave.",
    "You open the fridge 1. The fridge 1 is open. In it, you see nothing.",
    "<plan>\n1. find a mug\n2. clean the mug\n3. put the mug in a cabinet\n</plan>",
    "<action>push box from (2,3) to (2,5)</action> <sub_done>",
    "#####\n#PXO#\n#___#\n#####",
    "This room is called the kitchen. In it, you see: \n\tthe agent\n\ta substance called air\n\ta chair. On the chair is: nothing.",
]

CORPUS = [
    "",
    " ",
    "   leading and trailing   ",
    "a  b   c    d     e",
    "line\nline\r\nline\n\n\nline\n",
    "\ttab\t\ttabs \t mixed",
    "it's we're I'LL they'd CAN'T O'Neil 's 'T",
    "0 1 12 123 1234 12345 3.14159 1,000,000 1e-5 0x1F",
    "٣٤٥ १२३ ๑๒๓ ⅷ ½ ²³ ①②",
    "naïve café Ångström coöperate Straße ŒUVRE ﬁﬂ",
    "e\u0301 n\u0303 a\u030a\u0323 \u1e9b\u0323",
    "Ελληνικά Русский язык українська עברית العربية فارسی हिन्दी ไทย 中文字符 日本語かなカナ 한국어 조선글",
    "😀😃 👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷 ☃️ ❤️",
    "\u00a0no-break\u00a0space \u2003em\u2003space \u3000wide\u3000space \u200bzero\u200bwidth \ufeffmark",
    "\u2028line separator\u2029paragraph separator \u0085next line \x0b\x0c",
    "\x00\x01\x02\x7f control",
    "«quotes» “curly” ‘single’ … – — ‐ · • ∑∫√∞ ≠≤≥ → ⇒ €£¥ ₿",
    "\U0001d518\U0001d52b\U0001d526 \U00010348 \U0001f9e0 \U000e0041 \U0010ffff \ue000",
    "snake_case camelCase PascalCase SCREAMING kebab-case path/to/file.txt C:\\x https://example.org/?q=1&r=<2>#3",
    "def f(x):\n    return {'a': [1, 2, 3], \"b\": x ** 2}  # note\n\n\nclass A: pass",
    "▁ already a metaspace ▁▁ and <0x41> and Ġ and Ċ",
    "!!! ??? ... ,,, ;;; ::: --- === ### $$$ %%% &&& *** ((( ))) [[[ ]]] {{{ }}}",
    "a" * 60 + " " * 60 + "1" * 60 + "!" * 60 + "\n" * 20,
    "ǅ ǲ ß ẞ İ ı ſ K Å ﷺ",
    "x\u0307\u0323y ｆｕｌｌ ｗｉｄｔｈ １２３ Ⅻ ℃ ㍿",
]

RANGES = [(0x20, 0x7F), (0x20, 0x7F), (0x20, 0x7F), (0xA0, 0x24F), (0x300, 0x36F), (0x370, 0x5FF), (0x600, 0x6FF),
          (0x900, 0x97F), (0xE00, 0xE5B), (0x1E00, 0x1FFF), (0x2000, 0x206F), (0x2070, 0x23FF), (0x2500, 0x27BF),
          (0x3000, 0x30FF), (0x4E00, 0x9FA5), (0xAC00, 0xD7A3), (0xFF00, 0xFFEF), (0x1F300, 0x1F64F), (0x9, 0xD)]


def drawn(count=150, seed=17):
    """Random strings over blocks of Unicode; runs of one block, so that words and digits occur too."""
    draw = random.Random(seed)
    texts = []
    for _ in range(count):
        text = ""
        for _ in range(draw.randrange(1, 7)):
            low, high = draw.choice(RANGES)
            text += "".join(chr(draw.randrange(low, high)) for _ in range(draw.randrange(1, 6)))
            text += draw.choice(["", " ", "  ", "\n"])
        texts.append(text)
    return texts


def all_texts():
    return CORPUS + HOUSE + drawn()
