//! What killed a thread, in one sentence.

use std::any::Any;

/// How a panic begins whose value was an error (`unwrap`); tch's operators panic so.
const UNWRAPPED: &str = "called `Result::unwrap()` on an `Err` value: ";
/// How the allocators of libtorch say that there is no memory left.
const NO_MEMORY: [&str; 4] =
    ["out of memory", "can't allocate memory", "not enough memory", "Cannot allocate memory"];

/// The message of a panic. Of libtorch's own message, the first line: the others are its stack.
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

/// A string as `{:?}` has it, as it was.
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

/// libtorch's message without its stack and its full stop.
pub fn first_line(message: &str) -> &str {
    let line = message.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or(message);
    line.strip_suffix('.').unwrap_or(line)
}

/// What to do where a message says that memory ran out.
pub fn advice(message: &str) -> &'static str {
    if NO_MEMORY.iter().any(|sign| message.contains(sign)) {
        "; use smaller batches (batch_tokens), fewer slots or fewer threads"
    } else {
        ""
    }
}
