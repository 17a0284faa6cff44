//! Compact encoding of ALFWorld's texts (docs/design.md D12): one word per sentence form, one word per entity.
//!
//! | text | compact |
//! |---|---|
//! | `You arrive at desk 1. On the desk 1, you see a mug 2, and a pen 1.` | `at_on desk_1 mug_2 pen_1` |
//! | `You are in the middle of a room. Looking quickly around you, you see a drawer 2, a drawer 1, and a bed 1.` | `drawer*2 bed*1` |
//! | `take mug 2 from desk 1; True` | `take mug_2 desk_1 ;True` |
//! | `put a mug in shelf, then cool some egg and put it in bed.` | `put_a mug shelf then cool_some egg bed` |
//! | `Searching. \|\| [Checked: drawer 1, drawer 2, desk 1]` | `checked drawer<=2 desk<=1` |
//! | `locate and pick up a mug` | `find mug` |
//!
//! Text that no form covers is kept word by word; a word that would be misread gets a backslash. Every encoding is
//! decoded again as a check. If that does not return the text (a text that only resembles a form), the text is encoded
//! word by word instead. Decoding therefore inverts encoding for every text.

mod template;
mod word;

use stepladder_core::Codec;
use stepladder_core::codec::{Briefing, unescape};

use crate::text::NOTHING_HAPPENS;
use crate::view::Entity;
use crate::view::entity::take_kind;
use template::COMPILED;
use word::{Word, entity_word, raw_word};

/// Codec of ALFWorld and of generated households.
#[derive(Debug, Clone, Copy, Default)]
pub struct AlfworldCodec;

impl Codec for AlfworldCodec {
    fn id(&self) -> &'static str {
        "alfworld/1"
    }

    fn encode(&self, text: &str) -> String {
        if text.is_empty() {
            return String::new();
        }
        let compact = by_form(text);
        if decode(&compact) == text { compact } else { by_word(text) }
    }

    fn decode(&self, compact: &str) -> String {
        decode(compact)
    }

    /// `mug_2` has the factors `mug` and `#2`, `cabinet*10` has `cabinet`, `#10` and `*`, `cabinet<=4` has `cabinet`,
    /// `#4` and `<=`. A kind alone (`mug`) is its own only factor. So "is there a mug among these?" is the same
    /// comparison for all kinds, and "is this the last cabinet?" the same for all numbers, because all forms share the
    /// number factor.
    fn factors(&self, word: &str) -> Vec<String> {
        match Word::parse(word) {
            Some(Word::Entity(entity)) => numbered(&entity, None),
            Some(Word::Count(entity)) => numbered(&entity, Some("*")),
            Some(Word::UpTo(entity)) => numbered(&entity, Some("<=")),
            None if !COMPILED.reserved(word) && take_kind(word).is_some_and(|(_, rest)| rest.is_empty()) => {
                vec![word.to_owned()]
            }
            None => Vec::new(),
        }
    }

    fn refuses(&self, answer: &str) -> bool {
        answer == NOTHING_HAPPENS
    }

    fn briefing(&self) -> Briefing {
        Briefing {
            scene: "You do household chores with typed commands.",
            actions: "Commands: go to PLACE, open PLACE, close PLACE, take THING from PLACE, move THING to PLACE, \
                      clean THING with PLACE, heat THING with PLACE, cool THING with PLACE, use THING, examine THING, \
                      inventory, look. Things and places have a kind and a number, for example mug 2.",
            context: "Room",
            legend: "The room line gives the highest number of each kind of place: shelf 3 means shelf 1, shelf 2 and \
                     shelf 3.",
        }
    }

    /// `You are in the middle of a room. Looking …, you see a drawer 2, a drawer 1, and a bed 1.` becomes
    /// `drawer 2, bed 1`; a text of any other form, or a room in which a number is missing, stays as it is.
    fn outline(&self, context: &str) -> String {
        let compact = self.encode(context);
        let count = |word| match Word::parse(word) {
            Some(Word::Count(entity)) => Some(format!("{} {}", entity.kind, entity.number)),
            _ => None,
        };
        let counts: Option<Vec<String>> = compact.split_whitespace().map(count).collect();
        counts
            .filter(|counts| !counts.is_empty())
            .map_or_else(|| context.to_owned(), |counts| counts.join(", "))
    }
}

