//! Index of the configuration keys by path, and suggestions for misspelt names.

use std::sync::LazyLock;
use stepladder_env::names::nearest;

use stepladder_core::section::{self, Schema, Section};
use toml::Value;

use super::Config;

pub(super) use stepladder_core::section::ValueType;

/// One key of a full configuration.
#[derive(Debug, Clone)]
pub(super) struct Key {
    /// Dotted path; `*` replaces a name that the user chooses.
    pub(super) path: String,
    /// Declaration of the key.
    pub(super) declared: section::Key,
}

impl Key {
    /// Returns the declared default; `None` if the key is then absent or required.
    pub(super) fn default(&self) -> Option<Value> {
        // Defaults are declared in code; all but `null` have a TOML form.
        self.declared.default.as_ref().and_then(|default| Value::try_from(default).ok())
    }

    /// Whether it lacks a default.
    pub(super) fn is_required(&self) -> bool {
        self.declared.default.is_none()
    }

    /// Whether it belongs to an agent and its default is the key of the same name in the algorithm's table.
    pub(super) fn is_inherited(&self) -> bool {
        let inside = |key: &Self| split(&key.path) == ("algo.bc", self.declared.name);
        self.is_required() && KEYS.iter().any(inside)
    }
}

/// All keys, in the order in which tables and keys are shown.
pub(super) static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let mut keys = Vec::new();
    collect("", &Config::schema(), &mut keys);
    keys
});

/// Returns every table with keys, in the same order, with its documentation.
pub(super) fn documented_tables() -> Vec<(String, &'static str)> {
    fn walk(path: String, schema: &Schema, into: &mut Vec<(String, &'static str)>) {
        if !schema.keys.is_empty() {
            into.push((path.clone(), schema.meaning()));
        }
        for (name, table) in &schema.tables {
            walk(table_path(&path, name, table), table, into);
        }
    }
    let mut found = Vec::new();
    walk(String::new(), &Config::schema(), &mut found);
    found
}

fn table_path(table: &str, name: &str, schema: &Schema) -> String {
    let path = join(table, name);
    if schema.named { join(&path, "*") } else { path }
}

fn collect(table: &str, schema: &Schema, into: &mut Vec<Key>) {
    let keys = schema.keys.iter();
    into.extend(keys.map(|key| {
        // A key may have the name of a Rust keyword.
        let name = key.name.strip_prefix("r#").unwrap_or(key.name);
        Key { path: join(table, name), declared: section::Key { name, ..key.clone() } }
    }));
    for (name, inner) in &schema.tables {
        collect(&table_path(table, name, inner), inner, into);
    }
}

/// Tables that `false` resets to their defaults.
const OPTIONAL_TABLES: &[&str] = &["agents.*", "algo.*"];

/// Table of agents, whose names the user chooses.
pub(super) const AGENTS: &str = "agents";

/// Whether `false` may replace a table.
pub(super) fn is_optional(table: &str) -> bool {
    OPTIONAL_TABLES.iter().any(|pattern| fits(pattern, table))
}

/// Whether a path matches a pattern: `*` matches any name.
pub(super) fn fits(pattern: &str, path: &str) -> bool {
    is_inside(path, pattern) && pattern.split('.').count() == path.split('.').count()
}

/// Whether the names of `table` are a prefix of those of `path`; `*` in either matches any name.
fn is_inside(path: &str, table: &str) -> bool {
    let mut names = path.split('.');
    table
        .split('.')
        .all(|outer| names.next().is_some_and(|name| outer == name || outer == "*" || name == "*"))
}

/// Keys renamed since earlier versions, as (former, present) pairs.
const RENAMED: [(&str, &str); 21] = [
    // In two parts, since the term is rejected elsewhere.
    (concat!("eval.zero", "_shot"), "eval.transfer"),
    ("algo.bc.beta1", "algo.adamw.beta1"),
    ("algo.bc.beta2", "algo.adamw.beta2"),
    ("algo.bc.eps", "algo.adamw.eps"),
    ("algo.bc.weight_decay", "algo.adamw.weight_decay"),
    ("algo.bc.clip", "algo.adamw.clip"),
    ("algo.online.gamma", "algo.gigpo.gamma"),
    ("algo.online.omega", "algo.gigpo.omega"),
    ("algo.online.gae_gamma", "algo.ppo.gamma"),
    ("algo.online.gae_lambda", "algo.ppo.lambda"),
    ("algo.online.value_clip", "algo.ppo.value_clip"),
    ("algo.online.critic_learning_rate", "algo.ppo.critic_learning_rate"),
    ("model.width", "model.scratch.width"),
    ("model.layers", "model.scratch.layers"),
    ("model.heads", "model.scratch.heads"),
    ("model.kv_heads", "model.scratch.kv_heads"),
    ("model.ffn", "model.scratch.ffn"),
    ("model.max_positions", "model.scratch.max_positions"),
    ("model.rope_theta", "model.scratch.rope_theta"),
    ("model.norm_eps", "model.scratch.norm_eps"),
    ("model.tied", "model.scratch.tied"),
];

/// Returns the present path of a key.
pub fn current(path: String) -> String {
    let renamed = RENAMED.iter().find(|(earlier, _)| *earlier == path);
    renamed.map_or(path, |(_, now)| (*now).to_owned())
}

/// Finds the key with this path, or the key that contains it (`agents.flat.budget.minutes`).
pub(super) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| is_inside(path, &key.path))
}

