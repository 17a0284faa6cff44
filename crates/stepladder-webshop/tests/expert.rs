//! The expert on generated shops.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Played, play};
use stepladder_core::label::{Expert, Segmenter};
use stepladder_core::seed::stream;
use stepladder_env::Reader;
use stepladder_webshop::family::FAMILY;
use stepladder_webshop::{WebshopExpert, WebshopSegmenter};

/// Plays the first goals of a split of a shop of 500 products.
fn episodes(pages: &str, split: &str, count: usize, noise: Option<f64>) -> Vec<Played> {
    let options = FAMILY.options(Reader::Play, [("pages", pages), ("products", "500")]).unwrap();
    let set = FAMILY.open(None, &options).unwrap();
    let mut env = set.make().unwrap();
    let tasks = set.tasks(split).unwrap();
    let numbered = tasks.iter().take(count).enumerate();
    numbered
        .map(|(number, task)| {
            let rng = &mut stream(3, "noise", &[number as u64]);
            play(&mut *env, task, 15, noise.map(|share| (share, rng)))
        })
        .collect()
}

fn share(episodes: &[Played], holds: impl Fn(&Played) -> bool) -> f64 {
    episodes.iter().filter(|played| holds(played)).count() as f64 / episodes.len() as f64
}

#[test]
fn nearly_every_goal_is_reached_within_the_limit() {
    for (pages, least) in [("full", 0.9), ("short", 0.9)] {
        let episodes = episodes(pages, "dev", 100, None);
        let won = share(&episodes, Played::won);
        assert!(won >= least, "{pages}: {won}");
        assert_eq!(share(&episodes, |played| played.ended), 1.0, "{pages}");
        assert_eq!(share(&episodes, |played| played.understood == played.steps.len()), 1.0, "{pages}");
    }
}

#[test]
fn most_goals_are_reached_in_spite_of_wrong_clicks() {
    let won = share(&episodes("full", "dev", 100, Some(0.1)), Played::won);
    assert!(won >= 0.6, "{won}");
}

#[test]
fn a_flat_agent_acts_as_the_hierarchy_does() {
    for played in episodes("short", "train", 20, Some(0.1)) {
        for (step, said) in played.said.iter().enumerate() {
            assert_eq!(&WebshopExpert.reply(&played.flat(step)).unwrap(), said, "{step}");
        }
    }
}

#[test]
fn segments_are_the_subtasks_of_the_expert() {
    for played in episodes("full", "train", 30, None).iter().filter(|played| played.ended) {
        let segments = WebshopSegmenter.segment(&played.demonstration()).unwrap();
        let found: Vec<(String, usize)> =
            segments.into_iter().map(|segment| (segment.subtask, segment.len)).collect();
        assert_eq!(found, played.subtasks);
    }
}

#[test]
fn a_blueprint_is_a_function_of_the_instruction() {
    for played in episodes("full", "train", 30, None).iter().filter(|played| played.won()) {
        let wish = stepladder_webshop::view::Wish::parse(&played.start.task);
        let mut expected = vec![format!("search for {}", wish.product), "open a fitting product".to_owned()];
        expected.extend(wish.options.iter().map(|(name, value)| format!("choose {name}: {value}")));
        expected.push("buy the product".to_owned());
        let subtasks: Vec<String> = played.subtasks.iter().map(|(text, _)| text.clone()).collect();
        assert_eq!(subtasks, expected);
    }
}
