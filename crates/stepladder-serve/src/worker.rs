//! Where the work of an environment runs: on the thread that serves the connection, or on a pool where it may block. A panic
//! ends only its session.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Where work runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// On the thread of the caller: for work of microseconds.
    Here,
    /// On a pool of threads. Its queue holds at most one piece of work per session.
    Pool,
}

/// Runs work on a value and returns both the value and the result.
///
/// # Errors
/// The text of a panic, and the value in whatever state it is in: dropping it may panic, too ([`finish`]).
pub(crate) async fn run<T, R>(
    place: Place,
    mut value: T,
    work: impl FnOnce(&mut T) -> R + Send + 'static,
) -> Result<(T, R), (Option<T>, String)>
where
    T: Send + 'static,
    R: Send + 'static,
{
    let caught = move || {
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&mut value)));
        match outcome {
            Ok(result) => Ok((value, result)),
            Err(panic) => Err((Some(value), text(&*panic))),
        }
    };
    match place {
        Place::Here => caught(),
        Place::Pool => match tokio::task::spawn_blocking(caught).await {
            Ok(outcome) => outcome,
            // The server ends.
            Err(error) => Err((None, error.to_string())),
        },
    }
}

/// Drops a value in its place, whether or not that panics.
pub(crate) async fn finish<T: Send + 'static>(place: Place, value: T) {
    match place {
        Place::Here => discard(value),
        Place::Pool => {
            let _ = tokio::task::spawn_blocking(|| discard(value)).await;
        }
    }
}

fn discard<T>(value: T) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(value)));
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_returns_its_value_in_either_place() {
        for place in [Place::Here, Place::Pool] {
            let (list, length) = run(place, vec![1], |list| {
                list.push(2);
                list.len()
            })
            .await
            .unwrap();
            assert_eq!((list, length), (vec![1, 2], 2));
        }
    }

    #[tokio::test]
    async fn a_panic_is_an_error_even_if_dropping_panics_too() {
        struct Fragile;
        impl Drop for Fragile {
            fn drop(&mut self) {
                panic!("while dropping");
            }
        }
        for place in [Place::Here, Place::Pool] {
            let outcome = run(place, Fragile, |_| -> u8 { panic!("at {}", 7) }).await;
            let (value, text) = outcome.err().unwrap();
            assert_eq!(text, "at 7");
            finish(place, value.unwrap()).await;
        }
    }
}
