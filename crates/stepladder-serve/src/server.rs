//! Server: address, connections, end.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use stepladder_env::EnvError;
use stepladder_env::session::SharedTasks;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use crate::auth::Known;
use crate::capacity::{Counts, Totals};
use crate::config::Config;
use crate::http;
use crate::state::{self, Shared};

/// Connections that the system holds until they are accepted.
const BACKLOG: u32 = 1024;
/// Connections beyond those of the sessions: refused ones, requests outside sessions.
const SPARE: usize = 64;
/// Time that a client may take to send the head of a request.
const HEAD: Duration = Duration::from_secs(5);
/// Time after which a connection ends if none of its requests was let pass. A session may be waiting for its place.
const STRANGER: Duration = Duration::from_secs(5);
/// Time after which a connection that became no session ends: a client that never reads must not hold it for ever.
const LIFETIME: Duration = Duration::from_secs(300);
/// Time between looks at the request to end.
const LOOK: Duration = Duration::from_millis(50);
/// Time that connections are given to finish what they do, sessions their last step.
const LAST_STEPS: Duration = Duration::from_secs(10);

/// Error of a server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// An address that other machines may reach, without a token.
    #[error(
        "{host} is not a loopback address, and without a token every machine that reaches it could play: pass a token"
    )]
    TokenRequired {
        /// Address or name.
        host: String,
    },
    /// The host has no address.
    #[error("`{host}` is no address of this machine: {reason}")]
    UnknownHost {
        /// Address or name.
        host: String,
        /// Reason.
        reason: String,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {reason}; {remedy}", remedy = remedy(reason))]
    Address {
        /// Address with port.
        address: SocketAddr,
        /// Reason.
        reason: io::Error,
    },
    /// The environment cannot be opened.
    #[error(transparent)]
    Env(#[from] EnvError),
    /// The threads cannot be started.
    #[error("cannot start the server: {0}")]
    Start(io::Error),
}

fn remedy(reason: &io::Error) -> &'static str {
    match reason.kind() {
        io::ErrorKind::AddrNotAvailable => {
            "choose an address of this machine: 127.0.0.1 for itself alone, 0.0.0.0 for all its networks"
        }
        io::ErrorKind::PermissionDenied => "choose a port from 1024, or 0 for any free one",
        _ => "choose another port, or 0 for any free one",
    }
}

/// Server that is bound to its address; clients may connect, and are served once it runs.
#[derive(Debug)]
pub struct Server {
    runtime: Runtime,
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
    end: watch::Sender<bool>,
}

impl Server {
    /// Binds a server.
    ///
    /// # Errors
    /// [`ServeError`]: the default split or an environment cannot be opened, the address needs a token, is unknown or taken.
    pub fn bind(config: Config, tasks: Arc<SharedTasks>) -> Result<Self, ServeError> {
        tasks.split(&config.split)?;
        drop(tasks.tasks().make()?);
        let addresses = resolve(&config)?;
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.thread_name("serve").enable_all().build().map_err(ServeError::Start)?;
        let listener = {
            let _within = runtime.enter();
            listen(&addresses)?
        };
        let address = listener.local_addr().map_err(ServeError::Start)?;
        let (end, ending) = watch::channel(false);
        let shared = Arc::new(Shared { config, tasks, counts: Arc::default(), ending });
        Ok(Self { runtime, listener, address, shared, end })
    }

    /// Returns the address, with the port that a request for port 0 found.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the counters.
    pub fn counts(&self) -> Arc<Counts> {
        self.shared.counts.clone()
    }

    /// Serves until `stop` is set. Then sessions play their last step and are closed.
    pub fn run(self, stop: &AtomicBool) -> Totals {
        let Self { runtime, listener, shared, end, .. } = self;
        let routes = http::routes(&shared);
        runtime.block_on(async {
            let stopped = async {
                while !stop.load(Ordering::Relaxed) {
                    sleep(LOOK).await;
                }
            };
            tokio::select! {
                () = accept(listener, routes, &shared) => {}
                () = stopped => {}
            }
            end.send_replace(true);
            let empty = async {
                while shared.counts.totals().active > 0 {
                    sleep(LOOK).await;
                }
            };
            let _ = timeout(LAST_STEPS, empty).await;
        });
        runtime.shutdown_timeout(LOOK);
        shared.counts.totals()
    }
}

