//! Panics and libtorch errors as one-sentence messages.

use std::any::Any;

/// Beginning of the panic message of `unwrap` on an error; tch's operators panic this way.
const UNWRAPPED: &str = "called `Result::unwrap()` on an `Err` value: ";
/// Messages of libtorch's allocators when memory runs out.
const NO_MEMORY: [&str; 4] =
    ["out of memory", "can't allocate memory", "not enough memory", "Cannot allocate memory"];

/// Returns the message of a panic. A libtorch message is cut to its first line: the others are a stack trace.
pub fn of_panic(payload: &(dyn Any + Send)) -> String {
    let text = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => return "it panicked without a message".to_owned(),
    };
    let Some(error) = text.strip_prefix(UNWRAPPED) else { return text };
    match error.strip_prefix("Torch(\"").and_then(|rest| rest.strip_suffix("\")")) {
        Some(quoted) => format!("libtorch: {}", first_line(&unquoted(quoted))),
        None => error.to_owned(),
    }
}

/// Reverses the escapes of `{:?}`.
fn unquoted(quoted: &str) -> String {
    let mut text = String::with_capacity(quoted.len());
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some(other) => text.push(other),
                None => {}
            },
            (c, false) => text.push(c),
        }
    }
    text
}

/// Returns libtorch's message without stack trace and full stop.
pub fn first_line(message: &str) -> &str {
    let line = message.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or(message);
    line.strip_suffix('.').unwrap_or(line)
}

/// Remedy for messages that report exhausted memory; empty for all others.
pub fn advice(message: &str) -> &'static str {
    if NO_MEMORY.iter().any(|sign| message.contains(sign)) {
        "; use smaller batches (batch_tokens), fewer slots or fewer threads"
    } else {
        ""
    }
}
