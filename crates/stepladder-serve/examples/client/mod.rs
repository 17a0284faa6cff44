//! A server as a child process, and sessions on it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// Any error of an example.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A running server, which ends when it is dropped.
pub(crate) struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// Starts `PROGRAM env serve` on any free port.
    pub(crate) fn start(program: &str, arguments: &[&str]) -> Result<Self, Failure> {
        let mut command = Command::new(program);
        command.args(["env", "serve", "--port", "0", "--json"]).args(arguments).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("cannot start {program}: {error}"))?;
        let mut line = String::new();
        let out = child.stdout.take().ok_or("the server has no output")?;
        BufReader::new(out).read_line(&mut line)?;
        let ready: Value = serde_json::from_str(&line).map_err(|_| "the server did not start")?;
        let url = ready["url"].as_str().unwrap_or_default();
        Ok(Self { child, address: url.trim_start_matches("http://").to_owned() })
    }

    /// Resident memory in MiB (Linux).
    #[allow(dead_code, reason = "each example uses its part")]
    pub(crate) fn resident(&self) -> Result<f64, Failure> {
        let text = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id()))?;
        let pages: f64 = text.split(' ').nth(1).ok_or("no resident pages")?.parse()?;
        Ok(pages * 4096.0 / f64::from(1 << 20))
    }

    /// Processor time in seconds, in the program and in the system (Linux).
    #[allow(dead_code, reason = "each example uses its part")]
    pub(crate) fn processor(&self) -> Result<[f64; 2], Failure> {
        processor(&self.child.id().to_string())
    }

    /// Opens a session.
    pub(crate) async fn connect(&self) -> Result<Session, Failure> {
        let url = format!("ws://{}/ws", self.address);
        let (socket, _) = tokio_tungstenite::connect_async_with_config(url, None, true).await?;
        Ok(Session(socket))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor time of a process in seconds, in the program and in the system.
pub(crate) fn processor(process: &str) -> Result<[f64; 2], Failure> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name of the program, in parentheses, may hold spaces.
    let rest = text.rsplit_once(')').ok_or("no process times")?.1;
    let ticks = |field: usize| -> Result<f64, Failure> {
        Ok(rest.split_whitespace().nth(field).ok_or("no process times")?.parse::<f64>()? / 100.0)
    };
    Ok([ticks(11)?, ticks(12)?])
}

/// A session.
pub(crate) struct Session(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Session {
    /// Sends a request and returns the text of the answer.
    pub(crate) async fn text(&mut self, request: String) -> Result<String, Failure> {
        self.0.send(Message::text(request)).await?;
        loop {
            match self.0.next().await.ok_or("the server closed the session")?? {
                Message::Text(text) => return Ok(text.as_str().to_owned()),
                Message::Close(_) => return Err("the server closed the session".into()),
                _ => {}
            }
        }
    }

    async fn observation(&mut self, request: Value) -> Result<Value, Failure> {
        let mut answer: Value = serde_json::from_str(&self.text(request.to_string()).await?)?;
        if answer["type"] != "observation" {
            return Err(answer.to_string().into());
        }
        Ok(answer["data"].take())
    }

    /// Starts an episode of a seed, with lists of admissible actions.
    pub(crate) async fn reset(&mut self, seed: u64) -> Result<Value, Failure> {
        self.observation(json!({ "type": "reset", "data": { "seed": seed, "admissible": true } })).await
    }

    /// Plays an action.
    pub(crate) async fn step(&mut self, action: &str) -> Result<Value, Failure> {
        self.observation(json!({ "type": "step", "data": { "action": action } })).await
    }

    /// Plays an episode of random admissible actions and returns them.
    pub(crate) async fn play(&mut self, seed: u64) -> Result<Vec<String>, Failure> {
        let mut answer = self.reset(seed).await?;
        let mut number = seed;
        let mut played = Vec::new();
        while answer["done"] == false {
            let actions =
                answer["observation"]["admissible_actions"].as_array().ok_or("no list of actions")?;
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let chosen = usize::try_from(number >> 33)? % actions.len().max(1);
            let action = actions.get(chosen).and_then(Value::as_str).ok_or("no action")?.to_owned();
            answer = self.step(&action).await?;
            played.push(action);
        }
        Ok(played)
    }
}
