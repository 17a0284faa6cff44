//! The resolved configuration as text.

use toml::Value;

use super::keys;
use super::{Config, Loaded, Origins};

/// `key = value    # origin`, table by table: what `config show` prints. It is TOML.
pub fn show(loaded: &Loaded) -> String {
    render(&loaded.config, Some(&loaded.origins))
}

/// The complete configuration as TOML.
pub(super) fn resolved(config: &Config) -> String {
    render(config, None)
}

/// Every key that a configuration has, in order, with its value.
pub fn entries(config: &Config) -> Vec<(String, Value)> {
    // Every value of a `Config` has a TOML form: whole numbers come from TOML or are small.
    let root = Value::try_from(config).expect("a configuration is TOML");
    let lookup = |path: &str| path.split('.').try_fold(&root, |value, name| value.get(name)).cloned();
    let keys = keys::concrete(config.agents.keys().map(String::as_str));
    keys.into_iter()
        .filter_map(|(path, _)| Some((lookup(&path)?, path)))
        .map(|(value, path)| (path, value))
        .collect()
}

fn render(config: &Config, origins: Option<&Origins>) -> String {
    let lines: Vec<(String, String, String)> = entries(config)
        .into_iter()
        .map(|(path, value)| {
            let (table, name) = keys::split(&path);
            (table.to_owned(), format!("{name} = {}", inline(&value)), path)
        })
        .collect();
    let width = lines.iter().map(|(_, line, _)| line.chars().count()).max().unwrap_or(0);
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

/// A value on one line. Numbers are written as people write them (1e-8, not 0.00000001) and read back exactly.
pub fn inline(value: &Value) -> String {
    match value {
        Value::Float(number) if number.is_finite() => format!("{number:?}"),
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Table(table) if !table.is_empty() => {
            let pairs: Vec<String> =
                table.iter().map(|(name, value)| format!("{} = {}", toml_key(name), inline(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        // `Value`'s own text may spread long strings over several lines.
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

fn toml_key(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare { name.to_owned() } else { quoted(name) }
}

/// A basic TOML string.
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
