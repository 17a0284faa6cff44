//! Things in the simulator's text: parser and printer.

use super::{DEEPEST, NOTHING, TAGS, Thing};
use crate::codec::lexicon::{Article, LEXICON, Style};
use crate::codec::word;

const READING: &str = ", currently reading a temperature of ";
const UNIT: &str = " degrees celsius";
/// Texts before the ends: of most things, and of wires.
const ENDS: [[&str; 2]; 2] = [
    [". its anode is connected to: ", " its cathode is connected to: "],
    ["its terminal 1 is connected to: ", " its terminal 2 is connected to: "],
];

impl Thing {
    /// Parses a whole text as one thing.
    pub(in crate::codec) fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader { rest: text };
        let thing = reader.thing(0)?;
        reader.rest.is_empty().then_some(thing)
    }

    /// Appends the simulator's text.
    pub(in crate::codec) fn print(&self, text: &mut String) {
        text.push_str(self.article.text());
        text.push_str(&self.name);
        for tag in &self.tags {
            text.push_str(TAGS[*tag].0);
        }
        if let Some(state) = &self.state {
            text.push_str(", which is ");
            text.push_str(state);
        }
        if let Some(reading) = &self.reading {
            for part in [READING, reading, UNIT] {
                text.push_str(part);
            }
        }
        if let Some(open) = self.door {
            for part in [". The ", &self.name, " door is ", if open { "open." } else { "closed. " }] {
                text.push_str(part);
            }
        }
        let stop = if self.door == Some(true) { " " } else { ". " };
        if let Some((style, things)) = &self.contents {
            let (parts, end) = match style {
                Style::Containing => ([" (containing ", "", ""], ")"),
                Style::On => (["On the ", &self.name, " is: "], "."),
                Style::In => (["In the ", &self.name, " is: "], "."),
                Style::See => (["On the ", &self.name, " you see: "], ". "),
            };
            if *style != Style::Containing {
                text.push_str(stop);
            }
            parts.iter().for_each(|part| text.push_str(part));
            print_list(things, text);
            text.push_str(end);
        }
        if let Some(ends) = &self.ends {
            for (before, end) in ENDS[usize::from(self.profile().wire)].iter().zip(ends) {
                text.push_str(before);
                match end {
                    Some((end, name)) => {
                        ["a ", end, " on ", name].iter().for_each(|part| text.push_str(part))
                    }
                    None => text.push_str(NOTHING),
                }
                text.push('.');
            }
            text.push(' ');
        }
        if self.tail {
            text.push_str(". ");
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn eat(&mut self, prefix: &str) -> bool {
        let rest = self.rest.strip_prefix(prefix);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn until(&mut self, stops: &[char]) -> &'a str {
        let (taken, rest) = self.rest.split_at(self.rest.find(stops).unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// Consumes `. The NAME door is ` or `. On the NAME is: ` if the name is right.
    fn named(&mut self, before: &str, name: &str, after: &str) -> bool {
        let rest = self
            .rest
            .strip_prefix(before)
            .and_then(|rest| rest.strip_prefix(name))
            .and_then(|rest| rest.strip_prefix(after));
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn list(&mut self, depth: usize) -> Option<Vec<Thing>> {
        let mut things = Vec::new();
        if self.eat(NOTHING) {
            return Some(things);
        }
        loop {
            things.push(self.thing(depth)?);
            if !self.eat(", ") {
                return Some(things);
            }
        }
    }

    fn name(&mut self) -> Option<String> {
        if self.rest.starts_with("book (") {
            // The only names with brackets; they end with the author.
            let end = self.rest.find(" by ").map(|at| at + 4)?;
            let end = end + self.rest[end..].find([',', '.', ')', '\n']).unwrap_or(self.rest.len() - end);
            let (name, rest) = self.rest.split_at(end);
            word::name_word(name)?;
            self.rest = rest;
            return Some(name.to_owned());
        }
        let mut name =
            self.rest[..self.rest.find([',', '.', '(', ')', ':']).unwrap_or(self.rest.len())].trim_end();
        let tags = TAGS.iter().map(|(text, _)| *text);
        // Wires are printed without a full stop before their ends.
        let after = tags.chain([ENDS[1][0]]).filter_map(|text| name.find(text.trim_end_matches(": "))).min();
        name = &name[..after.unwrap_or(name.len())];
        word::name_word(name)?;
        self.rest = &self.rest[name.len()..];
        Some(name.to_owned())
    }

    fn thing(&mut self, depth: usize) -> Option<Thing> {
        if depth > DEEPEST {
            return None;
        }
        let article = Article::ALL.into_iter().find(|article| self.eat(article.text()))?;
        let name = self.name()?;
        let mut thing = Thing {
            article,
            name,
            tags: Vec::new(),
            state: None,
            reading: None,
            door: None,
            contents: None,
            ends: None,
            tail: false,
        };
        while let Some(tag) = TAGS.iter().position(|(text, _)| self.eat(text)) {
            thing.tags.push(tag);
        }
        if self.eat(", which is ") {
            thing.state = Some(self.until(&[',', '.', ')']).to_owned());
        }
        if self.eat(READING) {
            thing.reading = Some(self.until(&[' ']).to_owned());
            self.eat(UNIT).then_some(())?;
        }
        if self.named(". The ", &thing.name, " door is ") {
            let open = self.eat("open.");
            thing.door = Some(open);
            (open || self.eat("closed. ")).then_some(())?;
        }
        // The full stop after `door is open` has already been consumed.
        let stop = if thing.door == Some(true) { " " } else { ". " };
        if self.eat(" (containing ") {
            thing.contents = Some((Style::Containing, self.list(depth + 1)?));
            self.eat(")").then_some(())?;
        } else if self.named(&format!("{stop}On the "), &thing.name, " is: ") {
            thing.contents = Some((Style::On, self.list(depth + 1)?));
            self.eat(".").then_some(())?;
        } else if self.named(&format!("{stop}In the "), &thing.name, " is: ") {
            thing.contents = Some((Style::In, self.list(depth + 1)?));
            self.eat(".").then_some(())?;
        } else if self.named(". On the ", &thing.name, " you see: ") {
            thing.contents = Some((Style::See, self.list(depth + 1)?));
            self.eat(". ").then_some(())?;
        } else if LEXICON.profile(&thing.name).tail {
            thing.tail = self.eat(". ");
        } else {
            let [first, second] = ENDS[usize::from(LEXICON.profile(&thing.name).wire)];
            if self.eat(first) {
                let one = self.end()?;
                self.eat(second).then_some(())?;
                thing.ends = Some([one, self.end()?]);
                self.eat(" ").then_some(())?;
            }
        }
        Some(thing)
    }

    /// Parses `nothing.` or `a END on NAME.`
    #[expect(clippy::option_option, reason = "an end may be connected to nothing, and a text may be no end")]
    fn end(&mut self) -> Option<Option<(String, String)>> {
        let joined = if self.eat(NOTHING) {
            None
        } else {
            self.eat("a ").then_some(())?;
            let (end, name) = self.until(&['.']).split_once(" on ")?;
            Some((end.to_owned(), name.to_owned()))
        };
        self.eat(".").then_some(joined)
    }
}

fn print_list(things: &[Thing], text: &mut String) {
    if things.is_empty() {
        text.push_str(NOTHING);
    }
    for (index, thing) in things.iter().enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        thing.print(text);
    }
}
