//! Lines on standard error. A run never depends on whether they can be written.

use std::fmt::Display;
use std::io::Write;

/// Writes a line to standard error. Drops a line that cannot be written: a full disk or a closed pipe must not end the work
/// (`eprintln!` panics there).
pub(crate) fn line(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Writes a [`line()`] with the arguments of `format!`.
macro_rules! note {
    ($($part:tt)*) => { $crate::stderr::line(::std::format_args!($($part)*)) };
}

pub(crate) use note;
