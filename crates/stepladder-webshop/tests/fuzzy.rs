//! Similarities of thefuzz 0.19.0 and of CPython's difflib. `parity/webshop_fuzzy.py` writes `fuzzy.json`, and draws the same texts.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use serde::Deserialize;
use stepladder_webshop::fuzzy::{Tokens, ratio};
use stepladder_webshop::python::{Random, quoted};

const WORDS: &str = "large x-large xx-large small medium red dark-red wine navy blue 8x10\" men's women's 5'6\" pack of 12 oz \
    inch 28\" | a b c aa ab bb easy install easily installed long lasting machine wash stainless steel ★new★ café naïve ÆØ é 黒色 \
    ΣΑΣ İstanbul zero\u{200b}width a\\b tab\tnew\nline non\u{a0}breaking _under_ 10.5 (wide) #3 &amp; Ⓐ ² ½ ½inch";
const LETTERS: &str = "aabcde x";

#[derive(Deserialize)]
struct Golden {
    scores: Vec<u32>,
    matches: Vec<usize>,
}

/// Draws from Python's generator as the script does.
struct Draw(Random);

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        self.0.below(n as u64) as usize
    }

    fn letter(&mut self, kinds: usize) -> char {
        LETTERS.chars().nth(self.below(kinds)).unwrap()
    }

    fn word(&mut self) -> String {
        let words: Vec<&str> = WORDS.split(' ').collect();
        words[self.below(words.len())].to_owned()
    }

    fn phrase(&mut self) -> Vec<String> {
        let long = self.below(16) == 0;
        let count = if long { 25 + self.below(40) } else { 1 + self.below(7) };
        let mut phrase = Vec::new();
        for _ in 0..count {
            let mut word: Vec<char> = self.word().chars().collect();
            if self.below(4) == 0 || long {
                let place = self.below(word.len() + 1);
                word.insert(place, self.letter(LETTERS.len()));
            }
            phrase.push(word.into_iter().collect());
        }
        phrase
    }

    fn pair(&mut self) -> (String, String) {
        let one = self.phrase();
        let mut other = self.phrase();
        if self.below(2) == 0 {
            let mut mixed = one[self.below(one.len())..].to_vec();
            mixed.extend(other.into_iter().take(self.below(3)));
            other = mixed;
        }
        let mut right = other.join(" ");
        if self.below(3) == 0 {
            right = format!("({}, {})", quoted(&self.word()), quoted(&right));
        }
        (one.join(" "), right)
    }

    fn letters(&mut self) -> Vec<char> {
        let size = self.below(300);
        let kinds = 2 + self.below(LETTERS.len() - 2);
        (0..size).map(|_| self.letter(kinds)).collect()
    }
}

#[test]
fn texts_and_blocks_compare_as_in_python() {
    let golden: Golden = serde_json::from_str(include_str!("fuzzy.json")).unwrap();
    let mut draw = Draw(Random::seeded(19));
    assert_eq!((golden.scores.len(), golden.matches.len()), (3000, 300));
    for (number, score) in golden.scores.iter().enumerate() {
        let (one, other) = draw.pair();
        assert_eq!(
            Tokens::new(&one).set_ratio(&Tokens::new(&other)),
            *score,
            "pair {number}: {one:?} and {other:?}"
        );
    }
    for (number, matches) in golden.matches.iter().enumerate() {
        let (one, other) = (draw.letters(), draw.letters());
        let length = one.len() + other.len();
        let expected = if length == 0 { 1.0 } else { 2.0 * *matches as f64 / length as f64 };
        assert_eq!(ratio(&one, &other), expected, "letters {number}");
    }
}
