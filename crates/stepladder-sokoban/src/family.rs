//! The environment family of this crate.

use std::sync::Arc;

use stepladder_core::label::Perturb;
use stepladder_core::seed::Rng;
use stepladder_core::{Observation, TaskKey};
use stepladder_env::family::{BenchRequest, DataSet, GenerateRequest, Measured, VerifyRequest, data};
use stepladder_env::transcript::Report;
use stepladder_env::{EnvError, Family, OptionSpec, Reader, TaskSet, Values};

use crate::bench::{self, Workload};
use crate::board::Board;
use crate::codec::SokobanCodec;
use crate::env::Options;
use crate::expert::{SokobanExpert, shown};
use crate::frame::Tiles;
use crate::splits::{BoardSize, SIZES};
use crate::tasks::{SPEC, Sokoban};
use crate::wanderer::Wanderer;
use crate::{boxoban, noise, verify};

/// Default number of steps of a benchmark.
const STEPS: u64 = 2_000_000;

/// Boards per written level file.
const PER_FILE: usize = 1000;

const TILES: &str = "tiles";

/// Environment family `sokoban`.
pub static FAMILY: Family = Family {
    options: &[OptionSpec {
        name: TILES,
        values: Values::Directory,
        meaning: "tiles of an installed original (gym-sokoban's folder surface): pictures are compared as well",
        default: None,
        readers: &[Reader::Verify],
    }],
    expert: Some(|| Box::new(SokobanExpert)),
    wanderer: Some(|number| Box::new(Wanderer::new(number))),
    noise: Some(|| Box::new(WrongMoves)),
    bench: Some(measure),
    verify: Some(replay),
    generate: Some(write_boards),
    data: &[DataSet {
        name: "boxoban",
        place: "boxoban",
        origin: "the folders unfiltered, medium and hard of github.com/google-deepmind/boxoban-levels (for sokoban)",
        licence: "Apache-2.0",
        state: |root| data::directories(&root.join("boxoban")),
        archives: &[],
    }],
    ..Family::new(
        &SPEC,
        |data_root, _| Ok(Box::new(Sokoban::new(data_root, Options::default()))),
        || Arc::new(SokobanCodec),
    )
};

struct WrongMoves;

impl Perturb for WrongMoves {
    fn perturb(&self, action: &str, observation: &Observation, rng: &mut Rng) -> Option<String> {
        noise::perturb(action, shown(observation), rng)
    }
}

/// Board size of a generated split.
fn board_size(split: &str) -> Option<&'static BoardSize> {
    SIZES.iter().find(|size| split.ends_with(&format!("-{}", size.name)))
}

fn failed(reason: impl ToString) -> EnvError {
    EnvError::Backend { env: SPEC.id, reason: reason.to_string() }
}

/// Benchmarks the boards of a split and the generation of boards of its size.
fn measure(request: &BenchRequest<'_>) -> Result<Measured, EnvError> {
    let options = Options::default();
    let set = Sokoban::new(request.data_root, options);
    let split = request.split.unwrap_or(SPEC.splits[0]);
    let steps = request.steps.unwrap_or(STEPS);
    let listed = set.tasks(split)?;
    let boards: Vec<Board> =
        listed.iter().map(|task| Ok(set.level(task)?.board)).collect::<Result<_, EnvError>>()?;
    let generator =
        board_size(split).and_then(BoardSize::generator).map(|generator| (generator, (steps / 100).max(1)));
    let max_steps = set.max_steps(split);
    let workload = Workload { boards: &boards, max_steps, options, steps, seed: request.seed, generator };
    let report = bench::bench(workload).ok_or_else(|| failed("no levels to play"))?;
    let generated =
        report.generated_per_second.map(|rate| format!("{rate:.0} boards generated/s, ")).unwrap_or_default();
    let summary = format!(
        "{}: {:.0} steps/s, {:.0} steps/s with text, {:.0} resets/s, {generated}on one core; {} levels, {}, checksum {}",
        SPEC.id,
        report.steps_per_second,
        report.text_steps_per_second,
        report.resets_per_second,
        report.games,
        report.policy,
        report.checksum
    );
    Ok(Measured { json: serde_json::to_string(&report).map_err(failed)?, summary })
}

