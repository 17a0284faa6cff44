//! Texts of a fixed form, and the simulator's questions about ambiguous actions.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;

use super::openers::{self, WHICH};
use super::text;
use super::word;

/// Parsed table of forms.
pub(super) static FORMS: LazyLock<Forms> = LazyLock::new(|| Forms::new(openers::form_table()));

/// Beginning of the answer to an ambiguous action. Encoded as [`WHICH`] and the actions, separated by [`OR`].
const QUESTION: &str =
    "Ambiguous request: Please enter the number for the action you intended (or blank to cancel):\n";
const OR: &str = "or:";
/// Maximum number of slots in a form.
const MOST_SLOTS: usize = 6;

#[derive(Debug)]
enum Piece {
    Literal(String),
    /// Position of a slot.
    Slot(usize),
}

#[derive(Debug)]
struct Form {
    word: String,
    parts: Vec<Piece>,
    slots: usize,
}

/// Table of forms.
pub(super) struct Forms {
    all: Vec<Form>,
    by_word: FxHashMap<String, usize>,
}

impl Forms {
    fn new<'a>(table: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut forms = Self { all: Vec::new(), by_word: FxHashMap::default() };
        for (word, text) in table {
            forms.by_word.insert(word.to_owned(), forms.all.len());
            forms.all.push(Form::new(word, &text.replace("\\n", "\n")));
        }
        forms
    }

    /// Lists the opening words of all forms.
    pub(super) fn words(&self) -> impl Iterator<Item = String> {
        self.all.iter().map(|form| form.word.clone())
    }

    /// Encodes a text that has one of the forms; `None` for other texts.
    pub(super) fn encode(&self, text: &str) -> Option<String> {
        if let Some(lines) = text.strip_prefix(QUESTION) {
            return question(lines);
        }
        self.all.iter().find_map(|form| form.encode(text))
    }

    /// Decodes words that begin with the opening word of a form; `None` for other words.
    pub(super) fn decode(&self, words: &[&str]) -> Option<String> {
        let (first, rest) = words.split_first()?;
        if *first == WHICH {
            return Some(answer(rest));
        }
        let form = &self.all[*self.by_word.get(*first)?];
        let (slots, more) = rest.split_at(form.slots.min(rest.len()));
        let mut text = form.decode(slots);
        if !more.is_empty() {
            text.push(' ');
            text.push_str(&text::decode(more));
        }
        Some(text)
    }
}

impl Form {
    fn new(word: &str, text: &str) -> Self {
        let mut parts = Vec::new();
        let mut slots = 0;
        let mut rest = text;
        while let Some((literal, after)) = rest.split_once('{') {
            if !literal.is_empty() {
                parts.push(Piece::Literal(literal.to_owned()));
            }
            let (slot, after) = after.split_once('}').unwrap_or((after, ""));
            // Slots are numbered from one.
            let slot = slot.parse::<usize>().unwrap_or(1).clamp(1, MOST_SLOTS) - 1;
            slots = slots.max(slot + 1);
            parts.push(Piece::Slot(slot));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Piece::Literal(rest.to_owned()));
        }
        Self { word: word.to_owned(), parts, slots }
    }

    fn encode(&self, text: &str) -> Option<String> {
        let mut found = [None; MOST_SLOTS];
        let mut rest = text;
        let mut parts = self.parts.iter().peekable();
        while let Some(part) = parts.next() {
            rest = match part {
                Piece::Literal(literal) => rest.strip_prefix(literal.as_str())?,
                Piece::Slot(slot) => {
                    let end = match (found[*slot], parts.peek()) {
                        (Some(same), _) => rest.starts_with(same).then_some(str::len(same))?,
                        (None, Some(Piece::Literal(next))) => rest.find(next.as_str())?,
                        (None, _) => rest.len(),
                    };
                    found[*slot] = Some(&rest[..end]);
                    &rest[end..]
                }
            };
        }
        if !rest.is_empty() {
            return None;
        }
        let mut words = self.word.clone();
        for slot in &found[..self.slots] {
            words.push(' ');
            words.push_str(&word::value_word((*slot)?)?);
        }
        Some(words)
    }

    /// Decodes the words of a form. If words are missing, the text ends before the first empty slot.
    fn decode(&self, words: &[&str]) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Slot(slot) => match words.get(*slot) {
                    Some(word) => text.push_str(&word::text_of(word)),
                    None => break,
                },
            }
        }
        text
    }
}

/// Encodes the numbered lines `0:\taction\n`.
fn question(lines: &str) -> Option<String> {
    let mut actions: Vec<(Vec<String>, usize)> = Vec::new();
    for (number, line) in lines.split_inclusive('\n').enumerate() {
        let action = line.strip_suffix('\n')?.strip_prefix(&format!("{number}:\t"))?;
        let mut words = Vec::new();
        text::encode(action, &mut words);
        match actions.last_mut().filter(|(last, times)| *last == words && *times < word::longest_run()) {
            Some((_, times)) => *times += 1,
            None => actions.push((words, 1)),
        }
    }
    let mut words = vec![WHICH.to_owned()];
    for (number, (action, times)) in actions.into_iter().enumerate() {
        words.extend((number > 0).then(|| OR.to_owned()));
        words.extend(action);
        words.extend((times > 1).then(|| word::run_word(times)));
    }
    Some(words.join(" "))
}

fn answer(words: &[&str]) -> String {
    let mut text = QUESTION.to_owned();
    let mut number = 0;
    for action in words.split(|word| *word == OR).filter(|_| !words.is_empty()) {
        let run = action.last().and_then(|word| word::run(word));
        let action = text::decode(&action[..action.len() - usize::from(run.is_some())]);
        for _ in 0..run.unwrap_or(1) {
            text.push_str(&format!("{number}:\t{action}\n"));
            number += 1;
        }
    }
    text
}
