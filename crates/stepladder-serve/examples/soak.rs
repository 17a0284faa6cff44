//! Plays many episodes over the network and checks that the memory of the server stays flat (Linux):
//! `cargo run --release -p stepladder-serve --example soak -- target/release/stepladder 100000 [SESSIONS [ARGUMENTS]]`. The arguments are
//! those of `env serve`, for example `webshop --split train`; without them households are played.
//!
//! Sessions are closed and opened again after ten episodes, without a closing message after every second one of them.
#![allow(clippy::print_stdout, reason = "an example reports on standard output")]

mod client;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use client::{Failure, Server};

/// Parts of the soak; after the first one all games of the split should be in memory, from 10,000 episodes on.
const PARTS: u64 = 20;
const USAGE: &str = "usage: soak PROGRAM EPISODES [SESSIONS [ARGUMENTS]]";
/// Growth in MiB that counts as flat: what the allocator may keep in pieces.
const FLAT: f64 = 8.0;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let program = arguments.next().ok_or(USAGE)?;
    let episodes: u64 = arguments.next().ok_or(USAGE)?.parse()?;
    let sessions: u64 = arguments.next().map_or(Ok(32), |text| text.parse())?;
    let mut serve: Vec<String> = arguments.collect();
    if serve.is_empty() {
        serve.extend(["household", "--split", "dev"].map(str::to_owned));
    }
    serve.extend(["--max-steps", "15"].map(str::to_owned));
    let serve: Vec<&str> = serve.iter().map(String::as_str).collect();
    let server = Arc::new(Server::start(&program, &serve)?);
    let next = Arc::new(AtomicU64::new(0));
    let mut warm = None;
    for part in 1..=PARTS {
        let until = episodes * part / PARTS;
        let tasks: Vec<_> =
            (0..sessions).map(|_| tokio::spawn(play(server.clone(), next.clone(), until))).collect();
        for task in tasks {
            task.await??;
        }
        next.store(until, Ordering::Relaxed);
        let resident = server.resident()?;
        println!("{until} episodes: {resident:.1} MiB");
        warm.get_or_insert(resident);
    }
    let growth = server.resident()? - warm.unwrap_or_default();
    println!("{growth:+.1} MiB since the first {} episodes", episodes / PARTS);
    if growth > FLAT { Err(format!("the memory grew by {growth:.1} MiB").into()) } else { Ok(()) }
}

async fn play(server: Arc<Server>, next: Arc<AtomicU64>, until: u64) -> Result<(), Failure> {
    loop {
        let mut session = server.connect().await?;
        let mut last = 0;
        for _ in 0..10 {
            last = next.fetch_add(1, Ordering::Relaxed);
            if last >= until {
                return Ok(());
            }
            session.play(last).await?;
        }
        if last % 2 == 0 {
            // The server closes a session that says so.
            let _ = session.text(r#"{"type":"close"}"#.to_owned()).await;
        }
    }
}
