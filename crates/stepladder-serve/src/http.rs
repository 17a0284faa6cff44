//! Routes: health, description, sessions, and episodes without a session.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{any, get, post};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use stepladder_env::EnvError;

use crate::config::Config;
use crate::message::{self, Code, Failure, SessionState};
use crate::player::{Beginning, Player};
use crate::state::Shared;
use crate::worker::{self, Place};
use crate::{auth, connection, schema, tasks};

/// Bytes that one read of a session's socket may take. The default, 128 KiB, is a lot for a session whose messages are short.
const READ_BUFFER: usize = 8 << 10;

/// Longest time for a request, its body included.
const LONGEST: Duration = Duration::from_secs(120);

/// Body of a request, as far as it could be read.
pub(crate) type Received = Result<axum::body::Bytes, BytesRejection>;

/// Returns the routes of a server.
pub(crate) fn routes(shared: &Arc<Shared>) -> Router {
    let open = Router::new()
        .route("/health", get(async || ok(&json!({ "status": "healthy" }))))
        .method_not_allowed_fallback(wrong_method);
    let guarded = Router::new()
        .route("/ws", any(session))
        .route("/schema", get(async || ok(&schema::all())))
        .route("/metadata", get(metadata))
        .route("/state", get(state))
        .route("/reset", post(reset))
        .route("/step", post(step))
        .merge(tasks::routes())
        .fallback(async || problem(StatusCode::NOT_FOUND, "there is no such route; sessions are at /ws"))
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn(in_time))
        .layer(from_fn_with_state(shared.clone(), auth::check))
        .layer(DefaultBodyLimit::max(shared.config.message_bytes));
    open.merge(guarded).with_state(shared.clone())
}

/// Ends a request whose body does not arrive, or whose environment does not answer.
async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(LONGEST, next.run(request)).await {
        Ok(response) => response,
        Err(_) => problem(StatusCode::REQUEST_TIMEOUT, "the request took too long"),
    }
}

async fn wrong_method() -> Response {
    problem(StatusCode::METHOD_NOT_ALLOWED, "this route has another method; sessions are at /ws")
}

/// Answers with JSON.
pub(crate) fn ok(value: &impl Serialize) -> Response {
    json_response(StatusCode::OK, serde_json::to_string(value).unwrap_or_default())
}

/// Answers with an error, laid out as OpenEnv does.
pub(crate) fn problem(status: StatusCode, text: &str) -> Response {
    json_response(status, json!({ "detail": text }).to_string())
}

/// Answers with an error of the environment: 400 for a name that it lacks, 500 for a failure.
pub(crate) fn refused(config: &Config, error: &EnvError) -> Response {
    let status = match error {
        EnvError::UnknownSplit { .. } | EnvError::UnknownTask { .. } | EnvError::Usage(_) => {
            StatusCode::BAD_REQUEST
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    problem(status, &config.told(error))
}

fn json_response(status: StatusCode, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let kind = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Reads the body of a request; an empty one is an empty object.
///
/// # Errors
/// Status and text of the answer to send: 413 or 422.
pub(crate) fn body<T: DeserializeOwned>(received: Received) -> Result<T, (StatusCode, String)> {
    let bytes = received.map_err(|error| (error.status(), error.body_text()))?;
    let invalid = |text: String| (StatusCode::UNPROCESSABLE_ENTITY, text);
    let value = match &*bytes {
        b"" => Value::Object(Map::new()),
        bytes => serde_json::from_slice(bytes).map_err(|error| invalid(format!("Invalid JSON: {error}")))?,
    };
    message::parse("body", value).map_err(|failure| invalid(failure.message))
}

async fn session(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<HashMap<String, String>>, QueryRejection>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(error) => return problem(error.status(), &error.body_text()),
    };
    let Query(query) = match query {
        Ok(query) => query,
        Err(error) => return problem(error.status(), &error.body_text()),
    };
    let most = shared.config.message_bytes.saturating_mul(connection::READ);
    let session = query.get("session_id").cloned();
    upgrade
        .read_buffer_size(READ_BUFFER)
        .max_message_size(most)
        .max_frame_size(most)
        .on_upgrade(move |socket| connection::serve(socket, shared, session))
}

async fn metadata(State(shared): State<Arc<Shared>>) -> Response {
    let spec = shared.tasks.spec();
    let description =
        format!("{} Reproduces {}. Splits: {}.", sentence(spec.summary), spec.upstream, spec.split_list());
    ok(&json!({
        "name": spec.id,
        "description": description,
        "readme_content": null,
        "version": spec.version.to_string(),
        "author": "Stepladder",
        "documentation_url": env!("CARGO_PKG_REPOSITORY"),
    }))
}

fn sentence(text: &str) -> String {
    if text.ends_with('.') { text.to_owned() } else { format!("{text}.") }
}

/// State of a session that has not begun: sessions tell theirs on their connection.
async fn state(State(shared): State<Arc<Shared>>) -> Response {
    let split = &shared.config.split;
    let limit = shared.config.max_steps.unwrap_or_else(|| shared.tasks.tasks().max_steps(split));
    ok(&SessionState {
        episode_id: None,
        step_count: 0,
        env: shared.tasks.spec().id,
        split,
        task_id: None,
        task_index: None,
        family: None,
        seed: None,
        score: 0.0,
        won: false,
        max_steps: limit,
    })
}

/// Shows the beginning of an episode, for which a session is opened and closed.
async fn reset(State(shared): State<Arc<Shared>>, received: Received) -> Response {
    let data = match body::<Value>(received).map(message::reset) {
        Ok(Ok(data)) => data,
        Ok(Err(failure)) => return problem(StatusCode::UNPROCESSABLE_ENTITY, &failure.message),
        Err((status, text)) => return problem(status, &text),
    };
    let Some(seat) = shared.counts.sit(shared.config.sessions) else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "all sessions are active; try again later");
    };
    let played = worker::run(Place::Pool, shared, move |shared| {
        let mut player = Player::open(shared, Beginning::first(&shared.config, seat.number))?;
        let text = player.reset(&data, |outcome| serde_json::to_string(outcome).unwrap_or_default())?;
        shared.counts.start();
        drop(player);
        drop(seat);
        Ok::<_, Failure>(text)
    });
    match played.await {
        Ok((_, Ok(text))) => json_response(StatusCode::OK, text),
        Ok((_, Err(failure))) => {
            let fault = failure.code == Code::FactoryError;
            problem(
                if fault { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::BAD_REQUEST },
                &failure.message,
            )
        }
        Err((_, panic)) => {
            problem(StatusCode::INTERNAL_SERVER_ERROR, &format!("the environment panicked: {panic}"))
        }
    }
}

/// Refuses a step: a request of its own has no episode to continue.
async fn step() -> Response {
    problem(StatusCode::CONFLICT, "a step needs a session: open a WebSocket at /ws, send a reset, then steps")
}
