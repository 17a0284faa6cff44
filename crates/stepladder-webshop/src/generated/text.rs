//! Title, description and features of a product.

use rand::RngExt;
use stepladder_core::seed::Rng;

use super::Pages;
use super::plan::{Plan, below, pick, sample};
use super::vocabulary::{Attribute, Phrase, Role, VOCABULARY, capital};

/// Choice whose value is a number of pieces.
const PIECES: &str = "item package quantity";

/// Texts of a product.
pub(super) struct Texts {
    pub title: String,
    /// Lower-case nouns of the title in their order.
    pub nouns: Vec<Box<str>>,
    pub description: String,
    pub bullets: Vec<String>,
}

/// Puts a product into words.
pub(super) fn write(plan: &Plan, pages: Pages, rng: &mut Rng) -> Texts {
    let mut title = Title::default();
    match pages {
        Pages::Full => long_title(plan, rng, &mut title),
        Pages::Short => short_title(plan, rng, &mut title),
    }
    let words = Words::new(plan);
    let (description, bullets) = match pages {
        Pages::Full => (long_description(plan, &words, rng), long_bullets(plan, &words, rng)),
        Pages::Short => short_texts(plan, &words, rng),
    };
    Texts { title: title.text, nouns: title.nouns, description, bullets }
}

/// A title under construction.
#[derive(Default)]
struct Title {
    text: String,
    nouns: Vec<Box<str>>,
}

impl Title {
    fn word(&mut self, word: &str) {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(word);
    }

    fn brand(&mut self, brand: &str) {
        self.word(brand);
        self.nouns.push(brand.to_lowercase().into());
    }

    fn phrase(&mut self, phrase: &Phrase) {
        self.word(&phrase.title);
        self.nouns.extend(phrase.nouns.iter().map(|noun| Box::from(*noun)));
    }

    /// The last word of a phrase.
    fn last_word(&mut self, phrase: &Phrase) {
        let word = phrase.title.rsplit(' ').next().unwrap_or(&phrase.title);
        self.word(word);
        self.nouns.extend(
            phrase.nouns.iter().filter(|noun| word.eq_ignore_ascii_case(noun)).map(|noun| Box::from(*noun)),
        );
    }

    fn comma(&mut self) {
        self.text.push(',');
    }

    fn attribute(&mut self, attribute: &Attribute) {
        match attribute.role.link().trim_end() {
            "" => {}
            link => self.word(link),
        }
        self.phrase(&attribute.phrase);
    }
}

/// Part of a title after the name.
#[derive(Clone, Copy)]
enum Part<'a> {
    Attribute(&'a Attribute),
    Uses(&'a Attribute, &'a Attribute),
    Value(&'a str),
    Pieces(&'a str),
    Looks(&'a Phrase, &'a Phrase),
}

fn long_title(plan: &Plan, rng: &mut Rng, title: &mut Title) {
    let brand_first = rng.random_range(0..10_u32) < 7;
    if brand_first {
        title.brand(&plan.brand);
    }
    if rng.random_range(0..10_u32) < 6 {
        title.phrase(plan.look);
    }
    if let Some(material) = plan.material {
        title.phrase(material);
    }
    title.phrase(&plan.kind.name);
    if !brand_first {
        title.word("by");
        title.brand(&plan.brand);
    }
    let parts = parts(plan, rng);
    let most = below(rng, 10);
    for part in sample(rng, &parts, most) {
        title.comma();
        match *part {
            Part::Attribute(attribute) => title.attribute(attribute),
            Part::Uses(one, other) => {
                title.attribute(one);
                title.word("and");
                title.phrase(&other.phrase);
            }
            Part::Value(value) => value.split(' ').for_each(|word| title.word(&capital(word))),
            Part::Pieces(number) => {
                title.word("Pack of");
                title.word(number);
                title.nouns.push("pack".into());
            }
            Part::Looks(one, other) => {
                title.phrase(one);
                title.word("and");
                title.phrase(other);
                title.word("Design");
                title.nouns.push("design".into());
            }
        }
    }
}

fn parts<'a>(plan: &'a Plan, rng: &mut Rng) -> Vec<Part<'a>> {
    let mut parts: Vec<Part<'a>> =
        plan.attributes.iter().map(|attribute| Part::Attribute(attribute)).collect();
    for choice in &plan.choices {
        let value = &**pick(rng, &choice.values);
        parts.push(if &*choice.name == PIECES { Part::Pieces(value) } else { Part::Value(value) });
    }
    if !plan.choices.iter().any(|choice| &*choice.name == "color")
        && plan.kind.choices.iter().any(|choice| choice.name == "color")
    {
        parts.push(Part::Value(say(rng, &VOCABULARY.colors)));
    }
    let mut looks = sample(rng, &plan.kind.looks, 2);
    if let (Some(one), Some(other)) = (looks.next(), looks.next()) {
        parts.push(Part::Looks(one, other));
    }
    let mut uses = sample(rng, &plan.kind.uses, 2);
    if let (Some(one), Some(other)) = (uses.next(), uses.next()) {
        parts.push(Part::Uses(one, other));
    }
    parts
}

