//! Declaration of the environment family.

use std::path::Path;
use std::sync::Arc;

use stepladder_core::Observation;
use stepladder_core::label::Perturb;
use stepladder_core::seed::Rng;
use stepladder_env::family::{BenchRequest, DataSet, Measured, VerifyRequest};
use stepladder_env::transcript::Report;
use stepladder_env::{EnvError, Family, OptionSpec, Options, Reader, Values};

use crate::augment::WithPractice;
use crate::augment::rename::rename;
use crate::codec::ScienceWorldCodec;
use crate::expert::ScienceWorldExpert;
use crate::jar::{Jar, RELEASES};
use crate::pool::PoolOptions;
use crate::spec::SPEC;
use crate::splits::Split;
use crate::tasks::{self, ScienceWorld};
use crate::{bench, noise, verify};

/// Default number of steps of a benchmark.
const STEPS: u64 = 1000;

const VERSION: &str = "version";

/// ScienceWorld as an environment family.
pub static FAMILY: Family = Family {
    // Simplifications can be added to every split, so the names cannot be enumerated.
    splits: Some(|split| Split::named(split).map(drop)),
    options: &[OptionSpec {
        name: VERSION,
        values: Values::OneOf(&[RELEASES[0].version, RELEASES[1].version]),
        meaning: "version of the simulator",
        default: Some(RELEASES[0].version),
        readers: &[Reader::Play, Reader::Bench, Reader::Verify, Reader::Get],
    }],
    expert: Some(|| Box::new(ScienceWorldExpert)),
    noise: Some(|| Box::new(WrongActions)),
    augment: Some(rename),
    bench: Some(measure),
    verify: Some(replay),
    child_processes: true,
    data: &[DataSet {
        name: "scienceworld",
        place: "scienceworld",
        origin: "the package scienceworld on PyPI, versions 1.2.3 and 1.1.3: `stepladder data get scienceworld`",
        licence: "Apache-2.0",
        state: simulators,
        archives: &RELEASES,
    }],
    ..Family::new(
        &SPEC,
        |data_root, options| {
            let set = set(data_root, options, PoolOptions::default());
            Ok(Box::new(WithPractice(set)))
        },
        || Arc::new(ScienceWorldCodec),
    )
};

fn set(data_root: Option<&Path>, options: &Options, pool: PoolOptions) -> ScienceWorld {
    let mut choices = tasks::SimulatorOptions { pool, ..tasks::SimulatorOptions::default() };
    if let Some(version) = options.get(VERSION) {
        version.clone_into(&mut choices.version);
    }
    ScienceWorld::new(data_root, choices)
}

struct WrongActions;

impl Perturb for WrongActions {
    fn perturb(&self, action: &str, seen: &Observation, rng: &mut Rng) -> Option<String> {
        noise::perturb(action, seen, rng)
    }
}

/// Runs the benchmark on its fixed list of tasks.
fn measure(request: &BenchRequest<'_>) -> Result<Measured, EnvError> {
    if request.split.is_some() {
        let problem = format!("{} is measured on a fixed list of tasks: leave out --split", SPEC.id);
        return Err(EnvError::Usage(problem));
    }
    let set = set(request.data_root, request.options, PoolOptions { jvms: 2, ..PoolOptions::default() });
    let report = bench::bench(set.pool()?, request.steps.unwrap_or(STEPS))
        .map_err(|failure| failure.into_env_error("benchmark"))?;
    let summary = format!(
        "{}: {:.0} steps/s, {:.0} steps/s with valid actions, {:.1} resets/s in one JVM; two JVMs {:.2} times one; {} tasks, {}, checksum {}",
        SPEC.id,
        report.steps_per_second,
        report.steps_per_second_with_valid_actions,
        report.resets_per_second,
        report.two_over_one,
        report.games,
        report.policy,
        report.checksum
    );
    let json = serde_json::to_string(&report)
        .map_err(|error| EnvError::Backend { env: SPEC.id, reason: error.to_string() })?;
    Ok(Measured { json, summary })
}

/// Replays transcripts and compares them.
fn replay(request: &VerifyRequest<'_>) -> Result<Report, EnvError> {
    let set = set(request.data_root, request.options, PoolOptions { jvms: 1, ..PoolOptions::default() });
    let mut report = Report::default();
    for file in request.transcripts {
        report.merge(verify::verify(file, set.pool()?)?);
    }
    Ok(report)
}

/// Lists the installed versions of the simulator and whether their files have the published checksums.
fn simulators(root: &Path) -> String {
    let mut found = Vec::new();
    let mut problems = String::new();
    for release in &RELEASES {
        let jar = Jar::below(root, release.version);
        if !jar.file().exists() && !jar.types().exists() {
            continue;
        }
        match jar.check() {
            Ok(()) => found.push(format!("{} (verified)", release.version)),
            Err(failure) => {
                found.push(format!("{} (damaged)", release.version));
                problems.push_str(&format!("\n  damaged: {failure}"));
            }
        }
    }
    if found.is_empty() { "absent".to_owned() } else { format!("present: {}{problems}", found.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lists_tasks_without_data_and_says_what_is_missing() {
        let options = FAMILY.options(Reader::Play, [(VERSION, "1.1.3")]).unwrap();
        let set = FAMILY.open(None, &options).unwrap();
        assert_eq!((set.spec(), set.tasks("practice").unwrap().len()), (FAMILY.spec, 24 * 200));
        let error = set.make().err().unwrap().to_string();
        assert!(error.contains("data get scienceworld"), "{error}");
        let empty = tempfile::tempdir().unwrap();
        let error = FAMILY.open(Some(empty.path()), &options).unwrap().make().err().unwrap().to_string();
        assert!(error.contains("scienceworld/1.1.3/scienceworld.jar: "), "{error}");
        assert!(error.contains("`stepladder data get scienceworld --option version=1.1.3`"), "{error}");
        assert_eq!((FAMILY.data[0].state)(empty.path()), "absent");
    }

    #[test]
    fn splits_may_have_simplifications_and_versions_are_those_that_are_known() {
        assert!(FAMILY.known_split("dev+openDoors").is_ok() && FAMILY.known_split("dev+x").is_err());
        let error = FAMILY.options(Reader::Get, [(VERSION, "1.0")]).unwrap_err().to_string();
        assert_eq!(error, "option `version` of scienceworld is `1.0`; it takes 1.2.3 or 1.1.3");
        assert_eq!(FAMILY.options(Reader::Get, []).unwrap().get(VERSION), Some("1.2.3"));
        assert!(FAMILY.expert.is_some() && FAMILY.augment.is_some() && FAMILY.generate.is_none());
        let options = FAMILY.options(Reader::Bench, []).unwrap();
        let bench =
            BenchRequest { split: Some("dev"), steps: None, seed: 0, data_root: None, options: &options };
        let error = FAMILY.bench(&bench).unwrap_err().to_string();
        assert_eq!(error, "scienceworld is measured on a fixed list of tasks: leave out --split");
    }
}
