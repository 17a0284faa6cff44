//! A hub on this machine, with one model.
#![allow(unreachable_pub)]
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::json;

/// Commit of every revision.
pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A hub that answers every request, each on its own connection.
pub(crate) struct Server {
    /// Address.
    pub(crate) endpoint: String,
    state: Arc<Mutex<State>>,
}

struct State {
    model: String,
    files: BTreeMap<String, Vec<u8>>,
    /// File whose next transfer ends after half of what was asked for.
    cut: Option<String>,
    /// Paths and ranges of all requests.
    requests: Vec<(String, String)>,
}

impl Server {
    /// Starts a hub with this model.
    pub(crate) fn start(model: &str, files: BTreeMap<String, Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = State { model: model.to_owned(), files, cut: None, requests: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(&stream.unwrap(), &shared);
            }
        });
        Self { endpoint, state }
    }

    /// Cuts the next transfer of a file after half of its bytes.
    pub(crate) fn cut(&self, file: &str) {
        self.state.lock().unwrap().cut = Some(file.to_owned());
    }

    /// Takes the recorded requests: paths without the model's part, and ranges.
    pub(crate) fn requests(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }
}

/// Address at which no server listens.
pub(crate) fn closed() -> String {
    format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
}

fn answer(mut stream: &TcpStream, state: &Mutex<State>) {
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let request = lines.next().unwrap();
    let path = request.split(' ').nth(1).unwrap().to_owned();
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let range = headers.iter().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("range").then(|| value.to_owned())
    });
    let range = range.unwrap_or_default();
    let mut state = state.lock().unwrap();
    state.requests.push((path.clone(), range.clone()));
    let (answer, body) = state.answer(&path, &range);
    // The client may have gone.
    let _ = stream.write_all(format!("HTTP/1.1 {answer}Connection: close\r\n\r\n").as_bytes());
    let _ = stream.write_all(&body);
}

impl State {
    /// Status line with headers, and the body.
    fn answer(&mut self, path: &str, range: &str) -> (String, Vec<u8>) {
        let absent = || ("404 Not Found\r\nContent-Length: 0\r\n".to_owned(), Vec::new());
        if path.starts_with(&format!("/api/models/{}/revision/", self.model)) {
            let siblings: Vec<_> = self.files.keys().map(|name| json!({ "rfilename": name })).collect();
            let body = json!({ "siblings": siblings, "sha": COMMIT }).to_string().into_bytes();
            let headers =
                format!("200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n", body.len());
            return (headers, body);
        }
        let Some(name) = path.strip_prefix(&format!("/{}/resolve/{COMMIT}/", self.model)) else {
            return absent();
        };
        let Some(bytes) = self.files.get(name) else { return absent() };
        let (from, to) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        let from: usize = from.parse().unwrap();
        let to = to.parse().map_or(bytes.len(), |last: usize| bytes.len().min(last + 1));
        let headers = format!(
            "206 Partial Content\r\nX-Repo-Commit: {COMMIT}\r\nETag: \"etag-of-{}\"\r\nContent-Range: bytes {from}-{}/{}\r\nContent-Length: {}\r\n",
            name.replace('.', "-"),
            to - 1,
            bytes.len(),
            to - from
        );
        let mut body = bytes[from..to].to_vec();
        if body.len() > 1 && self.cut.as_deref() == Some(name) {
            self.cut = None;
            body.truncate(body.len() / 2);
        }
        (headers, body)
    }
}
