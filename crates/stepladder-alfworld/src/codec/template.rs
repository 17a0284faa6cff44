//! Sentence forms: each text of the environment, the actions and the expert's labels as one word with slots.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;

use super::word::{Word, count_words, entity_word, range_words};
use crate::view::Entity;
use crate::view::entity::{list_text, take_kind, take_list};

/// Position of a form in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Anywhere, after a space.
    Any,
    /// Anywhere, also inside another form.
    Action,
    /// Only at the start of the text.
    Start,
    /// Directly after the preceding text, without a space.
    Glued,
}

/// All forms as (word, text, place). Slots: `{e}` entity, `{=}` the last entity again, `{k}` kind, `{l}` list with
/// articles, `{n}` list of names, `{b}` like `{l}` after another list, `{c}` list with articles as counts, `{r}` list
/// of receptacles as ranges, `{a}` action, `{.}` end of a goal: a full stop, or `, then` before the next goal of a
/// chain, which is one word. Of several forms with the same word, those with more slots come first.
const FORMS: &[(&str, &str, Place)] = &[
    // Task sentences.
    ("put_a", "put a {k} in {k}{.}", Place::Any),
    ("put_some", "put some {k} on {k}{.}", Place::Any),
    ("put_clean", "put a clean {k} in {k}{.}", Place::Any),
    ("put_hot", "put a hot {k} in {k}{.}", Place::Any),
    ("put_cool", "put a cool {k} in {k}{.}", Place::Any),
    ("clean_some", "clean some {k} and put it in {k}{.}", Place::Any),
    ("heat_some", "heat some {k} and put it in {k}{.}", Place::Any),
    ("cool_some", "cool some {k} and put it in {k}{.}", Place::Any),
    ("put_two", "put two {k} in {k}{.}", Place::Any),
    ("find_two", "find two {k} and put them in {k}{.}", Place::Any),
    ("look_under", "look at {k} under the {k}{.}", Place::Any),
    ("examine_with", "examine the {k} with the {k}{.}", Place::Any),
    // Subtasks.
    ("find", "locate and pick up a {k}", Place::Any),
    ("find_new", "locate and pick up a new {k} except {e} in {e}", Place::Any),
    ("find_use", "locate and use a {k}", Place::Any),
    ("put", "put {e} in {e}", Place::Any),
    ("put_away", "put away the {k}", Place::Any),
    // Actions; with one entity, the last three are subtasks.
    ("go_to", "go to {e}", Place::Action),
    ("open", "open {e}", Place::Action),
    ("close", "close {e}", Place::Action),
    ("examine", "examine {e}", Place::Action),
    ("take", "take {e} from {e}", Place::Action),
    ("move", "move {e} to {e}", Place::Action),
    ("put_on", "put {e} in/on {e}", Place::Action),
    ("use", "use {e}", Place::Action),
    ("slice", "slice {e} with {e}", Place::Action),
    ("look", "look", Place::Action),
    ("inventory", "inventory", Place::Action),
    ("help", "help", Place::Action),
    ("heat", "heat {e} with {e}", Place::Action),
    ("heat", "heat {e}", Place::Any),
    ("clean", "clean {e} with {e}", Place::Action),
    ("clean", "clean {e}", Place::Any),
    ("cool", "cool {e} with {e}", Place::Action),
    ("cool", "cool {e}", Place::Any),
    // Completion flag of the executor.
    (";True", "; True", Place::Glued),
    (";False", "; False", Place::Glued),
    // Rooms.
    ("around", "Looking quickly around you, you see {c}.", Place::Any),
    (ROOM, "You are in the middle of a room. Looking quickly around you, you see {c}.", Place::Any),
    // Answers.
    ("at_on", "You arrive at {e}. On the {=}, you see {l}.", Place::Any),
    ("at_in", "You arrive at {e}. The {=} is open. In it, you see {l}.", Place::Any),
    ("at_closed", "You arrive at {e}. The {=} is closed.", Place::Any),
    ("arrive", "You arrive at {e}.", Place::Any),
    ("on", "On the {e}, you see {l}.", Place::Any),
    ("in", "The {e} is open. In it, you see {l}.", Place::Any),
    ("closed", "The {e} is closed.", Place::Any),
    ("opened", "You open the {e}. The {=} is open. In it, you see {l}.", Place::Any),
    ("shut", "You close the {e}.", Place::Any),
    ("picked", "You pick up the {e} from the {e}.", Place::Any),
    ("moved", "You move the {e} to the {e}.", Place::Any),
    ("placed", "You put the {e} in/on the {e}.", Place::Any),
    ("heated", "You heat the {e} using the {e}.", Place::Any),
    ("cleaned", "You clean the {e} using the {e}.", Place::Any),
    ("cooled", "You cool the {e} using the {e}.", Place::Any),
    ("sliced", "You sliced the {e} with the {e}.", Place::Any),
    ("turned_on", "You turn on the {e}.", Place::Any),
    ("turned_off", "You turn off the {e}.", Place::Any),
    ("no_effect", "Nothing happens.", Place::Any),
    ("carrying", "You are carrying: {l}.", Place::Any),
    ("empty_hand", "You are not carrying anything.", Place::Any),
    ("facing", "You are facing the {n}. Next to it, you see {b}.", Place::Any),
    ("usual", "There's nothing special about {e}.", Place::Any),
    ("normal", "This is a normal {e}. In it, you see {l}.", Place::Any),
    ("is_hot", "This is a hot {e}.", Place::Any),
    ("is_clean", "This is a clean {e}.", Place::Any),
    ("is_cold", "This is a cold {e}.", Place::Any),
    ("is_hot_clean", "This is a hot and clean {e}.", Place::Any),
    ("is_cool_clean", "This is a cool and clean {e}.", Place::Any),
    ("is_sliced", "This is a sliced {e}.", Place::Any),
    ("is_hot_sliced", "This is a hot sliced {e}.", Place::Any),
    ("is_cool_sliced", "This is a cool sliced {e}.", Place::Any),
    ("is_clean_sliced", "This is a clean sliced {e}.", Place::Any),
    ("is_hot_clean_sliced", "This is a hot and clean sliced {e}.", Place::Any),
    ("is_cool_clean_sliced", "This is a cool and clean sliced {e}.", Place::Any),
    ("is_on", "This {e} is on.", Place::Any),
    ("is_off", "This {e} is off.", Place::Any),
    // Progress texts.
    ("checked", "Searching. || [Checked: {r}]", Place::Start),
    ("checked", " || [Checked: {r}]", Place::Glued),
    ("searching", "Searching.", Place::Any),
    ("not", "Searching, not {e}.", Place::Any),
    ("failed", "Failed to {a}.", Place::Any),
    ("at", "At {e}.", Place::Any),
    ("holding", "Holding {e}.", Place::Any),
    ("holding_nothing", "Holding nothing.", Place::Any),
    ("got", "Picked up {e} from {e}.", Place::Any),
    ("did_heat", "Heated {e} with {e}.", Place::Any),
    ("did_clean", "Cleaned {e} with {e}.", Place::Any),
    ("did_cool", "Cooled {e} with {e}.", Place::Any),
    ("did_put", "Put {e} in {e}.", Place::Any),
    ("did_use", "Used {e}.", Place::Any),
];

