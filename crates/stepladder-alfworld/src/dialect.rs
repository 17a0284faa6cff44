//! Published rules and wordings of games.
//!
//! Every official game file contains its complete rules (a PDDL domain) and its complete wording (a text grammar). Only
//! a few of each exist, so the engine implements them and recognises them by fingerprint; the texts themselves are not
//! interpreted. Rules and wording vary independently.

use sha2::{Digest, Sha256};

use crate::error::GameError;

/// Wording of commands and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wording {
    /// alfworld 0.3: `put X in/on Y`, "You arrive at loc 4."
    V03,
    /// alfworld 0.4: `move X to Y`, "You arrive at fridge 1."
    V04,
}

/// Rules and wording of a game.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dialect {
    /// Wording of commands and answers.
    pub wording: Wording,
    /// Whether `help` is a command.
    pub help: bool,
    /// Whether objects can be cleaned at a receptacle of type `Sink`, in addition to `SinkBasin`.
    pub sinks_clean: bool,
}

/// Text before the task sentence in every grammar.
pub(crate) const TASK_LABEL: &str = "Your task is to: ";

/// Rules by fingerprint of the domain: (fingerprint, help, sinks clean).
const DOMAINS: [(&str, bool, bool); 4] = [
    // Official games, release 2.1.3.
    ("abd977daed3ce87d3ebb4c75282de50685dfb9b8d8e997dd8487f18b5a127136", true, true),
    // As above, without `help`.
    ("4c70787d391c88d290a7ecc90278c6299834327a9149819d3cb258575961b5ae", false, true),
    // Package alfworld 0.4.2.
    ("9f953aecdc35af60a358f47af88a4db2be7e74c5de0561d2bee5b81e46c43fa5", true, false),
    // Package alfworld 0.3.4.
    ("12f8e07eea75ef3b141c41ff2e776f6525eb4d69f20ffdb36c6a4f3ed6f8261b", false, false),
];

/// Wording by fingerprint of the grammar.
const GRAMMARS: [(&str, Wording); 3] = [
    // Official games, release 2.1.3.
    ("c1c25bb319bb48832617249335a23fa40d2c037bc917063b258b2bf83455b466", Wording::V04),
    // Package alfworld 0.4.2.
    ("56dc47bf2614d99f0b91627aa1a6064c67f73e490a46126dd82670c9f73685c4", Wording::V04),
    // Package alfworld 0.3.4.
    ("b4586c4854dcbedec00c8772b68559d436e8894d2da620dc28de5d023f82d4f0", Wording::V03),
];

impl Dialect {
    /// Rules and wording of the official games of release 2.1.3, played by alfworld 0.4.
    pub const ALFWORLD_04: Self = Self { wording: Wording::V04, help: true, sinks_clean: true };
    /// Rules and wording of alfworld 0.3.4.
    pub const ALFWORLD_03: Self = Self { wording: Wording::V03, help: false, sinks_clean: false };

    /// Returns the dialect of a generated game by name.
    ///
    /// # Errors
    /// [`GameError::UnknownDialect`] for any other name.
    pub fn named(name: &str) -> Result<Self, GameError> {
        match name {
            "alfworld-0.4" => Ok(Self::ALFWORLD_04),
            "alfworld-0.3" => Ok(Self::ALFWORLD_03),
            _ => Err(GameError::UnknownDialect { found: name.to_owned() }),
        }
    }

    /// Recognises the domain and grammar of an official game. Also returns its task sentence.
    pub(crate) fn recognise(domain: &str, grammar: &str) -> Result<(Self, String), GameError> {
        let fingerprint = domain_fingerprint(domain);
        let Some(&(_, help, sinks_clean)) = DOMAINS.iter().find(|(known, ..)| *known == fingerprint) else {
            return Err(GameError::UnknownDomain { fingerprint });
        };
        let (before, sentence, after) = split_task(grammar).ok_or(GameError::NoTask)?;
        let fingerprint = grammar_fingerprint(before, after);
        let Some(&(_, wording)) = GRAMMARS.iter().find(|(known, _)| *known == fingerprint) else {
            return Err(GameError::UnknownGrammar { fingerprint });
        };
        let task = serde_json::from_str(&format!("\"{sentence}\""))?;
        Ok((Self { wording, help, sinks_clean }, task))
    }
}

/// Splits a grammar before and after its task sentence, which is the content of a JSON string.
fn split_task(grammar: &str) -> Option<(&str, &str, &str)> {
    let start = grammar.find(TASK_LABEL)? + TASK_LABEL.len();
    let bytes = grammar.as_bytes();
    let mut end = start;
    while *bytes.get(end)? != b'"' {
        end += if bytes[end] == b'\\' { 2 } else { 1 };
    }
    // `end` is at an ASCII quote, hence on a character boundary.
    Some((&grammar[..start], &grammar[start..end], &grammar[end..]))
}

/// SHA-256 of a PDDL domain in lower case without comments and white space.
fn domain_fingerprint(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    for line in text.lines() {
        let code = line.split(';').next().unwrap_or_default();
        bytes.extend(code.bytes().filter(|byte| !byte.is_ascii_whitespace()));
    }
    bytes.make_ascii_lowercase();
    hex(&Sha256::digest(bytes))
}

/// SHA-256 of a grammar without white space and without its task sentence.
fn grammar_fingerprint(before: &str, after: &str) -> String {
    let bytes: Vec<u8> =
        before.bytes().chain(after.bytes()).filter(|byte| !byte.is_ascii_whitespace()).collect();
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_comments_and_the_task_do_not_matter() {
        assert_eq!(domain_fingerprint("(a ; note\n  B)"), domain_fingerprint("(A b)\n"));
        assert_ne!(domain_fingerprint("(a b)"), domain_fingerprint("(a c)"));
        let cut =
            |text| split_task(text).map(|(before, task, after)| (grammar_fingerprint(before, after), task));
        let (first, task) = cut(r#"{"rhs": "Your task is to: say \"hi\"."}"#).unwrap();
        assert_eq!(task, r#"say \"hi\"."#);
        assert_eq!(cut(r#"{"rhs":"Your task is to: x"}"#).unwrap().0, first);
        assert_eq!(cut(r#"{"rhs":"Your task is to: x"#), None);
        assert_eq!(cut(r#"{"rhs":"Your task is to: x\"#), None);
    }

    #[test]
    fn unknown_texts_are_refused() {
        let error = Dialect::recognise("(define)", "Your task is to: x\"").unwrap_err();
        assert!(matches!(error, GameError::UnknownDomain { .. }), "{error}");
        assert!(matches!(Dialect::named("zork"), Err(GameError::UnknownDialect { .. })));
    }
}
