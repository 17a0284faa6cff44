//! One WebSocket, which is one session.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::capacity::Seat;
use crate::message::{Code, Failure, Request, read, write};
use crate::player::Player;
use crate::state::{Shared, end};
use crate::worker::{self, Place};

/// Time between pings on a silent connection. They keep proxies from closing it.
const PING: Duration = Duration::from_secs(30);
/// Longest time that a client may take to read an answer.
const SLOWEST: Duration = Duration::from_secs(60);
/// Time that a client is given to read a last message before its connection is closed.
const FAREWELL: Duration = Duration::from_secs(2);
/// A message longer than the limit is read up to this multiple and refused; a longer one ends the connection.
pub(crate) const READ: usize = 4;

/// Serves one connection to its end. `session` is the session that the client wants to attach to.
pub(crate) async fn serve(mut socket: WebSocket, shared: Arc<Shared>, session: Option<String>) {
    let last = match open(&shared, session).await {
        Ok(player) => converse(&mut socket, &shared, player).await,
        Err(failure) => {
            let sent = send(&mut socket, write("error", &failure)).await;
            sent.then_some((close_code::NORMAL, ""))
        }
    };
    if let Some((code, reason)) = last {
        farewell(socket, code, reason).await;
    }
}

/// Player with the seat that it takes; the seat is freed after the environment.
struct Seated {
    player: Player,
    _seat: Seat,
}

async fn open(shared: &Arc<Shared>, session: Option<String>) -> Result<Seated, Failure> {
    if session.is_some() {
        let text =
            "there is no session to attach to: a connection is a session; connect without `session_id`";
        return Err(Failure::new(Code::SessionError, text));
    }
    let most = shared.config.sessions;
    let Some(seat) = shared.counts.sit(most) else {
        let text = format!(
            "Server at capacity: all {most} sessions are active; try again later or raise --sessions"
        );
        let failure = Failure::new(Code::CapacityReached, text);
        return Err(failure
            .with("active_sessions", shared.counts.totals().active.min(most.into()))
            .with("max_sessions", most));
    };
    let player = make(shared, seat.number).await?;
    Ok(Seated { player, _seat: seat })
}

/// Makes a player where it may block.
async fn make(shared: &Arc<Shared>, number: u64) -> Result<Player, Failure> {
    let opened = worker::run(Place::Pool, shared.clone(), move |shared| {
        Player::open(&shared.tasks, &shared.config, number)
    });
    match opened.await {
        Ok((_, opened)) => opened,
        Err(panic) => Err(Failure::new(Code::FactoryError, format!("the environment panicked: {panic}"))
            .with("factory_name", shared.tasks.spec().id)),
    }
}

/// Close code and reason.
type Closing = (u16, &'static str);

/// Answers requests until either end closes. Returns the close code to send, unless the client is gone.
async fn converse(socket: &mut WebSocket, shared: &Arc<Shared>, mut seated: Seated) -> Option<Closing> {
    let mut ending = shared.ending.clone();
    let mut last_request = Instant::now();
    let closing = loop {
        let text = match next(socket, shared, &mut ending, last_request).await {
            Next::Text(text) => Ok(text),
            Next::Refused(failure) => Err(failure),
            Next::End(closing) => break closing,
        };
        let request = text.and_then(|text| read(&text));
        let answered = match request {
            Ok(Request::Close) => break Some((close_code::NORMAL, "")),
            Ok(request) => {
                let (left, answered) = answer(shared, seated, request).await;
                match left {
                    Some(left) => seated = left,
                    None => {
                        shared.counts.fail();
                        let text = answered.unwrap_or_else(|failure| write("error", &failure));
                        return send(socket, text)
                            .await
                            .then_some((close_code::ERROR, "the environment is gone"));
                    }
                }
                answered
            }
            Err(failure) => Err(failure),
        };
        let text = answered.unwrap_or_else(|failure| {
            shared.counts.fail();
            write("error", &failure)
        });
        if !send(socket, text).await {
            break None;
        }
        last_request = Instant::now();
    };
    worker::finish(shared.steps(), seated).await;
    closing
}

/// What comes next on a connection.
enum Next {
    Text(axum::extract::ws::Utf8Bytes),
    /// A message that is refused unread.
    Refused(Failure),
    /// The end, with the close code to send unless the client is gone.
    End(Option<Closing>),
}

async fn next(
    socket: &mut WebSocket,
    shared: &Shared,
    ending: &mut watch::Receiver<bool>,
    last_request: Instant,
) -> Next {
    let idle_at = shared.config.idle.map(|idle| last_request + idle);
    loop {
        let ping_at = Instant::now() + PING;
        let wake_at = idle_at.map_or(ping_at, |idle_at| idle_at.min(ping_at));
        let received = tokio::select! {
            biased;
            received = socket.recv() => received,
            () = end(ending) => return Next::End(Some((close_code::AWAY, "the server ends"))),
            () = sleep_until(wake_at) => {
                if idle_at.is_some_and(|idle_at| idle_at <= Instant::now()) {
                    shared.counts.reap();
                    return Next::End(Some((close_code::AWAY, "the session was idle")));
                }
                let pinged = timeout(SLOWEST, socket.send(Message::Ping(Default::default()))).await;
                if !matches!(pinged, Ok(Ok(()))) {
                    return Next::End(None);
                }
                continue;
            }
        };
        let limit = shared.config.message_bytes;
        return match received {
            None | Some(Ok(Message::Close(_))) => Next::End(None),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Text(text))) if text.len() > limit => {
                let problem =
                    format!("it has {} bytes, more than the {limit} that a message may have", text.len());
                Next::Refused(Failure::invalid("", &problem))
            }
            Some(Ok(Message::Text(text))) => Next::Text(text),
            Some(Ok(Message::Binary(_))) => {
                Next::Refused(Failure::invalid("", "a message is JSON in a text frame, not a binary one"))
            }
            Some(Err(error)) => Next::End(reason(&error).inspect(|_| shared.counts.fail())),
        };
    }
}

