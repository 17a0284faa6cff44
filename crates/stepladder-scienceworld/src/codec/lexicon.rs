//! Names of things, with their usual description and the factors that they share.

use std::sync::LazyLock;

use rustc_hash::{FxHashMap, FxHashSet};

/// Article before a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Article {
    A,
    An,
    BigA,
    The,
    Called,
    Bare,
}

impl Article {
    pub(super) const ALL: [Self; 6] = [Self::Called, Self::A, Self::An, Self::BigA, Self::The, Self::Bare];

    /// Returns the article as it is printed.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::A => "a ",
            Self::An => "an ",
            Self::BigA => "A ",
            Self::The => "the ",
            Self::Called => "a substance called ",
            Self::Bare => "",
        }
    }

    /// Returns the word that encodes an unusual article.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::A => "art:a",
            Self::An => "art:an",
            Self::BigA => "art:A",
            Self::The => "art:the",
            Self::Called => "art:called",
            Self::Bare => "art:none",
        }
    }
}

/// Style in which contents are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `jug (containing …)`
    Containing,
    /// `table. On the table is: ….`
    On,
    /// `sink. In the sink is: ….`
    In,
    /// `apple tree. On the apple tree you see: …. `
    See,
}

impl Style {
    pub(super) const ALL: [Self; 4] = [Self::Containing, Self::On, Self::In, Self::See];

    /// Returns the word that encodes an unusual style.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Containing => "with:",
            Self::On => "on:",
            Self::In => "in:",
            Self::See => "bears:",
        }
    }
}

/// Usual description of a thing; the encoding contains only deviations from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) article: Article,
    pub(super) state: Option<&'static str>,
    pub(super) door: bool,
    /// Style of its contents if it is described as empty.
    pub(super) style: Option<Style>,
    /// Whether the description ends with a full stop and a space.
    pub(super) tail: bool,
    /// Whether its ends are terminals, not an anode and a cathode.
    pub(super) wire: bool,
}

impl Profile {
    const PLAIN: Self =
        Self { article: Article::A, state: None, door: false, style: None, tail: false, wire: false };
}

/// Words before a name that make another name, by the group that they apply to.
pub(super) const STATES: [&str; 3] = ["solid", "liquid", "gaseous"];
pub(super) const STAGES: [&str; 7] = ["baby", "hatchling", "juvenile", "adult", "dead", "egg", "living"];
pub(super) const COLOURS: [&str; 19] = [
    "red",
    "green",
    "blue",
    "yellow",
    "orange",
    "violet",
    "purple",
    "black",
    "white",
    "brown",
    "pink",
    "gold",
    "silver",
    "red-orange",
    "yellow-orange",
    "yellow-green",
    "green-blue",
    "blue-violet",
    "violet-red",
];
/// Life stages that are printed after the names of plants.
const PLANT_STAGES: [&str; 2] = ["seedling", "reproducing"];
/// Words after the name of a plant or an animal that make another name.
const FRUIT_PARTS: [&str; 6] = ["tree", "seed", "plant", "flower", "juice", "pollen"];
const ANIMAL_PARTS: [&str; 4] = ["egg", "pupa", "larva", "seed"];

/// Parsed table of names.
pub(super) static LEXICON: LazyLock<Lexicon> = LazyLock::new(|| Lexicon::new(include_str!("nouns.txt")));

/// All names that the table generates.
pub(super) struct Lexicon {
    profiles: FxHashMap<String, Profile>,
    /// Names by their first word, the longest first.
    by_first: FxHashMap<&'static str, Vec<String>>,
    /// Names as in the table, without words before or after.
    plain: Vec<&'static str>,
    numbered: FxHashSet<String>,
    lettered: FxHashSet<String>,
    fruit: FxHashSet<String>,
}

