//! Names that a user wrote: the nearest known one, and a form short enough for a message.

/// Returns the most similar name if it is close enough to be a typing error; the first of several equally similar names.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut best: Option<(f64, &str)> = None;
    for candidate in known {
        let similarity = strsim::normalized_damerau_levenshtein(name, candidate);
        if similarity >= 0.6 && best.is_none_or(|(most, _)| similarity > most) {
            best = Some((similarity, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Shortens a name that a user wrote to 60 characters; no valid name is longer.
pub fn shorten(name: &str) -> String {
    truncate(name, 60)
}

/// Shortens a text to `most` characters and an ellipsis.
///
/// ```
/// use stepladder_env::names::truncate;
/// assert_eq!([truncate("ladder", 6), truncate("ladder", 3)], ["ladder", "lad…"]);
/// ```
pub fn truncate(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
