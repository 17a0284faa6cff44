//! Form of transcripts, and comparison of their fields in a replay.

use std::path::Path;

use serde_json::{Map, Value};

use super::{Difference, Report, read_rows};
use crate::contract::EnvError;

/// Fields of a transcript format. `step` is in every row.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// Values of `step` that begin an episode.
    pub first_steps: &'static [u64],
    /// Fields that describe the episode: equal in all rows that have them.
    pub episode: &'static [&'static str],
    /// Fields of the played action.
    pub played: &'static [&'static str],
    /// Compared fields of every row.
    pub required: &'static [&'static str],
    /// Compared fields of some rows.
    pub optional: &'static [&'static str],
}

impl Schema {
    fn fields(&self) -> impl Iterator<Item = &'static str> {
        let lists = [self.episode, self.played, self.required, self.optional];
        std::iter::once("step").chain(lists.into_iter().flatten().copied())
    }

    /// Finds the nearest field to a misspelt name: one edit in up to seven letters, two in longer names.
    fn meant_by(&self, name: &str) -> Option<&'static str> {
        let slips = |field: &str| strsim::damerau_levenshtein(&name.to_lowercase(), field);
        let near = |field: &&str| slips(field) <= if field.chars().count() < 8 { 1 } else { 2 };
        self.fields().filter(near).min_by_key(|field| slips(field))
    }
}

/// A checked row of a transcript.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Row number in the file, from 1.
    pub number: usize,
    /// Step of the episode.
    pub step: u64,
    /// The row begins an episode.
    pub begins: bool,
    path: &'a Path,
    fields: &'a Map<String, Value>,
}

impl<'a> Row<'a> {
    /// Returns a field, if the row has it.
    pub fn get(&self, field: &str) -> Option<&'a Value> {
        self.fields.get(field)
    }

    /// Returns a string field.
    ///
    /// # Errors
    /// [`EnvError::Data`] if the field is missing or of another type.
    pub fn text(&self, field: &str) -> Result<&'a str, EnvError> {
        self.read(field, "a text", Value::as_str)
    }

    /// Returns a field that is a whole number, 0 or more.
    ///
    /// # Errors
    /// [`EnvError::Data`] if the field is missing or of another type.
    pub fn whole(&self, field: &str) -> Result<u64, EnvError> {
        self.read(field, WHOLE, Value::as_u64)
    }

    /// Checks that a row without an action has no action fields.
    ///
    /// # Errors
    /// [`EnvError::Data`] if such a field is present and not null.
    pub fn plays_nothing(&self, field: &str) -> Result<(), EnvError> {
        match self.get(field) {
            None | Some(Value::Null) => Ok(()),
            Some(value) => Err(self.broken(format!(
                "`{field}` is {}, but step {} begins the episode and plays nothing; expected null",
                short(value),
                self.step
            ))),
        }
    }

    /// Makes an error that names this row.
    pub fn broken(&self, reason: impl std::fmt::Display) -> EnvError {
        broken(self.path, self.number, reason)
    }

    fn read<T>(
        &self,
        field: &str,
        expected: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<T, EnvError> {
        let value = self.get(field).ok_or_else(|| self.broken(format!("no `{field}`")))?;
        read(value).ok_or_else(|| self.broken(format!("`{field}` is {}; expected {expected}", short(value))))
    }
}

const WHOLE: &str = "a whole number, 0 or more";

fn broken(path: &Path, number: usize, reason: impl std::fmt::Display) -> EnvError {
    EnvError::Data { path: path.to_owned(), reason: format!("row {number}: {reason}") }
}

