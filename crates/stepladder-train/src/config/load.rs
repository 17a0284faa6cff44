//! Loading of a configuration: defaults → preset → user file → `--set`, merged key by key.

use std::collections::BTreeMap;
use std::path::Path;
use stepladder_env::names::nearest;

use toml::{Table, Value};

use super::error::{ConfigError, UnknownKey};
use super::keys::{self, AGENTS, KEYS, Key, ValueType};
use super::layer::{Entry, Item, Layer};
use super::origin::Origins;
use super::{Algo, Config, presets};

/// A valid configuration with the origins of its values.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Every value; [`super::check()`] found no violation.
    pub config: Config,
    /// Origin of each value, by dotted path.
    pub origins: Origins,
    /// Name of the preset, or of the file without folder and `.toml`.
    pub name: String,
    /// The complete configuration as TOML, for [`from_resolved`].
    pub text: String,
    /// Preset to load where the data of the environment are absent.
    pub without_data: Option<String>,
}

/// File of a run directory with its complete configuration.
const OF_RUN: &str = "config.toml";

/// Loads a preset by name, a file by path (it ends in `.toml` or contains `/`) or the configuration of a run directory, then
/// applies `--set` arguments in order.
///
/// # Errors
/// [`ConfigError`] if a file cannot be read or parsed, a key or value is invalid, or values do not fit together.
pub fn load(source: &str, sets: &[String]) -> Result<Loaded, ConfigError> {
    let path = Path::new(source);
    let mut name = source.to_owned();
    let mut layers = if path.join(OF_RUN).is_file() {
        if let Some(last) = path.file_name() {
            name = last.to_string_lossy().into_owned();
        }
        vec![Layer::run(source, &read(&path.join(OF_RUN).to_string_lossy())?)?]
    } else if source.contains('/') || source.ends_with(".toml") {
        if let Some(stem) = path.file_stem() {
            name = stem.to_string_lossy().into_owned();
        }
        presets::with_start(Layer::file(source, &read(source)?)?)?
    } else {
        presets::layers(source, None)?
    };
    let without_data = layers.last().and_then(|layer| layer.without_data.clone());
    for argument in sets {
        layers.push(Layer::set(argument)?);
    }
    let (config, origins) = resolve(source, layers, Chain::User)?;
    let text = super::show::resolved(&config);
    Ok(Loaded { config, origins, name, text, without_data })
}

/// Reads the configuration of a run from [`Loaded::text`]; `name` names it in messages. Keys that an earlier version did not
/// write have their defaults.
///
/// # Errors
/// [`ConfigError`] if it is not TOML, or not a configuration that this version accepts.
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
        let nearest = presets::nearest(&stem).map(|name| format!("the preset {name}"));
        ConfigError::NoSuchFile { nearest, known: presets::names(), path }
    })
}

/// Origin of the layers that are resolved; selects the advice in errors.
#[derive(Debug, Clone, Copy)]
enum Chain {
    /// Layers of a user.
    User,
    /// Configuration that an earlier run resolved.
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
    if matches!(chain, Chain::User) {
        merged.add_starts();
    }
    merged.inherit();
    let missing = merged.missing();
    if !missing.is_empty() {
        let remedy = match merged.misnamed(&missing) {
            Some(sentence) => sentence,
            None if missing.len() == 1 => "write it".to_owned(),
            None => "write them".to_owned(),
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

/// All layers, merged.
struct Merged {
    values: BTreeMap<String, Entry>,
    /// Present tables that `false` could remove, in the order in which they were first named.
    present: Vec<String>,
    /// Agents that a layer removes although no earlier layer has them.
    strangers: Vec<UnknownKey>,
}

impl Merged {
    fn new(layers: Vec<Layer>) -> Self {
        let mut merged = Self { values: defaults(), present: Vec::new(), strangers: Vec::new() };
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
                    merged
                        .values
                        .extend(defaults().into_iter().filter(|(path, _)| keys::is_below(path, &table)));
                }
            }
        }
        merged
    }

    /// Returns the names of the agents, in the order in which they were first named.
    fn agents(&self) -> impl Iterator<Item = &str> + Clone {
        self.present.iter().filter_map(|table| table.strip_prefix(AGENTS)?.strip_prefix('.'))
    }

    /// Returns the algorithm of an agent, if it names one.
    fn algorithm(&self, agent: &str) -> Option<Algo> {
        let entry = self.values.get(&format!("{AGENTS}.{agent}.algo"))?;
        entry.value.clone().try_into().ok()
    }

