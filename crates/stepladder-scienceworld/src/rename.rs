//! The same episode with other names: what is done to chocolate is done to lead likewise.
//!
//! The training variations heat two foods and a few metals; development and test variations heat others. A model from
//! scratch that has met a name only as part of the furniture cannot copy it. Renaming teaches it to: every substance of a
//! group is called by another name of the group, all through an episode, in tasks, rooms, answers, actions and labels alike.
//! No rule of the expert depends on these names, so its replies stay what it would say.

use stepladder_core::seed::Rng;
use stepladder_core::trace::{Episode, Turn};

use rand::seq::SliceRandom;

/// Solids that a room shows by their bare name.
const BARE: [&str; 3] = ["chocolate", "marshmallow", "ice cream"];

/// Solids that a room shows as `a substance called NAME`.
const CALLED: [&str; 16] = [
    "soap", "rubber", "lead", "tin", "gallium", "caesium", "gold", "silver", "copper", "iron", "zinc",
    "bronze", "brass", "platinum", "titanium", "silicon",
];

/// Small things with the same article.
const THINGS: [&str; 4] = ["aluminum foil", "metal fork", "plastic fork", "paper clip"];

const SUBSTANCE: &str = "a substance called ";
const UNKNOWN: &str = "unknown substance ";

/// Who is called what.
struct Names {
    /// Old name, new name.
    pairs: Vec<(&'static str, &'static str)>,
    /// New letters of `unknown substance A` and so on.
    letters: Vec<u8>,
}

impl Names {
    fn draw(rng: &mut Rng) -> Self {
        let solids: Vec<&str> = BARE.into_iter().chain(CALLED).collect();
        let mut pairs = Vec::new();
        for group in [solids, THINGS.to_vec()] {
            let mut renamed = group.clone();
            renamed.shuffle(rng);
            pairs.extend(group.into_iter().zip(renamed));
        }
        let mut letters: Vec<u8> = (b'A'..=b'Z').collect();
        letters.shuffle(rng);
        Self { pairs, letters }
    }

    /// A text with the new names. In a list of what is seen, a name also takes on the words that go before it.
    fn apply(&self, text: &str) -> String {
        let mut written = String::with_capacity(text.len() + 32);
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let starts = !text[..at].ends_with(|before: char| before.is_alphanumeric());
            if starts && let Some(taken) = self.letter(rest, &mut written) {
                at += taken;
            } else if starts && let Some(taken) = self.name(rest, &mut written) {
                at += taken;
            } else {
                let next = rest.chars().next().unwrap_or(' ');
                written.push(next);
                at += next.len_utf8();
            }
        }
        written
    }

    fn letter(&self, rest: &str, written: &mut String) -> Option<usize> {
        let letter = *rest.strip_prefix(UNKNOWN)?.as_bytes().first()?;
        let alone = !rest[UNKNOWN.len() + 1..].starts_with(|after: char| after.is_alphanumeric());
        let renamed = self.letters.get(usize::from(letter.checked_sub(b'A')?)).filter(|_| alone)?;
        written.push_str(UNKNOWN);
        written.push(char::from(*renamed));
        Some(UNKNOWN.len() + 1)
    }

    fn name(&self, rest: &str, written: &mut String) -> Option<usize> {
        let called = rest.strip_prefix(SUBSTANCE);
        let bare = called.unwrap_or(rest);
        let state = ["liquid ", "solid "].into_iter().find(|state| bare.starts_with(state)).unwrap_or("");
        let named = &bare[state.len()..];
        let ends = |name: &str| !named[name.len()..].starts_with(|after: char| after.is_alphanumeric());
        let (old, new) = self.pairs.iter().find(|(old, _)| named.starts_with(old) && ends(old))?;
        // Outside of lists both kinds are called by their names alone.
        let listed = called.is_some() || (BARE.contains(old) && listed(written));
        if listed && CALLED.contains(new) {
            written.push_str(SUBSTANCE);
        }
        written.push_str(state);
        written.push_str(new);
        Some(rest.len() - named.len() + old.len())
    }
}

/// Whether what comes next is an entry of a list of things in sight.
fn listed(before: &str) -> bool {
    before.ends_with('\t') || before.ends_with("(containing ") || before.ends_with(" is: ") || {
        let line = before.rsplit('\n').next().unwrap_or_default();
        line.starts_with('\t') && before.ends_with(", ")
    }
}

/// The episode with other names, drawn from `rng`.
pub fn rename(episode: &Episode, rng: &mut Rng) -> Episode {
    let names = Names::draw(rng);
    let mut episode = episode.clone();
    let set = |text: &mut String| *text = names.apply(text);
    let say = |turn: &mut Option<Turn>| {
        if let Some(turn) = turn {
            set(&mut turn.reply);
        }
    };
    [&mut episode.start.text, &mut episode.start.task, &mut episode.start.context].into_iter().for_each(set);
    for subtask in &mut episode.subtasks {
        set(&mut subtask.text);
        say(&mut subtask.turn);
        for step in &mut subtask.steps {
            [&mut step.action, &mut step.observation, &mut step.turn.reply].into_iter().for_each(set);
            [&mut step.context, &mut step.progress, &mut step.expert].into_iter().flatten().for_each(set);
            say(&mut step.progress_turn);
        }
    }
    episode
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let mut letters: Vec<u8> = (b'A'..=b'Z').collect();
        letters.swap(1, 10);
        Names { pairs: vec![("chocolate", "lead"), ("lead", "ice cream"), ("soap", "soap")], letters }
    }

    #[test]
    fn names_change_everywhere_and_take_their_words_with_them() {
        let cases = [
            ("Your task is to boil chocolate. First,", "Your task is to boil lead. First,"),
            (
                "\ta fridge. In the fridge is: a cup (containing chocolate), chocolate.",
                "\ta fridge. In the fridge is: a cup (containing a substance called lead), a substance called lead.",
            ),
            ("\ta substance called liquid lead\n", "\tliquid ice cream\n"),
            ("You focus on the liquid chocolate.", "You focus on the liquid lead."),
            ("focus on chocolate", "focus on lead"),
            (
                "use thermometer on unknown substance B in inventory",
                "use thermometer on unknown substance K in inventory",
            ),
            ("leading the misleading", "leading the misleading"),
        ];
        for (text, renamed) in cases {
            assert_eq!(names().apply(text), renamed);
        }
    }
}
