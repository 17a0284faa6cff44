//! Things in the compact encoding: writer and parser.

use super::{DEEPEST, NOTHING, STATE, TAGS, Thing};
use crate::codec::lexicon::{Article, LEXICON, Style};
use crate::codec::word;

const ONE: &str = ">";
const OPEN: &str = "(";
const CLOSE: &str = ")";
/// A usual door is not printed.
const NO_DOOR: &str = "door:none";
const NO_CONTENTS: &str = "unseen";
const DOOR_OPEN: &str = "door:open";
const DOOR_SHUT: &str = "door:closed";
/// Both ends connected to nothing, or the prefix of their connections.
const LOOSE: &str = "loose";
const JOINED: &str = "joined:";
const TAIL: [&str; 2] = ["tail:no", "tail:yes"];

impl Thing {
    /// Appends the words; `None` if a part has no word.
    pub(in crate::codec) fn write(&self, words: &mut Vec<String>) -> Option<()> {
        let usual = self.profile();
        if self.article != usual.article {
            words.push(self.article.word().to_owned());
        }
        words.push(word::name_word(&self.name)?);
        words.extend(self.tags.iter().map(|tag| TAGS[*tag].1.to_owned()));
        if self.state.as_deref() != usual.state {
            let state = self.state.as_deref().map(word::name_word);
            words.push(format!("{STATE}{}", state.unwrap_or_else(|| Some(String::new()))?));
        }
        if let Some(reading) = &self.reading {
            words.push(word::degrees_word(reading)?);
        }
        match (self.door, usual.door) {
            (Some(false), true) | (None, false) => {}
            (Some(true), _) => words.push(DOOR_OPEN.to_owned()),
            (Some(false), false) => words.push(DOOR_SHUT.to_owned()),
            (None, true) => words.push(NO_DOOR.to_owned()),
        }
        match (&self.contents, self.usual_style()) {
            (None, None) => {}
            (None, Some(_)) => words.push(NO_CONTENTS.to_owned()),
            (Some((style, things)), expected) => {
                if *style != self.contents_style() {
                    words.push(style.word().to_owned());
                }
                if !things.is_empty() {
                    let start = words.len();
                    words.push(ONE.to_owned());
                    if write_runs(things, words)? > 1 {
                        OPEN.clone_into(&mut words[start]);
                        words.push(CLOSE.to_owned());
                    }
                } else if Some(*style) != expected {
                    words.extend([OPEN, CLOSE].map(str::to_owned));
                }
            }
        }
        match &self.ends {
            None => {}
            Some([None, None]) => words.push(LOOSE.to_owned()),
            Some(ends) => {
                words.push(JOINED.to_owned());
                for end in ends {
                    match end {
                        Some((end, name)) => words.extend([word::name_word(end)?, word::name_word(name)?]),
                        None => words.push(NOTHING.to_owned()),
                    }
                }
            }
        }
        if self.tail != usual.tail {
            words.push(TAIL[usize::from(self.tail)].to_owned());
        }
        Some(())
    }

    fn read(words: &mut Words<'_>, depth: usize) -> Self {
        let article = words.next_if(|word| Article::ALL.into_iter().find(|article| article.word() == word));
        let name = words.next_if(|word| Some(word::text_of(word))).unwrap_or_default();
        let usual = LEXICON.profile(&name);
        let mut thing = Self {
            article: article.unwrap_or(usual.article),
            name,
            tags: Vec::new(),
            state: usual.state.map(str::to_owned),
            reading: None,
            door: usual.door.then_some(false),
            contents: None,
            ends: None,
            tail: usual.tail,
        };
        while let Some(tag) = words.next_if(|word| TAGS.iter().position(|(_, tag)| *tag == word)) {
            thing.tags.push(tag);
        }
        if let Some(state) = words.next_if(|word| word.strip_prefix(STATE).map(word::text_of)) {
            thing.state = (!state.is_empty()).then_some(state);
        }
        thing.reading = words.next_if(|word| word::degrees(word).map(str::to_owned));
        let doors = [(DOOR_OPEN, Some(true)), (DOOR_SHUT, Some(false)), (NO_DOOR, None)];
        if let Some(door) = words.next_if(|word| doors.iter().find(|(door, _)| *door == word)) {
            thing.door = door.1;
        }
        let mut style = thing.usual_style();
        if words.next_if(|word| (word == NO_CONTENTS).then_some(())).is_some() {
            style = None;
        } else if let Some(said) =
            words.next_if(|word| Style::ALL.into_iter().find(|style| style.word() == word))
        {
            style = Some(said);
        }
        let several =
            words.next_if(|word| [(ONE, false), (OPEN, true)].into_iter().find(|(sign, _)| *sign == word));
        let mut things = Vec::new();
        if let Some((_, several)) = several.filter(|_| depth < DEEPEST) {
            while !words.is_empty()
                && words.next_if(|word| (several && word == CLOSE).then_some(())).is_none()
            {
                things.extend(words.run(depth + 1));
                if !several {
                    break;
                }
            }
        }
        thing.contents =
            style.or_else(|| several.map(|_| thing.contents_style())).map(|style| (style, things));
        if words.next_if(|word| (word == LOOSE).then_some(())).is_some() {
            thing.ends = Some([None, None]);
        } else if words.next_if(|word| (word == JOINED).then_some(())).is_some() {
            thing.ends = Some([words.end(), words.end()]);
        }
        if let Some(tail) = words.next_if(|word| TAIL.iter().position(|tail| *tail == word)) {
            thing.tail = tail == 1;
        }
        thing
    }
}

/// Words that are not yet parsed.
struct Words<'a> {
    all: &'a [&'a str],
    at: usize,
}

impl Words<'_> {
    fn is_empty(&self) -> bool {
        self.at >= self.all.len()
    }

    /// Consumes the next word if `accept` returns a value for it.
    fn next_if<T>(&mut self, accept: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let accepted = accept(self.all.get(self.at)?)?;
        self.at += 1;
        Some(accepted)
    }

    fn run(&mut self, depth: usize) -> Vec<Thing> {
        let thing = Thing::read(self, depth);
        let times = if thing.simple() { self.next_if(word::run) } else { None };
        vec![thing; times.unwrap_or(1)]
    }

    /// Parses the connection of one end.
    fn end(&mut self) -> Option<(String, String)> {
        let nothing = self.next_if(|word| (word == NOTHING).then_some(())).is_some();
        let mut name = || self.next_if(|word| Some(word::text_of(word)));
        if nothing { None } else { Some((name()?, name()?)) }
    }
}

/// Parses the run at `words[*at..]`; consumes at least one word if there is one.
pub(in crate::codec) fn read_run(words: &[&str], at: &mut usize) -> Vec<Thing> {
    let mut rest = Words { all: words, at: *at };
    let things = rest.run(0);
    *at = rest.at;
    things
}

/// Appends the words of things; returns the number of runs.
pub(in crate::codec) fn write_runs(things: &[Thing], words: &mut Vec<String>) -> Option<usize> {
    let mut rest = things;
    let mut runs = 0;
    while let Some(first) = rest.first() {
        let alike = rest.iter().take(word::longest_run()).take_while(|thing| *thing == first).count();
        let len = if first.simple() { alike } else { 1 };
        first.write(words)?;
        if len > 1 {
            words.push(word::run_word(len));
        }
        rest = &rest[len..];
        runs += 1;
    }
    Some(runs)
}
