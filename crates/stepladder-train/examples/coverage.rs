//! Prints the table of docs/statistics.md: how often intervals hold the truth.
//!
//! `cargo run --release -p stepladder-train --example coverage`
#![allow(clippy::print_stdout, reason = "the report of an example")]
#![allow(clippy::unwrap_used, reason = "the simulation is shared with a test")]

#[path = "../tests/coverage/simulation.rs"]
mod simulation;

use simulation::{QUICK, Setting, rows};

/// Further settings of the table, among them those where intervals are too wide or too narrow.
const MORE: [Setting; 10] = [
    Setting { tasks: 140, success: 0.1, task: 1.5, seed: 0.3, both: 0.5 },
    Setting { tasks: 500, success: 0.03, task: 2.0, seed: 0.2, both: 0.5 },
    Setting { tasks: 40, success: 0.03, task: 1.5, seed: 0.2, both: 0.5 },
    Setting { tasks: 140, success: 0.5, task: 1.5, seed: 0.15, both: 0.5 },
    Setting { tasks: 140, success: 0.5, task: 1.5, seed: 0.0, both: 0.5 },
    Setting { tasks: 500, success: 0.5, task: 1.5, seed: 0.3, both: 0.5 },
    Setting { tasks: 40, success: 0.7, task: 3.0, seed: 0.3, both: 0.5 },
    Setting { tasks: 200, success: 0.9, task: 1.5, seed: 0.2, both: 0.5 },
    Setting { tasks: 200, success: 0.9, task: 1.5, seed: 1.0, both: 0.5 },
    Setting { tasks: 500, success: 0.97, task: 2.0, seed: 0.2, both: 0.5 },
];

fn main() {
    println!(
        "| success | tasks | deviation of tasks, seeds, both | mean: 3, 5, 10 seeds | paired gain | unpaired gain |"
    );
    println!("|---|---|---|---|---|---|");
    let rows = rows(&[&QUICK[..], &MORE].concat(), 1500, usize::MAX);
    for row in &rows {
        println!("{}", row.text);
    }
    let outside = rows.iter().filter(|row| !row.inside).count();
    println!("{outside} of {} settings have a value outside of 93 to 97 %", rows.len());
}
