//! Tasks other than `check` and `test`.

use std::ffi::OsString;
use std::io::Write;
use std::process::Command;

use anyhow::{Result, bail};

use crate::cargo::{cargo, program, target};
use crate::cli::Task;
use crate::settings::Settings;
use crate::stage::{execute, stage};
use crate::{check, data, fingerprint, gpu, libtorch, reference, scienceworld, test, wheel};

/// Runs a task.
pub(crate) fn run(task: Task, settings: &Settings) -> Result<()> {
    match task {
        Task::Demo(arguments) => demo(settings, &arguments),
        Task::Test(packages) => test::test(settings, &packages),
        Task::Check { only } => check::check(settings, only.as_deref()),
        Task::Generate { check } => {
            tensors(settings)?;
            stage("generated references (the first build takes minutes)", || {
                reference::generate(settings, check)
            })
        }
        Task::Fingerprint { against, json } => fingerprint::fingerprint(settings, against.as_deref(), json),
        Task::Libtorch { cuda } => stage("libtorch", || libtorch::choose(settings, cuda)),
        Task::Gpu { out, tiny } => gpu::prepare(settings, out, tiny),
        Task::Wheel { out } => stage("wheel (the first build takes minutes)", || {
            let out = match out {
                Some(out) => std::path::absolute(out)?,
                None => target(settings)?.join("wheels"),
            };
            let wheel = wheel::build(settings, wheel::Profile::Release, &out)?;
            eprintln!("    {}", wheel.display());
            Ok(())
        }),
        Task::Data => stage("data", || match data::prepare(settings)? {
            Some(root) => {
                scienceworld::prepare(settings, &root)?;
                eprintln!("    {}", root.display());
                Ok(())
            }
            None => bail!("no data: set STEPLADDER_DATA, or put the data sets into ../shared/data"),
        }),
        Task::Env => env(settings),
    }
}

/// Prepares libtorch and a C++ compiler, which every build with tensors needs.
pub(crate) fn tensors(settings: &Settings) -> Result<()> {
    stage("libtorch", || {
        libtorch::compiler(settings)?;
        libtorch::choose(settings, false)
    })
}

fn demo(settings: &Settings, arguments: &[OsString]) -> Result<()> {
    tensors(settings)?;
    stage("build (the first one takes minutes)", || {
        execute(cargo(settings).args(["build", "--release", "--package", "stepladder"]))
    })?;
    let data = stage("official data, if there are any", || data::prepare(settings))?;
    eprintln!("==> stepladder train demo");
    let mut program = Command::new(program(settings, "release")?);
    program.args(["train", "demo"]).args(arguments).envs(data.map(|root| ("STEPLADDER_DATA", root)));
    replace_by(&mut program)
}

/// Replaces this process by the program, so that signals (an interrupt that saves a checkpoint, say) reach only the program.
#[cfg(unix)]
fn replace_by(command: &mut Command) -> Result<()> {
    use std::os::unix::process::CommandExt;
    let error = command.exec();
    bail!("cannot run {}: {error}", command.get_program().display())
}

#[cfg(not(unix))]
fn replace_by(command: &mut Command) -> Result<()> {
    execute(command)
}

fn env(settings: &Settings) -> Result<()> {
    libtorch::choose(settings, false)?;
    let mut out = std::io::stdout().lock();
    for (name, value) in libtorch::variables(settings)? {
        writeln!(out, "export {name}={}", quoted(&value))?;
    }
    if let Some(root) = data::prepare(settings)? {
        writeln!(out, "export STEPLADDER_DATA={}", quoted(&root.display().to_string()))?;
    }
    Ok(())
}

/// Quotes a value for a POSIX shell.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_quoted_values_back() {
        let value = "it's $HOME; \"x\" `y`";
        let output =
            Command::new("sh").args(["-c", &format!("printf %s {}", quoted(value))]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), value);
    }
}
