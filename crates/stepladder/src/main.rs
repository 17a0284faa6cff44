//! Train and evaluate hierarchical LLM agents.

#![warn(clippy::print_stderr)] // Panics where standard error is closed.

mod cli;
mod commands;
mod early;
mod libraries;
mod message;
mod signals;
mod stderr;
mod stdout;
mod terminal;

use std::process::ExitCode;

use stepladder_train::ErrorKind;

use crate::stderr::note;

/// Exit code of wrong usage or a wrong configuration; other failures exit with 1.
const WRONG_USAGE: u8 = 2;

fn main() -> ExitCode {
    libraries::configure();
    let arguments = match cli::Cli::read() {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(WRONG_USAGE);
            let said = error.render().to_string();
            let short = message::shorten(&said);
            if short != said {
                note!("{}", short.trim_end());
                return ExitCode::from(code);
            }
            let printed = error.print();
            if error.use_stderr() {
                return ExitCode::from(code);
            }
            stdout::keep(printed);
            return stdout::finish().map_or_else(|error| failed(&error), |()| ExitCode::from(code));
        }
    };
    let outcome = signals::listen().and_then(|()| commands::run(arguments));
    let shown = stdout::finish();
    match outcome.and(shown) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// Prints an error and returns its exit code.
fn failed(error: &anyhow::Error) -> ExitCode {
    if let Some(stopped) = error.downcast_ref::<signals::Stopped>() {
        return ExitCode::from(stopped.exit_code());
    }
    let mut message = format!("error: {error}");
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        // Wrappers often end with the words of their source, which are not repeated.
        if !message.contains(&cause) {
            message.push_str(&format!(": {cause}"));
        }
    }
    note!("{}", message::shorten(&message));
    ExitCode::from(if ErrorKind::of(error) == ErrorKind::Usage { WRONG_USAGE } else { 1 })
}