/// Kind, number and form as factors.
fn numbered(entity: &Entity<'_>, form: Option<&str>) -> Vec<String> {
    let mut factors = vec![entity.kind.to_owned(), format!("#{}", entity.number)];
    factors.extend(form.map(str::to_owned));
    factors
}

/// Encodes with sentence forms where they match.
fn by_form(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut rest = text;
    let ends = |rest: &str| rest.is_empty() || rest.starts_with(' ') || COMPILED.find_glued(rest).is_some();
    loop {
        if let Some(found) = COMPILED.find(rest, words.is_empty()).filter(|found| ends(found.rest)) {
            words.extend(found.words);
            rest = found.rest;
        } else if let Some((entity, after)) = Entity::take(rest).filter(|(_, after)| ends(after)) {
            words.push(entity_word(&entity));
            rest = after;
        } else {
            let end = rest
                .char_indices()
                .find(|(index, c)| *c == ' ' || (*c == ';' && COMPILED.find_glued(&rest[*index..]).is_some()))
                .map_or(rest.len(), |(index, _)| index);
            words.push(raw_word(&rest[..end], |word| COMPILED.reserved(word)));
            rest = &rest[end..];
        }
        while let Some(found) = COMPILED.find_glued(rest) {
            words.extend(found.words);
            rest = found.rest;
        }
        match rest.strip_prefix(' ') {
            Some(after) => rest = after,
            None if rest.is_empty() => return words.join(" "),
            None => {}
        }
    }
}

/// Encodes word by word, without forms.
fn by_word(text: &str) -> String {
    let words: Vec<String> =
        text.split(' ').map(|word| raw_word(word, |word| COMPILED.reserved(word))).collect();
    words.join(" ")
}

fn decode(compact: &str) -> String {
    let words: Vec<&str> = compact.split(' ').filter(|word| !word.is_empty()).collect();
    let mut text = String::new();
    let mut next = 0;
    while next < words.len() {
        let (piece, taken, glued) = match COMPILED.write(&words[next..], next == 0) {
            Some(written) => written,
            None => (bare(words[next]), 1, false),
        };
        if next > 0 && !glued {
            text.push(' ');
        }
        text.push_str(&piece);
        next += taken;
    }
    text
}

