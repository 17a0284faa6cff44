//! Environments behind the OpenEnv protocol (PyPI `openenv` 0.10.0): one WebSocket is one session, which is one environment.
//!
//! Not here: arguments, signals and printing (the binary), TLS (a proxy), environments and their families (their crates).
//!
//! A server takes opened tasks and a [`Config`]; [`Server::run`] serves until a flag is set.

#![warn(clippy::print_stderr)] // Panics where standard error is closed.
#![deny(missing_docs, clippy::missing_errors_doc, clippy::missing_panics_doc)]

mod auth;
mod capacity;
mod config;
mod connection;
mod field;
mod http;
mod message;
mod player;
mod schema;
mod server;
mod state;
mod tasks;
mod worker;

pub use auth::Token;
pub use capacity::{Counts, Totals};
pub use config::Config;
pub use server::{ServeError, Server};
