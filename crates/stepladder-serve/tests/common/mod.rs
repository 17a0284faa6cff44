//! A toy environment, servers in threads of their own, and clients.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(unreachable_pub)]
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use stepladder_core::{End, Start, Step, TaskKey};
use stepladder_env::session::SharedTasks;
use stepladder_env::{Admissible, Env, EnvError, EnvSpec, TaskSet};
use stepladder_serve::{Config, Counts, Server, Totals};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

static SPEC: EnvSpec = EnvSpec {
    id: "counter",
    summary: "Counts steps",
    version: 3,
    upstream: "nothing",
    data_licence: "none needed",
    splits: &["train", "valid", "test", "absent"],
    max_steps: 4,
    reward_range: (-1.0, 1.0),
    score_range: Some((0.0, 1.0)),
    deterministic: false,
};

/// A gate that steps wait at, and the number of those that wait.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<(bool, usize)>,
    change: Condvar,
}

impl Gate {
    pub(crate) fn open(&self) {
        self.state.lock().unwrap().0 = true;
        self.change.notify_all();
    }

    pub(crate) fn waiting(&self) -> usize {
        self.state.lock().unwrap().1
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.1 += 1;
        self.change.notify_all();
        while !state.0 {
            state = self.change.wait(state).unwrap();
        }
        state.1 -= 1;
    }
}

/// Tells task and seed; `win` ends, `lose` costs 1, `crash` fails, `panic` panics, `wait` waits at the gate.
struct Counter(Arc<Gate>);

impl Env for Counter {
    fn spec(&self) -> &EnvSpec {
        &SPEC
    }
    fn reset(&mut self, task: &TaskKey, seed: u64) -> Result<Start, EnvError> {
        if task.id == "cursed" {
            panic!("cursed");
        }
        Ok(Start {
            text: format!("{} {seed}", task.id),
            task: format!("count {}", task.id),
            context: "hall".to_owned(),
            family: "count".to_owned(),
        })
    }
    fn step(&mut self, action: &str) -> Result<Step, EnvError> {
        let won = action == "win";
        match action {
            "crash" => return Err(EnvError::Backend { env: SPEC.id, reason: "crashed".to_owned() }),
            "panic" => panic!("the toy is broken"),
            "wait" => self.0.pass(),
            _ => {}
        }
        Ok(Step {
            observation: action.to_owned(),
            reward: if won { 0.5 } else { -f64::from(u8::from(action == "lose")) },
            won,
            unknown_action: action == "sing",
            context: won.then(|| "garden".to_owned()),
            end: won.then_some(End::Terminated),
        })
    }
    fn admissible(&mut self) -> Option<&mut dyn Admissible> {
        Some(self)
    }
}

impl Admissible for Counter {
    fn admissible_actions(&mut self) -> Vec<String> {
        ["lose", "win"].map(str::to_owned).to_vec()
    }
}

/// Tasks of the toy.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) gate: Arc<Gate>,
    /// Steps are played on the threads of the connections.
    pub(crate) fast: bool,
    /// No environment can be made.
    pub(crate) broken: Arc<AtomicBool>,
}

impl TaskSet for Counters {
    fn spec(&self) -> &EnvSpec {
        &SPEC
    }
    fn tasks(&self, split: &str) -> Result<Vec<TaskKey>, EnvError> {
        SPEC.known_split(split)?;
        let ids: &[&str] = match split {
            "absent" => {
                return Err(EnvError::Data {
                    path: "/nowhere".into(),
                    reason: "there are no data".to_owned(),
                });
            }
            "test" => &["cursed", "d"],
            _ => &["a", "b", "c"],
        };
        Ok(ids.iter().map(|id| TaskKey::new(SPEC.id, split, *id)).collect())
    }
    fn family(&self, _: &TaskKey) -> Option<String> {
        Some("count".to_owned())
    }
    fn has_fast_steps(&self) -> bool {
        self.fast
    }
    fn make(&self) -> Result<Box<dyn Env>, EnvError> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(EnvError::Backend { env: SPEC.id, reason: "there is no simulator".to_owned() });
        }
        Ok(Box::new(Counter(self.gate.clone())))
    }
}

