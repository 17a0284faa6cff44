//! Developer tasks: `cargo xtask --help`.
//!
//! Not part of the product and free of tensors: it builds in seconds and then prepares the other builds.

mod cache;
mod cargo;
mod check;
mod cli;
mod cycles;
mod data;
mod edges;
mod fingerprint;
mod gpu;
mod libtorch;
mod links;
mod pip;
mod pretrained;
mod reference;
mod run;
mod scienceworld;
mod settings;
mod stage;
mod terms;
mod test;
mod tools;
mod wheel;

use std::process::ExitCode;

fn main() -> ExitCode {
    let task = match cli::parse(std::env::args_os()) {
        Ok(task) => task,
        Err(error) => error.exit(),
    };
    match settings::Settings::from_env().and_then(|settings| run::run(task, &settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(stage::exit_code(&error))
        }
    }
}
