//! Loading: preset → user file → `--set`, merged key by key.

use std::collections::BTreeMap;
use std::path::Path;

use toml::{Table, Value};

use super::Config;
use super::error::{ConfigError, UnknownKey};
use super::keys::{self, AGENTS, Kind};
use super::layer::{Entry, Item, Layer};
use super::origin::{Origin, Origins};

/// The embedded presets by name.
pub(crate) const PRESETS: &[(&str, &str)] = &[
    ("ablations", include_str!("../../../../presets/ablations.toml")),
    ("alfworld", include_str!("../../../../presets/alfworld.toml")),
    ("alfworld-cpu", include_str!("../../../../presets/alfworld-cpu.toml")),
    ("demo", include_str!("../../../../presets/demo.toml")),
    ("himac-ablations", include_str!("../../../../presets/himac-ablations.toml")),
    ("himac-sokoban", include_str!("../../../../presets/himac-sokoban.toml")),
    ("horizon", include_str!("../../../../presets/horizon.toml")),
    ("rl-household", include_str!("../../../../presets/rl-household.toml")),
    ("rl-sokoban", include_str!("../../../../presets/rl-sokoban.toml")),
    ("rl-sokoban-8x8", include_str!("../../../../presets/rl-sokoban-8x8.toml")),
    ("scienceworld", include_str!("../../../../presets/scienceworld.toml")),
    ("scienceworld-ablations", include_str!("../../../../presets/scienceworld-ablations.toml")),
    ("scienceworld-cpu", include_str!("../../../../presets/scienceworld-cpu.toml")),
];

/// The preset that messages and the reference page take as their example.
pub(super) const EXAMPLE: &str = "demo";

/// A checked configuration, and where each value was written.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Every value; [`super::check()`] found nothing wrong.
    pub config: Config,
    /// Where each key's value was written, by dotted path.
    pub origins: Origins,
    /// Name of the preset, or of the file without folder and `.toml`.
    pub name: String,
    /// The complete configuration as TOML, for [`from_resolved`].
    pub text: String,
}

/// Loads a preset by name, or a file by path (it ends in `.toml` or contains `/`), and applies `--set` arguments in order.
///
/// # Errors
/// [`ConfigError`] for anything that keeps the configuration from being used.
pub fn load(preset_or_file: &str, sets: &[String]) -> Result<Loaded, ConfigError> {
    let mut layers = Vec::new();
    let name = if preset_or_file.contains('/') || preset_or_file.ends_with(".toml") {
        let text = read(preset_or_file)?;
        let layer = Layer::file(preset_or_file, &text)?;
        if let Some(start) = &layer.preset {
            layers.push(starting_preset(start)?);
        }
        layers.push(layer);
        let stem = Path::new(preset_or_file).file_stem();
        stem.map_or_else(|| preset_or_file.to_owned(), |stem| stem.to_string_lossy().into_owned())
    } else {
        layers.push(preset(preset_or_file, None)?);
        preset_or_file.to_owned()
    };
    for argument in sets {
        layers.push(Layer::set(argument)?);
    }
    let (config, origins) = resolve(preset_or_file, layers, Chain::User)?;
    let text = super::show::resolved(&config);
    Ok(Loaded { config, origins, name, text })
}

/// Reads a complete configuration, as [`Loaded::text`] has it; `name` stands for it in messages.
///
/// # Errors
/// [`ConfigError`] if it is not TOML, not complete, or not one that this version accepts.
pub fn from_resolved(text: &str, name: &str) -> Result<Config, ConfigError> {
    Ok(resolve(name, vec![Layer::complete_file(name, text)?], Chain::Resolved)?.0)
}

fn read(path: &str) -> Result<String, ConfigError> {
    fs_err::read_to_string(path).map_err(|source| {
        let path = Path::new(path).to_owned();
        if source.kind() != std::io::ErrorKind::NotFound {
            return ConfigError::Unreadable(source);
        }
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let nearest = nearest_preset(&stem).map(|name| format!("the preset {name}"));
        ConfigError::NoSuchFile { nearest, known: preset_names(), path }
    })
}

