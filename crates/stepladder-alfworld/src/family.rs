//! The environment families of this crate: official games ([`ALFWORLD`]) and generated households ([`HOUSEHOLD`]).

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;
use stepladder_core::label::Perturb;
use stepladder_core::seed::Rng;
use stepladder_core::{Observation, TaskKey};
use stepladder_env::family::{BenchRequest, DataSet, GenerateRequest, Measured, Open, VerifyRequest, data};
use stepladder_env::transcript::Report;
use stepladder_env::{EnvError, Family, OptionSpec, Options, Reader, TaskSet, Values};

use crate::codec::AlfworldCodec;
use crate::env;
use crate::expert::{AlfworldExpert, Careless, Wanderer};
use crate::game::Game;
use crate::generate::distribution::{self, Summary};
use crate::generate::{self, GenerateError, GoalCount, Split};
use crate::households::{self, Households};
use crate::segment::AlfworldSegmenter;
use crate::tasks::{self, Alfworld, GAMES_DIRECTORY};
use crate::{bench, noise, verify};

/// Default number of steps of a benchmark.
const STEPS: u64 = 2_000_000;

const PENALISE_NOOP: &str = "penalise_noop";
const GOALS: &str = "goals";

const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: PENALISE_NOOP,
        values: Values::Flag,
        meaning: "an action that is answered by \"Nothing happens.\" counts as an unknown action",
        default: Some("false"),
        readers: &[Reader::Play],
    },
    OptionSpec {
        name: GOALS,
        values: Values::Whole(1, 8),
        meaning: "number of goals of a game, to be reached in order",
        default: Some("1"),
        readers: &[Reader::Generate],
    },
];

/// Environment family `alfworld`: the official games.
pub static ALFWORLD: Family = Family {
    options: OPTIONS,
    bench: Some(|request| {
        let set = Alfworld::new(root(request.data_root)?, env::Options::default());
        measure(request, &set, |task| set.game(task))
    }),
    data: &[DataSet {
        name: "alfworld",
        place: GAMES_DIRECTORY,
        origin: "json_2.1.3_tw-pddl.zip of the releases of github.com/alfworld/alfworld, unpacked there",
        licence: "MIT",
        state: |root| data::directories(&root.join(GAMES_DIRECTORY)),
        archives: &[],
    }],
    ..family(&tasks::SPEC, |data_root, options| {
        Ok(Box::new(Alfworld::new(root(data_root)?, how_to_play(options))))
    })
};

/// Environment family `household`: generated games.
pub static HOUSEHOLD: Family = Family {
    options: OPTIONS,
    bench: Some(|request| {
        let set = Households::default();
        measure(request, &set, |task| set.game(task))
    }),
    ..family(&households::SPEC, |_, options| {
        let options = households::Options { env: how_to_play(options), ..Default::default() };
        Ok(Box::new(Households::new(options)))
    })
};

/// Creates a family with the capabilities common to both.
const fn family(spec: &'static stepladder_env::EnvSpec, open: Open) -> Family {
    Family {
        expert: Some(|| Box::new(AlfworldExpert::default())),
        careless: Some(|| Box::new(Careless::default())),
        wanderer: Some(|number| Box::new(Wanderer::new(number))),
        noise: Some(|| Box::new(WrongActions)),
        segmenter: Some(|| Box::new(AlfworldSegmenter)),
        verify: Some(replay),
        generate: Some(write_games),
        report: Some(compare),
        ..Family::new(spec, open, || Arc::new(AlfworldCodec))
    }
}

fn how_to_play(options: &Options) -> env::Options {
    env::Options { penalise_noop: options.flag(PENALISE_NOOP) }
}

fn root(data_root: Option<&Path>) -> Result<&Path, EnvError> {
    data_root.ok_or_else(|| EnvError::NoDataRoot {
        env: tasks::SPEC.id,
        reason: format!(
            "no data root for the official games: set STEPLADDER_DATA or pass --data DIR (DIR holds {GAMES_DIRECTORY}/<split>/…; \
             `stepladder data status` shows where the games come from)"
        ),
    })
}

struct WrongActions;

impl Perturb for WrongActions {
    fn perturb(&self, action: &str, seen: &Observation, rng: &mut Rng) -> Option<String> {
        noise::perturb(action, &seen.feedback, &seen.context, rng)
    }
}

/// Benchmarks all games of a split.
fn measure(
    request: &BenchRequest<'_>,
    set: &dyn TaskSet,
    game: impl Fn(&TaskKey) -> Result<Arc<Game>, EnvError> + Send + Sync,
) -> Result<Measured, EnvError> {
    let spec = set.spec();
    let tasks = set.tasks(request.split.unwrap_or(spec.splits[0]))?;
    let games: Vec<Arc<Game>> = tasks.par_iter().map(game).collect::<Result<_, _>>()?;
    let mut report = bench::bench(&games, request.steps.unwrap_or(STEPS), request.seed)
        .ok_or_else(|| failed(spec.id, "no games to play"))?;
    spec.id.clone_into(&mut report.env);
    let summary = format!(
        "{}: {:.0} steps/s, {:.0} resets/s on one core; {} games, {}, checksum {}",
        spec.id,
        report.steps_per_second,
        report.resets_per_second,
        report.games,
        report.policy,
        report.checksum
    );
    let json = serde_json::to_string(&report).map_err(|error| failed(spec.id, error))?;
    Ok(Measured { json, summary })
}

