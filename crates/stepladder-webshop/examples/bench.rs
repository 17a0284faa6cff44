//! Measures speed on one core: `cargo run --release -p stepladder-webshop --example bench -- DATA [SPLIT] [STEPS] [ROUNDS]`.
//!
//! Prints the report of `env bench` as JSON for every round, and the memory after it, which must not grow: each round plays with other seeds
//! in the same shop. 150 rounds of 10,000 steps are more than 100,000 episodes.

use std::path::Path;

use stepladder_webshop::{Choices, WebShop, bench::bench};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let root = arguments.next().ok_or("which data root?")?;
    let split = arguments.next().unwrap_or_else(|| "verl-train".to_owned());
    let steps: u64 = arguments.next().map_or(Ok(200_000), |text| text.parse())?;
    let rounds: u64 = arguments.next().map_or(Ok(1), |text| text.parse())?;
    let set = WebShop::new(Some(Path::new(&root)), Choices::default());
    let mut episodes = 0;
    for round in 0..rounds {
        let report = bench(&set, &split, steps, round)?;
        episodes += report.episodes;
        eprintln!("{}", serde_json::to_string_pretty(&report)?);
        if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
            let resident = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
            eprintln!("{episodes} episodes, {resident}");
        }
    }
    Ok(())
}
