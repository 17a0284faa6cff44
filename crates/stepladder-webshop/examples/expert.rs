//! Plays the expert on a split and prints success, score, steps and failures: `cargo run --release -p stepladder-webshop --example expert --
//! SPLIT [COUNT|all] [data=ROOT] [noise=0.1] [reachable] [failures]
//! [KEY=VALUE of the environment's options]`. `reachable` leaves out goals that cannot be reached.

#[path = "../tests/common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;

use stepladder_core::seed::stream;
use stepladder_env::{Reader, TaskSet};
use stepladder_webshop::family::{FAMILY, choices};
use stepladder_webshop::reachable::{Reach, reach};
use stepladder_webshop::{WebShop, WebShopEnv};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [split, rest @ ..] = arguments.as_slice() else {
        return Err(
            "usage: expert SPLIT [COUNT|all] [data=ROOT] [noise=SHARE] [reachable] [failures] [KEY=VALUE]"
                .into(),
        );
    };
    let pairs: Vec<(&str, &str)> = rest.iter().filter_map(|text| text.split_once('=')).collect();
    let noise: Option<f64> =
        pairs.iter().find(|(key, _)| *key == "noise").and_then(|(_, share)| share.parse().ok());
    let count: usize = rest.iter().find_map(|text| text.parse().ok()).unwrap_or(usize::MAX);
    let only = rest.iter().any(|text| text == "reachable");
    let show = rest.iter().any(|text| text == "failures");
    let given = pairs.iter().copied().filter(|(key, _)| !matches!(*key, "noise" | "data"));
    let options = FAMILY.options(Reader::Play, given)?;
    let root = pairs.iter().find(|(key, _)| *key == "data").map(|(_, root)| PathBuf::from(root));
    let set = WebShop::new(root.as_deref(), choices(&options));
    let mut env = set.env();
    let mut out = std::io::stdout().lock();
    let (mut won, mut score, mut steps, mut longest, mut episodes) = (0, 0.0, 0, [0; 3], 0);
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, task) in set.tasks(split)?.iter().take(count).enumerate() {
        let rng = &mut stream(0, "noise", &[number as u64]);
        let played = common::play(&mut env, task, 15, noise.map(|share| (share, rng)));
        if only && !reached(&env) {
            continue;
        }
        episodes += 1;
        won += usize::from(played.won());
        score += played.reward;
        steps += played.steps.len();
        for (most, length) in longest.iter_mut().zip(played.longest) {
            *most = length.max(*most);
        }
        if played.won() {
            continue;
        }
        let reason = match (played.ended, played.reward) {
            (false, _) => "no steps left",
            (true, 0.0) => "reward 0",
            (true, reward) if reward < 0.5 => "reward below 0.5",
            _ => "reward from 0.5",
        };
        *reasons.entry(reason).or_default() += 1;
        if show {
            writeln!(out, "{} {:.3} {:?}: {}", task.id, played.reward, played.bought(), played.start.task)?;
            for (action, _) in &played.steps {
                writeln!(out, "    {action}")?;
            }
        }
    }
    let all = episodes.max(1) as f64;
    writeln!(
        out,
        "{split}: {episodes} episodes, success {:.1} %, score {:.1}, {:.2} steps; failures {reasons:?}; longest replies in bytes {longest:?}",
        100.0 * won as f64 / all,
        100.0 * score / all,
        steps as f64 / all
    )?;
    Ok(())
}

/// Whether the goal of the visit can be reached.
fn reached(env: &WebShopEnv) -> bool {
    match (env.store(), env.visit()) {
        (Some(store), Some(visit)) => reach(store, visit.goal()) == Reach::Reached,
        _ => false,
    }
}
