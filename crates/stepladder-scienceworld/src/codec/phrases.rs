//! Phrases that are encoded as one word.

use std::sync::LazyLock;

use rustc_hash::{FxHashMap, FxHashSet};

/// Parsed table of phrases.
pub(super) static PHRASES: LazyLock<Phrases> = LazyLock::new(|| Phrases::new(include_str!("phrases.txt")));

const ARTICLES: [&str; 3] = ["the", "a", "an"];

/// Phrases and their words.
pub(super) struct Phrases {
    by_text: FxHashMap<String, String>,
    /// Phrases by word, where the word is not the phrase with `_`.
    by_word: FxHashMap<String, String>,
    /// Texts by their first word, the longest first.
    by_first: FxHashMap<String, Vec<(String, String)>>,
    verbs: FxHashSet<String>,
}

impl Phrases {
    fn new(table: &str) -> Self {
        let mut phrases = Self {
            by_text: FxHashMap::default(),
            by_word: FxHashMap::default(),
            by_first: FxHashMap::default(),
            verbs: FxHashSet::default(),
        };
        for line in table.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            if let Some((word, text)) = line.split_once(" | ") {
                phrases.by_word.insert(word.to_owned(), text.to_owned());
                phrases.add(text.to_owned(), word.to_owned());
            } else if let Some(verb) = line.strip_prefix('+') {
                phrases.verbs.insert(verb.replace(' ', "_"));
                for text in std::iter::once(verb.to_owned())
                    .chain(ARTICLES.map(|article| format!("{verb} {article}")))
                {
                    let word = text.replace(' ', "_");
                    phrases.add(text, word);
                }
            } else {
                phrases.add(line.to_owned(), line.replace(' ', "_"));
            }
        }
        for entries in phrases.by_first.values_mut() {
            entries.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        }
        phrases
    }

    fn add(&mut self, text: String, word: String) {
        let first = text.split(' ').next().unwrap_or_default().to_owned();
        self.by_first.entry(first).or_default().push((text.clone(), word.clone()));
        self.by_text.insert(text, word);
    }

    /// Returns the word of a whole phrase.
    pub(super) fn word(&self, text: &str) -> Option<&str> {
        self.by_text.get(text).map(String::as_str)
    }

    /// Returns the phrase of a word that is not spelled like it.
    pub(super) fn text(&self, word: &str) -> Option<&str> {
        self.by_word.get(word).map(String::as_str)
    }

    /// Finds the longest phrase at the start of `text` such that `ends` accepts the rest. Returns its length
    /// and word.
    pub(super) fn longest(&self, text: &str, ends: impl Fn(&str) -> bool) -> Option<(usize, &str)> {
        let first = &text[..text.find([' ', '.', ',', ';', ':', ')', ']']).unwrap_or(text.len())];
        let entries = self.by_first.get(first)?;
        let fits = |phrase: &str| text.strip_prefix(phrase).is_some_and(&ends);
        entries.iter().find(|(phrase, _)| fits(phrase)).map(|(phrase, word)| (phrase.len(), word.as_str()))
    }

    /// Returns a verb without the article that its word may include.
    pub(super) fn verb<'a>(&self, word: &'a str) -> Option<&'a str> {
        let bare = without_article(word).unwrap_or(word);
        self.verbs.contains(bare).then_some(bare)
    }
}

/// Returns `heat` for `heat_the`.
pub(super) fn without_article(word: &str) -> Option<&str> {
    ARTICLES.iter().find_map(|article| word.strip_suffix(article)?.strip_suffix('_'))
}

/// Returns the length of a word with its article at the start of a text: `heat the`.
pub(super) fn take_with_article(text: &str) -> Option<usize> {
    let (word, rest) = text.split_once(' ')?;
    let lower = (2..=16).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase());
    let article = ARTICLES
        .iter()
        .find(|article| rest.strip_prefix(**article).is_some_and(|rest| rest.starts_with(' ')))?;
    (lower && !ARTICLES.contains(&word)).then_some(word.len() + 1 + article.len())
}
