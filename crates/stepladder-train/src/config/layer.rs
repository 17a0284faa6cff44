//! One layer of the configuration: the keys that a preset, a file or a `--set` argument sets, with their origins.

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::earlier;
use super::error::{ConfigError, UnknownKey, WrongType};
use super::keys;
use super::origin::Origin;
use stepladder_env::names::truncate;

// The parser accepts numbers of any size; only their conversion to values can still fail.
const LARGE: &str = "a number is too large: whole numbers end at 2^63 - 1, others at 1.8e308";

/// Content of a layer.
#[derive(Debug, Default)]
pub(super) struct Layer {
    /// Preset that it starts from.
    pub(super) preset: Option<Entry>,
    /// Preset in its place where the data of its environment are absent.
    pub(super) without_data: Option<String>,
    /// Entries in the order in which they apply.
    pub(super) items: Vec<Item>,
    /// Keys that do not exist.
    pub(super) unknown: Vec<UnknownKey>,
}

/// Entry of a layer.
#[derive(Debug)]
pub(super) enum Item {
    /// A value for a key.
    Value(String, Entry),
    /// An optional table that is present, even if empty.
    Present(String),
    /// An optional table that is removed.
    Drop(String, Entry),
}

/// A value with its origin.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) value: Value,
    pub(super) origin: Origin,
    /// Line of the file.
    pub(super) excerpt: Option<String>,
}

/// Source of a layer's text.
#[derive(Debug, Clone, Copy)]
enum Source<'a> {
    Preset(&'a str),
    /// A user's file.
    File {
        path: &'a str,
        may_start_from_preset: bool,
    },
    Run(&'a str),
    Set(&'a str),
}

impl Layer {
    /// Parses an embedded preset.
    pub(super) fn preset(name: &str, text: &str) -> Result<Self, ConfigError> {
        Self::document(Source::Preset(name), text)
    }

    /// Parses the configuration of a run directory.
    pub(super) fn run(path: &str, text: &str) -> Result<Self, ConfigError> {
        Ok(Self::document(Source::Run(path), text)?.completed(&Origin::Run(path.to_owned())))
    }

    /// Parses a user's file.
    pub(super) fn file(path: &str, text: &str) -> Result<Self, ConfigError> {
        Self::document(Source::File { path, may_start_from_preset: true }, text)
    }

    /// Parses a file of a run directory, which may not start from a preset.
    pub(super) fn complete_file(path: &str, text: &str) -> Result<Self, ConfigError> {
        let layer = Self::document(Source::File { path, may_start_from_preset: false }, text)?;
        Ok(layer.completed(&Origin::File { path: path.to_owned(), line: 1 }))
    }

    /// Adds the values that an earlier run had for keys that its tables lack. A run has no tables of algorithms that it does not use,
    /// and a run of HiMAC has none of it where its version had no keys for it.
    fn completed(mut self, origin: &Origin) -> Self {
        let himac = self.items.iter().any(|item| match item {
            Item::Value(path, entry) => {
                path.starts_with("agents.")
                    && path.ends_with(".algo")
                    && entry.value.as_str() == Some("himac")
            }
            _ => false,
        });
        for (path, value) in earlier::values() {
            let table = &path[..path.rfind('.').map_or(0, |dot| dot + 1)];
            let in_table = |item: &Item| matches!(item, Item::Value(known, _) if known.starts_with(table));
            let written = |item: &Item| matches!(item, Item::Value(known, _) if known == path);
            let used = self.items.iter().any(in_table) || (himac && table == "algo.himac.");
            if used && !self.items.iter().any(written) {
                let entry = Entry { value, origin: origin.clone(), excerpt: None };
                self.items.push(Item::Value(path.to_owned(), entry));
            }
        }
        self
    }

    /// Parses a `--set` argument, `a.b.c=value`.
    ///
    /// The value is TOML; text that is not TOML and does not begin like a TOML list, table or string is taken as a string.
    pub(super) fn set(argument: &str) -> Result<Self, ConfigError> {
        let wrong = |problem: String| ConfigError::Set { argument: argument.to_owned(), problem };
        let Some((path, text)) = argument.split_once('=') else {
            return Err(wrong("there is no =".to_owned()));
        };
        let (path, text) = (path.trim(), text.trim());
        let is_name = |name: &str| {
            !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
        };
        if !path.split('.').all(is_name) {
            return Err(wrong(format!("{path:?} is not a key")));
        }
        let value = match text.parse::<Value>() {
            Ok(value) => value,
            Err(error) if text.starts_with(['[', '{', '"', '\'']) => {
                return Err(wrong(format!("the value is not valid TOML: {}", error.message())));
            }
            Err(_) if DeValue::parse(text).is_ok() => return Err(wrong(LARGE.to_owned())),
            Err(_) => Value::String(text.to_owned()),
        };
        let mut nested = value;
        for name in path.rsplit('.') {
            nested = Value::Table(Table::from_iter([(name.to_owned(), nested)]));
        }
        let mut layer = Self::default();
        if let Value::Table(table) = nested {
            layer.walk(&Reader { source: Source::Set(argument), text: "" }, "", table, None)?;
        }
        Ok(layer)
    }

    fn document(source: Source<'_>, text: &str) -> Result<Self, ConfigError> {
        let reader = Reader { source, text };
        let syntax = |error: toml::de::Error| {
            let at = error.span().map_or(0, |span| span.start);
            ConfigError::Syntax {
                at: reader.origin(at),
                message: error.message().to_owned(),
                excerpt: reader.excerpt(at),
            }
        };
        let spans = DeTable::parse(text).map_err(syntax)?;
        let table = text.parse::<Table>().map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            ConfigError::Syntax {
                at: reader.origin(at),
                message: LARGE.to_owned(),
                excerpt: reader.excerpt(at),
            }
        })?;
        let mut layer = Self::default();
        layer.walk(&reader, "", table, Some(spans.get_ref()))?;
        Ok(layer)
    }

    fn walk(
        &mut self,
        reader: &Reader<'_>,
        table: &str,
        content: Table,
        spans: Option<&DeTable<'_>>,
    ) -> Result<(), ConfigError> {
        for (name, value) in content {
            let span = spans.and_then(|spans| spans.get_key_value(name.as_str()));
            let at = span.map_or(0, |(key, _)| key.span().start);
            let entry = Entry { value, origin: reader.origin(at), excerpt: reader.excerpt(at) };
            let path = keys::current(keys::join(table, &name));
            if path == "preset" && reader.may_start_from_preset() {
                self.preset = Some(entry);
            } else if path == "without_data" && matches!(reader.source, Source::Preset(_)) {
                self.without_data = entry.value.as_str().map(str::to_owned);
            } else if !is_bare(&name) || !(keys::is_table(&path) || keys::find(&path).is_some()) {
                self.unknown.push(unknown(table, &name, entry));
            } else if !keys::is_table(&path) {
                self.items.push(Item::Value(path, entry));
            } else {
                self.enter(reader, path, entry, span.and_then(|(_, value)| value.get_ref().as_table()))?;
            }
        }
        Ok(())
    }

    /// Reads a table of the configuration, or the value in its place.
    fn enter(
        &mut self,
        reader: &Reader<'_>,
        path: String,
        entry: Entry,
        spans: Option<&DeTable<'_>>,
    ) -> Result<(), ConfigError> {
        let optional = keys::is_optional(&path);
        match entry.value {
            Value::Table(content) => {
                if optional {
                    self.items.push(Item::Present(path.clone()));
                }
                self.walk(reader, &path, content, spans)
            }
            Value::Boolean(false) if optional => {
                self.items.push(Item::Drop(path, entry));
                Ok(())
            }
            _ => {
                let or_false = if optional { ", or false to omit it" } else { "" };
                let expected = if path == keys::AGENTS {
                    "a table [agents.NAME] for each agent".to_owned()
                } else {
                    format!("a table with {}{or_false}", keys::children(&path).join(", "))
                };
                Err(entry.wrong_type(path, expected, None))
            }
        }
    }
}