/// Formats a value for a message.
fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Replay of a transcript: checks the form of its rows and counts compared fields.
///
/// Within an episode `step` counts up by one and the fields that describe the episode are constant. A field outside the
/// schema is an error if it resembles one of the schema, and is otherwise reported as not compared.
///
/// ```
/// use std::path::Path;
/// use serde_json::json;
/// use stepladder_env::transcript::{Replay, Schema};
/// const SCHEMA: Schema = Schema {
///     first_steps: &[0],
///     episode: &["game"],
///     played: &["command"],
///     required: &["observation"],
///     optional: &["won"],
/// };
/// let mut replay = Replay::new("toy", Path::new("toy.jsonl"));
/// let first = json!({ "game": "a", "step": 0, "observation": "Hello." });
/// let row = replay.row(&SCHEMA, &first)?;
/// assert!(row.begins);
/// replay.compare(&row, "a", vec![("observation", json!("Hello.")), ("won", json!(false))]);
/// let skipped = json!({ "game": "a", "step": 2, "command": "look", "observation": "" });
/// assert_eq!(
///     replay.row(&SCHEMA, &skipped).unwrap_err().to_string(),
///     "toy.jsonl: row 2: `step` is 2 after 0; the rows of an episode count up by one"
/// );
/// let report = replay.finish();
/// assert_eq!((report.rows, report.mismatches, report.compared_fields["observation"]), (1, 0, 1));
/// # Ok::<(), stepladder_env::EnvError>(())
/// ```
#[derive(Debug)]
pub struct Replay<'a> {
    path: &'a Path,
    report: Report,
    number: usize,
    /// The step of the row before, and the first row of its episode.
    before: Option<(u64, &'a Map<String, Value>)>,
    tolerance: f64,
}

impl<'a> Replay<'a> {
    /// Starts the replay of the file `path`, row by row.
    pub fn new(env: &str, path: &'a Path) -> Self {
        Self { path, report: Report::new(env), number: 0, before: None, tolerance: 0.0 }
    }

    /// Sets the absolute tolerance of number comparisons.
    pub fn within(self, tolerance: f64) -> Self {
        Self { tolerance, ..self }
    }

    /// Reads all rows of the file.
    ///
    /// # Errors
    /// As [`read_rows`].
    pub fn rows(&self) -> Result<Vec<Value>, EnvError> {
        read_rows(self.path)
    }

    /// Checks the form of the next row.
    ///
    /// # Errors
    /// [`EnvError::Data`] with the row and what is wrong with it.
    pub fn row(&mut self, schema: &Schema, value: &'a Value) -> Result<Row<'a>, EnvError> {
        self.number += 1;
        let (path, number) = (self.path, self.number);
        let broken = |reason: String| broken(path, number, reason);
        let fields = value.as_object().ok_or_else(|| broken(format!("{} is no row", short(value))))?;
        let mut row = Row { number, step: 0, begins: false, path, fields };
        self.names(schema, &row)?;
        row.step = row.whole("step")?;
        let first = schema.first_steps.contains(&row.step);
        row.begins = match self.before {
            None if first => true,
            None => {
                let steps: Vec<String> = schema.first_steps.iter().map(u64::to_string).collect();
                let step = row.step;
                return Err(broken(format!(
                    "`step` is {step}, but a transcript begins with step {}",
                    steps.join(" or ")
                )));
            }
            Some((before, _)) => row.step == 0 || (first && before + 1 != row.step),
        };
        match self.before {
            Some((before, first)) if !row.begins => {
                if before.checked_add(1) != Some(row.step) {
                    return Err(broken(format!(
                        "`step` is {} after {before}; the rows of an episode count up by one",
                        row.step
                    )));
                }
                for field in schema.episode {
                    let Some(now) = fields.get(*field) else { continue };
                    let then = first.get(*field);
                    if then != Some(now) {
                        let now = short(now);
                        let then =
                            then.map_or_else(|| "out it".to_owned(), |then| format!(" {}", short(then)));
                        return Err(broken(format!(
                            "`{field}` is {now} in an episode that began with{then}; an episode begins with step {}",
                            schema.first_steps[0]
                        )));
                    }
                }
                self.before = Some((row.step, first));
            }
            _ => self.before = Some((row.step, fields)),
        }
        Ok(row)
    }

    /// Checks the field names of a row.
    fn names(&mut self, schema: &Schema, row: &Row<'_>) -> Result<(), EnvError> {
        let unknown: Vec<&String> =
            row.fields.keys().filter(|name| !schema.fields().any(|field| field == *name)).collect();
        for name in &unknown {
            if let Some(field) = schema.meant_by(name)
                && !row.fields.contains_key(field)
            {
                return Err(row.broken(format!("unknown field `{name}`; did you mean `{field}`?")));
            }
        }
        if let Some(field) = schema.required.iter().find(|field| !row.fields.contains_key(**field)) {
            return Err(row.broken(format!("no `{field}`; every row has {}", list(schema.required))));
        }
        for name in unknown {
            self.skip(&format!("{name} (rows of {} have no such field)", self.report.env));
        }
        Ok(())
    }

    /// Records a present field that is not compared, with the reason.
    pub fn skip(&mut self, field: &str) {
        if !self.report.skipped_fields.iter().any(|known| known == field) {
            self.report.skipped_fields.push(field.to_owned());
        }
    }

    /// Compares the fields of a row with this program's values; `task` names the episode in a difference.
    pub fn compare(&mut self, row: &Row<'_>, task: &str, found: Vec<(&'static str, Value)>) {
        let mut differences = Vec::new();
        for (field, found) in found {
            let Some(expected) = row.get(field) else { continue };
            *self.report.compared_fields.entry(field.to_owned()).or_default() += 1;
            let equal = match (expected.as_f64(), found.as_f64()) {
                (Some(one), Some(other)) => (one - other).abs() <= self.tolerance,
                _ => *expected == found,
            };
            if !equal {
                differences.push(Difference {
                    file: self.path.display().to_string(),
                    row: row.number,
                    task: task.to_owned(),
                    field: field.to_owned(),
                    expected: expected.clone(),
                    found,
                });
            }
        }
        self.report.row(differences);
    }

