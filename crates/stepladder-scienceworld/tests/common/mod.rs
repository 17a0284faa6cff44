//! What several tests need.
#![allow(dead_code, clippy::unwrap_used, reason = "helpers of tests; each test takes what it needs")]

use std::path::PathBuf;

use stepladder_scienceworld::{Jar, Options, Pool, PoolOptions, ScienceWorld};

/// In CI nothing may be left out.
pub(crate) fn skipped(why: &str) {
    assert!(std::env::var_os("CI").is_none_or(|value| value != "true"), "{why}");
    eprintln!("SKIPPED: {why}");
}

/// The data root, or a loud note that the test cannot run.
pub(crate) fn data_root(what: &str) -> Option<PathBuf> {
    let root = std::env::var_os("STEPLADDER_DATA").map(PathBuf::from);
    let found = root.filter(|root| root.join(what).exists());
    if found.is_none() {
        skipped(&format!("no {what} below the directory in STEPLADDER_DATA"));
    }
    found
}

/// Simulators of a version, or a loud note that there is no simulator or no Java.
pub(crate) fn pool_with(version: &str, options: PoolOptions) -> Option<Pool> {
    let root = data_root(&format!("scienceworld/{version}/scienceworld.jar"))?;
    let pool = Pool::new(Jar::below(&root, version), options);
    match pool.tasks() {
        Ok(_) => Some(pool),
        Err(failure) if failure.to_string().starts_with("no Java") => {
            skipped(&failure.to_string());
            None
        }
        Err(failure) => panic!("{failure}"),
    }
}

/// One simulator of the default version.
pub(crate) fn pool() -> Option<Pool> {
    pool_with("1.2.3", PoolOptions { workers: 1, ..PoolOptions::default() })
}

/// The task set in one simulator of the default version.
pub(crate) fn set() -> Option<ScienceWorld> {
    pool()?;
    let root = data_root("scienceworld/1.2.3/scienceworld.jar")?;
    let pool = PoolOptions { workers: 1, ..PoolOptions::default() };
    Some(ScienceWorld::new(Some(&root), Options { pool, ..Options::default() }))
}
