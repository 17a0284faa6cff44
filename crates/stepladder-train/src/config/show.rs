//! Resolved configuration as text.

use std::collections::BTreeSet;

use toml::Value;

use super::Config;
use super::earlier;
use super::keys::{self, Key};
use super::origin::Origins;

/// Longest line, in characters, behind which origins are aligned.
const WIDEST: usize = 60;

/// Renders `key = value    # origin`, table by table, as `config show` prints it. The text is TOML.
pub fn show(config: &Config, origins: &Origins) -> String {
    render(config, Some(origins))
}

/// Renders the complete configuration as TOML.
pub(super) fn resolved(config: &Config) -> String {
    render(config, None)
}

/// Returns every key with its value, in order. Omits keys without a value, an agent's keys at their defaults, and tables of
/// algorithms that no agent uses and no layer sets.
///
/// # Panics
/// Panics if an integer of the configuration exceeds TOML's range; the keys' bounds exclude it.
pub fn entries(config: &Config) -> Vec<(String, Value)> {
    // Every value of a `Config` has a TOML form: its integers come from TOML or are small.
    let root = Value::try_from(config).expect("a configuration is TOML");
    let lookup = |path: &str| path.split('.').try_fold(&root, |value, name| value.get(name)).cloned();
    let keys = keys::concrete(config.agents.keys().map(String::as_str));
    let all: Vec<(String, &Key, Value)> =
        keys.into_iter().filter_map(|(path, key)| lookup(&path).map(|value| (path, key, value))).collect();
    let is_changed = |(_, key, value): &&(String, &Key, Value)| key.default().as_ref() != Some(value);
    let changed: BTreeSet<&str> =
        all.iter().filter(is_changed).map(|(path, _, _)| keys::split(path).0).collect();
    let used: BTreeSet<&str> =
        config.agents.values().flat_map(|agent| agent.algo.tables()).copied().collect();
    let shown = all.iter().filter(|entry| {
        let table = keys::split(&entry.0).0;
        match table.split_once('.') {
            Some((keys::AGENTS, _)) => is_changed(entry),
            Some(("algo", name)) => used.contains(name) || changed.contains(table),
            _ => true,
        }
    });
    shown.map(|(path, _, value)| (path.clone(), value.clone())).collect()
}

/// Returns the [`entries`] that determine a run: omits values of algorithms' tables that every agent inherits or overrides.
pub fn effective(config: &Config) -> Vec<(String, Value)> {
    let inherited: Vec<&str> =
        keys::KEYS.iter().filter(|key| key.is_inherited()).map(|key| key.declared.name).collect();
    let decides = |path: &str| {
        let (table, name) = keys::split(path);
        !(table.starts_with("algo.") && inherited.contains(&name))
    };
    entries(config).into_iter().filter(|(path, _)| decides(path)).collect()
}

/// Returns the default of a key that [`entries`] omits, as text.
pub fn default_text(path: &str) -> Option<String> {
    let key = keys::find(path)?;
    key.default().as_ref().map(inline)
}

/// Returns the value that a run had for a key that its version lacked: that of the earlier rules, or else the declared default.
pub fn earlier_text(path: &str) -> Option<String> {
    let earlier = earlier::values().into_iter().find(|(known, _)| *known == path);
    earlier.map(|(_, value)| inline(&value)).or_else(|| default_text(path))
}

fn render(config: &Config, origins: Option<&Origins>) -> String {
    let lines: Vec<(String, String, String)> = entries(config)
        .into_iter()
        .map(|(path, value)| {
            let (table, name) = keys::split(&path);
            (table.to_owned(), format!("{name} = {}", inline(&value)), path)
        })
        .collect();
    // A long list must not push the origins of all other keys out of sight.
    let lengths = lines.iter().map(|(_, line, _)| line.chars().count());
    let width = lengths.filter(|length| *length <= WIDEST).max().unwrap_or(0);
    let mut text = String::new();
    let mut current = String::new();
    for (table, line, path) in lines {
        if table != current {
            text.push_str(&format!("\n[{table}]\n"));
            current = table;
        }
        match origins.and_then(|origins| origins.get(&path)) {
            Some(origin) => text.push_str(&format!("{line:width$}  # {origin}\n")),
            None => text.push_str(&format!("{line}\n")),
        }
    }
    text
}

/// Renders a value on one line. Numbers are short (1e-8, not 0.00000001) and read back exactly.
pub fn inline(value: &Value) -> String {
    match value {
        Value::Float(number) if number.is_finite() => format!("{number:?}"),
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Table(table) if !table.is_empty() => {
            let pairs: Vec<String> =
                table.iter().map(|(name, value)| format!("{} = {}", toml_key(name), inline(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        // `Value`'s own `Display` may spread long strings over several lines.
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

fn toml_key(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare { name.to_owned() } else { quoted(name) }
}

/// Renders a basic TOML string.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
