//! One WebSocket, which is one session.

use std::error::Error as _;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::capacity::Seat;
use crate::message::{Code, Failure, Request, read, write};
use crate::player::{Beginning, Player};
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
pub(crate) async fn serve(socket: WebSocket, shared: Arc<Shared>, session: Option<String>) {
    let ending = shared.ending.clone();
    let mut socket = Socket { socket, early: None, ending };
    let opened = socket.attend(open(&shared, session)).await;
    let last = match opened {
        Ok(player) => converse(&mut socket, &shared, player).await,
        Err(failure) => {
            let sent = socket.send(write("error", &failure)).await;
            sent.then_some((close_code::NORMAL, ""))
        }
    };
    if let Some((code, reason)) = last {
        socket.close(code, reason).await;
    }
}

/// Result of a read.
type Received = Option<Result<Message, axum::Error>>;

/// A socket that is attended to while the environment works.
struct Socket {
    socket: WebSocket,
    /// Message that arrived while the environment worked.
    early: Option<Received>,
    /// Turns true when the server ends.
    ending: watch::Receiver<bool>,
}

impl Socket {
    /// Waits for work of the environment. Clients take a server that does not answer their pings meanwhile for dead. No more than
    /// one message is read ahead.
    async fn attend<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                received = self.socket.recv(), if self.early.is_none() => match received {
                    // Reading on sends the answer of a ping.
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    other => self.early = Some(other),
                },
            }
        }
    }

    async fn receive(&mut self) -> Received {
        match self.early.take() {
            Some(received) => received,
            None => self.socket.recv().await,
        }
    }

    /// Sends a text. Returns whether the client took it.
    async fn send(&mut self, text: String) -> bool {
        self.pass(Message::Text(text.into())).await
    }

    async fn pass(&mut self, message: Message) -> bool {
        matches!(taken(self.socket.send(message), &mut self.ending).await, Some(Ok(())))
    }

    /// Closes the connection and waits a moment for the client to do the same: a connection that is dropped with unread input
    /// is reset, and the client may lose the last message.
    async fn close(mut self, code: u16, reason: &'static str) {
        let frame = CloseFrame { code, reason: reason.into() };
        let close = async {
            if self.socket.send(Message::Close(Some(frame))).await.is_ok() {
                while let Some(Ok(_)) = self.socket.recv().await {}
            }
        };
        let _ = timeout(FAREWELL, close).await;
    }
}

/// Waits until the client took what is sent. Returns nothing if that takes too long; at the end of the server it must be quick.
async fn taken<T>(sending: impl Future<Output = T>, ending: &mut watch::Receiver<bool>) -> Option<T> {
    let mut sending = pin!(timeout(SLOWEST, sending));
    tokio::select! {
        biased;
        sent = &mut sending => sent.ok(),
        () = end(ending) => timeout(FAREWELL, sending).await.ok()?.ok(),
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
            "Server at capacity: {most} of {most} sessions are active; try again later, or raise its limit of sessions"
        );
        let failure = Failure::new(Code::CapacityReached, text);
        return Err(failure
            .with("active_sessions", shared.counts.totals().active.min(most.into()))
            .with("max_sessions", most));
    };
    let player = make(shared, Beginning::first(&shared.config, seat.number)).await?;
    Ok(Seated { player, _seat: seat })
}

/// Makes a player where it may block.
async fn make(shared: &Arc<Shared>, beginning: Beginning) -> Result<Player, Failure> {
    let opened = worker::run(Place::Pool, shared.clone(), move |shared| Player::open(shared, beginning));
    match opened.await {
        Ok((_, opened)) => opened,
        Err((_, panic)) => {
            Err(Failure::new(Code::FactoryError, format!("the environment panicked: {panic}"))
                .with("factory_name", shared.tasks.spec().id))
        }
    }
}

/// Close code and reason.
type Closing = (u16, &'static str);

/// Answers requests until either end closes. Returns the close code to send, unless the client is gone.
async fn converse(socket: &mut Socket, shared: &Arc<Shared>, mut seated: Seated) -> Option<Closing> {
    let mut last_request = Instant::now();
    let closing = loop {
        let text = match next(socket, shared, last_request).await {
            Next::Text(text) => Ok(text),
            Next::Refused(failure) => Err(failure),
            Next::End(closing) => break closing,
        };
        let request = text.and_then(|text| read(&text));
        let answered = match request {
            Ok(Request::Close) => break Some((close_code::NORMAL, "")),
            Ok(request) => {
                let (left, answered) = socket.attend(answer(shared, seated, request)).await;
                match left {
                    Some(left) => seated = left,
                    None => {
                        shared.counts.fail();
                        let text = answered.unwrap_or_else(|failure| write("error", &failure));
                        return socket
                            .send(text)
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
        if !socket.send(text).await {
            break None;
        }
        last_request = Instant::now();
    };
    worker::finish(shared.steps(), seated).await;
    closing
}

/// Next event on a connection.
enum Next {
    Text(axum::extract::ws::Utf8Bytes),
    /// A message that is refused unread.
    Refused(Failure),
    /// The end, with the close code to send unless the client is gone.
    End(Option<Closing>),
}

async fn next(socket: &mut Socket, shared: &Shared, last_request: Instant) -> Next {
    let idle_at = shared.config.idle.map(|idle| last_request + idle);
    let mut ending = socket.ending.clone();
    loop {
        let ping_at = Instant::now() + PING;
        let wake_at = idle_at.map_or(ping_at, |idle_at| idle_at.min(ping_at));
        let received = tokio::select! {
            biased;
            // First: a client that sends without a pause must not put off the end.
            () = end(&mut ending) => return Next::End(Some((close_code::AWAY, "the server ends"))),
            received = socket.receive() => received,
            () = sleep_until(wake_at) => {
                if idle_at.is_some_and(|idle_at| idle_at <= Instant::now()) {
                    shared.counts.reap();
                    return Next::End(Some((close_code::AWAY, "the session was idle")));
                }
                if !socket.pass(Message::Ping(Default::default())).await {
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
        Err((None, panic)) => {
            (None, Err(Failure::new(Code::ExecutionError, format!("the environment is gone: {panic}"))))
        }
        Err((Some(player), panic)) => {
            let again = player.again();
            worker::finish(Place::Pool, player).await;
            match make(shared, again).await {
                Ok(player) => {
                    let text = format!("the environment panicked: {panic}; a reset starts a new episode");
                    (Some(Seated { player, _seat: seat }), Err(Failure::new(Code::ExecutionError, text)))
                }
                Err(failure) => (None, Err(failure)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_is_given_up_sooner_when_the_server_ends() {
        let (server, mut ending) = watch::channel(false);
        let start = Instant::now();
        assert_eq!(taken(pending::<()>(), &mut ending).await, None);
        assert_eq!(start.elapsed(), SLOWEST);
        server.send_replace(true);
        let start = Instant::now();
        assert_eq!(taken(pending::<()>(), &mut ending).await, None);
        assert_eq!(start.elapsed(), FAREWELL);
        assert_eq!(taken(async { 7 }, &mut ending).await, Some(7));
    }
}
