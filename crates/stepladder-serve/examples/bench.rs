//! Steps per second over the network beside those in one process, and where the time goes (Linux):
//! `cargo run --release -p stepladder-serve --example bench -- target/release/stepladder household [SESSIONS] [SECONDS] [REPEATS] [DATA]`.
//!
//! Server and client run on the same cores. Every session replays episodes whose random actions were recorded before, so that
//! nothing but steps (and a reset per episode) is measured; `state` requests, which need no environment, show the cost
//! of messages alone. The steps of one process are those of `PROGRAM env bench`, with its own random policy on one core. Prints one
//! JSON object: processor microseconds of the server (in the program and in the system) and of the client per request.
#![allow(clippy::print_stdout, reason = "an example reports on standard output")]

mod client;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use client::{Failure, Server, Session, processor};
use serde_json::{Value, json};
use stepladder_env::clock::Stopwatch;

/// Requests that the sessions send.
#[derive(Clone, Copy)]
enum Load {
    Steps,
    States,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [program, env, ..] = &arguments[..] else {
        return Err("usage: bench PROGRAM ENV [SESSIONS] [SECONDS] [REPEATS] [DATA]".into());
    };
    let number = |at: usize, otherwise: u64| arguments.get(at).map_or(Ok(otherwise), |text| text.parse());
    let (sessions, seconds, repeats) = (number(2, 64)?, number(3, 5)?, number(4, 3)?);
    let data: Vec<&str> = arguments.get(5).map_or(vec![], |root| vec!["--data", root]);
    let server = Server::start(program, &[&[env.as_str()], &data[..]].concat())?;
    let mut players = Vec::new();
    for seed in 0..sessions {
        let mut session = server.connect().await?;
        let actions = session.play(seed).await?;
        players.push(Player { session, seed, actions });
    }
    let (mut steps, mut states) = (Vec::new(), Vec::new());
    for _ in 0..repeats {
        steps.push(measure(&server, &mut players, Load::Steps, seconds).await?);
        states.push(measure(&server, &mut players, Load::States, seconds).await?);
    }
    let bench = Command::new(program).args(["env", "bench", env, "--json"]).args(&data).output()?;
    let in_process: Value = serde_json::from_slice(&bench.stdout)?;
    let report = json!({
        "env": env, "sessions": sessions, "seconds": seconds, "steps": steps, "states": states, "in_process": in_process,
    });
    println!("{report}");
    Ok(())
}

/// A session and the episode that it plays again and again.
struct Player {
    session: Session,
    seed: u64,
    actions: Vec<String>,
}

impl Player {
    /// Sends requests until the flag is set; returns their number.
    async fn run(&mut self, load: Load, stop: &AtomicBool) -> Result<u64, Failure> {
        let mut requests = 0;
        while !stop.load(Ordering::Relaxed) {
            if matches!(load, Load::Steps) {
                let reset = json!({ "type": "reset", "data": { "seed": self.seed } });
                self.session.text(reset.to_string()).await?;
            }
            for action in &self.actions {
                let request = match load {
                    Load::Steps => json!({ "type": "step", "data": { "action": action } }),
                    Load::States => json!({ "type": "state" }),
                };
                self.session.text(request.to_string()).await?;
                requests += 1;
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
        }
        Ok(requests)
    }
}

async fn measure(
    server: &Server,
    players: &mut Vec<Player>,
    load: Load,
    seconds: u64,
) -> Result<Value, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let (client_before, server_before, clock) = (processor("self")?, server.processor()?, Stopwatch::start());
    let tasks: Vec<_> = players
        .drain(..)
        .map(|mut player| {
            let stop = stop.clone();
            tokio::spawn(async move {
                let played = player.run(load, &stop).await;
                played.map(|count| (player, count))
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    stop.store(true, Ordering::Relaxed);
    let mut requests = 0;
    for task in tasks {
        let (player, count) = task.await??;
        players.push(player);
        requests += count;
    }
    let elapsed = clock.elapsed().as_secs_f64();
    let (client, server) = (processor("self")?, server.processor()?);
    let each = |after: f64, before: f64| (after - before) * 1e6 / requests as f64;
    Ok(json!({
        "requests": requests,
        "per_second": requests as f64 / elapsed,
        "server_program_us": each(server[0], server_before[0]),
        "server_system_us": each(server[1], server_before[1]),
        "client_us": each(client[0] + client[1], client_before[0] + client_before[1]),
    }))
}
