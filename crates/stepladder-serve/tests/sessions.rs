//! Many sessions, sessions that end without saying so, and the end of the server.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Client, Counters, Gate, Running, config};
use futures_util::SinkExt as _;
use serde_json::json;
use stepladder_env::session::SharedTasks;
use stepladder_serve::{Config, ServeError, Server};
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

#[tokio::test]
async fn a_session_beyond_the_capacity_is_refused_until_one_ends() {
    let server = Running::start(Config { sessions: 2, ..config() }, Counters::default());
    let (mut first, _second) = (server.connect().await, server.connect().await);
    first.reset(json!({})).await;
    server.until(|totals| totals.active == 2).await;
    let mut third = server.connect().await;
    let data = third.next().await.unwrap()["data"].take();
    assert_eq!(
        (&data["code"], &data["active_sessions"], &data["max_sessions"]),
        (&json!("CAPACITY_REACHED"), &json!(2), &json!(2))
    );
    assert_eq!(third.next().await, Err(Some(CloseCode::Normal)));
    first.send(Message::text(r#"{"type":"close"}"#)).await;
    server.until(|totals| totals.active == 1).await;
    let mut fourth = server.connect().await;
    fourth.reset(json!({})).await;
    assert_eq!(server.counts.totals().refused, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_sessions_play_at_once() {
    for fast in [true, false] {
        let server = Arc::new(Running::start(config(), Counters { fast, ..Counters::default() }));
        let barrier = Arc::new(tokio::sync::Barrier::new(256));
        let play = |number: u64, server: Arc<Running>, barrier: Arc<tokio::sync::Barrier>| async move {
            let mut client = server.connect().await;
            client.reset(json!({ "seed": number, "task": "a" })).await;
            barrier.wait().await;
            for count in 1..4 {
                let answer = client.step(&format!("{number} {count}")).await;
                assert_eq!(answer["observation"]["text"], format!("{number} {count}"));
                assert_eq!(answer["observation"]["steps"], count);
            }
            let state = client.state().await;
            assert_eq!((&state["seed"], &state["step_count"]), (&json!(number), &json!(3)));
        };
        let tasks: Vec<_> =
            (0..256).map(|number| tokio::spawn(play(number, server.clone(), barrier.clone()))).collect();
        for task in tasks {
            task.await.unwrap();
        }
        server.until(|totals| totals.active == 0).await;
        let totals = server.counts.totals();
        assert_eq!((totals.sessions, totals.episodes, totals.steps), (256, 256, 768));
        assert_eq!((totals.errors, totals.refused), (0, 0));
    }
}

/// Drops the connection of a client without a closing frame.
async fn kill(client: Client, abruptly: bool) {
    if abruptly {
        let MaybeTlsStream::Plain(stream) = client.0.get_ref() else { panic!("TLS") };
        // The system resets the connection instead of ending it.
        stream.set_zero_linger().unwrap();
    }
    drop(client);
}

#[tokio::test]
async fn clients_killed_in_mid_step_free_their_sessions_and_stall_no_other() {
    let gate = Arc::new(Gate::default());
    let server = Running::start(config(), Counters { gate: gate.clone(), ..Counters::default() });
    let mut waiting = Vec::new();
    // More than there are threads for connections.
    for _ in 0..24 {
        let mut client = server.connect().await;
        client.reset(json!({})).await;
        client.send(Message::text(json!({ "type": "step", "data": { "action": "wait" } }).to_string())).await;
        waiting.push(client);
    }
    while gate.waiting() < 24 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let mut other = server.connect().await;
    other.reset(json!({})).await;
    assert_eq!(other.step("win").await["reward"], 0.5);
    for (number, client) in waiting.into_iter().enumerate() {
        kill(client, number % 2 == 0).await;
    }
    gate.open();
    server.until(|totals| totals.active == 1).await;
    assert_eq!(server.counts.totals().steps, 25);
}

#[tokio::test]
async fn clients_killed_between_steps_free_their_sessions() {
    let server = Running::start(config(), Counters { fast: true, ..Counters::default() });
    for abruptly in [true, false] {
        let mut client = server.connect().await;
        client.reset(json!({})).await;
        kill(client, abruptly).await;
        server.until(|totals| totals.active == 0).await;
    }
    assert_eq!(server.counts.totals().reaped, 0);
}

#[tokio::test]
async fn an_idle_session_is_ended() {
    let server =
        Running::start(Config { idle: Some(Duration::from_millis(200)), ..config() }, Counters::default());
    let mut client = server.connect().await;
    let answer = client.next().await;
    assert_eq!(answer, Err(Some(CloseCode::Away)));
    let totals = server.until(|totals| totals.active == 0).await;
    assert_eq!((totals.reaped, totals.errors), (1, 0));
}

#[tokio::test]
async fn the_end_of_the_server_closes_its_sessions() {
    let gate = Arc::new(Gate::default());
    let server = Running::start(config(), Counters { gate: gate.clone(), ..Counters::default() });
    let mut quiet = server.connect().await;
    quiet.reset(json!({})).await;
    let mut busy = server.connect().await;
    busy.reset(json!({})).await;
    busy.send(Message::text(json!({ "type": "step", "data": { "action": "wait" } }).to_string())).await;
    while gate.waiting() < 1 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    server.stop();
    assert_eq!(quiet.next().await, Err(Some(CloseCode::Away)));
    gate.open();
    // The last step is answered.
    assert_eq!(busy.next().await.unwrap()["data"]["observation"]["text"], "wait");
    assert_eq!(busy.next().await, Err(Some(CloseCode::Away)));
    let totals = server.end();
    assert_eq!((totals.active, totals.sessions, totals.steps), (0, 2, 1));
}

#[tokio::test]
async fn clients_that_flood_without_reading_do_not_put_off_the_end() {
    let gate = Arc::new(Gate::default());
    let config = Config { max_steps: Some(u32::MAX), ..config() };
    let server = Running::start(config, Counters { gate: gate.clone(), ..Counters::default() });
    let mut flooding = server.connect().await;
    flooding.reset(json!({})).await;
    let long = json!({ "type": "step", "data": { "action": "x".repeat(60_000) } }).to_string();
    // Until the server waits for the client to read, and the client for the server.
    while tokio::time::timeout(Duration::from_secs(1), flooding.0.send(Message::text(&*long))).await.is_ok() {
    }
    let mut busy = server.connect().await;
    busy.reset(json!({})).await;
    busy.send(Message::text(json!({ "type": "step", "data": { "action": "wait" } }).to_string())).await;
    while gate.waiting() < 1 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    server.stop();
    server.until(|totals| totals.active == 1).await;
    // The server still runs: it gave up the one client and waits for the step of the other.
    gate.open();
    assert_eq!(busy.next().await.unwrap()["data"]["observation"]["text"], "wait");
    assert_eq!(busy.next().await, Err(Some(CloseCode::Away)));
}

#[test]
fn a_server_that_cannot_serve_is_not_bound() {
    let bind = |config| Server::bind(config, SharedTasks::new(Box::new(Counters::default())));
    let first = bind(config()).unwrap();
    let port = first.address().port();
    let error = bind(Config { port, ..config() }).unwrap_err();
    assert!(matches!(&error, ServeError::Address { address, .. } if address.port() == port), "{error}");
    assert!(error.to_string().contains("in use (os error"), "{error}");
    let error = bind(Config { split: "absent".to_owned(), ..config() }).unwrap_err().to_string();
    assert_eq!(error, "/nowhere: there are no data");
    let error = bind(Config { split: "dev".to_owned(), ..config() }).unwrap_err().to_string();
    assert!(error.starts_with("counter has no split `dev`"), "{error}");
    let broken = Counters { broken: Arc::new(true.into()), ..Counters::default() };
    let error = Server::bind(config(), SharedTasks::new(Box::new(broken))).unwrap_err().to_string();
    assert_eq!(error, "counter: there is no simulator");
    let error = bind(Config { host: "0.0.0.0".to_owned(), ..config() }).unwrap_err();
    assert!(matches!(error, ServeError::TokenRequired { .. }), "{error}");
}