impl Entry {
    /// Creates the entry of a declared default.
    pub(super) fn default_of(value: impl Into<Value>) -> Self {
        Self { value: value.into(), origin: Origin::Default, excerpt: None }
    }

    /// Returns the error for a value that does not fit its key.
    pub(super) fn wrong_type(&self, key: String, expected: String, nearest: Option<String>) -> ConfigError {
        ConfigError::WrongType(Box::new(WrongType {
            at: self.origin.clone(),
            key,
            found: describe(&self.value),
            expected,
            nearest,
            excerpt: self.excerpt.clone(),
        }))
    }
}

/// Converter of byte positions to origins.
struct Reader<'a> {
    source: Source<'a>,
    text: &'a str,
}

impl Reader<'_> {
    fn may_start_from_preset(&self) -> bool {
        matches!(self.source, Source::Preset(_) | Source::File { may_start_from_preset: true, .. })
    }

    fn origin(&self, at: usize) -> Origin {
        match self.source {
            Source::Preset(name) => Origin::Preset(name.to_owned()),
            Source::File { path, .. } => Origin::File { path: path.to_owned(), line: self.line(at) },
            Source::Run(path) => Origin::Run(path.to_owned()),
            Source::Set(argument) => Origin::Set(argument.to_owned()),
        }
    }

    fn line(&self, at: usize) -> usize {
        1 + self.text.bytes().take(at).filter(|&byte| byte == b'\n').count()
    }

    /// Returns the line of a file; other sources are short or repeated in the place.
    fn excerpt(&self, at: usize) -> Option<String> {
        let Source::File { .. } = self.source else { return None };
        let line = self.text.lines().nth(self.line(at) - 1)?.trim();
        (!line.is_empty()).then(|| truncate(line, 100))
    }
}

fn unknown(table: &str, name: &str, entry: Entry) -> UnknownKey {
    let shown = if is_bare(name) { name.to_owned() } else { format!("{name:?}") };
    let children = keys::children(table);
    let allowed = if table.is_empty() {
        format!("the top level takes {}", children.join(", "))
    } else if table == keys::AGENTS {
        "an agent's name has letters, digits, _ and -".to_owned()
    } else {
        format!("[{table}] takes {}", children.join(", "))
    };
    UnknownKey {
        at: entry.origin,
        key: keys::join(table, &shown),
        nearest: keys::nearest_path(table, name),
        allowed,
        excerpt: entry.excerpt,
    }
}

/// Whether TOML takes this name without quotes; other names could contain dots.
fn is_bare(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// Renders a value and its type: `"many" (a string)`.
pub(super) fn describe(value: &Value) -> String {
    let kind = match value {
        Value::String(_) => "a string",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "a truth value",
        Value::Datetime(_) => "a date or time",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    };
    format!("{} ({kind})", truncate(&super::show::inline(value), 60))
}
