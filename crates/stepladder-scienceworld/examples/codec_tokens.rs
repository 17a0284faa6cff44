//! Counts the tokens of a trace's texts in the compact encoding; with `--texts` also prints each distinct
//! text with its encoding.
//!
//! `cargo run --release -p stepladder-scienceworld --example codec_tokens -- TRACE.jsonl.. [--texts]`

#![allow(clippy::print_stdout, reason = "prints a table")]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs::File;
use std::io::BufReader;

use stepladder_core::Codec;
use stepladder_core::trace::{self, Episode};
use stepladder_env::clock::Stopwatch;
use stepladder_scienceworld::ScienceWorldCodec;

/// Number of occurrences of each text, by the text's role.
type Texts = BTreeMap<&'static str, BTreeMap<String, usize>>;

fn collect(episode: &Episode, texts: &mut Texts) {
    let mut add = |kind: &'static str, text: &str| {
        *texts.entry(kind).or_default().entry(text.to_owned()).or_default() += 1;
    };
    add("task", &episode.start.task);
    let mut context = episode.start.context.as_str();
    for subtask in &episode.subtasks {
        add("subtask", &subtask.text);
        for step in &subtask.steps {
            add("context", context);
            add("action", &step.action);
            add("feedback", &step.observation);
            if let Some(progress) = &step.progress {
                add("progress", progress);
            }
            context = step.context.as_deref().unwrap_or(context);
        }
    }
}

/// Formats median, mean, 95th percentile and maximum.
fn summary(mut lengths: Vec<usize>) -> String {
    lengths.sort_unstable();
    let at = |percent: usize| lengths[(lengths.len() - 1) * percent / 100];
    let mean = lengths.iter().sum::<usize>() as f64 / lengths.len() as f64;
    format!("median {:>3}  mean {mean:>5.1}  p95 {:>3}  max {:>3}", at(50), at(95), at(100))
}

fn main() -> Result<(), Box<dyn Error>> {
    let (flags, files): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let show = flags.iter().any(|flag| flag == "--texts");
    let mut texts = Texts::new();
    for file in &files {
        for episode in trace::read(BufReader::new(File::open(file)?)) {
            collect(&episode?, &mut texts);
        }
    }
    let mut vocabulary = BTreeSet::new();
    for (kind, texts) in &texts {
        let (mut words, mut tokens) = (Vec::new(), Vec::new());
        let mut lossless = true;
        let start = Stopwatch::start();
        let compact: Vec<String> = texts.keys().map(|text| ScienceWorldCodec.encode(text)).collect();
        let micros = start.elapsed().as_secs_f64() * 1e6 / texts.len() as f64;
        for ((text, times), compact) in texts.iter().zip(&compact) {
            lossless &= ScienceWorldCodec.decode(compact) == *text;
            words.extend(std::iter::repeat_n(text.split_whitespace().count(), *times));
            tokens.extend(std::iter::repeat_n(
                compact.split(' ').filter(|word| !word.is_empty()).count(),
                *times,
            ));
            vocabulary.extend(compact.split(' ').map(str::to_owned));
            if show {
                println!("{kind}\t{times}\t{compact}\t{text:?}");
            }
        }
        println!("{kind}: {} texts, lossless {lossless}, {micros:.1} us each", texts.len());
        println!("  words   {}", summary(words));
        println!("  tokens  {}", summary(tokens));
    }
    println!("{} words in all", vocabulary.len());
    Ok(())
}
