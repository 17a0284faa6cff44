//! Our search for `parity/webshop_search/compare.py`, and its speed.
//!
//! ```text
//! cargo run --release -p stepladder-webshop --example search -- terms < TEXTS
//! cargo run --release -p stepladder-webshop --example search -- search DOCUMENTS [LIMIT] < QUERIES
//! cargo run --release -p stepladder-webshop --example search -- speed DOCUMENTS < QUERIES
//! cargo run --release -p stepladder-webshop --example search -- large DOCUMENTS NUMBER < QUERIES
//! ```
//!
//! Texts and queries are lines of JSON strings, documents lines of JSON objects with `id` and `contents`. `speed` prints
//! microseconds a search. `large` does so for a shop of NUMBER documents whose words are drawn from those of DOCUMENTS.

use std::error::Error;
use std::io::{BufRead, BufReader, Write, stdin, stdout};

use rand::RngExt;
use stepladder_core::seed::stream;
use stepladder_env::clock::Stopwatch;
use stepladder_webshop::search::{Index, Scratch, analyze};

type Documents = Vec<(String, String)>;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["terms"] => {
            let mut output = stdout().lock();
            for text in texts()? {
                writeln!(output, "{}", analyze(&text).join("\t"))?;
            }
        }
        ["search", path, ref rest @ ..] => {
            let limit = rest.first().map_or(Ok(50), |limit| limit.parse())?;
            let documents = documents(path)?;
            let index = Index::build(documents.iter().map(|(asin, contents)| (asin, contents)));
            let mut output = stdout().lock();
            for query in texts()? {
                let found = index.search(&query, limit);
                let asins: Vec<&str> =
                    found.iter().map(|&number| documents[number as usize].0.as_str()).collect();
                writeln!(output, "{}", asins.join(" "))?;
            }
        }
        ["speed", path] => measure(documents(path)?, 200_000)?,
        ["large", path, number] => measure(more(&documents(path)?, number.parse()?), 2_000)?,
        _ => return Err("see the head of examples/search.rs".into()),
    }
    Ok(())
}

/// Prints time and memory of an index, and the time of a search.
fn measure(
    documents: impl IntoIterator<Item = (String, String)>,
    searches: usize,
) -> Result<(), Box<dyn Error>> {
    let queries = texts()?;
    let started = Stopwatch::start();
    let index = Index::build(documents);
    let seconds = started.elapsed().as_secs_f64();
    let megabytes = index.memory() as f64 / 1e6;
    eprintln!("{} documents: {seconds:.3} s to build, {megabytes:.1} MB", index.len());
    let (mut scratch, mut found, mut hits) = (Scratch::default(), Vec::new(), 0);
    let mut longest = 0.0f64;
    let started = Stopwatch::start();
    for query in queries.iter().cycle().take(searches) {
        let before = started.elapsed();
        index.search_with(&mut scratch, query, 50, &mut found);
        longest = longest.max((started.elapsed() - before).as_secs_f64());
        hits += found.len();
    }
    let mean = started.elapsed().as_secs_f64() / searches as f64;
    let hits = hits as f64 / searches as f64;
    eprintln!("{:.2} us a search, {:.2} at most, {hits:.1} hits", mean * 1e6, longest * 1e6);
    let started = Stopwatch::start();
    let terms: usize = queries.iter().cycle().take(searches).map(|query| analyze(query).len()).sum();
    let mean = started.elapsed().as_secs_f64() / searches as f64;
    eprintln!("{:.2} us to analyze a query into {:.1} terms", mean * 1e6, terms as f64 / searches as f64);
    Ok(())
}

fn texts() -> Result<Vec<String>, Box<dyn Error>> {
    stdin().lock().lines().map(|line| Ok(serde_json::from_str(&line?)?)).collect()
}

fn documents(path: &str) -> Result<Documents, Box<dyn Error>> {
    let mut documents = Vec::new();
    for line in BufReader::new(fs_err::File::open(path)?).lines() {
        let document: serde_json::Value = serde_json::from_str(&line?)?;
        let text = |key: &str| document[key].as_str().map(str::to_owned).ok_or_else(|| format!("no {key}"));
        documents.push((text("id")?, text("contents")?));
    }
    Ok(documents)
}

/// A shop of `number` products whose texts are 100 words drawn from those of `documents`, with one new word in 100.
fn more(documents: &Documents, number: u32) -> impl Iterator<Item = (String, String)> {
    let words: Vec<String> =
        documents.iter().flat_map(|(_, contents)| contents.split_whitespace().map(str::to_owned)).collect();
    let mut rng = stream(0, "webshop/search/large", &[]);
    (0..number).map(move |product| {
        let mut contents = format!("word{}", rng.random_range(0..number));
        for _ in 0..99 {
            contents.push(' ');
            contents.push_str(&words[rng.random_range(0..words.len())]);
        }
        (format!("B{:09X}", rng.random_range(0..1u64 << 36) * 4096 + u64::from(product) % 4096), contents)
    })
}
