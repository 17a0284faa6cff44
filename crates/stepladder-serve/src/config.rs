//! Settings of a server.

use std::time::Duration;

use stepladder_env::EnvError;

use crate::auth::Token;

/// Settings of a server.
///
/// ```
/// use stepladder_serve::Config;
/// let config = Config { port: 0, sessions: 64, ..Config::new("dev") };
/// assert_eq!((config.host.as_str(), config.max_steps, config.token.is_some()), ("127.0.0.1", None, false));
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    /// Address or name to listen on.
    pub host: String,
    /// Port; 0 for any free one.
    pub port: u16,
    /// Split of sessions that name none.
    pub split: String,
    /// Step limit of the episodes; none for that of the split.
    pub max_steps: Option<u32>,
    /// Sessions at the same time.
    pub sessions: u32,
    /// Time without a request after which a session ends; none for no limit.
    pub idle: Option<Duration>,
    /// Largest message in bytes.
    pub message_bytes: usize,
    /// Token that clients must present.
    pub token: Option<Token>,
    /// Receives errors that are for the operator alone: they name paths of this machine.
    pub report: fn(&str),
}

impl Config {
    /// Creates settings with the defaults: port 8000 of this machine alone, 256 sessions, one hour without a request,
    /// messages of 64 KiB, no token.
    pub fn new(split: impl Into<String>) -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 8000,
            split: split.into(),
            max_steps: None,
            sessions: 256,
            idle: Some(Duration::from_secs(3600)),
            message_bytes: 64 << 10,
            token: None,
            report: |_| {},
        }
    }

    /// Returns the text of an error for clients. Those of files go to [`Config::report`].
    pub(crate) fn told(&self, error: &EnvError) -> String {
        match error {
            EnvError::NoDataRoot { .. } | EnvError::Data { .. } | EnvError::Io(_) => {
                (self.report)(&error.to_string());
                "data of the environment cannot be read; the output of the server says why".to_owned()
            }
            other => other.to_string(),
        }
    }
}
