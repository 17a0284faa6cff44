"""Classes of characters of CPython 3.11 (Unicode 14), as the file crates/stepladder-webshop/src/python/unicode.rs has them.

    python3.11 parity/webshop_unicode.py

Prints the code points at which `\\w` of module `re` and `str.isprintable` flip, and sums that its test compares.
"""

import sys
import textwrap


def flips(holds):
    found, last = [], False
    for code in range(sys.maxunicode + 1):
        now = holds(chr(code))
        if now != last:
            found.append(code)
            last = now
    return found


for name, holds in [
    ("WORD", lambda character: character.isalnum() or character == "_"),
    ("PRINTABLE", str.isprintable),
]:
    codes = flips(holds)
    print(f"const {name}: [u32; {len(codes)}] = [")
    print(textwrap.fill(", ".join(map(str, codes)) + ",", 130, initial_indent="    ", subsequent_indent="    "))
    print("];")
    count = sum(map(holds, map(chr, range(sys.maxunicode + 1))))
    total = sum(code for code in range(sys.maxunicode + 1) if holds(chr(code)))
    print(f"// {name}: {count} characters, sum of their codes {total}", file=sys.stderr)
