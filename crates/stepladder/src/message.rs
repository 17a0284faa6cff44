//! Truncation of error messages, which repeat user input.

/// Longest word in characters that is shown in full. Paths and checksums are shorter.
const WORD: usize = 400;
/// Characters of a longer word that are shown at its beginning and its end.
const SHOWN: (usize, usize) = (200, 60);
/// Longest message in characters.
const MESSAGE: usize = 20_000;

/// Truncates long words of a message, then the message.
pub(crate) fn shorten(message: &str) -> String {
    let mut text = String::new();
    for word in message.split_inclusive(char::is_whitespace) {
        let length = word.chars().count();
        if length <= WORD {
            text.push_str(word);
            continue;
        }
        text.extend(word.chars().take(SHOWN.0));
        text.push('…');
        text.extend(word.chars().skip(length - SHOWN.1));
    }
    match text.char_indices().nth(MESSAGE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_long_is_cut() {
        let plain = "error: `runs/é/config.toml`: no such file\n  second line";
        assert_eq!(shorten(plain), plain);
        let long = format!("unknown preset \"{}\"; presets are demo", "ä".repeat(1_000_000));
        let cut = shorten(&long);
        assert!(cut.chars().count() < 320 && cut.starts_with("unknown preset \"ää"), "{cut}");
        assert!(cut.ends_with("ä\"; presets are demo"), "{cut}");
        assert_eq!(shorten(&"a ".repeat(1_000_000)).chars().count(), MESSAGE + 1);
    }
}
