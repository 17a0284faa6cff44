//! `curves`: learning curves of online algorithms that start from the same policy.

use std::io::Write;

use anyhow::Result;
use stepladder_train::curves::Curves;

use super::{Files, report, say};
use crate::cli;

pub(super) fn run(arguments: &cli::Curves) -> Result<()> {
    let curves = Curves::read(&arguments.runs, arguments.over.as_deref())?;
    let Files { mut page, mut plot, mut numbers } = report(&arguments.output)?;
    let table = curves.markdown();
    page.write_all(table.as_bytes())?;
    page.finish()?;
    plot.write_all(curves.plot()?.as_bytes())?;
    plot.finish()?;
    numbers.write_all(curves.json()?.as_bytes())?;
    numbers.finish()?;
    say(table.trim_end());
    Ok(())
}
