//! Single words: names, temperatures, repetitions, and the escape of all other words.

use stepladder_core::codec::unescape;

use super::phrases::PHRASES;

/// Maximum number of repetitions that a word can encode, since a model may write any number.
const LONGEST_RUN: usize = 99;
/// Prefix of a word that is spelled literally.
const ESCAPE: char = '\\';
/// Prefix of a temperature.
const DEGREES: &str = "t:";
const UNIT: &str = " degrees celsius";
/// Prefixes of a recipe's word and title.
const RECIPE: (&str, &str) = ("recipe:", "recipe titled instructions to make ");
/// Maximum number of words in a name that is not in the lexicon.
const LONGEST_NAME: usize = 6;
/// Thresholds of the scale on which temperatures are compared, in degrees Celsius.
const LADDER: [i32; 14] = [-100, -50, -20, -10, 0, 10, 20, 50, 100, 150, 200, 300, 500, 1000];

/// Completion flag of an executor's reply.
pub(super) const FLAGS: [(&str, &str); 2] = [("; True", ";True"), ("; False", ";False")];

/// Encodes a name: spaces become `_`. `None` for other text.
pub(super) fn name_word(name: &str) -> Option<String> {
    if let Some(word) = PHRASES.word(name).filter(|word| word.starts_with("book:")) {
        return Some(word.to_owned());
    }
    if let Some(word) = name.strip_prefix(RECIPE.1).and_then(name_word) {
        return Some(format!("{}{word}", RECIPE.0));
    }
    let plain = |word: &str| {
        word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'\'')
            && word.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
            && !word.ends_with('-')
    };
    (name.split(' ').count() <= LONGEST_NAME && name.split(' ').all(plain)).then(|| name.replace(' ', "_"))
}

/// Encodes a slot's text: a name or a temperature.
pub(super) fn value_word(text: &str) -> Option<String> {
    match text.strip_suffix(UNIT) {
        Some(number) => degrees_word(number),
        None => name_word(text),
    }
}

/// Encodes `-10.0` as `t:-10.0`.
pub(super) fn degrees_word(number: &str) -> Option<String> {
    is_decimal(number).then(|| format!("{DEGREES}{number}"))
}

/// Lists the words of common readings, in whole degrees.
pub(super) fn usual_degrees() -> impl Iterator<Item = String> {
    (-160..=310).map(|number| format!("{DEGREES}{number}"))
}

/// Returns the number of a temperature word.
pub(super) fn degrees(word: &str) -> Option<&str> {
    word.strip_prefix(DEGREES).filter(|number| is_decimal(number))
}

/// Parses a temperature with its unit at the start of a text. Returns its length and its word.
pub(super) fn take_degrees(text: &str) -> Option<(usize, String)> {
    if !text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
        return None;
    }
    let (number, rest) = text.split_once(' ')?;
    let word = degrees_word(number)?;
    rest.starts_with(&UNIT[1..]).then_some((number.len() + UNIT.len(), word))
}

fn is_decimal(number: &str) -> bool {
    let digits = |text: &str| (1..=6).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let number = number.strip_prefix('-').unwrap_or(number);
    number.split_once('.').map_or_else(|| digits(number), |(whole, part)| digits(whole) && digits(part))
}

/// Encodes a number of repetitions: `*3` repeats the thing before it, to three in all.
pub(super) fn run_word(times: usize) -> String {
    format!("*{times}")
}

/// Decodes a number of repetitions.
pub(super) fn run(word: &str) -> Option<usize> {
    word.strip_prefix('*')?.parse().ok().filter(|times| (2..=LONGEST_RUN).contains(times))
}

/// Returns the maximum number of repetitions that a word can encode.
pub(super) fn longest_run() -> usize {
    LONGEST_RUN
}

/// Decodes a word outside any structure.
pub(super) fn text_of(word: &str) -> String {
    if word.starts_with(ESCAPE) {
        return unescape(word);
    }
    if let Some(text) = PHRASES.text(word) {
        return text.to_owned();
    }
    if let Some(number) = degrees(word) {
        return format!("{number}{UNIT}");
    }
    if let Some(product) = word.strip_prefix(RECIPE.0) {
        return format!("{}{}", RECIPE.1, product.replace('_', " "));
    }
    word.replace('_', " ")
}

/// Encodes a word of text that no other rule covers.
pub(super) fn raw(text: &str, reserved: impl Fn(&str) -> bool) -> String {
    let odd = |c: char| c.is_whitespace() || c.is_control();
    let marker = text.starts_with('<') && text.ends_with('>');
    let safe = !text.is_empty()
        && !text.contains(odd)
        && !text.contains('_')
        && !text.starts_with(ESCAPE)
        && !marker
        && !reserved(text)
        && text_of(text) == text;
    if safe {
        return text.to_owned();
    }
    let mut word = String::from(ESCAPE);
    for c in text.chars() {
        match c {
            ESCAPE => word.push_str("\\\\"),
            c if odd(c) => word.push_str(&format!("\\x{{{:x}}}", u32::from(c))),
            c => word.push(c),
        }
    }
    word
}

/// Returns the factors of a temperature: every threshold of the ladder that it has reached. A model can then
/// compare two temperatures by the difference of two sums.
pub(super) fn degrees_factors(word: &str) -> Option<Vec<String>> {
    let number: f64 = degrees(word)?.parse().ok()?;
    let reached = LADDER.iter().filter(|step| number >= f64::from(**step)).map(|step| format!("t>={step}"));
    Some(std::iter::once("t".to_owned()).chain(reached).collect())
}

/// Returns the product of a recipe's word.
pub(super) fn recipe(word: &str) -> Option<&str> {
    word.strip_prefix(RECIPE.0)
}
