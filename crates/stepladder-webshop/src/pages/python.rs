//! Texts as Python writes them.

use std::fmt::Write;

/// Writes a number as `repr` does: the shortest digits that read back as the number, an exponent from 1e16 on and below 1e-4.
pub fn float(value: f64, out: &mut String) {
    let size = value.abs();
    if size == 0.0 || (1e-4..1e16).contains(&size) || !value.is_finite() {
        // Writing to a string does not fail.
        let _ = write!(out, "{value:?}");
        return;
    }
    let text = format!("{value:e}");
    if let Some((digits, exponent)) = text.split_once('e') {
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
        let _ = write!(out, "{digits}e{sign}{exponent:0>2}");
    }
}

/// Writes names and values as `json.dumps` does: one line, other characters than ASCII escaped. `html` escapes the characters `<>&'` too,
/// as Flask's filter `tojson` does.
pub fn json(pairs: &[(Box<str>, Box<str>)], html: bool, out: &mut String) {
    out.push('{');
    for (number, (name, value)) in pairs.iter().enumerate() {
        if number > 0 {
            out.push_str(", ");
        }
        quoted(name, html, out);
        out.push_str(": ");
        quoted(value, html, out);
    }
    out.push('}');
}

fn quoted(text: &str, html: bool, out: &mut String) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\'' if html => escaped(char, out),
            ' '..='~' => out.push(char),
            _ => escaped(char, out),
        }
    }
    out.push('"');
}

fn escaped(char: char, out: &mut String) {
    for unit in char.encode_utf16(&mut [0; 2]) {
        let _ = write!(out, "\\u{unit:04x}");
    }
}

/// Removes white space on both sides as `str.strip` does: Unicode's, and the four separators U+001C to U+001F.
pub fn strip(text: &str) -> &str {
    text.trim_matches(|char: char| char.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&char))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Python 3.11's answers.
    #[test]
    fn texts_are_pythons() {
        let float = |value| {
            let mut text = String::new();
            float(value, &mut text);
            text
        };
        let numbers = [
            100.0,
            14.95,
            1.0 / 3.0,
            0.02 + 4e-18,
            0.0,
            1e-4,
            9.9e-5,
            1e16,
            1.5e-7,
            2e100,
            9007199254740993.0,
        ];
        assert_eq!(
            numbers.map(float),
            [
                "100.0",
                "14.95",
                "0.3333333333333333",
                "0.020000000000000004",
                "0.0",
                "0.0001",
                "9.9e-05",
                "1e+16",
                "1.5e-07",
                "2e+100",
                "9007199254740992.0"
            ]
        );
        let pairs = |value: &str| [("size".into(), value.into()), ("it's".into(), "".into())];
        let mut text = String::new();
        json(&pairs("28\" x 28\"\\"), false, &mut text);
        json(&pairs("<é\u{a0}\u{1f600}\u{7f}\n"), true, &mut text);
        assert_eq!(
            text,
            "{\"size\": \"28\\\" x 28\\\"\\\\\", \"it's\": \"\"}\
             {\"size\": \"\\u003c\\u00e9\\u00a0\\ud83d\\ude00\\u007f\\n\", \"it\\u0027s\": \"\"}"
        );
        assert_eq!(strip("\u{a0}\u{1f}\n a b\u{200b}\u{2003}\t"), "a b\u{200b}");
    }
}
