//! Prints products of a generated shop, or the time that many take: `cargo run --release -p stepladder-webshop --example generated_shop
//! -- full|short SEED FROM TO [time]`.

use std::io::Write as _;

use stepladder_env::clock::Stopwatch;
use stepladder_webshop::generated::{Generator, Pages};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [pages, seed, from, to, rest @ ..] = arguments.as_slice() else {
        return Err("usage: generated_shop full|short SEED FROM TO [time]".into());
    };
    let pages =
        Pages::ALL.into_iter().find(|known| known.name() == pages).ok_or("pages are full or short")?;
    let shop = Generator::new(seed.parse()?, pages);
    let numbers = from.parse()?..to.parse()?;
    let mut out = std::io::stdout().lock();
    if rest.is_empty() {
        for drawn in shop.products(numbers) {
            writeln!(out, "{drawn:#?}")?;
        }
        return Ok(());
    }
    let start = Stopwatch::start();
    let all: Vec<_> = shop.products(numbers).collect();
    writeln!(out, "{} products in {:?}", all.len(), start.elapsed())?;
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    writeln!(out, "{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default())?;
    Ok(())
}
