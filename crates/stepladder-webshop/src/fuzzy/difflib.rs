//! `SequenceMatcher` of Python's module `difflib`.

use rustc_hash::FxHashMap;

/// Length of a second text from which frequent characters do not begin a match ("autojunk").
const LONG: usize = 200;

/// Similarity of two texts, 0 to 1: `SequenceMatcher(None, a, b).ratio()`, twice the number of characters in matching blocks by the
/// number of characters. It depends on the order of the texts.
///
/// ```
/// use stepladder_webshop::fuzzy::ratio;
/// let text = |text: &str| text.chars().collect::<Vec<char>>();
/// assert_eq!(ratio(&text("abcd"), &text("bcde")), 0.75);
/// ```
pub fn ratio(a: &[char], b: &[char]) -> f64 {
    let length = a.len() + b.len();
    if length == 0 { 1.0 } else { 2.0 * matches(a, b) as f64 / length as f64 }
}

/// Counts the characters of the matching blocks: of the longest one, and of those on its left and on its right.
fn matches(a: &[char], b: &[char]) -> usize {
    let popular = popular(b);
    let mut rows = Rows::default();
    let mut count = 0;
    let mut open = vec![(a, b, &*popular)];
    while let Some((a, b, popular)) = open.pop() {
        let block = longest(a, b, popular, &mut rows);
        if block.size == 0 {
            continue;
        }
        count += block.size;
        open.push((&a[..block.a], &b[..block.b], &popular[..block.b]));
        let (a_end, b_end) = (block.a + block.size, block.b + block.size);
        open.push((&a[a_end..], &b[b_end..], &popular[b_end..]));
    }
    count
}

/// For every character of a long text, whether it is more than one in a hundred of them.
fn popular(b: &[char]) -> Vec<bool> {
    if b.len() < LONG {
        return vec![false; b.len()];
    }
    let mut counts = FxHashMap::<char, usize>::default();
    for &character in b {
        *counts.entry(character).or_default() += 1;
    }
    let most = b.len() / 100 + 1;
    b.iter().map(|character| counts[character] > most).collect()
}

/// A run of equal characters.
#[derive(Default)]
struct Block {
    a: usize,
    b: usize,
    size: usize,
}

/// Lengths of the matches that end at each character of `b`, shifted by one: for the last and for this character of `a`.
#[derive(Default)]
struct Rows {
    last: Vec<usize>,
    this: Vec<usize>,
}

/// Finds the longest match, the first in `a` and then in `b` of several, over characters that are not popular; then extends it over
/// those that are.
fn longest(a: &[char], b: &[char], popular: &[bool], rows: &mut Rows) -> Block {
    let mut best = Block::default();
    rows.last.clear();
    rows.last.resize(b.len() + 1, 0);
    rows.this.clear();
    rows.this.resize(b.len() + 1, 0);
    for (i, one) in a.iter().enumerate() {
        for (j, other) in b.iter().enumerate() {
            let size = if one == other && !popular[j] { rows.last[j] + 1 } else { 0 };
            rows.this[j + 1] = size;
            if size > best.size {
                best = Block { a: i + 1 - size, b: j + 1 - size, size };
            }
        }
        std::mem::swap(&mut rows.last, &mut rows.this);
    }
    while best.a > 0 && best.b > 0 && a[best.a - 1] == b[best.b - 1] {
        best = Block { a: best.a - 1, b: best.b - 1, size: best.size + 1 };
    }
    while best.a + best.size < a.len()
        && best.b + best.size < b.len()
        && a[best.a + best.size] == b[best.b + best.size]
    {
        best.size += 1;
    }
    best
}
