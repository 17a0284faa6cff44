//! HiMAC and GRPO at the combination lock, for docs/algorithms/himac.md.
//!
//! ```text
//! cargo run --release -p stepladder-algo --example lock -- [SEEDS [STEPS]]
//! ```
#![allow(missing_docs, clippy::print_stdout)]

mod env;
mod trial;

use stepladder_algo::AlgoError;
use stepladder_algo::grpo::Grpo;
use stepladder_algo::himac::Phases;
use stepladder_algo::online::Method;
use trial::{CLONING, Trial, config, flat, himac, method};

/// Success that counts as opened.
const OPEN: f64 = 0.9;

fn main() -> Result<(), AlgoError> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let mut number = |otherwise| arguments.next().and_then(Result::ok).unwrap_or(otherwise);
    let (seeds, budget) = (number(10), number(20_000));
    println!("moves  seed  follow rate  method   start   end   steps to {OPEN}");
    for moves in [1, 8] {
        for seed in 1..=seeds {
            for name in ["himac", "macro", "micro", "grpo"] {
                let (mut learner, agent, most): (Box<dyn Method>, _, _) = match name {
                    "himac" => (Box::new(method(Phases::Both)), himac(), budget),
                    "macro" => (Box::new(method(Phases::Macro)), himac(), budget),
                    "micro" => (Box::new(method(Phases::Micro)), himac(), budget),
                    _ => (Box::new(Grpo::Grpo), flat(), 5 * budget),
                };
                let (lock, mut trainer) = Trial::new(agent, moves, seed, CLONING)?;
                let follow = match name {
                    "grpo" => f64::NAN,
                    _ => lock.follow_rate(&trainer)?,
                };
                let points = lock.learn(&mut trainer, &mut *learner, &config(most), budget / 40)?.points;
                let opened = points.iter().find(|(_, success)| *success >= OPEN);
                let opened = opened.map_or("-".to_owned(), |(steps, _)| steps.to_string());
                let [(_, start), .., (_, end)] = points[..] else { continue };
                println!("{moves:5}  {seed:4}  {follow:11.2}  {name:6}  {start:.2}  {end:.2}  {opened}");
            }
        }
    }
    Ok(())
}
