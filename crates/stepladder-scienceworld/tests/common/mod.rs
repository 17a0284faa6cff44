//! Helpers of several tests.
#![allow(dead_code, clippy::unwrap_used, reason = "helpers of tests; each test takes what it needs")]

use stepladder_scienceworld::augment::WithPractice;
use stepladder_scienceworld::{Jar, Pool, PoolOptions, ScienceWorld, SimulatorOptions};
use stepladder_testing::{data_root, skip};

/// Starts simulators of a version; skips the test without simulator or Java.
pub(crate) fn pool_with(version: &str, options: PoolOptions) -> Option<Pool> {
    let root = data_root(&format!("scienceworld/{version}/scienceworld.jar"))?;
    let pool = Pool::new(Jar::below(&root, version), options);
    match pool.tasks() {
        Ok(_) => Some(pool),
        Err(failure) if failure.to_string().starts_with("Java was not found") => {
            skip(failure);
            None
        }
        Err(failure) => panic!("{failure}"),
    }
}

/// Starts one simulator of the default version.
pub(crate) fn pool() -> Option<Pool> {
    pool_with("1.2.3", PoolOptions { jvms: 1, ..PoolOptions::default() })
}

/// Returns the task set on one simulator of the default version.
pub(crate) fn set() -> Option<WithPractice> {
    pool()?;
    let root = data_root("scienceworld/1.2.3/scienceworld.jar")?;
    let pool = PoolOptions { jvms: 1, ..PoolOptions::default() };
    Some(WithPractice(ScienceWorld::new(
        Some(&root),
        SimulatorOptions { pool, ..SimulatorOptions::default() },
    )))
}
