//! `config show` and `config check`.

use anyhow::Result;

use super::say;
use crate::cli::ConfigCommand;
use stepladder_train::config;

pub(super) fn run(command: ConfigCommand) -> Result<()> {
    match command {
        ConfigCommand::Show { config, sets } => {
            let loaded = config::load(&config, &sets)?;
            say(config::show(&loaded.config, &loaded.origins).trim_end());
        }
        ConfigCommand::Check { config, sets } => {
            let loaded = config::load(&config, &sets)?;
            say(format_args!("{}: ok", loaded.name));
        }
    }
    Ok(())
}
