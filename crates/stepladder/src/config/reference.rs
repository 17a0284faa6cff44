//! The reference page of all keys.

use std::collections::BTreeMap;

use super::keys::{self, KEYS};
use super::load::{self, EXAMPLE, PRESETS};
use super::show;

/// A Markdown page: every key with what it takes, what it decides, and its value in each preset.
pub(crate) fn reference() -> String {
    let mut presets: Vec<(&str, BTreeMap<&str, String>)> = Vec::new();
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
            let title = if table.is_empty() { "Top level".to_owned() } else { format!("`[{table}]`") };
            page.push_str(&format!("\n## {title}\n\n| key | takes | meaning |"));
            page.push_str(&names.iter().map(|name| format!(" {name} |")).collect::<String>());
            page.push_str(&format!("\n|---|---|---|{}\n", "---|".repeat(names.len())));
        }
        page.push_str(&format!("| `{name}` | {} | {} |", cell(&key.kind.expected()), cell(key.meaning)));
        for (_, values) in &presets {
            match values.get(key.path) {
                Some(value) => page.push_str(&format!(" `{}` |", cell(value))),
                None => page.push_str(" – |"),
            }
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
`agents.flat = false` (or `agents.step_hrl = false`) leaves that agent out.
";

/// Text inside a table cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
