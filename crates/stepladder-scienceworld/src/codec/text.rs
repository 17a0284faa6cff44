//! Encoding of free text: phrases, names and temperatures are one word each, the rest is encoded word by
//! word.

use super::lexicon::LEXICON;
use super::openers;
use super::phrases::{PHRASES, take_with_article};
use super::word::{self, FLAGS};

/// Punctuation that is attached to the word before it; each sign is a separate word.
const SIGNS: &str = ".,:)]!?";
/// Maximum number of consecutive signs.
const MOST_SIGNS: usize = 4;
/// Beginning of a list of places: `|| [Checked: kitchen, hallway]` is encoded as `Checked:[ kitchen hallway
/// ]`.
const LIST: (&str, &str) = ("|| [", ":[");
/// Closing word of such a list if text follows.
const LIST_END: &str = "]";

/// Whether a word of text would be misread in free text.
fn reserved(word: &str) -> bool {
    is_sign(word)
        || [LIST_END, ";"].contains(&word)
        || word.ends_with(LIST.1)
        || FLAGS.iter().any(|(_, flag)| *flag == word)
        || openers::opens(word)
        || openers::closes(word)
}

fn is_sign(word: &str) -> bool {
    word.len() == 1 && SIGNS.contains(word)
}

/// Whether a word may end before `rest`.
fn ends(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(' ') || glued(rest).is_some()
}

/// Finds punctuation or a flag at the start of `rest` that is attached to the word before it. Returns the
/// length of its text and its word.
fn glued(rest: &str) -> Option<(usize, &'static str)> {
    if let Some((text, flag)) = FLAGS.iter().find(|(text, _)| *text == rest) {
        return Some((text.len(), flag));
    }
    let sign = SIGNS.find(rest.chars().next()?)?;
    let mut after = &rest[1..];
    for _ in 0..MOST_SIGNS {
        if after.is_empty() || after.starts_with(' ') || FLAGS.iter().any(|(text, _)| *text == after) {
            return Some((1, &SIGNS[sign..=sign]));
        }
        after = after.strip_prefix(|c: char| SIGNS.contains(c))?;
    }
    None
}

/// Appends the words of a text.
pub(super) fn encode(text: &str, words: &mut Vec<String>) {
    let mut rest = text;
    loop {
        let (len, word) = piece(rest);
        match word {
            Some(word) => words.push(word),
            None => list(rest, words),
        }
        rest = &rest[len..];
        while let Some((len, word)) = glued(rest) {
            words.push(word.to_owned());
            rest = &rest[len..];
        }
        match rest.strip_prefix(' ') {
            Some(after) => rest = after,
            None => return,
        }
    }
}

/// Encodes the start of `rest`. Returns its length and its word; no word for a list.
fn piece(rest: &str) -> (usize, Option<String>) {
    if let Some((len, _)) = take_list(rest) {
        return (len, None);
    }
    if let Some((len, word)) = word::take_degrees(rest).filter(|(len, _)| ends(&rest[*len..])) {
        return (len, Some(word));
    }
    let phrase = PHRASES.longest(rest, ends);
    let name = LEXICON.longest(rest, ends);
    let verb = take_with_article(rest);
    let longest = phrase.map_or(0, |(len, _)| len).max(name.unwrap_or(0)).max(verb.unwrap_or(0));
    match phrase {
        Some((len, word)) if len == longest => return (len, Some(word.to_owned())),
        _ if longest > 0 => return (longest, Some(rest[..longest].replace(' ', "_"))),
        _ => {}
    }
    let end = rest
        .char_indices()
        .find(|(index, c)| *c == ' ' || (*index > 0 && glued(&rest[*index..]).is_some()))
        .map_or(rest.len(), |(index, _)| index);
    (end, Some(word::raw(&rest[..end], reserved)))
}

fn titled(title: &str) -> bool {
    title.len() > 1 && title.bytes().all(|b| b.is_ascii_alphabetic())
}

/// Parses a list of places at the start of `rest` if each item is one word. Returns its length, title and
/// items.
fn take_list(rest: &str) -> Option<(usize, (&str, &str))> {
    let after = rest.strip_prefix(LIST.0)?;
    let (title, after) = after.split_once(": ")?;
    let (items, after) = after.split_once(']')?;
    let single = |item: &str| {
        LEXICON.knows(item) || (!item.contains(' ') && word::name_word(item).is_some() && !reserved(item))
    };
    (titled(title) && items.split(", ").all(single) && ends(after))
        .then(|| (rest.len() - after.len(), (title, items)))
}

fn list(rest: &str, words: &mut Vec<String>) {
    let Some((len, (title, items))) = take_list(rest) else { return };
    words.push(format!("{title}{}", LIST.1));
    words.extend(items.split(", ").map(|item| item.replace(' ', "_")));
    if len < rest.len() {
        words.push(LIST_END.to_owned());
    }
}

/// Decodes words to free text.
pub(super) fn decode(words: &[&str]) -> String {
    let mut text = String::new();
    let mut next = 0;
    while let Some(&word) = words.get(next) {
        let flag = FLAGS.iter().find(|(_, flag)| *flag == word);
        let glue = flag.map(|(text, _)| *text).or(is_sign(word).then_some(word));
        if let Some(glue) = glue {
            text.push_str(glue);
            next += 1;
            continue;
        }
        if next > 0 {
            text.push(' ');
        }
        match word.strip_suffix(LIST.1).filter(|title| titled(title)) {
            Some(title) => {
                let items = &words[next + 1..];
                let len = items.iter().position(|item| *item == LIST_END).unwrap_or(items.len());
                let items: Vec<String> = items[..len].iter().map(|item| word::text_of(item)).collect();
                text.push_str(&format!("{}{title}: {}]", LIST.0, items.join(", ")));
                next += len + 2;
            }
            None => {
                text.push_str(&word::text_of(word));
                next += 1;
            }
        }
    }
    text
}

/// Encodes word by word without any other rule; the fallback for every text.
pub(super) fn spelled(text: &str) -> String {
    let words: Vec<String> = text.split(' ').map(|word| word::raw(word, reserved)).collect();
    words.join(" ")
}
