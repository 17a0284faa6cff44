//! Compact encoding of ScienceWorld's texts (docs/design.md D12): each thing is one word in every kind of
//! text, and its usual description is omitted.
//!
//! | text | compact |
//! |---|---|
//! | `This room is called the kitchen. In it, you see: …` | `room: kitchen chair …` (`room.rs`) |
//! | `A door to the hallway (that is open)` | `hallway+` |
//! | `a oven, which is turned off. The oven door is closed. ` | `oven` |
//! | `a oven, which is turned on. The oven door is open. In the oven is: a jug (containing nothing).` | `oven is:turned_on door:open > jug` |
//! | `a bowl (containing a red apple, a banana)` | `bowl ( red_apple banana )` |
//! | `a seed jar (containing a pea seed, a pea seed)` | `seed_jar > pea_seed *2` |
//! | `a thermometer, currently reading a temperature of 10 degrees celsius` | `thermometer t:10` |
//! | `a apple tree in the adult stage` | `apple_tree stage:adult` |
//! | `move apple seed in seed jar to flower pot 3` | `move apple_seed in seed_jar to flower_pot_3` |
//! | `heat the lead in the metal pot` | `heat_the lead in_the metal_pot` |
//! | `Your task is to boil water. For compounds …` | `task:boil water` (`forms.txt`) |
//! | `You move the jug to the sink.` | `fb:moved jug sink` |
//! | `it reads 15 degrees celsius` | `it reads t:15` |
//! | `in the kitchen \|\| [Checked: hallway, kitchen]` | `in_the kitchen Checked:[ hallway kitchen` |
//! | `pick up jug; True` | `pick_up jug ;True` |
//!
//! A word with `_` encodes the same text with spaces. Text that no rule covers is encoded word by word; a
//! word that would be misread gets a backslash. Each encoding is decoded for verification. If the result is
//! not the text, a plainer encoding is tried; the plainest spells the text out. Decoding therefore restores
//! every text.

mod forms;
mod lexicon;
mod openers;
mod phrases;
mod room;
mod text;
mod thing;
mod word;

use stepladder_core::Codec;
use stepladder_core::codec::Briefing;

use forms::FORMS;
use lexicon::LEXICON;
use openers::SEE;
use phrases::{PHRASES, without_article};
use room::Care;
use thing::Thing;

/// Codec of ScienceWorld.
#[derive(Debug, Clone, Copy, Default)]
pub struct ScienceWorldCodec;

impl Codec for ScienceWorldCodec {
    fn id(&self) -> &'static str {
        "scienceworld/2"
    }

    fn briefing(&self) -> Briefing {
        Briefing {
            scene: "You do science experiments in a house with typed commands.",
            actions: "Commands: go to ROOM, open THING, close THING, pick up THING, put down THING, move THING to PLACE, \
                      pour THING into PLACE, dunk THING into PLACE, mix CONTAINER, activate THING, deactivate THING, \
                      use THING on THING, connect THING to THING, disconnect THING, read THING, eat THING, \
                      examine THING, look at THING, look in THING, focus on THING, look around, inventory, wait. A question \
                      with numbered choices is answered with a number.",
            context: "Scene",
            legend: "",
        }
    }

    fn encode(&self, text: &str) -> String {
        if text.is_empty() {
            return String::new();
        }
        let attempts: [&dyn Fn() -> Option<String>; 6] = [
            &|| room::encode(text, Care::None),
            &|| room::encode(text, Care::Lines),
            &|| room::encode(text, Care::Full),
            &|| FORMS.encode(text),
            &|| see(text),
            &|| Some(free(text)),
        ];
        let exact = |compact: &String| decode(compact) == text;
        attempts.iter().find_map(|attempt| attempt().filter(exact)).unwrap_or_else(|| text::spelled(text))
    }

    fn decode(&self, compact: &str) -> String {
        decode(compact)
    }

    /// Returns the factors of a word: `flower_pot_3` has `flower_pot` and `#3`, `red_light_bulb` has
    /// `light_bulb` and `red`, `apple_seed` has `apple` and `seed`, `kitchen+` has `kitchen` and `+`, `t:15`
    /// has each step of a scale up to 10. A plain name (`sink`) is its only factor.
    fn factors(&self, word: &str) -> Vec<String> {
        if let Some(factors) = word::degrees_factors(word).or_else(|| thing::factors(word)) {
            return factors;
        }
        if let Some(times) = word::run(word) {
            return vec!["*".to_owned(), format!("#{times}")];
        }
        if let Some((room, open)) = room::door_of(word) {
            return vec![room.to_owned(), if open { "+" } else { "-" }.to_owned()];
        }
        if let Some(product) = word::recipe(word) {
            let mut factors = LEXICON.factors(&product.replace('_', " "));
            factors.push("recipe".to_owned());
            return factors;
        }
        if let Some(verb) = PHRASES.verb(word).or_else(|| without_article(word)) {
            return vec![verb.to_owned()];
        }
        LEXICON.factors(&word.replace('_', " "))
    }

    /// Yes: that a light bulb went on or a substance melted during `wait` is visible in the room only.
    fn progress_needs_context(&self) -> bool {
        true
    }

    /// Names, temperatures and opening words of answers, since demonstrations contain few of the answers to
    /// mistakes.
    fn words(&self) -> Vec<String> {
        let names = LEXICON.plain().map(|name| name.replace(' ', "_"));
        FORMS.words().chain(names).chain(word::usual_degrees()).collect()
    }
}

fn free(text: &str) -> String {
    let mut words = Vec::new();
    text::encode(text, &mut words);
    words.join(" ")
}

fn see(text: &str) -> Option<String> {
    if !["a ", "an ", "A "].iter().any(|article| text.starts_with(article)) {
        return None;
    }
    let mut words = vec![SEE.to_owned()];
    // Answers have no trailing space.
    Thing::parse(text).or_else(|| Thing::parse(&format!("{text} ")))?.write(&mut words)?;
    Some(words.join(" "))
}

fn decode(compact: &str) -> String {
    let words: Vec<&str> = compact.split(' ').filter(|word| !word.is_empty()).collect();
    match words.split_first() {
        Some((first, _)) if openers::opens_room(first) => room::decode(&words),
        Some((&SEE, rest)) if !rest.is_empty() => {
            let mut at = 0;
            let mut text = String::new();
            for thing in thing::read_run(rest, &mut at) {
                thing.print(&mut text);
            }
            text.truncate(text.trim_end().len());
            if at < rest.len() {
                text.push(' ');
                text.push_str(&text::decode(&rest[at..]));
            }
            text
        }
        _ => FORMS.decode(&words).unwrap_or_else(|| text::decode(&words)),
    }
}

#[cfg(test)]
mod tests;
