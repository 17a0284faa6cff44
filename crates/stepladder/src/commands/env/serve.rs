//! `env serve`: an environment behind the OpenEnv protocol.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use stepladder_env::Reader;
use stepladder_env::session::SharedTasks;
use stepladder_serve::{Config, ServeError, Server, Token};

use super::read;
use crate::cli::Serve;
use crate::commands::{Usage, say};
use crate::signals::{self, Stopped};
use crate::stderr::note;

/// Serves until a signal asks to end.
pub(super) fn run(arguments: &Serve) -> Result<()> {
    let family = stepladder_families::named(&arguments.env)?;
    let spec = family.spec;
    let split = arguments.split.as_deref().unwrap_or(spec.splits[0]);
    family.known_split(split)?;
    let options = read(&arguments.options, spec.id, Reader::Play)?;
    let config = Config {
        host: arguments.host.clone(),
        port: arguments.port,
        max_steps: arguments.max_steps,
        sessions: arguments.sessions,
        idle: (arguments.idle > 0).then(|| Duration::from_secs(arguments.idle.into())),
        message_bytes: usize::try_from(arguments.message_bytes)?,
        token: token(arguments)?,
        report: |text| note!("error: {text}"),
        ..Config::new(split)
    };
    let has_token = config.token.is_some();
    let tasks = SharedTasks::new(family.open(arguments.data.as_deref(), &options)?);
    let stop = signals::finish_first();
    let server = Server::bind(config, tasks).map_err(explained)?;
    let (address, sessions) = (server.address(), arguments.sessions);
    let url = format!("http://{address}");
    if arguments.json {
        say(json!({
            "env": spec.id, "split": split, "url": url, "host": address.ip(), "port": address.port(),
            "sessions": sessions, "token": has_token,
        }));
    } else {
        let token = if has_token { "token required" } else { "no token" };
        say(format_args!(
            "serving {}/{split} on {url} ({sessions} sessions, {token}); Ctrl-C ends it",
            spec.id
        ));
    }
    let totals = server.run(&stop);
    if arguments.json {
        say(serde_json::to_string(&totals)?);
    } else {
        say(format_args!(
            "served {} sessions, {} episodes, {} steps; {} errors, {} refused, {} idle sessions ended",
            totals.sessions, totals.episodes, totals.steps, totals.errors, totals.refused, totals.reaped
        ));
    }
    Err(Stopped::by_request().into())
}

/// Reads the token from the file or the environment variable.
fn token(arguments: &Serve) -> Result<Option<Token>> {
    let (text, origin) = match (&arguments.token_file, &arguments.token) {
        (Some(file), _) => (fs_err::read_to_string(file)?, file.display().to_string()),
        (None, Some(token)) => (token.clone(), "--token or STEPLADDER_TOKEN".to_owned()),
        (None, None) => return Ok(None),
    };
    let token = Token::new(&text).map_err(|problem| Usage(format!("{origin}: {problem}")))?;
    Ok(Some(token))
}

/// Adds the remedy on this command line.
fn explained(error: ServeError) -> anyhow::Error {
    match error {
        ServeError::TokenRequired { .. } => {
            Usage(format!("{error} with --token-file FILE or STEPLADDER_TOKEN, or listen on 127.0.0.1"))
                .into()
        }
        ServeError::UnknownHost { .. } => Usage(error.to_string()).into(),
        ServeError::Env(error) => error.into(),
        other => other.into(),
    }
}