/// Returns the close code of a fault of the client, none if it is gone.
fn reason(error: &axum::Error) -> Option<Closing> {
    use tungstenite::error::ProtocolError::ResetWithoutClosingHandshake;
    match error.source().and_then(|source| source.downcast_ref::<tungstenite::Error>())? {
        tungstenite::Error::Protocol(ResetWithoutClosingHandshake) => None,
        tungstenite::Error::Capacity(_) => Some((close_code::SIZE, "the message is too large")),
        tungstenite::Error::Utf8(_) => Some((close_code::INVALID, "a text frame must be UTF-8")),
        tungstenite::Error::Protocol(_) => Some((close_code::PROTOCOL, "no valid WebSocket frame")),
        _ => None,
    }
}

/// Answers one request. No session is left if the environment panicked and no new one could be made.
async fn answer(
    shared: &Arc<Shared>,
    seated: Seated,
    request: Request,
) -> (Option<Seated>, Result<String, Failure>) {
    let counts = shared.counts.clone();
    let Seated { player, _seat: seat } = seated;
    // A reset may read files.
    let place = if matches!(request, Request::Step(_)) { shared.steps() } else { Place::Pool };
    let played = match request {
        Request::Step(data) => {
            worker::run(place, player, move |player| player.step(&data).inspect(|_| counts.step())).await
        }
        Request::Reset(data) => {
            let work = move |player: &mut Player| {
                player.reset(&data, |outcome| write("observation", outcome)).inspect(|_| counts.start())
            };
            worker::run(place, player, work).await
        }
        Request::State | Request::Close => {
            let text = write("state", &player.state());
            Ok((player, Ok(text)))
        }
    };
    match played {
        Ok((player, answer)) => (Some(Seated { player, _seat: seat }), answer),
        Err(panic) => match make(shared, seat.number).await {
            Ok(player) => {
                let text = format!("the environment panicked: {panic}; a reset starts a new episode");
                (Some(Seated { player, _seat: seat }), Err(Failure::new(Code::ExecutionError, text)))
            }
            Err(failure) => (None, Err(failure)),
        },
    }
}

/// Sends a text. Returns whether the client took it.
async fn send(socket: &mut WebSocket, text: String) -> bool {
    matches!(timeout(SLOWEST, socket.send(Message::Text(text.into()))).await, Ok(Ok(())))
}

/// Closes a connection and waits a moment for the client to do the same: a connection that is dropped with unread input is
/// reset, and the client may lose the last message.
async fn farewell(mut socket: WebSocket, code: u16, reason: &'static str) {
    let frame = CloseFrame { code, reason: reason.into() };
    let close = async {
        if socket.send(Message::Close(Some(frame))).await.is_ok() {
            while let Some(Ok(_)) = socket.recv().await {}
        }
    };
    let _ = timeout(FAREWELL, close).await;
}
