//! Stages of a task: a heading, a duration, an error message.

use std::fmt::{Display, Formatter};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Error, Result};

/// A program that ended with an error and has printed the reason.
#[derive(Debug)]
pub(crate) struct Failed {
    command: String,
    code: Option<i32>,
}

impl Display for Failed {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        match self.code {
            Some(code) => write!(formatter, "`{}` failed (exit code {code})", self.command),
            None => write!(formatter, "`{}` was killed", self.command),
        }
    }
}

impl std::error::Error for Failed {}

/// Returns the exit code of xtask for an error: 1, except that a usage error of the demo stays a usage error.
pub(crate) fn exit_code(error: &Error) -> u8 {
    match error.downcast_ref::<Failed>() {
        Some(Failed { code: Some(2), .. }) => 2,
        _ => 1,
    }
}

/// The clock of xtask.
#[expect(clippy::disallowed_methods, reason = "this is where xtask reads the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Runs one stage under a heading and prints its duration.
pub(crate) fn stage<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("==> {name}");
    let started = now();
    let result = work();
    let seconds = started.elapsed().as_secs_f64();
    match &result {
        Ok(_) => eprintln!("    ok, {seconds:.1} s"),
        Err(_) => eprintln!("    FAILED after {seconds:.1} s"),
    }
    result.with_context(|| format!("stage `{name}`"))
}

/// Runs a command to its end and shows its output.
pub(crate) fn execute(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run `{}`", line(command)))?;
    if status.success() {
        return Ok(());
    }
    Err(Failed { command: line(command), code: status.code() }.into())
}

/// Runs a command to its end, shows and returns its standard output; its error output is only shown.
pub(crate) fn relay(command: &mut Command) -> (String, Result<()>) {
    let mut text = String::new();
    let ending = relay_into(command, &mut text);
    (text, ending)
}

fn relay_into(command: &mut Command, text: &mut String) -> Result<()> {
    let name = line(command);
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot run `{name}`"))?;
    let mut output = BufReader::new(child.stdout.take().context("the command has no output")?);
    let mut bytes = Vec::new();
    while output.read_until(b'\n', &mut bytes)? > 0 {
        std::io::stdout().write_all(&bytes)?;
        text.push_str(&String::from_utf8_lossy(&bytes));
        bytes.clear();
    }
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(Failed { command: name, code: status.code() }.into()) }
}

/// Runs a command to its end and returns its standard output; its error output is shown.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run `{}`", line(command)))?;
    if !output.status.success() {
        return Err(Failed { command: line(command), code: output.status.code() }.into());
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("`{}` printed text that is not UTF-8", line(command)))
}

fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program());
    let words = std::iter::once(name).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_failed_command_is_named_with_its_code() {
        let error = execute(&mut shell("exit 3")).unwrap_err();
        assert_eq!(error.to_string(), "`sh -c exit 3` failed (exit code 3)");
        assert_eq!(exit_code(&error), 1);
        assert_eq!(exit_code(&capture(&mut shell("exit 2")).unwrap_err().context("stage")), 2);
        let missing = execute(&mut Command::new("no-such-program-anywhere")).unwrap_err();
        assert_eq!(missing.to_string(), "cannot run `no-such-program-anywhere`");
    }

    #[test]
    fn output_is_captured() {
        assert_eq!(capture(&mut shell("echo out; echo err >&2")).unwrap(), "out\n");
    }

    #[test]
    fn output_is_kept_also_where_the_command_fails() {
        let (text, ending) = relay(&mut shell("echo one; printf two; exit 4"));
        assert_eq!(text, "one\ntwo");
        assert_eq!(
            ending.unwrap_err().to_string(),
            "`sh -c echo one; printf two; exit 4` failed (exit code 4)"
        );
    }

    #[test]
    fn a_failed_stage_is_named() {
        let result: Result<()> = stage("lints", || Err(anyhow::anyhow!("reason")));
        assert_eq!(format!("{:#}", result.unwrap_err()), "stage `lints`: reason");
    }
}
