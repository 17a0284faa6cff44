//! Everything that must hold before a change is merged, short of the tests; cheapest first.

use anyhow::Result;

use crate::cargo::{cargo, metadata};
use crate::settings::Settings;
use crate::stage::{execute, stage};
use crate::{edges, reference, run};

/// Runs the stages and stops at the first that fails.
pub(crate) fn check(settings: &Settings) -> Result<()> {
    stage("formatting (mend with `cargo fmt`)", || {
        execute(cargo(settings).args(["fmt", "--all", "--check"]))
    })?;
    stage("crate edges", || edges::check(&metadata(settings)?))?;
    run::tensors(settings)?;
    stage("generated references (the first build takes minutes)", || reference::generate(settings, true))?;
    stage("lints", || {
        let lints = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
        execute(cargo(settings).args(lints))
    })?;
    stage("documentation", || {
        let doc = ["doc", "--workspace", "--no-deps", "--document-private-items"];
        execute(cargo(settings).env("RUSTDOCFLAGS", "-D warnings").args(doc))
    })?;
    eprintln!("==> all checks passed; the tests are `cargo xtask test`");
    Ok(())
}