fn starting_preset(start: &Entry) -> Result<Layer, ConfigError> {
    match &start.value {
        Value::String(name) => preset(name, Some(&start.origin)),
        _ => {
            let names: Vec<String> = preset_names().iter().map(|name| format!("{name:?}")).collect();
            let expected = format!("the name of a preset: {}", names.join(" or "));
            Err(start.wrong_type("preset".to_owned(), expected, None))
        }
    }
}

fn preset(name: &str, at: Option<&Origin>) -> Result<Layer, ConfigError> {
    match PRESETS.iter().find(|(known, _)| *known == name) {
        Some((known, text)) => Layer::preset(known, text),
        None => Err(ConfigError::UnknownPreset {
            at: at.cloned(),
            name: name.to_owned(),
            nearest: nearest_preset(name),
            known: preset_names(),
        }),
    }
}

fn preset_names() -> Vec<&'static str> {
    PRESETS.iter().map(|(name, _)| *name).collect()
}

fn nearest_preset(name: &str) -> Option<String> {
    keys::nearest(name, preset_names()).map(str::to_owned)
}

/// Which layers are resolved; decides what to advise.
#[derive(Debug, Clone, Copy)]
enum Chain {
    /// What a user wrote.
    User,
    /// What an earlier run resolved.
    Resolved,
}

fn resolve(name: &str, mut layers: Vec<Layer>, chain: Chain) -> Result<(Config, Origins), ConfigError> {
    let unknown: Vec<_> = layers.iter_mut().flat_map(|layer| std::mem::take(&mut layer.unknown)).collect();
    if !unknown.is_empty() {
        return Err(ConfigError::UnknownKeys(unknown));
    }
    let mut merged = Merged::new(layers);
    if !merged.strangers.is_empty() {
        return Err(ConfigError::UnknownKeys(merged.strangers));
    }
    super::profile::apply(&mut merged.values);
    let missing = merged.missing();
    if !missing.is_empty() {
        let them = if missing.len() == 1 && !missing[0].starts_with('[') { "it" } else { "them" };
        let has_preset = merged.values.values().any(|entry| matches!(entry.origin, Origin::Preset(_)));
        let remedy = match chain {
            Chain::Resolved => "it was written by another version, or changed since".to_owned(),
            _ if let Some(sentence) = merged.misnamed(&missing) => sentence,
            // A preset is complete, so only what was dropped with `false` can then have gaps.
            Chain::User if has_preset => format!("write {them} too, or do not set the table to false"),
            Chain::User => format!("write {them}, or start from a preset with preset = {EXAMPLE:?}"),
        };
        return Err(ConfigError::Missing { name: name.to_owned(), keys: missing, remedy });
    }
    let config = merged.config(name)?;
    let origins = merged.values.into_iter().map(|(path, entry)| (path, entry.origin)).collect();
    let violations = super::check(&config, &origins, matches!(chain, Chain::User));
    if violations.is_empty() {
        Ok((config, origins))
    } else {
        Err(ConfigError::Invalid { name: name.to_owned(), violations })
    }
}

/// The layers on top of each other.
struct Merged {
    values: BTreeMap<String, Entry>,
    /// Optional tables that are wanted, in the order in which they were named first.
    present: Vec<String>,
    /// Agents that were to be left out, but are not there.
    strangers: Vec<UnknownKey>,
}

impl Merged {
    fn new(layers: Vec<Layer>) -> Self {
        let mut merged = Self { values: BTreeMap::new(), present: Vec::new(), strangers: Vec::new() };
        let mut seen: Vec<String> = Vec::new();
        for item in layers.into_iter().flat_map(|layer| layer.items) {
            match item {
                Item::Value(path, entry) => {
                    merged.values.insert(path, entry);
                }
                Item::Present(table) => {
                    seen.push(table.clone());
                    if !merged.present.contains(&table) {
                        merged.present.push(table);
                    }
                }
                Item::Drop(table, entry) => {
                    if keys::split(&table).0 == AGENTS && !seen.contains(&table) {
                        merged.strangers.push(stranger(&table, entry, merged.agents()));
                    }
                    merged.present.retain(|present| *present != table);
                    merged.values.retain(|path, _| !keys::is_below(path, &table));
                }
            }
        }
        merged
    }

