//! Measures how long a catalogue takes to read, and how much memory it holds.
//!
//! `cargo run --release -p stepladder-webshop --example webshop_load -- PRODUCTS.json ATTRIBUTES.json [NOUNS.json [HUMAN.json]]`
//!
//! Memory is read from `/proc`, on Linux. Without a table of nouns the stub tagger finds them.
#![allow(clippy::print_stdout, reason = "the report of an example")]

use std::error::Error;
use std::sync::Arc;

use stepladder_env::clock::Stopwatch;
use stepladder_webshop::{Catalogue, Files, Seeds, Shop, Tagger};

fn main() -> Result<(), Box<dyn Error>> {
    let mut paths = std::env::args_os().skip(1).map(std::path::PathBuf::from);
    let files = Files {
        products: paths.next().ok_or("name the file of products")?,
        attributes: paths.next().ok_or("name the file of attributes")?,
        nouns: paths.next().map_or(Tagger::Stub, Tagger::Table),
        human: paths.next(),
    };
    let started = Stopwatch::start();
    let catalogue = Arc::new(Catalogue::load(&files, None)?);
    let read = started.elapsed().as_secs_f64();
    println!("{} products in {read:.1} s, {}", catalogue.products.len(), memory());
    let started = Stopwatch::start();
    let shop = Shop::new(catalogue, Seeds::ORIGINAL)?;
    println!("{} goals in {:.2} s, {}", shop.goals.len(), started.elapsed().as_secs_f64(), memory());
    let bytes: usize = shop.products().iter().map(texts).sum();
    println!("{:.2} GB are texts of products", bytes as f64 / 1e9);
    Ok(())
}

/// Bytes of a product's texts.
fn texts(product: &stepladder_webshop::Product) -> usize {
    let all = [&product.asin, &product.category, &product.query, &product.product_category, &product.title];
    let values = product.options.iter().flat_map(|choice| choice.values.iter().chain([&choice.name]));
    let lines = product.bullets.iter().chain(&product.attributes).chain([&product.description]);
    all.into_iter().chain(values).chain(lines).map(|text| text.len()).sum()
}

/// Resident memory now and at most.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let lines = status.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM"));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(", ")
}