    /// Adds a start agent, cloned with the defaults of `bc`, before each agent that needs one and names none.
    fn add_starts(&mut self) {
        let names: Vec<String> = self.agents().map(str::to_owned).collect();
        // A pretrained model can play, and be improved, as it is.
        let pretrained = self.values.contains_key("model.from");
        for name in names {
            let from = format!("{AGENTS}.{name}.from");
            let needs = |algo: Algo| algo.needs_start() && !(pretrained && algo.is_online());
            let needed = self.algorithm(&name).is_some_and(needs);
            if !needed || self.values.contains_key(&from) {
                continue;
            }
            let start = format!("{name}_start");
            let table = keys::join(AGENTS, &start);
            if !self.present.contains(&table) {
                let place = self.present.iter().position(|table| *table == keys::join(AGENTS, &name));
                self.present.insert(place.unwrap_or_default(), table.clone());
                // Both agents read the same prompts.
                for key in ["kind", "history", "progress", "sees", "numbers"] {
                    if let Some(entry) = self.values.get(&format!("{AGENTS}.{name}.{key}")).cloned() {
                        self.values.insert(format!("{table}.{key}"), entry);
                    }
                }
                self.values.insert(format!("{table}.algo"), Entry::default_of(Algo::Bc.name()));
            }
            self.values.insert(from, Entry::default_of(start.as_str()));
        }
    }

    /// Gives agents the values of their algorithm's table for shared keys that they do not set, and defaults for the other keys.
    fn inherit(&mut self) {
        let agents: Vec<(String, Option<Algo>)> =
            self.agents().map(|name| (name.to_owned(), self.algorithm(name))).collect();
        for (name, algo) in agents {
            for key in KEYS.iter().filter(|key| keys::split(&key.path).0 == "agents.*") {
                let path = format!("{AGENTS}.{name}.{}", key.declared.name);
                if self.values.contains_key(&path) {
                    continue;
                }
                let table = algo.filter(|_| key.is_inherited()).map(Algo::table);
                let inherited = table.map(|table| format!("algo.{table}.{}", key.declared.name));
                let entry = match inherited {
                    Some(source) => self.values.get(&source).cloned(),
                    None => key.default().map(Entry::default_of),
                };
                self.values.extend(entry.map(|entry| (path, entry)));
            }
        }
    }

    /// Returns the required keys of agents that are not set.
    fn missing(&self) -> Vec<String> {
        let needed = |(path, key): (String, &Key)| {
            let missing = key.is_required() && !key.is_inherited() && !self.values.contains_key(&path);
            missing.then_some(path)
        };
        keys::concrete(self.agents()).into_iter().filter_map(needed).collect()
    }

    /// Returns the remedy where all missing keys belong to an agent whose name resembles that of another.
    fn misnamed(&self, missing: &[String]) -> Option<String> {
        let name = missing.first()?.strip_prefix(AGENTS)?.strip_prefix('.')?.split('.').next()?;
        let table = keys::join(AGENTS, name);
        let complete = |other: &&str| {
            *other != name && !missing.iter().any(|path| keys::is_below(path, &keys::join(AGENTS, other)))
        };
        let nearest = nearest(name, self.agents().filter(complete))?;
        missing
            .iter()
            .all(|path| keys::is_below(path, &table))
            .then(|| format!("write them too to have a new agent, or did you mean {AGENTS}.{nearest}?"))
    }

    fn config(&self, name: &str) -> Result<Config, ConfigError> {
        // `check` reports a configuration without agents.
        let empty = || Value::Table(Table::new());
        let agents = Table::from_iter(self.agents().map(|name| (name.to_owned(), empty())));
        // Before the agents, which inherit from it, so that a wrong type is reported where it was written.
        let algo = ("algo".to_owned(), empty());
        let mut root = Table::from_iter([algo, (AGENTS.to_owned(), Value::Table(agents))]);
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
            let value_type = key.declared.value_type;
            let nearest = match (value_type, &entry.value) {
                (ValueType::Choice(choices), Value::String(name)) => {
                    nearest(name, choices.iter().map(|choice| choice.name))
                }
                _ => None,
            };
            let nearest = nearest.map(|name| format!("{name:?}"));
            entry.wrong_type(path, value_type.expected(), nearest)
        })
    }
}

/// Returns the declared defaults of all keys outside the tables of agents.
fn defaults() -> BTreeMap<String, Entry> {
    let fixed = KEYS.iter().filter(|key| !key.path.contains('*'));
    fixed.filter_map(|key| Some((key.path.clone(), Entry::default_of(key.default()?)))).collect()
}

/// Returns the error for an agent that is removed but does not exist.
fn stranger<'a>(table: &str, entry: Entry, agents: impl Iterator<Item = &'a str> + Clone) -> UnknownKey {
    let nearest = nearest(keys::split(table).1, agents.clone());
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
