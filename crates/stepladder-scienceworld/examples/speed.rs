//! Plays the benchmark's course on command. `parity/scienceworld/compare.py` compares it with the same work
//! in the Python package.
//!
//! Arguments: data root, version. Each line on standard input plays the course once: `off` without and `on`
//! with lists of valid actions, `two` with two worlds at once. Each answer is one JSON object.
#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::io::BufRead;
use std::path::Path;

use stepladder_env::clock::Stopwatch;
use stepladder_scienceworld::bench::{Course, Lap};
use stepladder_scienceworld::{Failure, Instance, Jar, Pool, PoolOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [root, version] = arguments.as_slice() else {
        return Err("usage: speed DATA_ROOT VERSION".into());
    };
    let pool = Pool::new(Jar::below(Path::new(root), version), PoolOptions { jvms: 2, ..Default::default() });
    let course = Course::prepare(&pool)?;
    let mut pair = [Instance::new(&pool), Instance::new(&pool)];
    for line in std::io::stdin().lock().lines() {
        let lap = match line?.as_str() {
            "off" => course.play(&mut pair[0], false)?,
            "on" => course.play(&mut pair[0], true)?,
            _ => two(&course, &mut pair)?,
        };
        println!(
            "{}",
            serde_json::json!({
                "steps": lap.steps, "step_seconds": lap.stepping.as_secs_f64(),
                "resets": lap.resets, "reset_seconds": lap.resetting.as_secs_f64(),
                "checksum": format!("{:016x}", lap.checksum),
            })
        );
    }
    Ok(())
}

/// Plays two worlds in parallel. Returns their steps and the total time, loading included.
fn two(course: &Course, pair: &mut [Instance; 2]) -> Result<Lap, Failure> {
    let started = Stopwatch::start();
    let laps = std::thread::scope(|scope| {
        let threads: Vec<_> =
            pair.iter_mut().map(|instance| scope.spawn(|| course.play(instance, false))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a thread of the benchmark"))
            .collect::<Vec<_>>()
    });
    let mut sum = Lap::default();
    for lap in laps {
        let lap = lap?;
        sum.steps += lap.steps;
        sum.resets += lap.resets;
        sum.checksum = lap.checksum;
    }
    sum.stepping = started.elapsed();
    Ok(sum)
}
