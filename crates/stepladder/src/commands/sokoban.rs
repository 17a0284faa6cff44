//! What `env bench|verify|generate` do for Sokoban.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use stepladder_core::TaskKey;
use stepladder_env::TaskSet;
use stepladder_env::transcript::Report;
use stepladder_sokoban::bench::{self, Plan};
use stepladder_sokoban::{Board, Options, Sokoban, Tiles, boxoban, splits, tasks, verify};

use super::{Usage, say};

/// The environment's id.
pub(super) const ID: &str = "sokoban";

/// Boards of one level file.
const PER_FILE: usize = 1000;

/// Plays the boards of a split, and generates new ones of its size.
pub(super) fn bench(
    split: Option<&str>,
    steps: u64,
    seed: u64,
    as_json: bool,
    data: Option<&Path>,
) -> Result<()> {
    let options = Options::default();
    let set = Sokoban::new(data, options);
    let split = split.unwrap_or(tasks::SPEC.splits[0]);
    let listed = set.tasks(split)?;
    let boards: Vec<Board> = listed.iter().map(|task| Ok(set.level(task)?.board)).collect::<Result<_>>()?;
    let kind = splits::KINDS.iter().find(|kind| split.ends_with(&format!("-{}", kind.name)));
    let generator = kind.and_then(splits::Kind::generator).map(|generator| (generator, (steps / 100).max(1)));
    let plan = Plan { boards: &boards, max_steps: set.max_steps(split), options, steps, seed, generator };
    let report = bench::bench(plan).ok_or_else(|| anyhow!("{ID}: no levels to play"))?;
    if as_json {
        say(serde_json::to_string(&report)?);
        return Ok(());
    }
    let generated =
        report.generated_per_second.map(|rate| format!("{rate:.0} boards generated/s, ")).unwrap_or_default();
    say(format_args!(
        "{ID}: {:.0} steps/s, {:.0} steps/s with text, {:.0} resets/s, {generated}on one core; {} levels, {}, checksum {}",
        report.steps_per_second,
        report.text_steps_per_second,
        report.resets_per_second,
        report.games,
        report.policy,
        report.checksum
    ));
    Ok(())
}

/// Compares recorded episodes, and their pictures where the original's tiles are.
pub(super) fn replay(files: &[PathBuf], tiles: Option<&Path>) -> Result<Report> {
    let tiles = tiles.map(Tiles::load).transpose()?;
    let mut report = Report::new(ID);
    for file in files {
        report.merge(verify::verify(file, tiles.as_ref())?);
    }
    Ok(report)
}

/// Writes boards of a split as level files in Boxoban's form.
pub(super) fn generate(split: &str, count: u64, first: u64, goals: u8, output: &Path) -> Result<()> {
    let set = Sokoban::default();
    let Some(kind) = splits::KINDS.iter().find(|kind| split.ends_with(&format!("-{}", kind.name))) else {
        let sizes: Vec<String> = splits::KINDS.iter().map(|kind| format!("train-{}", kind.name)).collect();
        return Err(Usage(format!("sokoban generates {}, not `{split}`", sizes.join(" and "))).into());
    };
    if goals != 1 {
        return Err(Usage("--goals is for households".to_owned()).into());
    }
    set.tasks(split)?;
    let name = if split.starts_with("train-") { "seed" } else { "level" };
    let end = first.checked_add(count).ok_or_else(|| Usage("--seed plus --count is too large".to_owned()))?;
    fs_err::create_dir_all(output)?;
    for (number, start) in (first..end).step_by(PER_FILE).enumerate() {
        let boards: Vec<Board> = (start..end.min(start.saturating_add(PER_FILE as u64)))
            .map(|number| Ok(set.level(&TaskKey::new(ID, split, format!("{name}-{number}")))?.board))
            .collect::<Result<_>>()?;
        fs_err::write(output.join(format!("{number:03}.txt")), boxoban::write(&boards))?;
    }
    say(format_args!("{count} boards of {} ({split}) in {}", kind.name, output.display()));
    Ok(())
}
