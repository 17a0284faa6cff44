//! Prints the memory of a pretrained model on the way from its file to replies: `pretrained_memory WORKERS [DIR]`. Without a
//! directory it writes a random Qwen2.5-0.5B of full size (1 GB) into a temporary one. Linux only.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../tests/memory/qwen.rs"]
mod qwen;

use std::path::{Path, PathBuf};

use qwen::{Shape, loaded, measured, status};
use stepladder_model::checkpoint::WEIGHTS;
use stepladder_model::{Kind, engine};
use stepladder_rollout::engine::Prompt;

/// Prints the memory of a model on the way from its file to replies.
fn report(directory: &Path, workers: usize) {
    let file = fs_err::metadata(directory.join(WEIGHTS)).unwrap().len();
    let before = status("VmRSS");
    let mut highest = before;
    let mut print = |step: &str, [kept, peak]: [f64; 2]| {
        println!("{step}: {peak:.0} MB at most, {kept:.0} MB kept");
        highest = highest.max(status("VmHWM"));
    };
    let (weights, memory) = measured(|| loaded(directory));
    print("weights", memory);
    let (mut engine, memory) = measured(|| engine::open(&weights, Kind::Float, workers, 0).unwrap());
    print(&format!("engine of {workers} workers"), memory);
    let prompt = Prompt { ids: (1..=64).collect(), budget: 16, sampling: None, constraint: None, stop: None };
    for count in [1, 64] {
        let prompts = vec![prompt.clone(); count];
        let (replies, memory) = measured(|| engine.complete(prompts, &[]).unwrap());
        assert!(replies.len() == count && replies.iter().all(|reply| reply.ids.len() == 16));
        print(&format!("{count} replies of 16 tokens"), memory);
    }
    let megabytes = [file, before, highest].map(|bytes| bytes as f64 / 1e6);
    println!("file, process before, process at most: {megabytes:.0?} MB");
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let workers = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(1);
    match arguments.next() {
        Some(directory) => report(&PathBuf::from(directory), workers),
        None => {
            let directory = tempfile::tempdir().unwrap();
            assert_eq!(Shape::QWEN.write(directory.path()), 2 * 494_032_768);
            report(directory.path(), workers);
        }
    }
}
