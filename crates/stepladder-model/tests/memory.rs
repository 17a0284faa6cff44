//! Memory of a pretrained model while it is loaded. Peaks are those of the whole process, so the test needs a process of its own,
//! as `cargo nextest` gives it. `--example pretrained_memory` measures models of full size.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "memory/qwen.rs"]
mod qwen;

use qwen::{Shape, loaded, measured};

#[test]
fn loading_needs_little_more_memory_than_the_weights() {
    let directory = tempfile::tempdir().unwrap();
    // The first model brings libraries into memory.
    Shape { width: 64, ffn: 64, layers: 1, heads: 4, kv_heads: 2, vocab: 64 }.write(directory.path());
    drop(loaded(directory.path()));
    let shape = Shape { width: 512, ffn: 2048, layers: 24, heads: 8, kv_heads: 2, vocab: 30_000 };
    let bytes = shape.write(directory.path()) as f64 / 1e6;
    assert!(bytes > 100.0, "{bytes} MB");
    let (weights, [kept, peak]) = measured(|| loaded(directory.path()));
    println!("{bytes:.0} MB of weights: {peak:.0} MB at most, {kept:.0} MB kept");
    let little = (0.9 * bytes..1.2 * bytes).contains(&kept) && peak < 1.2 * kept;
    assert!(little, "{bytes:.0} MB of weights: {peak:.0} MB at most, {kept:.0} MB kept");
    drop(weights);
}