/// Returns the part of a path that names its key: `agents.flat.budget` of `agents.flat.budget.minutes`.
pub(super) fn trim(path: &str, key: &Key) -> String {
    path.split('.').take(key.path.split('.').count()).collect::<Vec<_>>().join(".")
}

/// Returns every key of a configuration with these agents, by path, in display order.
pub(super) fn concrete<'a>(agents: impl Iterator<Item = &'a str> + Clone) -> Vec<(String, &'static Key)> {
    let is_of_agent = |key: &&Key| key.path.starts_with("agents.*.");
    let first = KEYS.iter().position(|key| is_of_agent(&key)).unwrap_or(KEYS.len());
    let (before, rest) = KEYS.split_at(first);
    let plain = |key: &'static Key| (key.path.clone(), key);
    let mut all: Vec<(String, &'static Key)> = before.iter().map(plain).collect();
    for name in agents {
        all.extend(rest.iter().filter(is_of_agent).map(|key| (key.path.replace('*', name), key)));
    }
    all.extend(rest.iter().filter(|key| !is_of_agent(key)).map(plain));
    all
}

/// Whether a path names a table of the configuration; the empty path is the root.
pub(super) fn is_table(path: &str) -> bool {
    KEYS.iter().any(|key| is_below(&key.path, path))
}

/// Whether a path is inside a table.
pub(super) fn is_below(path: &str, table: &str) -> bool {
    table.is_empty() || (is_inside(path, table) && path.split('.').count() > table.split('.').count())
}

/// Returns the names of the keys and tables directly inside a table, in order.
pub(super) fn children(table: &str) -> Vec<&'static str> {
    let skip = if table.is_empty() { 0 } else { table.split('.').count() };
    let mut names: Vec<&'static str> = Vec::new();
    for key in KEYS.iter().filter(|key| is_below(&key.path, table)) {
        let name = key.path.split('.').nth(skip).unwrap_or_default();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Splits a path into its table and its last name.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('.').unwrap_or(("", path))
}

/// Joins a table and a name to a path.
pub(super) fn join(table: &str, name: &str) -> String {
    if table.is_empty() { name.to_owned() } else { format!("{table}.{name}") }
}

/// Returns the known key or table that is most similar to a misspelt path: among its neighbours first, then anywhere.
pub(super) fn nearest_path(table: &str, name: &str) -> Option<String> {
    if let Some(neighbour) = nearest(name, children(table)) {
        return Some(join(table, neighbour));
    }
    let mut paths: Vec<&str> = Vec::new();
    for key in KEYS.iter() {
        let mut path = key.path.as_str();
        while !path.is_empty() {
            if !paths.contains(&path) && !path.ends_with('*') {
                paths.push(path);
            }
            path = split(path).0;
        }
    }
    let last = nearest(name, paths.iter().map(|path| split(path).1))?;
    paths.into_iter().find(|path| split(path).1 == last).map(|path| path.replace('*', "NAME"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_among_neighbours_first() {
        assert_eq!(nearest_path("algo.bc", "warmpu").as_deref(), Some("algo.bc.warmup"));
        assert_eq!(nearest_path("algo.adamw", "learning_rat").as_deref(), Some("algo.bc.learning_rate"));
        // `data.split` is earlier in the list, but `eval.split` is the neighbour.
        assert_eq!(nearest_path("eval", "splits").as_deref(), Some("eval.split"));
        assert_eq!(nearest_path("", "modle").as_deref(), Some("model"));
        assert_eq!(nearest_path("", "max_step").as_deref(), Some("env.max_steps"));
        assert_eq!(nearest_path("agents.mine", "bugdet").as_deref(), Some("agents.mine.budget"));
        assert_eq!(nearest_path("model", "zzzz"), None);
    }

    #[test]
    fn tables_and_their_names() {
        assert_eq!(
            children(""),
            ["seed", "threads", "env", "data", "model", "generation", "algo", "agents", "eval", "log"]
        );
        assert_eq!(children("agents.any")[..3], ["kind", "algo", "budget"]);
        assert!(is_table("") && is_table("algo") && is_table("algo.bc") && is_table("agents.any"));
        assert!(!is_table("algo.b") && !is_table("seed") && !is_table("agents.flat.budget"));
        let key = find("agents.flat.budget.minutes").unwrap();
        assert_eq!(key.path, "agents.*.budget");
        assert_eq!(trim("agents.flat.budget.minutes", key), "agents.flat.budget");
        assert!(find("agents.flat.budgets").is_none());
    }
}