fn failed(env: &'static str, reason: impl ToString) -> EnvError {
    EnvError::Backend { env, reason: reason.to_string() }
}

fn replay(request: &VerifyRequest<'_>) -> Result<Report, EnvError> {
    let mut report = Report::default();
    for file in request.transcripts {
        report.merge(verify::verify(file, request.data_root)?);
    }
    Ok(report)
}

fn write_games(request: &GenerateRequest<'_>) -> Result<String, EnvError> {
    let split: Split =
        request.split.parse().map_err(|error: GenerateError| EnvError::Usage(error.to_string()))?;
    let goals = goals(request.options)?;
    let options = generate::GeneratorOptions { goals, ..Default::default() };
    (request.seed..request.end()?).into_par_iter().try_for_each(|seed| -> Result<(), EnvError> {
        let directory = request.output.join(format!("seed-{seed}"));
        fs_err::create_dir_all(&directory)?;
        let game = generate::generate(split, seed, &options);
        let text = game.to_json().map_err(|error| failed(households::SPEC.id, error))?;
        Ok(fs_err::write(directory.join("game.tw-pddl"), text)?)
    })?;
    Ok(format!("{} games of split {} in {}", request.count, split.name(), request.output.display()))
}

fn goals(options: &Options) -> Result<GoalCount, EnvError> {
    let goals = options.whole(GOALS).and_then(|goals| GoalCount::new(usize::try_from(goals).ok()?));
    goals.ok_or_else(|| EnvError::Usage("a game has 1 to 8 goals".to_owned()))
}

/// Compares official and generated training games.
fn compare(data_root: Option<&Path>, options: &Options) -> Result<String, EnvError> {
    if goals(options)?.get() > 1 {
        let problem = "--report compares games with one goal; leave out --option goals";
        return Err(EnvError::Usage(problem.to_owned()));
    }
    let root = data_root.ok_or_else(|| {
        EnvError::Usage("--report needs the official games: set STEPLADDER_DATA or pass --data".to_owned())
    })?;
    let id = households::SPEC.id;
    let mut official = Summary::default();
    for task in Alfworld::new(root, env::Options::default()).tasks("train")? {
        let path = root.join(GAMES_DIRECTORY).join(&task.id).join("game.tw-pddl");
        let text = fs_err::read_to_string(&path)?;
        let broken = |reason: String| EnvError::Data { path: path.clone(), reason };
        let game: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| broken(error.to_string()))?;
        let problem = game["pddl_problem"].as_str().unwrap_or_default();
        let walkthrough = game["walkthrough"].as_array().map_or(0, Vec::len);
        official.add(problem, walkthrough).map_err(|error| broken(error.to_string()))?;
    }
    let summarise = |seeds: Range<u64>| -> Result<Summary, EnvError> {
        let mut summary = Summary::default();
        for seed in seeds {
            let game = generate::generate(Split::Train, seed, &Default::default());
            summary.add(&game.pddl_problem, game.walkthrough.len()).map_err(|error| failed(id, error))?;
        }
        Ok(summary)
    };
    let number = u64::from(official.games);
    let (generated, again) = (summarise(0..number)?, summarise(number..2 * number)?);
    Ok(distribution::report(("official train", &official), ("generated train", &generated), &again))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_open_under_their_own_ids_and_only_the_official_games_need_data() {
        for family in [&ALFWORLD, &HOUSEHOLD] {
            let options = family.options(Reader::Play, []).unwrap();
            let opened = family.open(Some(Path::new(".")), &options).unwrap();
            assert_eq!(opened.spec(), family.spec);
            assert!(family.known_split(family.spec.splits[0]).is_ok());
            assert!(family.known_split("../x").is_err());
            assert!(family.augment().is_err());
            let far = GenerateRequest {
                split: "dev",
                count: 1,
                seed: u64::MAX,
                output: Path::new("x"),
                options: &options,
            };
            assert!(family.generate(&far).unwrap_err().to_string().contains("too large"));
        }
        let options = HOUSEHOLD.options(Reader::Play, []).unwrap();
        assert!(HOUSEHOLD.open(None, &options).is_ok());
        let error = ALFWORLD.open(None, &options).err().unwrap().to_string();
        assert!(
            error.starts_with("alfworld: no data root for the official games: set STEPLADDER_DATA"),
            "{error}"
        );
    }

    #[test]
    fn an_option_decides_whether_an_action_without_effect_counts_as_unknown() {
        for wanted in ["false", "true"] {
            let options = HOUSEHOLD.options(Reader::Play, [(PENALISE_NOOP, wanted)]).unwrap();
            let set = HOUSEHOLD.open(None, &options).unwrap();
            let mut game = set.make().unwrap();
            game.reset(&set.tasks("dev").unwrap()[0], 0).unwrap();
            let step = game.step("dance").unwrap();
            assert_eq!(step.unknown_action.to_string(), wanted);
            assert!((HOUSEHOLD.codec)().refuses(&step.observation));
            assert!(!(HOUSEHOLD.codec)().refuses(&game.step("look").unwrap().observation));
        }
        let error = HOUSEHOLD.options(Reader::Play, [(GOALS, "2")]).unwrap_err().to_string();
        assert_eq!(error, "option `goals` of household is for env generate, not for playing");
    }
}
