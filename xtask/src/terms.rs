//! Check for the words that docs/glossary.md rejects, in comments, string literals and configuration keys.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::settings::Settings;

/// File with the terms and the rejected words.
const GLOSSARY: &str = "docs/glossary.md";

/// A rejected word, in lower case.
#[derive(Debug, PartialEq, Eq)]
struct Rejected {
    word: String,
    /// Term to use; empty where no single term replaces it.
    term: String,
}

/// Lists every place of a rejected word.
///
/// # Errors
/// The list of places, or an unreadable file.
pub(crate) fn check(settings: &Settings) -> Result<()> {
    let glossary = fs_err::read_to_string(settings.workspace.join(GLOSSARY))?;
    let rejected = rejected(&glossary);
    if rejected.is_empty() {
        bail!("{GLOSSARY} has no table with a column `rejected`");
    }
    let mut found = Vec::new();
    for file in files(&settings.workspace)? {
        let text = fs_err::read_to_string(settings.workspace.join(&file))?;
        let name = file.display().to_string().replace('\\', "/");
        for (line, prose) in prose(&name, &text) {
            for Rejected { word, term } in &rejected {
                if contains(&prose, word) {
                    let instead =
                        if term.is_empty() { String::new() } else { format!("; the term is `{term}`") };
                    found.push(format!("{name}:{line}: `{word}`{instead}"));
                }
            }
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    bail!("words that {GLOSSARY} rejects:\n  {}", found.join("\n  "))
}

/// Reads the rejected words: the last column of the glossary's tables, and the list under its last heading.
fn rejected(glossary: &str) -> Vec<Rejected> {
    let mut found = Vec::new();
    let mut listing = false;
    for line in glossary.lines() {
        if line.starts_with("## ") {
            listing = line.starts_with("## Words") || line.starts_with("## References");
        }
        let (term, words) = match line.strip_prefix('|').and_then(|row| row.strip_suffix('|')) {
            Some(row) => {
                let mut columns = row.split('|').map(str::trim);
                let term = columns.next().unwrap_or_default();
                (term, columns.next_back().unwrap_or_default())
            }
            None if listing => ("", line),
            None => continue,
        };
        let quoted = words.split('`').skip(1).step_by(2);
        found.extend(quoted.map(|word| Rejected { word: word.to_lowercase(), term: term.to_owned() }));
    }
    found
}

/// Lists sources and configuration files, relative to the root; the vocabulary of recorded originals in `parity/` is not ours.
fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> =
        ["crates", "xtask", "presets", "benches", "examples", ".ci"].map(PathBuf::from).into();
    while let Some(folder) = folders.pop() {
        let path = root.join(&folder);
        if !path.is_dir() {
            continue;
        }
        for entry in fs_err::read_dir(&path)? {
            let entry = entry?;
            let below = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push(below);
            } else if matches!(below.extension().and_then(|ext| ext.to_str()), Some("rs" | "toml" | "py")) {
                found.push(below);
            }
        }
    }
    found.sort();
    found.first().context("no sources found")?;
    Ok(found)
}

/// Returns the comments, string literals and keys of a file by line; of TOML everything.
fn prose(name: &str, text: &str) -> Vec<(usize, String)> {
    // This file and its tests name rejected words; the fixture is a run directory of an earlier version.
    if name == "xtask/src/terms.rs" || name.starts_with("crates/stepladder/tests/run-v1/") {
        return Vec::new();
    }
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    match name.rsplit('.').next() {
        Some("rs") => lines.filter_map(|(at, line)| Some((at, rust_prose(line)?))).collect(),
        Some("py") => lines
            .filter(|(_, line)| line.contains(['#', '"']))
            .map(|(at, line)| (at, line.to_lowercase()))
            .collect(),
        _ => lines.map(|(at, line)| (at, line.to_lowercase())).collect(),
    }
}

/// Returns a line of Rust from its first quotation mark or comment on, in lower case.
fn rust_prose(line: &str) -> Option<String> {
    let comment = line.find("//");
    let quote = line.find('"');
    let start = comment.into_iter().chain(quote).min();
    // The middle of a string literal over several lines has neither.
    let start = start.or_else(|| line.trim_end().ends_with('\\').then_some(0))?;
    Some(line[start..].to_lowercase())
}

/// Whether a text contains the word with no letter or digit on either side.
fn contains(text: &str, word: &str) -> bool {
    let boundary =
        |letter: Option<char>| !letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    let ends_in_letter = |letter: Option<char>| letter.is_some_and(char::is_alphanumeric);
    text.match_indices(word).any(|(at, _)| {
        let before = !ends_in_letter(word.chars().next()) || boundary(text[..at].chars().next_back());
        // `(design D` goes on with a number, `(spec/` with a name.
        let open = word.starts_with('(') || !ends_in_letter(word.chars().next_back());
        before && (open || boundary(text[at + word.len()..].chars().next()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GLOSSARY: &str = "\
| term | meaning | rejected |
|---|---|---|
| rollout | playing | `roll-out`, `Rolling` |
| batch | rows with `code` in the meaning | |

## Words that say nothing
Not used: `whoever`.
";

    #[test]
    fn the_last_column_and_the_list_are_rejected() {
        let words: Vec<(String, String)> =
            rejected(GLOSSARY).into_iter().map(|Rejected { word, term }| (word, term)).collect();
        let expected = [("roll-out", "rollout"), ("rolling", "rollout"), ("whoever", "")];
        assert_eq!(words, expected.map(|(word, term)| (word.to_owned(), term.to_owned())));
    }

    #[test]
    fn comments_strings_and_keys_are_read_and_code_is_not() {
        assert_eq!(rust_prose("let roll = 1; // A Roll-Out"), Some("// a roll-out".to_owned()));
        assert_eq!(rust_prose("bail!(\"a roll-out\")"), Some("\"a roll-out\")".to_owned()));
        assert_eq!(rust_prose("let whoever = 1;"), None);
        assert_eq!(rust_prose("    a roll-out \\"), Some("    a roll-out \\".to_owned()));
        assert_eq!(prose("presets/a.toml", "zero_shot = 1"), [(1, "zero_shot = 1".to_owned())]);
    }

    #[test]
    fn only_whole_words_count() {
        assert!(contains("a roll-out.", "roll-out"));
        assert!(!contains("a scroll-outside", "roll-out"));
        assert!(!contains("zero_shots", "zero_shot"));
        assert!(contains("as decided (design d12)", "(design d"));
        assert!(contains("(spec/algorithms 3.4)", "(spec/"));
        assert!(!contains("(docs/spec/algorithms.md 3.4)", "(spec/"));
    }

    #[test]
    fn the_glossary_of_the_repository_is_read() {
        let text =
            fs_err::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/glossary.md")).unwrap();
        let words: Vec<String> = rejected(&text).into_iter().map(|Rejected { word, .. }| word).collect();
        for word in ["hyper-parameter", "whoever", "zero-shot"] {
            assert!(words.iter().any(|found| found == word), "{word}");
        }
    }
}
