//! Other temperatures for `use-thermometer`: another limit, and readings on the same side of it.
//!
//! The right box depends on the comparison alone, and a training task has one limit and mostly one reading.

use std::collections::BTreeMap;

use rand::RngExt;
use rand::seq::IndexedRandom;
use stepladder_core::seed::Rng;
use stepladder_core::trace::Episode;

const FAMILY: &str = "use-thermometer";
const LIMIT: (&str, &str) = ("above ", " degrees celsius");
/// Limits in the simulator's tasks, in degrees Celsius.
const LIMITS: [i32; 5] = [-50, 0, 50, 100, 200];
/// Maximum distance of a reading from the limit.
const FAR: i32 = 110;
/// Text before a reading, in observations and in progress texts.
const BEFORE: [&str; 3] = ["measures a temperature of ", "solid at ", "liquid at "];

/// Mapping from old to new temperatures for one episode.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Readings {
    limit: (i32, i32),
    readings: BTreeMap<i32, i32>,
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split_once(after)?.0)
}

impl Readings {
    /// Draws temperatures; `None` if the episode does anything with readings but compare them with a limit.
    pub(crate) fn draw(episode: &Episode, rng: &mut Rng) -> Option<Self> {
        if episode.start.family != FAMILY {
            return None;
        }
        let old: i32 = between(&episode.start.task, LIMIT.0, LIMIT.1)?.strip_suffix(".0")?.parse().ok()?;
        let new = *LIMITS.choose(rng)?;
        let mut readings = BTreeMap::new();
        for step in episode.steps() {
            let reading = between(&step.observation, BEFORE[0], LIMIT.1.trim_end_matches(" celsius"));
            if let Some(reading) = reading.and_then(|reading| reading.parse::<i32>().ok()) {
                let apart = rng.random_range(0..FAR);
                readings.insert(reading, if reading > old { new + 1 + apart } else { new - apart });
            }
        }
        Some(Self { limit: (old, new), readings })
    }

    /// Replaces the temperatures in a text.
    pub(crate) fn apply(&self, text: &str) -> String {
        let (old, new) = self.limit;
        let mut text = text.to_owned();
        for side in ["above", "below"] {
            text = text.replace(&format!("{side} {old}.0{}", LIMIT.1), &format!("{side} {new}.0{}", LIMIT.1));
        }
        for before in BEFORE {
            let Some((start, rest)) = text.split_once(before) else { continue };
            let Some((number, after)) = rest.split_once(' ') else { continue };
            let reading = number.parse().ok().and_then(|number: i32| self.readings.get(&number));
            if let Some(reading) = reading {
                text = format!("{start}{before}{reading} {after}");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_change_in_answers_and_progress_texts_and_limits_in_tasks() {
        let readings = Readings { limit: (50, -50), readings: BTreeMap::from([(12, -70), (-4, -51)]) };
        for (text, changed) in [
            (
                "If it is above 50.0 degrees celsius, place it in the red box. If it is below 50.0 degrees celsius, in the",
                "If it is above -50.0 degrees celsius, place it in the red box. If it is below -50.0 degrees celsius, in the",
            ),
            (
                "the thermometer measures a temperature of 12 degrees celsius",
                "the thermometer measures a temperature of -70 degrees celsius",
            ),
            ("solid at -4 degrees celsius", "solid at -51 degrees celsius"),
            ("liquid at 13 degrees celsius", "liquid at 13 degrees celsius"),
            (
                "a thermometer, currently reading a temperature of 12 degrees celsius",
                "a thermometer, currently reading a temperature of 12 degrees celsius",
            ),
        ] {
            assert_eq!(readings.apply(text), changed);
        }
    }

    #[test]
    fn every_reading_stays_on_its_side() {
        let line = include_str!("../../../stepladder-core/tests/trace-v1.jsonl");
        let mut episode = stepladder_core::trace::read(line.as_bytes()).next().unwrap().unwrap();
        let mut rng = stepladder_core::seed::stream(1, "readings", &[]);
        assert_eq!(Readings::draw(&episode, &mut rng), None);
        episode.start.family = FAMILY.to_owned();
        episode.start.task =
            "If the fork temperature is above 50.0 degrees celsius, place it in the red box.".to_owned();
        for (number, (reading, above)) in
            [(51, true), (50, false), (-7, false)].into_iter().cycle().take(60).enumerate()
        {
            episode.subtasks[0].steps[0].observation =
                format!("the thermometer measures a temperature of {reading} degrees celsius");
            let mut rng = stepladder_core::seed::stream(number as u64, "readings", &[]);
            let Readings { limit: (old, new), readings } = Readings::draw(&episode, &mut rng).unwrap();
            assert_eq!(old, 50);
            assert_eq!(
                readings[&reading] > new,
                above,
                "{reading} became {}, the limit {new}",
                readings[&reading]
            );
        }
    }
}