    /// Returns the report.
    pub fn finish(self) -> Report {
        self.report
    }
}

/// Formats a list: `a, b and c`, each as code.
fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SCHEMA: Schema = Schema {
        first_steps: &[0, 1],
        episode: &["task"],
        played: &["command"],
        required: &["observation", "done"],
        optional: &["admissible"],
    };

    fn rows(values: &[Value]) -> Result<Report, String> {
        let mut replay = Replay::new("toy", Path::new("f"));
        for value in values {
            let row = replay.row(&SCHEMA, value).map_err(|error| error.to_string())?;
            replay.compare(&row, "t", vec![("observation", json!("")), ("admissible", json!([]))]);
        }
        Ok(replay.finish())
    }

    fn row(step: u64, task: &str) -> Value {
        json!({ "step": step, "task": task, "command": "x", "observation": "", "done": false })
    }

    fn with(field: &str, value: Value) -> Value {
        let mut row = row(0, "a");
        row[field] = value;
        row
    }

    #[test]
    fn steps_count_on_within_an_episode() {
        let report = rows(&[row(0, "a"), row(1, "a"), row(2, "a"), row(1, "b"), row(2, "b"), row(0, "b")]);
        assert_eq!(report.unwrap().rows, 6);
        for (values, message) in [
            (vec![row(2, "a")], "f: row 1: `step` is 2, but a transcript begins with step 0 or 1"),
            (
                vec![row(0, "a"), row(2, "a")],
                "f: row 2: `step` is 2 after 0; the rows of an episode count up by one",
            ),
            (
                vec![row(1, "a"), row(2, "a"), row(2, "a")],
                "f: row 3: `step` is 2 after 2; the rows of an episode count up by one",
            ),
            (
                vec![row(0, "a"), row(1, "b")],
                "f: row 2: `task` is \"b\" in an episode that began with \"a\"; an episode begins with step 0",
            ),
            (vec![json!([])], "f: row 1: [] is no row"),
        ] {
            assert_eq!(rows(&values).unwrap_err(), message);
        }
        for step in [json!(-1), json!("1"), json!(1.5), json!(1e30), json!(null)] {
            let message = format!("f: row 1: `step` is {step}; expected a whole number, 0 or more");
            assert_eq!(rows(&[with("step", step)]).unwrap_err(), message);
        }
    }

    #[test]
    fn misspelt_fields_are_refused_and_foreign_ones_named() {
        let mut misspelt = row(0, "a");
        misspelt.as_object_mut().unwrap().remove("observation");
        assert_eq!(
            rows(&[misspelt.clone()]).unwrap_err(),
            "f: row 1: no `observation`; every row has `observation` and `done`"
        );
        misspelt["observaton"] = json!("");
        assert_eq!(
            rows(&[misspelt]).unwrap_err(),
            "f: row 1: unknown field `observaton`; did you mean `observation`?"
        );
        assert_eq!(
            rows(&[with("Admissable", json!([]))]).unwrap_err(),
            "f: row 1: unknown field `Admissable`; did you mean `admissible`?"
        );
        let report = rows(&[with("comment", json!(1)), with("admissible", json!([]))]).unwrap();
        assert_eq!(report.skipped_fields, ["comment (rows of toy have no such field)"]);
        let compared: Vec<(&str, usize)> =
            report.compared_fields.iter().map(|(field, rows)| (field.as_str(), *rows)).collect();
        assert_eq!(compared, [("admissible", 1), ("observation", 2)]);
    }
}
