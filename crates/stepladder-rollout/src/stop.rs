//! Stop strings: a reply ends with the token that completes one of them in its text.
//!
//! They are searched in the bytes of the tokens, so that a token may contain the end of a stop string, a whole one, or a part of a
//! character. The result is a function of the reply's text, however tokens divide it: the first stop string to be complete
//! counts, and the longest of several that end together.

use std::sync::Arc;

use stepladder_data::token_bytes::Writing;

/// Stop strings for the tokens of one vocabulary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopStrings {
    strings: Vec<String>,
    /// Bytes of the longest string.
    longest: usize,
    writing: Writing,
}

impl StopStrings {
    /// Prepares the search for these strings in replies; empty strings are left out.
    pub fn new(strings: &[String], writing: Writing) -> Self {
        let strings: Vec<String> = strings.iter().filter(|string| !string.is_empty()).cloned().collect();
        let longest = strings.iter().map(String::len).max().unwrap_or(0);
        Self { strings, longest, writing }
    }

    /// Returns the text of a reply before its first stop string; `None` if it has none.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use stepladder_data::token_bytes::{TokenBytes, Writing};
    /// use stepladder_rollout::stop::{Stop, StopStrings};
    /// let writing = Writing { tokens: TokenBytes::new(["go", " to", "!\nAct"]), lead: String::new() };
    /// let strings = Arc::new(StopStrings::new(&["\n".to_owned()], writing));
    /// let mut stop = Stop::new(strings.clone());
    /// assert_eq!([0, 1, 2].map(|id| stop.push(id)), [false, false, true]);
    /// assert_eq!(strings.before(&[0, 1, 2]).as_deref(), Some("go to!"));
    /// ```
    pub fn before(self: &Arc<Self>, ids: &[u32]) -> Option<String> {
        let mut stop = Stop::new(self.clone());
        let begin = ids.iter().find_map(|&id| stop.find(id))?;
        let text: Vec<u8> =
            ids.iter().flat_map(|&id| self.writing.tokens.of(id)).take(begin).copied().collect();
        Some(String::from_utf8_lossy(&text).into_owned())
    }
}

/// Search for stop strings in one reply, token by token.
#[derive(Debug, Clone)]
pub struct Stop {
    strings: Arc<StopStrings>,
    /// Bytes of the lead at the beginning of the reply; `None` once the reply differs from it or is behind it.
    lead: Option<usize>,
    /// The last bytes, no more than the longest string has.
    tail: Vec<u8>,
    /// Number of bytes so far.
    read: usize,
}

impl Stop {
    /// Begins a reply.
    pub fn new(strings: Arc<StopStrings>) -> Self {
        let lead = (!strings.writing.lead.is_empty()).then_some(0);
        Self { strings, lead, tail: Vec::new(), read: 0 }
    }

    /// Adds the next token of the reply, no end token. Returns whether it completes a stop string, which ends the reply.
    pub fn push(&mut self, id: u32) -> bool {
        self.find(id).is_some()
    }

    /// Adds a token. Returns the byte at which a stop string begins that it completes.
    fn find(&mut self, id: u32) -> Option<usize> {
        let strings = self.strings.clone();
        let lead = strings.writing.lead.as_bytes();
        let mut found = None;
        for &byte in strings.writing.tokens.of(id) {
            match self.lead {
                Some(at) if lead[at] == byte && at + 1 < lead.len() => self.lead = Some(at + 1),
                Some(at) if lead[at] == byte => {
                    self.read = lead.len();
                    self.lead = None;
                }
                Some(at) => {
                    self.lead = None;
                    for &byte in lead[..at].iter().chain([&byte]) {
                        found = found.or(self.search(byte));
                    }
                }
                None => found = found.or(self.search(byte)),
            }
        }
        found
    }

    /// Adds a byte. Returns the place at which a stop string begins that ends here.
    fn search(&mut self, byte: u8) -> Option<usize> {
        self.read += 1;
        self.tail.push(byte);
        let surplus = self.tail.len().saturating_sub(self.strings.longest);
        self.tail.drain(..surplus);
        let ending = self.strings.strings.iter().filter(|string| self.tail.ends_with(string.as_bytes()));
        Some(self.read - ending.map(String::len).max()?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use stepladder_data::token_bytes::TokenBytes;

    use super::*;

    /// The text before the first stop string to be complete, the longest of those that end together.
    fn expected<'a>(text: &'a str, strings: &[String]) -> Option<&'a str> {
        (1..=text.len()).find_map(|end| {
            let ending = strings.iter().filter(|string| text.as_bytes()[..end].ends_with(string.as_bytes()));
            Some(&text[..end - ending.map(String::len).max()?])
        })
    }

    proptest! {
        /// Divides a text into tokens at any byte; the search must stop at the token with the end of the stop string.
        #[test]
        fn the_text_alone_decides(
            text in "[ab\n\u{e9}\u{1f600}]{0,24}",
            strings in proptest::collection::vec("[ab\n\u{e9}]{1,4}", 1..4),
            lead in prop_oneof![Just(String::new()), "[x ]{1,3}"],
            has_lead in any::<bool>(),
            borders in proptest::collection::vec(any::<bool>(), 140),
        ) {
            let whole = if has_lead { format!("{lead}{text}") } else { text.clone() };
            let skipped = if whole.starts_with(&lead) { lead.len() } else { 0 };
            let mut tokens: Vec<Vec<u8>> = vec![Vec::new()];
            for (byte, border) in whole.bytes().zip(borders) {
                if border {
                    tokens.push(Vec::new());
                }
                tokens.last_mut().unwrap().push(byte);
            }
            let ids: Vec<u32> = (0..tokens.len() as u32).collect();
            let ends: Vec<usize> = tokens.iter().scan(0, |end, token| { *end += token.len(); Some(*end) }).collect();
            let writing = Writing { tokens: TokenBytes::new(tokens), lead };
            let stops = Arc::new(StopStrings::new(&strings, writing));
            let wanted = expected(&whole[skipped..], &strings).map(|before| &whole[..skipped + before.len()]);
            prop_assert_eq!(stops.before(&ids), wanted.map(str::to_owned));

            let mut stop = Stop::new(stops);
            let stopped = ids.iter().position(|&id| stop.push(id));
            let complete = |count: usize| expected(whole.get(skipped..).unwrap_or(""), &strings)
                .is_some_and(|before| {
                    let behind = &whole.as_bytes()[skipped + before.len()..];
                    let shortest = strings.iter().filter(|s| behind.starts_with(s.as_bytes())).map(String::len).min();
                    count >= skipped + before.len() + shortest.unwrap_or(0)
                });
            prop_assert_eq!(stopped, ends.iter().position(|&end| complete(end)));
        }
    }

    #[test]
    fn no_string_ends_no_reply() {
        let writing = Writing { tokens: TokenBytes::new(["a", "\n"]), lead: String::new() };
        let stops = Arc::new(StopStrings::new(&[String::new()], writing));
        let mut stop = Stop::new(stops.clone());
        assert!(![0, 1, 1].iter().any(|&id| stop.push(id)));
        assert_eq!(stops.before(&[0, 1, 1]), None);
    }
}
