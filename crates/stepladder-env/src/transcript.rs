//! Recorded episodes of the originals: reader, and report of a replay.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::contract::EnvError;

mod replay;

pub use replay::{Replay, Row, Schema};

/// Opens a `.jsonl` or `.jsonl.zst` file.
///
/// # Errors
/// [`EnvError::Data`] naming the file.
pub fn open(path: &Path) -> Result<Box<dyn BufRead>, EnvError> {
    let data = |reason: String| EnvError::Data { path: path.to_owned(), reason };
    let file =
        fs_err::File::open(path).map_err(|error| data(format!("cannot open the transcript: {error}")))?;
    let reader: Box<dyn Read> = if path.extension().is_some_and(|extension| extension == "zst") {
        Box::new(zstd::Decoder::new(file).map_err(|error| data(format!("not a zstd file: {error}")))?)
    } else {
        Box::new(file)
    };
    Ok(Box::new(BufReader::new(reader)))
}

/// Reads the rows of a `.jsonl` or `.jsonl.zst` transcript.
///
/// # Errors
/// [`EnvError::Data`] naming the file and, where there is one, the line. A file without a row is an error too.
pub fn read_rows(path: &Path) -> Result<Vec<Value>, EnvError> {
    let data = |reason: String| EnvError::Data { path: path.to_owned(), reason };
    let mut rows = Vec::new();
    for (index, line) in open(path)?.lines().enumerate() {
        let line = line.map_err(|error| data(format!("line {}: {error}", index + 1)))?;
        if line.trim().is_empty() {
            continue;
        }
        rows.push(
            serde_json::from_str(&line)
                .map_err(|error| data(format!("line {} is not JSON: {error}", index + 1)))?,
        );
    }
    if rows.is_empty() {
        return Err(data("the transcript holds no row".to_owned()));
    }
    Ok(rows)
}

/// First row in which the original and this program differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Transcript file.
    pub file: String,
    /// Row number in the file, from 1.
    pub row: usize,
    /// Task, as named in the transcript.
    pub task: String,
    /// Differing field.
    pub field: String,
    /// Value in the transcript.
    pub expected: Value,
    /// Value of this program.
    pub found: Value,
}

/// Report of `env verify`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// Environment id.
    pub env: String,
    /// Rows compared.
    pub rows: usize,
    /// Rows with at least one difference.
    pub mismatches: usize,
    /// Fields that were compared, and in how many rows each.
    pub compared_fields: BTreeMap<String, usize>,
    /// Fields that were present but were not compared, with the reason.
    pub skipped_fields: Vec<String>,
    /// The first difference, if any.
    pub first_difference: Option<Difference>,
}

impl Report {
    /// Makes an empty report.
    pub fn new(env: &str) -> Self {
        Self { env: env.to_owned(), ..Self::default() }
    }

    /// Counts one row; `differences` are its differing fields.
    pub fn row(&mut self, differences: Vec<Difference>) {
        self.rows += 1;
        if let Some(first) = differences.into_iter().next() {
            self.mismatches += 1;
            self.first_difference.get_or_insert(first);
        }
    }

    /// Adds another file's report to this one.
    pub fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.mismatches += other.mismatches;
        for (field, rows) in other.compared_fields {
            *self.compared_fields.entry(field).or_default() += rows;
        }
        for field in other.skipped_fields {
            if !self.skipped_fields.contains(&field) {
                self.skipped_fields.push(field);
            }
        }
        if self.first_difference.is_none() {
            self.first_difference = other.first_difference;
        }
    }
}
