//! Lists of tasks by split, as OpenEnv's task routes offer them.

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use stepladder_env::EnvError;
use stepladder_env::names::shorten;
use stepladder_env::session::{SharedTasks, Split};

use crate::field::{optional, required};
use crate::http::{Received, body, ok, problem, refused};
use crate::state::Shared;
use crate::worker::{self, Place};

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/list_environments", get(environments))
        .route("/{env}/splits", get(splits))
        .route("/{env}/tasks", post(tasks))
        .route("/{env}/num_tasks", post(number))
        .route("/{env}/task", post(task))
        .route("/{env}/task_range", post(range))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfSplit {
    #[serde(deserialize_with = "required")]
    split: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfTask {
    #[serde(deserialize_with = "required")]
    split: String,
    #[serde(deserialize_with = "required")]
    index: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfRange {
    #[serde(deserialize_with = "required")]
    split: String,
    #[serde(default, deserialize_with = "optional")]
    start: Option<u64>,
    #[serde(default, deserialize_with = "optional")]
    stop: Option<u64>,
}

type Here = State<Arc<Shared>>;

/// Name of an environment in the address.
struct Name(String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(name)| Self(name)).map_err(|error| problem(error.status(), &error.body_text()))
    }
}

async fn environments(State(shared): Here) -> Response {
    ok(&[shared.tasks.spec().id])
}

async fn splits(State(shared): Here, Name(env): Name) -> Response {
    let list = || {
        let splits = shared.tasks.spec().splits.iter();
        ok(&splits.map(|name| json!({ "name": name, "type": kind(name) })).collect::<Vec<_>>())
    };
    unknown(&shared, &env).unwrap_or_else(list)
}

/// Returns the kind of a split in OpenEnv's words.
fn kind(split: &str) -> &'static str {
    let begins =
        |word: &str| split.strip_prefix(word).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric));
    match split {
        _ if begins("train") => "train",
        _ if begins("test") => "test",
        _ => "validation",
    }
}

async fn tasks(State(shared): Here, Name(env): Name, received: Received) -> Response {
    let id = shared.tasks.spec().id;
    answer(shared, &env, received, |OfSplit { split }| {
        (split, move |tasks, split| {
            Ok(json!({ "tasks": listed(tasks, split, 0, usize::MAX), "env_name": id }))
        })
    })
    .await
}

async fn number(State(shared): Here, Name(env): Name, received: Received) -> Response {
    answer(shared, &env, received, |OfSplit { split }| {
        (split, |_: &SharedTasks, split: &Split| Ok(json!({ "num_tasks": split.keys().len() })))
    })
    .await
}

async fn task(State(shared): Here, Name(env): Name, received: Received) -> Response {
    answer(shared, &env, received, |OfTask { split, index }| {
        (split, move |tasks: &SharedTasks, split: &Split| {
            let count = split.keys().len();
            match usize::try_from(index).ok().filter(|index| *index < count) {
                Some(index) => Ok(json!({ "task": described(tasks, split, index) })),
                None => Err(EnvError::Usage(format!(
                    "Invalid task index: the split has {count} tasks, counted from 0"
                ))),
            }
        })
    })
    .await
}

async fn range(State(shared): Here, Name(env): Name, received: Received) -> Response {
    answer(shared, &env, received, |OfRange { split, start, stop }| {
        let bound = |bound: Option<u64>, otherwise| {
            bound.map_or(otherwise, |at| usize::try_from(at).unwrap_or(usize::MAX))
        };
        let (start, stop) = (bound(start, 0), bound(stop, usize::MAX));
        (split, move |tasks: &SharedTasks, split: &Split| {
            Ok(json!({ "tasks": listed(tasks, split, start, stop) }))
        })
    })
    .await
}

/// Answers a question about a split. `read` turns the request into the name of the split and the question.
async fn answer<T, Q>(
    shared: Arc<Shared>,
    env: &str,
    received: Received,
    read: impl FnOnce(T) -> (String, Q),
) -> Response
where
    T: serde::de::DeserializeOwned,
    Q: FnOnce(&SharedTasks, &Split) -> Result<Value, EnvError> + Send + 'static,
{
    if let Some(response) = unknown(&shared, env) {
        return response;
    }
    let (name, question) = match body::<T>(received) {
        Ok(request) => read(request),
        Err((status, text)) => return problem(status, &text),
    };
    // The first question about a split reads its list.
    let asked = worker::run(Place::Pool, shared, move |shared| {
        let split = shared.tasks.split(&name)?;
        question(&shared.tasks, &split)
    });
    match asked.await {
        Ok((_, Ok(value))) => ok(&value),
        Ok((shared, Err(error))) => refused(&shared.config, &error),
        Err((_, panic)) => {
            problem(StatusCode::INTERNAL_SERVER_ERROR, &format!("the environment panicked: {panic}"))
        }
    }
}

/// Returns the answer to a request for another environment.
fn unknown(shared: &Shared, env: &str) -> Option<Response> {
    let here = shared.tasks.spec().id;
    let text = || format!("unknown environment `{}`; this server has {here}", shorten(env));
    (!env.eq_ignore_ascii_case(here)).then(|| problem(StatusCode::NOT_FOUND, &text()))
}

/// Describes the tasks of a range, as far as it lies within the split.
fn listed(tasks: &SharedTasks, split: &Split, start: usize, stop: usize) -> Vec<Value> {
    (start..stop.min(split.keys().len())).map(|index| described(tasks, split, index)).collect()
}

fn described(tasks: &SharedTasks, split: &Split, index: usize) -> Value {
    let key = &split.keys()[index];
    json!({ "id": key.id, "index": index, "split": split.name(), "family": tasks.tasks().family(key) })
}

#[cfg(test)]
mod tests {
    use super::kind;

    #[test]
    fn splits_have_the_kinds_of_openenv() {
        let kinds =
            ["train", "train-6x6-1", "train_dev", "trainer", "dev", "valid_seen", "test", "test-6x6-1"]
                .map(kind);
        assert_eq!(
            kinds,
            ["train", "train", "train", "validation", "validation", "validation", "test", "test"]
        );
    }
}