/// Returns the addresses of the host, all of which are loopback addresses unless there is a token.
fn resolve(config: &Config) -> Result<Vec<SocketAddr>, ServeError> {
    let host = &config.host;
    let unknown = |reason: String| ServeError::UnknownHost { host: host.clone(), reason };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let addresses = (bare, config.port).to_socket_addrs().map_err(|error| unknown(error.to_string()))?;
    let addresses: Vec<SocketAddr> = addresses.collect();
    if addresses.is_empty() {
        return Err(unknown("it has no address".to_owned()));
    }
    if config.token.is_none() && !addresses.iter().all(|address| address.ip().to_canonical().is_loopback()) {
        return Err(ServeError::TokenRequired { host: host.clone() });
    }
    Ok(addresses)
}

/// Listens on the first of the addresses that allows it.
fn listen(addresses: &[SocketAddr]) -> Result<TcpListener, ServeError> {
    let mut first = None;
    for &address in addresses {
        match listen_on(address) {
            Ok(listener) => return Ok(listener),
            Err(reason) => {
                first.get_or_insert(ServeError::Address { address, reason });
            }
        }
    }
    Err(first.unwrap_or_else(|| ServeError::Start(io::ErrorKind::AddrNotAvailable.into())))
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Elsewhere the option lets two programs listen on one port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts connections. While as many are open as there may be, further ones wait in the backlog of the system.
async fn accept(listener: TcpListener, routes: Router, shared: &Shared) {
    let most = usize::try_from(shared.config.sessions).unwrap_or(Semaphore::MAX_PERMITS);
    let permits = Arc::new(Semaphore::new(most.saturating_add(SPARE).min(Semaphore::MAX_PERMITS)));
    while let Ok(permit) = permits.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let connection = connection(stream, routes.clone(), shared.ending.clone());
                tokio::spawn(async move {
                    connection.await;
                    drop(permit);
                });
            }
            // Out of file descriptors, for example: others close, and accepting goes on.
            Err(_) => sleep(LOOK).await,
        }
    }
}

/// Serves the requests of one connection. A session that it becomes goes on after this.
async fn connection(stream: TcpStream, routes: Router, mut ending: watch::Receiver<bool>) {
    let (known, service) = (Known::default(), TowerToHyperService::new(routes));
    let service = service_fn({
        let known = known.clone();
        move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(known.clone());
            service.call(request)
        }
    });
    // Answers are small and awaited.
    let _ = stream.set_nodelay(true);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD);
    let served = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
    let mut served = pin!(served);
    let lifetime = async {
        sleep(STRANGER).await;
        if known.is_set() {
            sleep(LIFETIME).await;
        }
    };
    tokio::select! {
        _ = served.as_mut() => return,
        () = state::end(&mut ending) => {}
        () = lifetime => {
            if !known.is_set() {
                return;
            }
        }
    }
    served.as_mut().graceful_shutdown();
    let _ = timeout(LAST_STEPS, served).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Token;

    fn config(host: &str) -> Config {
        Config { host: host.to_owned(), ..Config::new("train") }
    }

    #[test]
    fn other_machines_need_a_token() {
        for host in ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "::ffff:127.0.0.1"] {
            assert!(resolve(&config(host)).is_ok(), "{host}");
        }
        for host in ["0.0.0.0", "::", "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"] {
            let error = resolve(&config(host)).unwrap_err().to_string();
            assert!(error.starts_with(host) && error.contains("pass a token"), "{error}");
            let token = Some(Token::new("s3cret").unwrap());
            assert!(resolve(&Config { token, ..config(host) }).is_ok());
        }
    }

    #[test]
    fn an_address_that_cannot_be_listened_on_is_refused_with_the_remedy() {
        let said = |address: &str| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let _within = runtime.enter();
            let error = listen(&[address.parse().unwrap()]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("cannot listen on {address}: ")), "{error}");
            error
        };
        // Set aside for documentation: of no machine.
        let error = said("192.0.2.1:0");
        assert!(error.contains("; choose an address of this machine") && !error.contains("port"), "{error}");
        assert!(remedy(&io::ErrorKind::AddrInUse.into()).starts_with("choose another port"));
        assert!(remedy(&io::ErrorKind::PermissionDenied.into()).starts_with("choose a port from 1024"));
    }

    #[test]
    fn a_name_that_is_no_address_is_refused() {
        for host in ["", "no such host", "127.0.0.1:80"] {
            let error = resolve(&config(host)).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{host}` is no address of this machine")), "{error}");
        }
    }
}
