//! Routes beside the sessions, and the token.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::io::{Read as _, Write as _};
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{Counters, Running, config};
use serde_json::{Value, json};
use stepladder_serve::{Config, Token};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, http::StatusCode};

fn running() -> Running {
    Running::start(config(), Counters::default())
}

#[test]
fn the_server_describes_itself() {
    let server = running();
    let get = |path: &str| server.http("GET", path, &[], "");
    assert_eq!(get("/health"), (200, json!({ "status": "healthy" })));
    let (status, metadata) = get("/metadata");
    assert_eq!((status, &metadata["name"], &metadata["version"]), (200, &json!("counter"), &json!("3")));
    assert!(metadata["description"].as_str().unwrap().starts_with("Counts steps. Reproduces nothing."));
    let (status, schema) = get("/schema");
    assert_eq!((status, &schema["action"]["required"]), (200, &json!(["action"])));
    assert!(schema["observation"]["properties"]["truncated"].is_object() && schema["state"].is_object());
    let (status, state) = get("/state");
    assert_eq!(
        (status, &state["episode_id"], &state["step_count"], &state["max_steps"]),
        (200, &Value::Null, &json!(0), &json!(4))
    );
}

#[test]
fn tasks_are_listed_by_split() {
    let server = running();
    let task =
        |id: &str, index: usize| json!({ "id": id, "index": index, "split": "train", "family": "count" });
    assert_eq!(server.http("GET", "/list_environments", &[], ""), (200, json!(["counter"])));
    let splits = json!([
        { "name": "train", "type": "train" }, { "name": "valid", "type": "validation" },
        { "name": "test", "type": "test" }, { "name": "absent", "type": "validation" },
    ]);
    assert_eq!(server.http("GET", "/Counter/splits", &[], ""), (200, splits));
    let post = |path: &str, body: Value| server.http("POST", path, &[], &body.to_string());
    let all = json!({ "tasks": [task("a", 0), task("b", 1), task("c", 2)], "env_name": "counter" });
    assert_eq!(post("/counter/tasks", json!({ "split": "train" })), (200, all));
    assert_eq!(post("/counter/num_tasks", json!({ "split": "train" })), (200, json!({ "num_tasks": 3 })));
    assert_eq!(
        post("/counter/task", json!({ "split": "train", "index": 2 })),
        (200, json!({ "task": task("c", 2) }))
    );
    let range = |start: Value, stop: Value| {
        let (status, answer) =
            post("/counter/task_range", json!({ "split": "train", "start": start, "stop": stop }));
        assert_eq!(status, 200);
        answer["tasks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|task| task["index"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(range(json!(1), json!(2)), [1]);
    assert_eq!(range(json!(1), Value::Null), [1, 2]);
    assert_eq!(range(Value::Null, json!(99)), [0, 1, 2]);
    assert_eq!(range(json!(5), json!(2)), [0; 0]);

    for (path, body, status, says) in [
        (
            "/sokoban/tasks",
            json!({ "split": "train" }),
            404,
            "unknown environment `sokoban`; this server has counter",
        ),
        ("/counter/tasks", json!({ "split": "dev" }), 400, "counter has no split `dev`"),
        (
            "/counter/tasks",
            json!({ "split": "absent" }),
            500,
            "data of the environment cannot be read; the output of the server says why",
        ),
        ("/counter/tasks", json!({}), 422, "missing field `split`"),
        (
            "/counter/task",
            json!({ "split": "train", "index": 3 }),
            400,
            "Invalid task index: the split has 3 tasks",
        ),
        (
            "/counter/task",
            json!({ "split": "train", "index": -1 }),
            422,
            "body.index: it must be a whole number from 0 to 2**64 - 1, not -1",
        ),
        ("/counter/num_tasks", json!([]), 422, "Invalid message: body: "),
    ] {
        let (found, answer) = post(path, body.clone());
        assert_eq!(found, status, "{path} {body}: {answer}");
        assert!(answer["detail"].as_str().unwrap().contains(says), "{path} {body}: {answer}");
    }
}

#[tokio::test]
async fn errors_that_name_paths_of_the_server_are_reported_there_alone() {
    static REPORTED: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let report = |text: &str| REPORTED.lock().unwrap().push(text.to_owned());
    let server = Running::start(Config { report, ..config() }, Counters::default());
    let said = "data of the environment cannot be read; the output of the server says why";
    let absent = json!({ "split": "absent" });
    for path in ["/reset", "/counter/num_tasks"] {
        let (_, answer) = server.http("POST", path, &[], &absent.to_string());
        assert_eq!(answer, json!({ "detail": said }), "{path}");
    }
    let mut client = server.connect().await;
    let reset = json!({ "type": "reset", "data": absent });
    assert_eq!(client.refused(reset).await, ("EXECUTION_ERROR".to_owned(), said.to_owned()));
    assert_eq!(*REPORTED.lock().unwrap(), vec!["/nowhere: there are no data"; 3]);
    // Errors of the client are not.
    client.refused(json!({ "type": "reset", "data": { "split": "dev" } })).await;
    assert_eq!(REPORTED.lock().unwrap().len(), 3);
}

#[test]
fn an_episode_begins_without_a_session_but_does_not_go_on() {
    let server = running();
    let post = |path: &str, body: &str| server.http("POST", path, &[], body);
    let (status, answer) = post("/reset", r#"{"seed": 5, "task": "a"}"#);
    assert_eq!(
        (status, &answer["observation"]["text"], &answer["done"]),
        (200, &json!("a 5"), &json!(false))
    );
    assert_eq!(post("/reset", "").0, 200);
    let (status, answer) = post("/step", r#"{"action": {"action": "go"}}"#);
    assert!(
        status == 409 && answer["detail"].as_str().unwrap().contains("open a WebSocket at /ws"),
        "{answer}"
    );
    assert_eq!(post("/reset", r#"{"sed": 5}"#).0, 422);
    assert_eq!(post("/reset", "{").0, 422);
    assert_eq!(post("/reset", r#"{"task": 7}"#).0, 400);
    let (status, answer) = post("/reset", r#"{"split": "test", "task": "cursed"}"#);
    assert_eq!((status, &answer["detail"]), (500, &json!("the environment panicked: cursed")));
    let totals = server.counts.totals();
    assert_eq!((totals.active, totals.episodes), (0, 2));
    let tasks = Counters::default();
    let broken = tasks.broken.clone();
    let server = Running::start(config(), tasks);
    broken.store(true, Ordering::Relaxed);
    assert_eq!(server.http("POST", "/reset", &[], "").0, 500);
}

#[test]
fn wrong_requests_are_answered_with_json() {
    let server = Running::start(Config { message_bytes: 1024, ..config() }, Counters::default());
    for (method, path, body, status) in [
        ("GET", "/", "", 404),
        ("POST", "/mcp", "{}", 404),
        ("POST", "/health", "", 405),
        ("GET", "/reset", "", 405),
        ("GET", "/ws", "", 400),
        ("GET", "/%ff/splits", "", 400),
        ("POST", "/%ff/num_tasks", r#"{"split": "train"}"#, 400),
        ("POST", "/reset", &*" ".repeat(2000), 413),
    ] {
        let (found, answer) = server.http(method, path, &[], body);
        assert_eq!(found, status, "{method} {path}: {answer}");
        assert!(answer["detail"].is_string(), "{method} {path}: {answer}");
    }
}

#[tokio::test]
async fn a_token_is_asked_for_everywhere_but_at_the_health_check() {
    let token = Some(Token::new("s3cret").unwrap());
    let server = Running::start(Config { token, ..config() }, Counters::default());
    assert_eq!(server.http("GET", "/health", &[], "").0, 200);
    let detail =
        json!({ "detail": "this server requires a token: send the header `Authorization: Bearer TOKEN`" });
    for headers in [&[][..], &["authorization: Bearer s3cre"], &["authorization: Basic s3cret"]] {
        for (method, path) in [
            ("GET", "/schema"),
            ("GET", "/metadata"),
            ("GET", "/state"),
            ("POST", "/reset"),
            ("POST", "/step"),
            ("GET", "/list_environments"),
            ("GET", "/counter/splits"),
            ("POST", "/counter/tasks"),
            ("GET", "/nowhere"),
        ] {
            assert_eq!(server.http(method, path, headers, ""), (401, detail.clone()), "{method} {path}");
        }
    }
    assert_eq!(server.http("GET", "/schema", &["authorization: Bearer s3cret"], "").0, 200);

    let connect = |token: Option<&str>| {
        let mut request = format!("ws://{}/ws", server.address).into_client_request().unwrap();
        if let Some(token) = token {
            request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        tokio_tungstenite::connect_async(request)
    };
    for token in [None, Some("wrong")] {
        match connect(token).await {
            Err(Error::Http(response)) => assert_eq!(response.status(), StatusCode::UNAUTHORIZED),
            other => panic!("{other:?}"),
        }
    }
    let mut client = common::Client(connect(Some("s3cret")).await.unwrap().0);
    client.reset(json!({})).await;
    assert!(server.counts.totals().refused >= 29);
}

#[test]
fn a_connection_that_shows_no_token_is_ended() {
    let token = Some(Token::new("s3cret").unwrap());
    let server = Running::start(Config { token, ..config() }, Counters::default());
    let connect = || std::net::TcpStream::connect(server.address).unwrap();
    let ask = |mut stream: &std::net::TcpStream, header: &str| {
        stream.write_all(format!("GET /health HTTP/1.1\r\nhost: x\r\n{header}\r\n").as_bytes())?;
        let mut answer = [0; 1024];
        stream.read(&mut answer)
    };
    let (stranger, known) = (connect(), connect());
    (&known).write_all(b"GET /state HTTP/1.1\r\nhost: x\r\nauthorization: Bearer s3cret\r\n\r\n").unwrap();
    assert!((&known).read(&mut [0; 1024]).unwrap() > 0);
    // Each asks before the time for the head of a request is over.
    let ended = (0..120).any(|_| {
        std::thread::sleep(Duration::from_millis(250));
        assert!(ask(&known, "").unwrap() > 0);
        !matches!(ask(&stranger, "authorization: Bearer wrong\r\n"), Ok(1..))
    });
    assert!(ended, "the stranger was served for ever");
    for _ in 0..4 {
        assert!(ask(&known, "").unwrap() > 0);
    }
}

#[test]
fn pages_of_other_sites_cannot_play_without_a_token() {
    let server = running();
    let page = ["origin: https://example.com"];
    assert_eq!(server.http("GET", "/schema", &page, "").0, 403);
    assert_eq!(server.http("GET", "/health", &page, "").0, 200);
    let token = Some(Token::new("s3cret").unwrap());
    let server = Running::start(Config { token, ..config() }, Counters::default());
    assert_eq!(server.http("GET", "/schema", &[page[0], "authorization: Bearer s3cret"], "").0, 200);
}
