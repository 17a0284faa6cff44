//! Texts of Python's module `json`.

use std::fmt::Write as _;

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

#[cfg(test)]
mod tests {
    use super::*;

    /// Python 3.11's answers.
    #[test]
    fn names_and_values_are_written_as_python_writes_them() {
        let pairs = |value: &str| [("size".into(), value.into()), ("it's".into(), "".into())];
        let mut text = String::new();
        json(&pairs("28\" x 28\"\\"), false, &mut text);
        json(&pairs("<é\u{a0}\u{1f600}\u{7f}\n"), true, &mut text);
        assert_eq!(
            text,
            "{\"size\": \"28\\\" x 28\\\"\\\\\", \"it's\": \"\"}\
             {\"size\": \"\\u003c\\u00e9\\u00a0\\ud83d\\ude00\\u007f\\n\", \"it\\u0027s\": \"\"}"
        );
    }
}
