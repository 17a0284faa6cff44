//! Messages of a session.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use common::{Counters, Gate, Running, config};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use stepladder_serve::Config;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

fn step(action: &str) -> Value {
    json!({ "type": "step", "data": { "action": action } })
}

#[tokio::test]
async fn an_episode_is_played_to_its_end() {
    for fast in [true, false] {
        let server = Running::start(config(), Counters { fast, ..Counters::default() });
        let mut client = server.connect().await;
        let nothing = json!({
            "episode_id": null, "step_count": 0, "env": "counter", "split": "train", "task_id": null, "task_index": null,
            "family": null, "seed": null, "score": 0.0, "won": false, "max_steps": 4,
        });
        assert_eq!(client.state().await, nothing);
        let first = client.reset(json!({ "seed": 7, "task": 1, "episode_id": "mine" })).await;
        let expected = json!({
            "observation": {
                "text": "b 7", "context": "hall", "task": "count b", "score": 0.0, "won": false, "unknown_action": false,
                "terminated": false, "truncated": false, "steps": 0, "admissible_actions": null,
            },
            "reward": null, "done": false,
        });
        assert_eq!(first, expected);
        assert_eq!(client.step("sing").await["observation"]["unknown_action"], true);
        let last = client.step("win").await;
        let expected = json!({
            "observation": {
                "text": "win", "context": "garden", "task": null, "score": 0.5, "won": true, "unknown_action": false,
                "terminated": true, "truncated": false, "steps": 2, "admissible_actions": null,
            },
            "reward": 0.5, "done": true,
        });
        assert_eq!(last, expected);
        let state = json!({
            "episode_id": "mine", "step_count": 2, "env": "counter", "split": "train", "task_id": "b", "task_index": 1,
            "family": "count", "seed": 7, "score": 0.5, "won": true, "max_steps": 4,
        });
        assert_eq!(client.state().await, state);
        client.send(Message::text(r#"{"type":"close"}"#)).await;
        assert_eq!(client.next().await, Err(Some(CloseCode::Normal)));
        server.until(|totals| totals.active == 0).await;
        let totals = server.end();
        assert_eq!((totals.sessions, totals.episodes, totals.steps, totals.errors), (1, 1, 2, 0));
    }
}

#[tokio::test]
async fn the_step_limit_truncates_and_does_not_terminate() {
    let server = Running::start(Config { max_steps: Some(2), ..config() }, Counters::default());
    let mut client = server.connect().await;
    assert_eq!(client.state().await["max_steps"], 2);
    client.reset(json!({})).await;
    assert_eq!(client.step("go").await["done"], false);
    let last = client.step("go").await;
    assert_eq!((&last["done"], &last["reward"]), (&json!(true), &json!(0.0)));
    let observation = &last["observation"];
    assert_eq!((&observation["truncated"], &observation["terminated"]), (&json!(true), &json!(false)));
}

#[tokio::test]
async fn resets_choose_task_split_and_seed() {
    let server = Running::start(config(), Counters::default());
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    let data = json!({ "seed": 12, "split": "valid" });
    assert_eq!(first.reset(data.clone()).await, second.reset(data).await);
    first.reset(json!({ "task": "c" })).await;
    let state = first.state().await;
    assert_eq!(
        (&state["split"], &state["task_id"], &state["task_index"]),
        (&json!("valid"), &json!("c"), &json!(2))
    );
    // Without a seed each session draws its own.
    second.reset(json!({})).await;
    assert_ne!(second.state().await["seed"], state["seed"]);
    // Episodes without an id are named by session and number.
    let mut named = [first.state().await, second.state().await].map(|state| state["episode_id"].to_string());
    // Sessions that open at the same time are numbered in either order.
    named.sort();
    assert_eq!(named, [r#""0-2""#, r#""1-2""#]);
}

#[tokio::test]
async fn admissible_actions_are_listed_on_request() {
    let server = Running::start(config(), Counters { fast: true, ..Counters::default() });
    let mut client = server.connect().await;
    let listed = json!(["lose", "win"]);
    let list = |answer: Value| answer["observation"]["admissible_actions"].clone();
    assert_eq!(list(client.reset(json!({ "admissible": true })).await), listed);
    assert_eq!(list(client.step("go").await), listed);
    let silent = json!({ "type": "step", "data": { "action": "go", "admissible": false } });
    assert_eq!(list(client.ask(silent, "observation").await), Value::Null);
    assert_eq!(list(client.step("win").await), Value::Null);
    assert_eq!(list(client.reset(json!({})).await), Value::Null);
    let asked = json!({ "type": "step", "data": { "action": "go", "admissible": true } });
    assert_eq!(list(client.ask(asked, "observation").await), listed);
}

#[tokio::test]
async fn a_refused_request_leaves_the_session_as_it_was() {
    let server = Running::start(config(), Counters::default());
    let mut client = server.connect().await;
    let (code, message) = client.refused(step("go")).await;
    assert_eq!((&*code, &*message), ("EXECUTION_ERROR", "counter: step before reset; send a reset first"));
    client.reset(json!({ "task": "a", "seed": 1 })).await;
    let before = client.state().await;
    for (request, code, says) in [
        (json!({ "type": "leap" }), "UNKNOWN_TYPE", "Unknown message type: leap."),
        (json!({ "type": "mcp", "data": {} }), "UNKNOWN_TYPE", "no tools"),
        (json!(["step"]), "VALIDATION_ERROR", "a message is an object"),
        (
            json!({ "type": "step", "data": { "action": 1 } }),
            "VALIDATION_ERROR",
            "data.action: it must be a text, not 1",
        ),
        (
            json!({ "type": "step", "data": { "action": "go", "x": 1 } }),
            "VALIDATION_ERROR",
            "unknown field `x`",
        ),
        (json!({ "type": "reset", "data": { "sed": 1 } }), "VALIDATION_ERROR", "unknown field `sed`"),
        (
            json!({ "type": "reset", "data": { "split": "dev" } }),
            "EXECUTION_ERROR",
            "counter has no split `dev`; it has",
        ),
        (
            json!({ "type": "reset", "data": { "split": "absent" } }),
            "EXECUTION_ERROR",
            "data of the environment cannot be read; the output of the server says why",
        ),
        (
            json!({ "type": "reset", "data": { "task": 3 } }),
            "EXECUTION_ERROR",
            "the split has 3 tasks, counted from 0",
        ),
        (
            json!({ "type": "reset", "data": { "task": "z" } }),
            "EXECUTION_ERROR",
            "no task of the split has this id",
        ),
    ] {
        let (found, message) = client.refused(request.clone()).await;
        assert_eq!(found, code, "{request}: {message}");
        assert!(message.contains(says), "{request}: {message}");
    }
    let answer = client.text("{\"type\": \"step\"").await;
    assert_eq!(answer["data"]["code"], "INVALID_JSON");
    client.send(Message::binary(b"{\"type\":\"state\"}".as_slice())).await;
    assert_eq!(client.next().await.unwrap()["data"]["code"], "VALIDATION_ERROR");
    assert_eq!(client.state().await, before);
    client.step("win").await;
    let (code, message) = client.refused(step("go")).await;
    assert_eq!(code, "EXECUTION_ERROR");
    assert_eq!(message, "counter: the episode is over; reset before the next step");
    assert_eq!(server.counts.totals().errors, 14);
}

#[tokio::test]
async fn an_environment_that_fails_or_panics_ends_its_episode_alone() {
    for fast in [true, false] {
        let server = Running::start(config(), Counters { fast, ..Counters::default() });
        let mut other = server.connect().await;
        other.reset(json!({})).await;
        let mut client = server.connect().await;
        for (action, says) in [
            ("crash", "counter: crashed; a reset makes a new environment"),
            ("panic", "the environment panicked: the toy is broken; a reset starts a new episode"),
        ] {
            client.reset(json!({})).await;
            assert_eq!(client.refused(step(action)).await, ("EXECUTION_ERROR".to_owned(), says.to_owned()));
            let (code, message) = client.refused(step("go")).await;
            assert!(code == "EXECUTION_ERROR" && message.contains("step before reset"), "{message}");
        }
        let cursed = json!({ "type": "reset", "data": { "split": "test", "task": "cursed" } });
        assert!(client.refused(cursed).await.1.starts_with("the environment panicked: cursed"));
        assert_eq!(client.state().await["split"], "test");
        assert_eq!(client.reset(json!({ "task": "d", "seed": 1 })).await["observation"]["text"], "d 1");
        assert_eq!(other.step("win").await["reward"], 0.5);
    }
}

#[tokio::test]
async fn after_a_panic_a_session_keeps_its_split_and_draws_other_episodes() {
    let play = async || {
        let server = Running::start(config(), Counters::default());
        let mut client = server.connect().await;
        let mut played = Vec::new();
        client.reset(json!({ "split": "valid" })).await;
        for _ in 0..3 {
            played.push(client.state().await);
            client.refused(step("panic")).await;
            assert_eq!(client.state().await["split"], "valid");
            client.reset(json!({})).await;
        }
        played
    };
    let (played, again) = (play().await, play().await);
    assert_eq!(played, again);
    let listed = |field: &str| played.iter().map(|state| state[field].clone()).collect::<Vec<_>>();
    assert_eq!(listed("episode_id"), ["0-1", "0-2", "0-3"]);
    let seeds = listed("seed");
    assert!(seeds[0] != seeds[1] && seeds[1] != seeds[2] && seeds[0] != seeds[2], "{seeds:?}");
}

#[tokio::test]
async fn an_environment_that_cannot_be_made_is_a_factory_error() {
    let tasks = Counters::default();
    let broken = tasks.broken.clone();
    let server = Running::start(config(), tasks);
    let mut before = server.connect().await;
    before.reset(json!({})).await;
    broken.store(true, Ordering::Relaxed);
    let mut client = server.connect().await;
    let answer = client.next().await.unwrap();
    let data = json!({
        "message": "counter: there is no simulator", "code": "FACTORY_ERROR", "factory_name": "counter",
    });
    assert_eq!(answer, json!({ "type": "error", "data": data }));
    assert_eq!(client.next().await, Err(Some(CloseCode::Normal)));
    // So is one that cannot be replaced after a panic.
    assert_eq!(before.refused(step("panic")).await.0, "FACTORY_ERROR");
    assert_eq!(before.next().await, Err(Some(CloseCode::Error)));
    server.until(|totals| totals.active == 0).await;
}

#[tokio::test]
async fn a_connection_attaches_to_no_other_session() {
    let server = Running::start(config(), Counters::default());
    let mut client = server.connect_to("/ws?session_id=5").await;
    let answer = client.next().await.unwrap();
    assert_eq!(answer["data"]["code"], "SESSION_ERROR");
    assert!(answer["data"]["message"].as_str().unwrap().contains("connect without `session_id`"));
    assert_eq!(client.next().await, Err(Some(CloseCode::Normal)));
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_and_far_over_it_ends_the_session() {
    let server = Running::start(Config { message_bytes: 1024, ..config() }, Counters::default());
    let mut client = server.connect().await;
    client.reset(json!({})).await;
    let (code, message) = client.refused(step(&"x".repeat(1024))).await;
    assert_eq!(code, "VALIDATION_ERROR");
    assert!(message.ends_with("bytes, more than the 1024 that a message may have"), "{message}");
    assert_eq!(client.step("go").await["observation"]["steps"], 1);
    client.send(Message::text("x".repeat(5000))).await;
    assert_eq!(client.next().await, Err(Some(CloseCode::Size)));
    server.until(|totals| totals.active == 0).await;
}

#[tokio::test]
async fn pings_are_answered_and_requests_wait_while_the_environment_works() {
    let gate = Arc::new(Gate::default());
    let server = Running::start(config(), Counters { gate: gate.clone(), ..Counters::default() });
    let mut client = server.connect().await;
    client.reset(json!({})).await;
    for action in ["wait", "first", "second"] {
        client.send(Message::text(step(action).to_string())).await;
    }
    // A ping before the first request that waits is answered now; the others are read later.
    let mut pinging = server.connect().await;
    pinging.reset(json!({})).await;
    pinging.send(Message::text(step("wait").to_string())).await;
    pinging.send(Message::Ping(b"there?".as_slice().into())).await;
    assert_eq!(pinging.0.next().await.unwrap().unwrap(), Message::Pong(b"there?".as_slice().into()));
    gate.open();
    for action in ["wait", "first", "second"] {
        assert_eq!(client.next().await.unwrap()["data"]["observation"]["text"], action);
    }
    assert_eq!(pinging.next().await.unwrap()["data"]["observation"]["text"], "wait");
}

#[tokio::test]
async fn no_frame_but_a_valid_one_is_accepted() {
    use tokio::io::AsyncWriteExt as _;
    let server = Running::start(config(), Counters::default());
    let mut client = server.connect().await;
    client.reset(json!({})).await;
    let tokio_tungstenite::MaybeTlsStream::Plain(stream) = client.0.get_mut() else { panic!("TLS") };
    // A frame with a reserved operation code.
    stream.write_all(&[0x83, 0x80, 0, 0, 0, 0]).await.unwrap();
    assert_eq!(client.next().await, Err(Some(CloseCode::Protocol)));
    server.until(|totals| totals.active == 0).await;
}