/// Word of the room description. Omitted before a count, because no other form starts with a count.
const ROOM: &str = "room";

/// Word before a list that follows another list.
const BESIDE: &str = "beside";

/// Word between two goals of a chain.
const THEN: &str = "then";

/// Word of an empty list.
const NOTHING: &str = "nothing";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Literal(&'static str),
    Entity,
    Same,
    Kind,
    Items,
    Beside,
    Names,
    Counts,
    Ranges,
    Action,
    End,
}

#[derive(Debug)]
struct Form {
    word: &'static str,
    pieces: Vec<Piece>,
    place: Place,
}

#[derive(Debug)]
pub(super) struct Forms {
    all: Vec<Form>,
    by_word: FxHashMap<&'static str, Vec<usize>>,
    by_first: FxHashMap<u8, Vec<usize>>,
}

/// The compiled forms.
pub(super) static COMPILED: LazyLock<Forms> = LazyLock::new(|| {
    let mut forms = Forms { all: Vec::new(), by_word: FxHashMap::default(), by_first: FxHashMap::default() };
    for (index, &(word, pattern, place)) in FORMS.iter().enumerate() {
        forms.by_word.entry(word).or_default().push(index);
        let first = pattern.as_bytes().first().copied().unwrap_or_default();
        forms.by_first.entry(first).or_default().push(index);
        forms.all.push(Form { word, pieces: pieces(pattern), place });
    }
    forms
});