impl Lexicon {
    fn new(table: &'static str) -> Self {
        let mut lexicon = Self {
            profiles: FxHashMap::default(),
            by_first: FxHashMap::default(),
            plain: Vec::new(),
            numbered: FxHashSet::default(),
            lettered: FxHashSet::default(),
            fruit: FxHashSet::default(),
        };
        for line in table.lines().filter(|line| !line.starts_with('#')) {
            if let Some((attributes, names)) = line.split_once(" | ") {
                lexicon.group(&attributes.split(' ').collect::<Vec<_>>(), names);
            }
        }
        for names in lexicon.by_first.values_mut() {
            names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        }
        lexicon
    }

    fn group(&mut self, attributes: &[&str], names: &'static str) {
        let has = |attribute: &str| attributes.contains(&attribute);
        let pick = |options: &[(&str, Article)]| {
            options.iter().find(|(word, _)| has(word)).map(|(_, article)| *article)
        };
        let article = pick(&[
            ("an", Article::An),
            ("A", Article::BigA),
            ("the", Article::The),
            ("called", Article::Called),
            ("bare", Article::Bare),
        ]);
        let states =
            [("turned", "turned off"), ("off", "off"), ("deactivated", "deactivated"), ("closed", "closed")];
        let styles = [("containing", Style::Containing), ("on", Style::On), ("in", Style::In)];
        let profile = Profile {
            article: article.unwrap_or(Article::A),
            state: states.iter().find(|(word, _)| has(word)).map(|(_, state)| *state),
            door: has("door"),
            style: styles.iter().find(|(word, _)| has(word)).map(|(_, style)| *style),
            tail: has("tail"),
            wire: has("wire"),
        };
        // A word before a name that begins with a vowel changes the article: `an orange`, `a solid orange
        // juice`.
        let modified = Profile { article: if has("an") { Article::A } else { profile.article }, ..profile };
        for name in names.split(", ") {
            self.plain.push(name);
            self.add(name.to_owned(), profile);
            if has("numbered") {
                self.numbered.insert(name.to_owned());
            }
            if has("lettered") {
                self.lettered.insert(name.to_owned());
            }
            if has("fruit") {
                self.fruit.insert(name.to_owned());
            }
            let before: &[&[&str]] = &[
                if has("states") { &STATES } else { &[] },
                if has("colours") { &COLOURS } else { &[] },
                if has("stages") { &STAGES } else { &[] },
            ];
            for word in before.iter().copied().flatten() {
                self.add(format!("{word} {name}"), modified);
            }
            let after: &[&str] = if has("fruit") {
                &FRUIT_PARTS
            } else if has("stages") {
                &ANIMAL_PARTS
            } else {
                &[]
            };
            for word in after {
                let article = if *word == "juice" { Article::Bare } else { Article::A };
                self.add(format!("{name} {word}"), Profile { article, ..Profile::PLAIN });
                if ["tree", "plant"].contains(word) {
                    self.add(format!("dead {name} {word}"), Profile::PLAIN);
                }
            }
        }
    }

    /// Adds a name, unless an earlier line has it.
    fn add(&mut self, name: String, profile: Profile) {
        if self.profiles.contains_key(&name) {
            return;
        }
        let first = name.split(' ').next().unwrap_or_default();
        // The table lives as long as the program, so its first words can be leaked; there is one key per
        // word.
        let names = match self.by_first.get_mut(first) {
            Some(names) => names,
            None => self.by_first.entry(Box::leak(first.to_owned().into_boxed_str())).or_default(),
        };
        names.push(name.clone());
        self.profiles.insert(name, profile);
    }