/// Returns the text of a word that begins no form.
fn bare(word: &str) -> String {
    match Word::parse(word) {
        Some(word) => word.entities().iter().map(Entity::to_string).collect::<Vec<_>>().join(", "),
        None => unescape(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_is_outlined_by_its_counts() {
        let room =
            |list| format!("You are in the middle of a room. Looking quickly around you, you see {list}.");
        let whole = room("a drawer 2, a drawer 1, and a bed 1");
        assert_eq!(AlfworldCodec.outline(&whole), "drawer 2, bed 1");
        for text in [room("a drawer 3, a drawer 1, and a bed 1"), "drawer 2, bed 1".to_owned(), String::new()]
        {
            assert_eq!(AlfworldCodec.outline(&text), text);
        }
    }

    fn check(text: &str, compact: &str) {
        assert_eq!(AlfworldCodec.encode(text), compact);
        assert_eq!(AlfworldCodec.decode(compact), text);
    }

    #[test]
    fn forms_become_words() {
        check("put a hot mug in coffeemachine.", "put_hot mug coffeemachine");
        check(
            "put a hot mug in shelf, then examine the pen with the desklamp, then put two egg in fridge.",
            "put_hot mug shelf then examine_with pen desklamp then put_two egg fridge",
        );
        check("put away the mug", "put_away mug");
        check("locate and pick up a new mug except mug 1 in cabinet 2", "find_new mug mug_1 cabinet_2");
        check("heat mug 1", "heat mug_1");
        check("heat mug 1 with microwave 1; True", "heat mug_1 microwave_1 ;True");
        check("put mug 1 in/on shelf 2; False", "put_on mug_1 shelf_2 ;False");
        check("None; False", "None ;False");
        check(
            "You are in the middle of a room. Looking quickly around you, you see a drawer 2, a drawer 1, and a bed 1.",
            "drawer*2 bed*1",
        );
        check(
            "You are in the middle of a room. Looking quickly around you, you see a drawer 3, and a bed 1.",
            "room drawer_3 bed*1",
        );
        check("You arrive at desk 1. On the desk 1, you see nothing.", "at_on desk_1 nothing");
        check(
            "You arrive at loc 3. On the desk 1, you see a pen 2, and a pen 1.",
            "arrive loc_3 on desk_1 pen_2 pen_1",
        );
        check("Searching. || [Checked: drawer 1, drawer 2, desk 2]", "checked drawer<=2 desk_2");
        check(
            "Failed to take mug 2 from desk 1. || [Checked: desk 1]",
            "failed take mug_2 desk_1 checked desk<=1",
        );
        check("Failed to None.", "Failed to None.");
        check(
            "You are facing the cabinet 1, and garbagecan 1. Next to it, you see nothing.",
            "facing cabinet_1 garbagecan_1 nothing",
        );
        check(
            "You are facing the drawer 1, and dresser 1. Next to it, you see a cd 2, and a cd 1.",
            "facing drawer_1 dresser_1 beside cd_2 cd_1",
        );
    }

    #[test]
    fn what_only_resembles_a_form_is_spelled_out() {
        for text in [
            "look",
            "find",
            "mug_2",
            "\\",
            "heat mug 1 microwave 1",
            "go_to desk_1",
            "locate and pick up a mug mug 1",
            "find mug",
            "  two  spaces ",
            "line\nbreak\tand tab",
            "; True",
            "a; True; False ; True",
            " || [Checked: shelf 1]",
            "|| [Checked: shelf 1]",
            "shelf*3",
            "None",
            "You arrive at shelf 1. On the shelf 2, you see nothing.",
            "mug 99999999999999999999",
            "then",
            "beside",
            "put a mug in shelf, then",
            "put a mug in shelf, thence",
            "put a mug in shelf., then put a mug in shelf.",
            "put a mug in shelf, then put a mug in shelf",
            "put a mug in shelf. then put a mug in shelf.",
            "put a mug in shelf, then  put a mug in shelf.",
            "put away the then",
            "nothing",
            "On the desk 1, you see nothing. mug 2",
            "Looking quickly around you, you see a bed 1. Looking quickly around you, you see a bed 1.",
        ] {
            let compact = AlfworldCodec.encode(text);
            assert_eq!(AlfworldCodec.decode(&compact), text, "{compact}");
            assert!(compact.split(' ').all(|word| !word.is_empty() && !word.contains(char::is_whitespace)));
        }
        assert_eq!(AlfworldCodec.encode(""), "");
        assert_eq!(AlfworldCodec.decode(""), "");
    }

    #[test]
    fn any_words_decode_to_something() {
        assert_eq!(AlfworldCodec.decode("go_to"), "go to");
        assert_eq!(AlfworldCodec.decode("take mug_2 ;True"), "take mug 2 from; True");
        assert_eq!(
            AlfworldCodec.decode("find find mug_1"),
            "locate and pick up a locate and pick up a mug 1"
        );
        assert_eq!(AlfworldCodec.decode("failed failed"), "Failed to Failed to");
        assert_eq!(AlfworldCodec.decode("checked"), "Searching. || [Checked: ]");
    }

    #[test]
    fn factors_are_shared_by_kind_and_by_number() {
        assert_eq!(AlfworldCodec.factors("mug_2"), ["mug", "#2"]);
        assert_eq!(AlfworldCodec.factors("cabinet*10"), ["cabinet", "#10", "*"]);
        assert_eq!(AlfworldCodec.factors("cabinet<=4"), ["cabinet", "#4", "<="]);
        assert_eq!(AlfworldCodec.factors("mug"), ["mug"]);
        for word in ["go_to", "nothing", ";True", "None", "look"] {
            assert!(AlfworldCodec.factors(word).is_empty(), "{word}");
        }
    }
}
