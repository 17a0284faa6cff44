//! `token_set_ratio` of thefuzz.

use super::difflib::ratio;
use crate::python::is_word;

/// Words of a text as thefuzz compares them: lower case, sorted, none twice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tokens(Vec<Box<str>>);

impl Tokens {
    /// Splits a text. Characters from U+0080 to U+00FF go without a trace (`asciidammit`), others than letters and numbers separate
    /// words.
    pub fn new(text: &str) -> Self {
        let plain: String = text
            .chars()
            .filter(|character| !matches!(character, '\u{80}'..='\u{ff}'))
            .map(|character| if is_word(character) { character } else { ' ' })
            .collect();
        let mut words: Vec<Box<str>> = plain.to_lowercase().split_whitespace().map(Into::into).collect();
        words.sort_unstable();
        words.dedup();
        Self(words)
    }

    /// Similarity of two texts, 0 to 100: `fuzz.token_set_ratio(a, b)` of thefuzz 0.19.0 on `difflib`.
    ///
    /// ```
    /// use stepladder_webshop::fuzzy::Tokens;
    /// assert_eq!(Tokens::new("Dark Blue").set_ratio(&Tokens::new("('color', 'blue')")), 63);
    /// ```
    pub fn set_ratio(&self, other: &Self) -> u32 {
        if self.0.is_empty() || other.0.is_empty() {
            return 0;
        }
        let both: Vec<&str> = self.words_in(other, true);
        let (here, there) = (self.words_in(other, false), other.words_in(self, false));
        if !both.is_empty() && (here.is_empty() || there.is_empty()) {
            return 100; // One text has all words of the other.
        }
        let shared = joined(&both, &[]);
        let here = joined(&both, &here);
        let there = joined(&both, &there);
        [(&shared, &here), (&shared, &there), (&here, &there)]
            .map(|(a, b)| if a.is_empty() { 0 } else { percent(ratio(a, b)) })
            .into_iter()
            .fold(0, u32::max)
    }

    /// Lists the words that another text has, or has not.
    fn words_in(&self, other: &Self, wanted: bool) -> Vec<&str> {
        let words = self.0.iter().filter(|word| other.0.binary_search(word).is_ok() == wanted);
        words.map(|word| &**word).collect()
    }
}

/// Joins words by blanks.
fn joined(first: &[&str], then: &[&str]) -> Vec<char> {
    let mut text = Vec::new();
    for word in first.iter().chain(then) {
        if !text.is_empty() {
            text.push(' ');
        }
        text.extend(word.chars());
    }
    text
}

/// Rounds as Python's `int(round(100 * ratio))`: half to even.
fn percent(ratio: f64) -> u32 {
    (100.0 * ratio).round_ties_even() as u32
}