    /// Names of the agents, in the order in which they were named first.
    fn agents(&self) -> impl Iterator<Item = &str> + Clone {
        self.present.iter().filter_map(|table| table.strip_prefix(AGENTS)?.strip_prefix('.'))
    }

    /// What is needed and not there: keys, or `[table]` for a table of which nothing is there.
    fn missing(&self) -> Vec<String> {
        let mut missing: Vec<String> = Vec::new();
        for (path, key) in keys::concrete(self.agents()) {
            let table = keys::split(&path).0;
            let wanted = !keys::is_optional(table) || self.present.iter().any(|present| present == table);
            if !wanted || key.optional || self.values.contains_key(&path) {
                continue;
            }
            let whole = !table.is_empty() && !self.values.keys().any(|path| keys::is_below(path, table));
            let name = if whole { format!("[{table}]") } else { path };
            if !missing.contains(&name) {
                missing.push(name);
            }
        }
        missing
    }

    /// The remedy where everything missing belongs to an agent whose name is like another's.
    fn misnamed(&self, missing: &[String]) -> Option<String> {
        let name = missing.first()?.strip_prefix(AGENTS)?.strip_prefix('.')?.split('.').next()?;
        let table = keys::join(AGENTS, name);
        let complete = |other: &&str| {
            *other != name && !missing.iter().any(|path| keys::is_below(path, &keys::join(AGENTS, other)))
        };
        let nearest = keys::nearest(name, self.agents().filter(complete))?;
        missing
            .iter()
            .all(|path| keys::is_below(path, &table))
            .then(|| format!("write them too to have a new agent, or did you mean {AGENTS}.{nearest}?"))
    }

    fn config(&self, name: &str) -> Result<Config, ConfigError> {
        // A configuration without agents or algorithms is for `check` to judge.
        let empty = || Value::Table(Table::new());
        let agents = Table::from_iter(self.agents().map(|name| (name.to_owned(), empty())));
        let mut root =
            Table::from_iter([(AGENTS.to_owned(), Value::Table(agents)), ("algo".to_owned(), empty())]);
        for (path, entry) in &self.values {
            insert(&mut root, path, entry.value.clone());
        }
        serde_path_to_error::deserialize::<_, Config>(root).map_err(|error| {
            let path = error.path().to_string();
            let path = path.split('[').next().unwrap_or_default();
            let found = keys::find(path).and_then(|key| {
                let path = keys::trim(path, key);
                Some((key, self.values.get(&path)?, path))
            });
            let Some((key, entry, path)) = found else {
                let violations = vec![error.inner().message().to_owned()];
                return ConfigError::Invalid { name: name.to_owned(), violations };
            };
            let nearest = match (key.kind, &entry.value) {
                (Kind::Choice(names), Value::String(name)) => keys::nearest(name, names.iter().copied()),
                _ => None,
            };
            let nearest = nearest.map(|name| format!("{name:?}"));
            entry.wrong_type(path, key.kind.expected(), nearest)
        })
    }
}

/// The error about an agent that is to be left out, but is not there.
fn stranger<'a>(table: &str, entry: Entry, agents: impl Iterator<Item = &'a str> + Clone) -> UnknownKey {
    let nearest = keys::nearest(keys::split(table).1, agents.clone());
    UnknownKey {
        at: entry.origin,
        key: table.to_owned(),
        nearest: nearest.map(|name| keys::join(AGENTS, name)),
        allowed: format!("the agents are {}", agents.collect::<Vec<_>>().join(", ")),
        excerpt: entry.excerpt,
    }
}

fn insert(root: &mut Table, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            root.insert(path.to_owned(), value);
        }
        Some((table, rest)) => {
            let inner = root.entry(table).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}