fn pieces(mut pattern: &'static str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    while let Some((before, rest)) = pattern.split_once('{') {
        if !before.is_empty() {
            pieces.push(Piece::Literal(before));
        }
        let (slot, after) = rest.split_once('}').unwrap_or((rest, ""));
        pieces.push(match slot {
            "e" => Piece::Entity,
            "=" => Piece::Same,
            "k" => Piece::Kind,
            "l" => Piece::Items,
            "b" => Piece::Beside,
            "n" => Piece::Names,
            "c" => Piece::Counts,
            "r" => Piece::Ranges,
            "." => Piece::End,
            _ => Piece::Action,
        });
        pattern = after;
    }
    if !pattern.is_empty() {
        pieces.push(Piece::Literal(pattern));
    }
    pieces
}

/// A form matched at the start of a text.
pub(super) struct FormMatch<'a> {
    /// Its encoding.
    pub(super) words: Vec<String>,
    /// The text after it.
    pub(super) rest: &'a str,
}

impl Forms {
    /// Whether a word has a meaning in the encoding, so that equal words of plain text must be escaped.
    pub(super) fn reserved(&self, word: &str) -> bool {
        [NOTHING, BESIDE, THEN].contains(&word) || self.by_word.contains_key(word)
    }

    /// Finds the longest form at the start of `text`.
    pub(super) fn find<'a>(&self, text: &'a str, at_start: bool) -> Option<FormMatch<'a>> {
        let fits =
            |place| place == Place::Any || place == Place::Action || (at_start && place == Place::Start);
        self.longest(text, fits)
    }

    /// Finds the form that may follow without a space at the start of `text`.
    pub(super) fn find_glued<'a>(&self, text: &'a str) -> Option<FormMatch<'a>> {
        self.longest(text, |place| place == Place::Glued)
    }

    fn longest<'a>(&self, text: &'a str, fits: impl Fn(Place) -> bool) -> Option<FormMatch<'a>> {
        let candidates = self.by_first.get(text.as_bytes().first()?)?;
        candidates
            .iter()
            .map(|index| &self.all[*index])
            .filter(|form| fits(form.place))
            .filter_map(|form| self.read(form, text))
            .min_by_key(|found| found.rest.len())
    }

    fn read<'a>(&self, form: &Form, text: &'a str) -> Option<FormMatch<'a>> {
        let mut words = vec![form.word.to_owned()];
        let mut rest = text;
        let mut last: Option<Entity<'a>> = None;
        for piece in &form.pieces {
            rest = match piece {
                Piece::Literal(literal) => rest.strip_prefix(literal)?,
                Piece::Entity => {
                    let (entity, after) = Entity::take(rest)?;
                    words.push(entity_word(&entity));
                    last = Some(entity);
                    after
                }
                Piece::Same => Entity::take(rest).filter(|(entity, _)| last == Some(*entity))?.1,
                Piece::Kind => {
                    let (kind, after) = take_kind(rest)?;
                    words.push(kind.to_owned());
                    after
                }
                Piece::Items | Piece::Beside | Piece::Counts | Piece::Names => {
                    let article = if *piece == Piece::Names { "" } else { "a " };
                    let (items, after) = take_list(rest, article)?;
                    if items.is_empty() {
                        words.push(NOTHING.to_owned());
                    } else if *piece == Piece::Counts {
                        let counts = count_words(&items);
                        let starts_with_count = counts
                            .first()
                            .is_some_and(|word| matches!(Word::parse(word), Some(Word::Count(_))));
                        if form.word == ROOM && starts_with_count {
                            words.clear();
                        }
                        words.extend(counts);
                    } else {
                        // Separates the two lists.
                        words.extend((*piece == Piece::Beside).then(|| BESIDE.to_owned()));
                        words.extend(items.iter().map(entity_word));
                    }
                    after
                }
                Piece::Ranges => {
                    let (first, mut after) = Entity::take(rest)?;
                    let mut places = vec![first];
                    while let Some((place, behind)) = after.strip_prefix(", ").and_then(Entity::take) {
                        places.push(place);
                        after = behind;
                    }
                    words.extend(range_words(&places));
                    after
                }
                Piece::End => match rest.strip_prefix(", then") {
                    Some(after) => {
                        words.push(THEN.to_owned());
                        after
                    }
                    None => rest.strip_prefix('.')?,
                },
                Piece::Action => {
                    let found = self.longest(rest, |place| place == Place::Action)?;
                    words.extend(found.words);
                    found.rest
                }
            };
        }
        Some(FormMatch { words, rest })
    }

    /// Decodes the form at `words[0]`. Returns its text, the number of words used, and whether it joins the preceding
    /// text without a space. `None` if no form starts there.
    pub(super) fn write(&self, words: &[&str], at_start: bool) -> Option<(String, usize, bool)> {
        let first = *words.first()?;
        let (word, skip) = match Word::parse(first) {
            Some(Word::Count(_)) => (ROOM, 0),
            _ => (first, 1),
        };
        let indices = self.by_word.get(word)?;
        let forms: Vec<&Form> = indices.iter().map(|index| &self.all[*index]).collect();
        let fits = |form: &&&Form| match form.place {
            Place::Start => at_start,
            Place::Glued => !at_start || forms.len() == 1,
            Place::Any | Place::Action => true,
        };
        let usable: Vec<&&Form> = forms.iter().filter(fits).collect();
        let complete = usable.iter().find_map(|form| self.fill(form, &words[skip..], false));
        let (text, taken) = complete.or_else(|| self.fill(usable.first()?, &words[skip..], true))?;
        let glued = usable.first().is_some_and(|form| form.place == Place::Glued);
        Some((text, skip + taken, glued))
    }

    /// Fills the slots from `words`. With `partial`, stops before the first slot that cannot be filled.
    fn fill(&self, form: &Form, words: &[&str], partial: bool) -> Option<(String, usize)> {
        let mut text = String::new();
        let mut used = 0;
        let mut last = "";
        for piece in &form.pieces {
            let rest = &words[used..];
            let next = rest.first().copied().unwrap_or_default();
            let filled = match piece {
                Piece::Literal(literal) => Some(((*literal).to_owned(), 0)),
                Piece::Same => Some((entity_text(last).unwrap_or_default(), 0)),
                Piece::Entity => {
                    last = next;
                    entity_text(next).map(|text| (text, 1))
                }
                Piece::Kind => {
                    let kind = take_kind(next).is_some_and(|(_, end)| end.is_empty()) && !self.reserved(next);
                    kind.then(|| (next.to_owned(), 1))
                }
                Piece::End if next == THEN => Some((", then".to_owned(), 1)),
                Piece::End => Some((".".to_owned(), 0)),
                Piece::Beside if next == BESIDE => {
                    let (items, taken) = entities(&rest[1..]);
                    Some((list_text(&items, "a "), taken + 1))
                }
                Piece::Beside => (next == NOTHING).then(|| (NOTHING.to_owned(), 1)),
                Piece::Items | Piece::Names if next == NOTHING => Some((NOTHING.to_owned(), 1)),
                Piece::Counts if next == NOTHING => Some((NOTHING.to_owned(), 1)),
                Piece::Items | Piece::Names | Piece::Counts => {
                    let article = if *piece == Piece::Names { "" } else { "a " };
                    let (items, taken) = entities(rest);
                    Some((list_text(&items, article), taken))
                }
                Piece::Ranges => {
                    let (items, taken) = entities(rest);
                    let places: Vec<String> = items.iter().map(Entity::to_string).collect();
                    Some((places.join(", "), taken))
                }
                Piece::Action => self
                    .by_word
                    .get(next)
                    .is_some_and(|indices| self.all[indices[0]].place == Place::Action)
                    .then(|| self.write(rest, false))
                    .flatten()
                    .map(|(text, taken, _)| (text, taken)),
            };
            match filled {
                Some((piece, taken)) => {
                    text.push_str(&piece);
                    used += taken;
                }
                None if partial => return Some((text.trim_end().to_owned(), used)),
                None => return None,
            }
        }
        Some((text, used))
    }
}

fn entity_text(word: &str) -> Option<String> {
    match Word::parse(word)? {
        Word::Entity(entity) => Some(entity.to_string()),
        Word::Count(_) | Word::UpTo(_) => None,
    }
}

/// Parses the entities at the start of `words`. Also returns the number of words used.
fn entities<'a>(words: &[&'a str]) -> (Vec<Entity<'a>>, usize) {
    let mut items = Vec::new();
    let mut taken = 0;
    for word in words.iter().map_while(|word| Word::parse(word)) {
        items.extend(word.entities());
        taken += 1;
    }
    (items, taken)
}