/// Settings of a server on any free port.
pub(crate) fn config() -> Config {
    Config { port: 0, ..Config::new("train") }
}

/// A server that runs until it is dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) counts: Arc<Counts>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Totals>>,
}

impl Running {
    pub(crate) fn start(config: Config, tasks: Counters) -> Self {
        let server = Server::bind(config, SharedTasks::new(Box::new(tasks))).unwrap();
        let (address, counts, stop) = (server.address(), server.counts(), Arc::<AtomicBool>::default());
        let thread = std::thread::spawn({
            let stop = stop.clone();
            move || server.run(&stop)
        });
        Self { address, counts, stop, thread: Some(thread) }
    }

    /// Asks the server to end.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Waits for the end of the server.
    pub(crate) fn end(mut self) -> Totals {
        self.stop();
        self.thread.take().unwrap().join().unwrap()
    }

    /// Waits until the counters satisfy a condition, and returns them.
    pub(crate) async fn until(&self, holds: impl Fn(&Totals) -> bool) -> Totals {
        let reached = async {
            loop {
                let totals = self.counts.totals();
                if holds(&totals) {
                    return totals;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(120), reached).await;
        in_time.unwrap_or_else(|_| panic!("it never happened: {:?}", self.counts.totals()))
    }

    /// Opens a session.
    pub(crate) async fn connect(&self) -> Client {
        self.connect_to("/ws").await
    }

    pub(crate) async fn connect_to(&self, path: &str) -> Client {
        let url = format!("ws://{}{path}", self.address);
        Client(tokio_tungstenite::connect_async(url).await.unwrap().0)
    }

    /// Sends an HTTP request and returns status and body.
    pub(crate) fn http(&self, method: &str, path: &str, headers: &[&str], body: &str) -> (u16, Value) {
        let (status, text) = self.http_text(method, path, headers, body);
        (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text:?}")))
    }

    pub(crate) fn http_text(&self, method: &str, path: &str, headers: &[&str], body: &str) -> (u16, String) {
        let mut stream = std::net::TcpStream::connect(self.address).unwrap();
        let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
        );
        // The server may answer, and close, before it has read all.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A client of one session.
pub(crate) struct Client(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    pub(crate) async fn send(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }

    /// Returns the next text, or the close code.
    pub(crate) async fn next(&mut self) -> Result<Value, Option<CloseCode>> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => return Err(frame.map(|frame| frame.code)),
                Some(Ok(_)) => {}
                None | Some(Err(tungstenite::Error::ConnectionClosed)) => return Err(None),
                Some(Err(error)) => panic!("{error}"),
            }
        }
    }

    /// Sends a text and returns the answer.
    pub(crate) async fn text(&mut self, text: impl Into<String>) -> Value {
        self.send(Message::text(text.into())).await;
        self.next().await.unwrap()
    }

    /// Sends a request and returns the data of the answer, which must be of the type.
    pub(crate) async fn ask(&mut self, request: Value, kind: &str) -> Value {
        let mut answer = self.text(request.to_string()).await;
        assert_eq!(answer["type"], kind, "{answer}");
        answer["data"].take()
    }

    pub(crate) async fn reset(&mut self, data: Value) -> Value {
        self.ask(json!({ "type": "reset", "data": data }), "observation").await
    }

    pub(crate) async fn step(&mut self, action: &str) -> Value {
        self.ask(json!({ "type": "step", "data": { "action": action } }), "observation").await
    }

    pub(crate) async fn state(&mut self) -> Value {
        self.ask(json!({ "type": "state" }), "state").await
    }

    /// Sends a request that is refused and returns code and message.
    pub(crate) async fn refused(&mut self, request: Value) -> (String, String) {
        let data = self.ask(request, "error").await;
        (data["code"].as_str().unwrap().to_owned(), data["message"].as_str().unwrap().to_owned())
    }
}
