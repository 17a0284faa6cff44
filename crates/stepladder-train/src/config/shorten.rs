//! Shortens text of the user for messages.

/// Shortens a name that a user wrote to 60 characters; no valid name is longer.
pub fn shorten(name: &str) -> String {
    truncate(name, 60)
}

/// Shortens a text to `most` characters and an ellipsis.
pub(super) fn truncate(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
