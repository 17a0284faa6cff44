//! Texts of Python's floats and strings.

use std::fmt::Write as _;

use super::unicode::is_printable;

/// Writes a float as Python's `str` does: `30.0`, `1e+16`, `1e-05`.
pub fn float_text(value: f64) -> String {
    if !value.is_finite() {
        let text = if value.is_nan() {
            "nan"
        } else if value > 0.0 {
            "inf"
        } else {
            "-inf"
        };
        return text.to_owned();
    }
    let shortest = format!("{value:e}");
    let Some((digits, exponent)) = shortest.split_once('e') else { return shortest };
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..16).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
        }
        _ => {
            let mut text = value.to_string();
            if !text.contains('.') {
                text.push_str(".0");
            }
            text
        }
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
    fn floats_as_python_writes_them() {
        let texts = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (30.0, "30.0"),
            (100.0 / 3.0, "33.333333333333336"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.000_012_5, "1.25e-05"),
            (1e15, "1000000000000000.0"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (1e16, "1e+16"),
            (-2.5e-300, "-2.5e-300"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ];
        for (value, text) in texts {
            assert_eq!(float_text(value), text);
        }
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
