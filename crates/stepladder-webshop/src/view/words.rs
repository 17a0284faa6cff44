//! Comparing texts by their words.

/// First words of colors that a value may name in its own way: `dark heather grey` and `grey`.
const COLORS: [&str; 24] = [
    "beige", "black", "blue", "brown", "camel", "coffee", "copper", "gold", "gray", "green", "grey", "khaki",
    "lavender", "navy", "orange", "pink", "purple", "red", "rose", "silver", "teal", "white", "wine",
    "yellow",
];

/// Words for whom a thing is.
const MEN: [&str; 3] = ["men", "man", "boy"];
const WOMEN: [&str; 4] = ["women", "woman", "girl", "lady"];

/// Words without meaning in a comparison.
const EMPTY: [&str; 6] = ["a", "an", "and", "for", "of", "the"];

/// Lower-case words of a text without the endings of plurals and of possession.
pub(crate) fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase().replace("'s", "").replace("\u{2019}s", "");
    let split = lower.split(|char: char| !char.is_alphanumeric()).filter(|word| !word.is_empty());
    split.map(singular).collect()
}

/// Words of a text that a comparison counts.
pub(crate) fn telling(text: &str) -> Vec<String> {
    let mut words = words(text);
    words.retain(|word| !EMPTY.contains(&word.as_str()));
    words
}

/// Strips the ending of a plural.
fn singular(word: &str) -> String {
    let length = word.chars().count();
    if length > 4
        && let Some(stem) = word.strip_suffix("ies")
    {
        return format!("{stem}y");
    }
    if length > 4
        && let Some(stem) = word.strip_suffix("es")
        && stem.ends_with(['s', 'x', 'z', 'h'])
    {
        return stem.to_owned();
    }
    match word.strip_suffix('s') {
        Some(stem) if length > 3 && !stem.ends_with('s') => stem.to_owned(),
        _ => word.to_owned(),
    }
}

/// Whether all words of a phrase occur, in any order.
pub(crate) fn says(words: &[String], phrase: &str) -> bool {
    self::words(phrase).iter().all(|word| words.contains(word))
}

/// Whether one text is for men and the other for women.
pub(crate) fn opposed(one: &[String], other: &[String]) -> bool {
    let has = |words: &[String], list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    let whom = |words: &[String]| (has(words, &MEN), has(words, &WOMEN));
    matches!((whom(one), whom(other)), ((true, false), (false, true)) | ((false, true), (true, false)))
}

/// First color in a list of colors that a value contains.
pub(crate) fn color(value: &str) -> Option<&'static str> {
    let lower = value.to_lowercase();
    COLORS.into_iter().find(|color| lower.contains(color))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_do_not_count() {
        assert_eq!(
            words("Women's dresses, BOXES & 2 ladies' gloss"),
            ["women", "dress", "box", "2", "lady", "gloss"]
        );
        assert!(says(&words("Washable in the Machine"), "machine washable"));
        assert!(!says(&words("machine wash"), "machine washable"));
        assert!(opposed(&words("men's shirts"), &words("Ladies Shirt")));
        assert!(!opposed(&words("men's shirts"), &words("Shirt for men and women")));
        assert_eq!((color("a01#Pink"), color("multi")), (Some("pink"), None));
    }
}
