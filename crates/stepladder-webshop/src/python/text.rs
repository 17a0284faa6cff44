//! Texts of Python's floats and strings.

use std::fmt::Write as _;

use super::unicode::is_printable;

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

/// Whether Python's `str.isspace` is true of a character.
pub fn is_space(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{1c}'..='\u{1f}')
}

/// Removes white space at both ends: `str.strip()`.
pub fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Writes a string as Python's `repr` does: quotes, and escapes of what is not printable.
pub fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            _ if character == quote => {
                out.push('\\');
                out.push(quote);
            }
            _ if is_printable(character) => out.push(character),
            _ => {
                let code = u32::from(character);
                // Writing to a string cannot fail.
                let _ = match code {
                    0..=0xff => write!(out, "\\x{code:02x}"),
                    0x100..=0xffff => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                };
            }
        }
    }
    out.push(quote);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_python_writes_them() {
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
    }

    #[test]
    fn strings_are_quoted_as_python_quotes_them() {
        let texts = [
            ("", "''"),
            ("x-large", "'x-large'"),
            ("men's", "\"men's\""),
            ("28\" x 28\"", "'28\" x 28\"'"),
            ("5' 6\"", "'5\\' 6\"'"),
            ("a\\b", "'a\\\\b'"),
            ("a\tb\nc\rd\x0be\x7f", "'a\\tb\\nc\\rd\\x0be\\x7f'"),
            ("\u{a0}\u{ad}é★黒", "'\\xa0\\xadé★黒'"),
            ("\u{200b}\u{2028}\u{3000}", "'\\u200b\\u2028\\u3000'"),
            ("\u{e0001}😀\u{10ffff}", "'\\U000e0001😀\\U0010ffff'"),
        ];
        for (text, expected) in texts {
            assert_eq!(quoted(text), expected);
        }
    }

    #[test]
    fn white_space_at_the_ends_goes() {
        assert_eq!(strip("\u{1f}\u{3000} a b \u{85}\u{1c}"), "a b");
        assert_eq!(strip("\u{200b}a"), "\u{200b}a");
    }
}
