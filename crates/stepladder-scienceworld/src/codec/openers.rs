//! Words that select how a text is decoded, and the table of fixed forms, each with an opening word.

use std::sync::LazyLock;

use rustc_hash::FxHashSet;

/// Opening word of the description of one thing, the answer to `examine`.
pub(super) const SEE: &str = "see:";
/// Opening words of a room with its inventory.
pub(super) const ROOM: [&str; 2] = ["room:", "room!"];
/// Opening words of the answer to `look around`.
pub(super) const LOOK: [&str; 2] = ["look:", "look!"];
/// Opening word of a question about an ambiguous action.
pub(super) const WHICH: &str = "which:";
/// Closing word of a line that is spelled out.
pub(super) const LINE_END: &str = "end:";

static FORM_WORDS: LazyLock<FxHashSet<&'static str>> =
    LazyLock::new(|| form_table().map(|(word, _)| word).collect());

/// Lists the fixed forms: opening word and text.
pub(super) fn form_table() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = include_str!("forms.txt").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(" | "))
}

/// Whether a word opens a room.
pub(super) fn opens_room(word: &str) -> bool {
    ROOM.contains(&word) || LOOK.contains(&word)
}

/// Whether a word at the start of a text selects how the rest is decoded.
pub(super) fn opens(word: &str) -> bool {
    word == SEE || word == WHICH || opens_room(word) || FORM_WORDS.contains(word)
}

/// Whether a word ends a section of text that is spelled out.
pub(super) fn closes(word: &str) -> bool {
    word == LINE_END
}
