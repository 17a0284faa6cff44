//! From text to terms: Lucene's `EnglishAnalyzer` (`org.apache.lucene.analysis.en`), which Anserini uses by default.

use super::porter;
use super::words::Words;

/// Buffers of the analysis, kept for the next text.
#[derive(Debug, Default)]
pub struct Analyzer {
    word: Vec<u8>,
    units: Vec<u16>,
}

/// The terms of a text in their order.
///
/// ```
/// use stepladder_webshop::search::analyze;
/// assert_eq!(analyze("The women's running-shoes, size 5.5\""), ["women", "run", "shoe", "size", "5.5"]);
/// ```
pub fn analyze(text: &str) -> Vec<String> {
    let mut terms = Vec::new();
    Analyzer::default().analyze(text, |term| terms.push(String::from_utf8_lossy(term).into_owned()));
    terms
}

impl Analyzer {
    /// Calls `emit` with every term of `text` in UTF-8, in their order.
    ///
    /// A term is a word of `StandardTokenizer` without the possessive 's, in lower case, not a stop word, and stemmed.
    pub fn analyze(&mut self, text: &str, mut emit: impl FnMut(&[u8])) {
        for word in Words::new(text) {
            self.lower(without_possessive(word));
            if !self.word.is_ascii() {
                self.stem_units();
            } else if is_stop_word(&self.word) {
                continue;
            } else {
                porter::stem(&mut self.word);
            }
            emit(&self.word);
        }
    }

    /// Fills `word`, and `units` if the word has characters beyond ASCII.
    fn lower(&mut self, word: &str) {
        self.word.clear();
        if word.is_ascii() {
            self.word.extend(word.bytes().map(|byte| byte.to_ascii_lowercase()));
            return;
        }
        self.units.clear();
        for character in word.chars().map(lower) {
            self.word.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            self.units.extend_from_slice(character.encode_utf16(&mut [0; 2]));
        }
    }

    /// The stemmer leaves words below three UTF-16 units alone, and takes any unit that is no vowel for a consonant.
    fn stem_units(&mut self) {
        porter::stem(&mut self.units);
        self.word.clear();
        for character in char::decode_utf16(self.units.iter().copied()) {
            let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
            self.word.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

/// `EnglishPossessiveFilter`.
fn without_possessive(word: &str) -> &str {
    let stem = word.strip_suffix(['s', 'S']);
    stem.and_then(|stem| stem.strip_suffix(['\'', '\u{2019}', '\u{FF07}'])).unwrap_or(word)
}

/// `Character.toLowerCase` of Java: one character for one.
fn lower(character: char) -> char {
    match character {
        // Its lower case is two characters in Rust.
        '\u{130}' => 'i',
        _ => character.to_lowercase().next().unwrap_or(character),
    }
}

/// `EnglishAnalyzer.ENGLISH_STOP_WORDS_SET`.
fn is_stop_word(word: &[u8]) -> bool {
    matches!(
        word,
        b"a" | b"an"
            | b"and"
            | b"are"
            | b"as"
            | b"at"
            | b"be"
            | b"but"
            | b"by"
            | b"for"
            | b"if"
            | b"in"
            | b"into"
            | b"is"
            | b"it"
            | b"no"
            | b"not"
            | b"of"
            | b"on"
            | b"or"
            | b"such"
            | b"that"
            | b"the"
            | b"their"
            | b"then"
            | b"there"
            | b"these"
            | b"they"
            | b"this"
            | b"to"
            | b"was"
            | b"will"
            | b"with"
    )
}
