//! Replays transcripts of the original: `cargo run -p stepladder-alfworld --example verify -- DATA_ROOT FILE…`.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let root = arguments.next().ok_or("usage: verify DATA_ROOT FILE…")?;
    for file in arguments {
        let report = stepladder_alfworld::verify(Path::new(&file), Some(Path::new(&root)))?;
        eprintln!("{file}: {} rows, {} mismatches", report.rows, report.mismatches);
        if let Some(first) = report.first_difference {
            eprintln!("{first:#?}");
        }
    }
    Ok(())
}