    /// Lists the names as in the table, without words before or after.
    pub(super) fn plain(&self) -> impl Iterator<Item = &'static str> {
        self.plain.iter().copied()
    }

    /// Returns the usual description of a thing; a name that is not in the table has the article `a`.
    pub(super) fn profile(&self, name: &str) -> Profile {
        if let Some(profile) = self.profiles.get(name) {
            return *profile;
        }
        if let Some(profile) = self.base(name).and_then(|base| self.profiles.get(base)) {
            return *profile;
        }
        let document = name.starts_with("book (") || name.starts_with("recipe titled ");
        Profile { article: if document { Article::BigA } else { Article::A }, ..Profile::PLAIN }
    }

    /// Whether the table has the name, ignoring a number or letter after it.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.profiles.contains_key(name) || self.base(name).is_some()
    }

    /// Returns the name by which the simulator sorts things: without life stage and without the colour of a
    /// fruit.
    pub(super) fn order<'a>(&self, name: &'a str) -> &'a str {
        match name.split_once(' ') {
            Some((first, rest)) if STAGES.contains(&first) || self.fruit.contains(rest) => rest,
            Some((_, rest @ ("paper" | "jam"))) => rest,
            _ => name,
        }
    }

    /// Returns the name without the number or letter that distinguishes it from others of its kind.
    fn base<'a>(&self, name: &'a str) -> Option<&'a str> {
        let (base, mark) = name.rsplit_once(' ')?;
        let known = if is_number(mark) { &self.numbered } else { &self.lettered };
        ((is_number(mark) || is_letter(mark)) && known.contains(base)).then_some(base)
    }

    /// Returns the length of the longest name at the start of `text` such that `ends` accepts the rest.
    pub(super) fn longest(&self, text: &str, ends: impl Fn(&str) -> bool) -> Option<usize> {
        let first = &text[..text.find([' ', '.', ',', ';', ':', ')', ']']).unwrap_or(text.len())];
        let names = self.by_first.get(first)?;
        for name in names {
            let Some(rest) = text.strip_prefix(name.as_str()) else { continue };
            if let Some(mark) = rest.strip_prefix(' ') {
                let mark = &mark[..mark.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(mark.len())];
                let len = name.len() + 1 + mark.len();
                if self.base(&text[..len]).is_some() && ends(&text[len..]) {
                    return Some(len);
                }
            }
            if ends(rest) {
                return Some(name.len());
            }
        }
        None
    }

    /// Returns the factors of a name: its kind, and the words that distinguish it from others of its kind.
    pub(super) fn factors(&self, name: &str) -> Vec<String> {
        if let Some(base) = self.base(name) {
            let mark = &name[base.len() + 1..];
            let mark = if is_number(mark) { format!("#{mark}") } else { mark.to_owned() };
            let mut factors = self.factors(base);
            factors.push(mark);
            return factors;
        }
        if !self.profiles.contains_key(name) {
            let part = [&STATES[..], &STAGES[..], &PLANT_STAGES[..], &FRUIT_PARTS[..], &ANIMAL_PARTS[..]];
            return if part.concat().contains(&name) {
                vec![name.to_owned()]
            } else if COLOURS.contains(&name) {
                vec![format!("colour:{name}")]
            } else {
                Vec::new()
            };
        }
        if let Some((first, rest)) = name.split_once(' ')
            && [&STATES[..], &STAGES[..], &COLOURS[..]].concat().contains(&first)
            && self.profiles.contains_key(rest)
        {
            let mut factors = self.factors(rest);
            // `orange` is also a fruit.
            let colour = COLOURS.contains(&first);
            factors.push(if colour { format!("colour:{first}") } else { first.to_owned() });
            return factors;
        }
        if let Some((rest, last)) = name.rsplit_once(' ')
            && [&FRUIT_PARTS[..], &ANIMAL_PARTS[..]].concat().contains(&last)
            && self.profiles.contains_key(rest)
        {
            let mut factors = self.factors(rest);
            factors.push(last.to_owned());
            return factors;
        }
        vec![name.replace(' ', "_")]
    }
}

fn is_number(mark: &str) -> bool {
    (1..=2).contains(&mark.len()) && mark.bytes().all(|b| b.is_ascii_digit()) && !mark.starts_with('0')
}

fn is_letter(mark: &str) -> bool {
    mark.len() == 1 && mark.bytes().all(|b| b.is_ascii_uppercase())
}
