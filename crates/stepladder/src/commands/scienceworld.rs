//! What `env bench|verify` do for ScienceWorld.

use std::path::{Path, PathBuf};

use anyhow::Result;
use stepladder_env::transcript::Report;
use stepladder_scienceworld::jar::{RELEASES, release};
use stepladder_scienceworld::{Options, PoolOptions, ScienceWorld, bench, verify};

use super::{Usage, say};
use stepladder_train::envs::Family;

/// The environment's id.
pub(super) const ID: &str = "scienceworld";

/// Steps of a benchmark where none are asked for.
const STEPS: u64 = 1000;

/// Complains about a version where there is only one.
pub(super) fn only(version: Option<&str>, family: Family) -> Result<()> {
    if version.is_some() && family != Family::ScienceWorld {
        let id = family.spec().id;
        return Err(Usage(format!("--version is for {ID}; {id} has one version")).into());
    }
    Ok(())
}

/// A version's number, or the complaint that there is no such version.
pub(super) fn known(version: Option<&str>) -> Result<&'static str> {
    let version = version.unwrap_or(RELEASES[0].version);
    let found = release(version).map(|release| release.version);
    let names = RELEASES.each_ref().map(|release| release.version).join(" and ");
    Ok(found.ok_or_else(|| Usage(format!("{ID} {version} is not known here; known are {names}")))?)
}

fn open(version: Option<&str>, data: Option<&Path>, workers: usize) -> Result<ScienceWorld> {
    let pool = PoolOptions { workers, ..PoolOptions::default() };
    Ok(ScienceWorld::new(data, Options { version: known(version)?.to_owned(), pool }))
}

/// Plays gold paths of a fixed list of tasks.
pub(super) fn bench(
    split: Option<&str>,
    steps: Option<u64>,
    version: Option<&str>,
    as_json: bool,
    data: Option<&Path>,
) -> Result<()> {
    if split.is_some() {
        return Err(Usage(format!("{ID} is measured on a fixed list of tasks: leave out --split")).into());
    }
    let set = open(version, data, 2)?;
    let report = bench::bench(set.pool()?, steps.unwrap_or(STEPS))?;
    if as_json {
        say(serde_json::to_string(&report)?);
        return Ok(());
    }
    say(format_args!(
        "{ID}: {:.0} steps/s, {:.0} steps/s with valid actions, {:.1} resets/s in one JVM; two JVMs {:.2} times one; {} tasks, {}, checksum {}",
        report.steps_per_second,
        report.steps_per_second_with_valid_actions,
        report.resets_per_second,
        report.two_over_one,
        report.games,
        report.policy,
        report.checksum
    ));
    Ok(())
}

/// Compares recorded episodes.
pub(super) fn replay(files: &[PathBuf], version: Option<&str>, data: Option<&Path>) -> Result<Report> {
    let set = open(version, data, 1)?;
    let mut report = Report::new(ID);
    for file in files {
        report.merge(verify::verify(file, set.pool()?)?);
    }
    Ok(report)
}