/// Replays recorded episodes; compares pictures if the original's tiles are given.
fn replay(request: &VerifyRequest<'_>) -> Result<Report, EnvError> {
    let tiles = request.options.directory(TILES).map(Tiles::load).transpose()?;
    let mut report = Report::default();
    for file in request.transcripts {
        report.merge(verify::verify(file, tiles.as_ref())?);
    }
    Ok(report)
}

/// Writes boards of a split as level files in Boxoban's form.
fn write_boards(request: &GenerateRequest<'_>) -> Result<String, EnvError> {
    let GenerateRequest { split, count, seed, output, .. } = *request;
    let set = Sokoban::default();
    let Some(size) = board_size(split) else {
        let names: Vec<String> = SIZES.iter().map(|size| format!("train-{}", size.name)).collect();
        let problem = format!("{} generates {}; not `{split}`", SPEC.id, names.join(", "));
        return Err(EnvError::Usage(problem));
    };
    set.tasks(split)?;
    let name = if split.starts_with("train-") { "seed" } else { "level" };
    let end = request.end()?;
    fs_err::create_dir_all(output)?;
    for (number, start) in (seed..end).step_by(PER_FILE).enumerate() {
        let boards: Vec<Board> = (start..end.min(start.saturating_add(PER_FILE as u64)))
            .map(|number| Ok(set.level(&TaskKey::new(SPEC.id, split, format!("{name}-{number}")))?.board))
            .collect::<Result<_, EnvError>>()?;
        fs_err::write(output.join(format!("{number:03}.txt")), boxoban::write(&boards))?;
    }
    Ok(format!("{count} boards of {} ({split}) in {}", size.name, output.display()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn it_opens_without_data_and_lacks_what_it_lacks() {
        let options = FAMILY.options(Reader::Verify, [(TILES, "nowhere")]).unwrap();
        assert_eq!(FAMILY.open(None, &options).unwrap().spec(), FAMILY.spec);
        let message = [
            FAMILY.segmenter().err(),
            FAMILY.augment().err(),
            FAMILY.report(None, &options).err(),
            FAMILY.verify(&VerifyRequest { transcripts: &[], data_root: None, options: &options }).err(),
        ]
        .map(|error| error.unwrap().to_string());
        assert_eq!(message[0], "sokoban has no segmenter");
        assert_eq!(message[1], "sokoban has no augmentation: its things cannot be renamed");
        assert_eq!(message[2], "sokoban has no report of its distribution");
        assert!(
            message[3].starts_with("nowhere/wall.png: cannot read a tile of gym-sokoban"),
            "{}",
            message[3]
        );
    }

    #[test]
    fn noise_reads_the_board_of_the_start_from_the_context() {
        let board = "######\n#_P__#\n#_X_O#\n######";
        let rng = &mut stepladder_core::seed::stream(1, "noise", &[]);
        for (feedback, context) in [(board, ""), ("", board)] {
            let seen = Observation { feedback: feedback.into(), context: context.into() };
            assert_eq!(FAMILY.noise().unwrap().perturb("left", &seen, rng).as_deref(), Some("right"));
        }
    }

    #[test]
    fn what_it_does_not_generate_is_said() {
        let options = FAMILY.options(Reader::Generate, []).unwrap();
        let request =
            GenerateRequest { split: "train", count: 1, seed: 0, output: Path::new("x"), options: &options };
        let error = FAMILY.generate(&request).unwrap_err().to_string();
        assert_eq!(
            error,
            "sokoban generates train-6x6-1, train-7x7-2, train-8x8-2, train-10x10-3; not `train`"
        );
    }
}