/// Brand, look or material, and name: at most six words.
fn short_title(plan: &Plan, rng: &mut Rng, title: &mut Title) {
    title.brand(&plan.brand);
    match plan.material {
        Some(material) if rng.random_range(0..2_u32) == 0 => title.last_word(material),
        _ => title.phrase(plan.look),
    }
    title.phrase(&plan.kind.name);
}

/// Words that sentences have gaps for.
struct Words<'a> {
    brand: &'a str,
    kind: &'a str,
    piece: String,
    look: &'a str,
}

impl<'a> Words<'a> {
    fn new(plan: &'a Plan) -> Self {
        let kind = &plan.kind.name.text;
        let piece = match plan.material {
            Some(material) => format!("{} {kind}", material.text),
            None => kind.clone(),
        };
        Self { brand: &plan.brand, kind, piece, look: &plan.look.text }
    }

    /// Appends a sentence with its gaps filled.
    fn fill(&self, sentence: &str, attribute: &str, text: &mut String) {
        if !text.is_empty() {
            text.push(' ');
        }
        let mut rest = sentence;
        while let Some((before, gap)) = rest.split_once('{') {
            text.push_str(before);
            let (name, after) = gap.split_once('}').unwrap_or((gap, ""));
            match name {
                "a" => text.push_str(attribute),
                "A" => {
                    let start = text.len();
                    text.push_str(attribute);
                    if let Some(first) = text.get_mut(start..=start) {
                        first.make_ascii_uppercase();
                    }
                }
                "brand" => text.push_str(self.brand),
                "kind" => text.push_str(self.kind),
                "piece" => text.push_str(&self.piece),
                _ => text.push_str(self.look),
            }
            rest = after;
        }
        text.push_str(rest);
    }
}

/// Draws a text.
fn say(rng: &mut Rng, texts: &[&'static str]) -> &'static str {
    texts[below(rng, texts.len())]
}

/// An opening, a sentence for every attribute, one or two closings.
fn long_description(plan: &Plan, words: &Words<'_>, rng: &mut Rng) -> String {
    let mut text = String::with_capacity(512);
    words.fill(say(rng, VOCABULARY.sentences("opening")), "", &mut text);
    for attribute in &plan.attributes {
        let sentence = say(rng, VOCABULARY.about(attribute.role));
        words.fill(sentence, &attribute.phrase.text, &mut text);
    }
    words.fill(say(rng, VOCABULARY.sentences(plan.department())), "", &mut text);
    if rng.random_range(0..2_u32) == 0 {
        words.fill(say(rng, VOCABULARY.sentences("closing")), "", &mut text);
    }
    text
}

/// A line with a headline for each of some attributes.
fn long_bullets(plan: &Plan, words: &Words<'_>, rng: &mut Rng) -> Vec<String> {
    let most = 3 + below(rng, 4);
    plan.attributes
        .iter()
        .take(most)
        .map(|attribute| {
            let mut text = attribute.phrase.text.to_ascii_uppercase();
            text.push_str(" -");
            words.fill(say(rng, VOCABULARY.about(attribute.role)), &attribute.phrase.text, &mut text);
            words.fill(say(rng, VOCABULARY.sentences("bullet")), "", &mut text);
            text
        })
        .collect()
}

/// A sentence with all attributes, and a line for each.
fn short_texts(plan: &Plan, words: &Words<'_>, rng: &mut Rng) -> (String, Vec<String>) {
    let named = |attribute: &Attribute| format!("{}{}", attribute.role.link(), attribute.phrase.text);
    let mut description = capital(&words.piece);
    for role in Role::ALL {
        for attribute in plan.attributes.iter().filter(|attribute| attribute.role == role) {
            description.push_str(", ");
            description.push_str(&named(attribute));
        }
    }
    description.push('.');
    words.fill(say(rng, VOCABULARY.sentences("short")), "", &mut description);
    let bullets = plan.attributes.iter().map(|attribute| capital(&named(attribute)) + ".").collect();
    (description, bullets)
}
