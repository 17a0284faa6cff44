//! The reference page of all keys.

use std::collections::BTreeMap;

use super::keys::{self, KEYS};
use super::load::{self, EXAMPLE, PRESETS};
use super::show;

/// A Markdown page: every key with what it takes, what it decides, and its value in each preset.
pub fn reference() -> String {
    let mut presets: Vec<(&str, BTreeMap<String, String>)> = Vec::new();
    for (name, _) in PRESETS {
        // Their text is compiled in, and a test loads each.
        let config = load::load(name, &[]).expect("every embedded preset loads").config;
        let values =
            show::entries(&config).into_iter().map(|(path, value)| (path, show::inline(&value))).collect();
        presets.push((name, values));
    }
    let names: Vec<String> = presets.iter().map(|(name, _)| format!("`{name}`")).collect();
    let mut page = format!(
        "# Configuration\n\n{}",
        INTRODUCTION.replace("PRESETS", &names.join(", ")).replace("EXAMPLE", EXAMPLE)
    );
    let mut current = None;
    for key in KEYS {
        let (table, name) = keys::split(key.path);
        if current != Some(table) {
            current = Some(table);
            let title = match table {
                "" => "Top level".to_owned(),
                table => format!("`[{}]`", table.replace('*', "NAME")),
            };
            page.push_str(&format!("\n## {title}\n\n| key | takes | meaning |"));
            page.push_str(&names.iter().map(|name| format!(" {name} |")).collect::<String>());
            page.push_str(&format!("\n|---|---|---|{}\n", "---|".repeat(names.len())));
        }
        page.push_str(&format!("| `{name}` | {} | {} |", cell(&key.kind.expected()), cell(key.meaning)));
        for (_, values) in &presets {
            page.push_str(&format!(" {} |", cell(&values_of(values, key.path))));
        }
        page.push('\n');
    }
    page
}

const INTRODUCTION: &str = "\
Every key of a training configuration. Values come from a preset (PRESETS), then from your TOML file, then from `--set key=value`; \
the last one counts. `stepladder config show` prints each value with its origin.

A file starts from a preset with the top-level key `preset = \"EXAMPLE\"` and then says only what differs; without it, it says everything. \
`--set` takes dotted keys and TOML values; strings need no quotes. \
A run trains every table in `[agents]`, by any name; `agents.flat = false` leaves one out that the preset has.
";

/// What a preset says about a key; with the agents' names where there are several.
fn values_of(values: &BTreeMap<String, String>, pattern: &str) -> String {
    let of_agent = |path: &str| keys::split(path).0.strip_prefix("agents.").map(str::to_owned);
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for (path, value) in values.iter().filter(|(path, _)| keys::fits(pattern, path)) {
        let agents = of_agent(path).into_iter();
        match found.iter_mut().find(|(known, _)| known == value) {
            Some((_, names)) => names.extend(agents),
            None => found.push((value.clone(), agents.collect())),
        }
    }
    match found.as_slice() {
        [] => "–".to_owned(),
        [(value, _)] => format!("`{value}`"),
        several => {
            let all = several.iter().map(|(value, names)| format!("{}: `{value}`", names.join(", ")));
            all.collect::<Vec<_>>().join("; ")
        }
    }
}

/// Text inside a table cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
