//! Results in a run directory of `stepladder train`, by agent.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use serde_json::Value;

use super::tensors;

/// Results of one agent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Agent {
    /// Hash of its trained tensors, or of the hashes of its models if it has several.
    pub(crate) weights: String,
    /// Number of hashed tensors.
    pub(crate) tensors: usize,
    /// Every number of its evaluation, by dotted path.
    pub(crate) numbers: BTreeMap<String, f64>,
    /// Loss of the last step of each of its models, by the folder of the model.
    pub(crate) losses: BTreeMap<String, f64>,
}

/// Agents by (run, name).
pub(crate) type Agents = BTreeMap<(String, String), Agent>;

/// Reads the agents of a run directory by name.
pub(crate) fn read(root: &Path) -> Result<BTreeMap<String, Agent>> {
    let mut found = BTreeMap::new();
    for entry in sorted(root)? {
        if entry.is_dir()
            && let Some(agent) = agent(&entry)?
        {
            found.insert(name(&entry), agent);
        }
    }
    if found.is_empty() {
        bail!("{} holds no trained agent", root.display());
    }
    Ok(found)
}

/// Reads the folder of an agent; `None` if it holds no model.
///
/// Models are the newest `checkpoints/step-N/model.safetensors`, one level deeper if every role has its own. Evaluations are the
/// other JSON files of the folder except `trained.json`, which holds seconds.
fn agent(folder: &Path) -> Result<Option<Agent>> {
    let mut models = Vec::new();
    let mut count = 0;
    let mut losses = BTreeMap::new();
    for place in [vec![folder.to_owned()], sorted(folder)?].concat() {
        let checkpoints = place.join("checkpoints");
        if !checkpoints.is_dir() {
            continue;
        }
        let newest = sorted(&checkpoints)?.into_iter().rev().find(|step| name(step).starts_with("step-"));
        let newest = newest.with_context(|| format!("{} is empty", checkpoints.display()))?;
        let (hash, tensors) = tensors::of_file(&newest.join("model.safetensors"))?;
        models.push(hash);
        count += tensors;
        if let Some(loss) = last_loss(&place.join("metrics.jsonl"))? {
            let model = place.strip_prefix(folder).unwrap_or(folder);
            losses.insert(model.display().to_string(), loss);
        }
    }
    if models.is_empty() {
        return Ok(None);
    }
    let mut numbers = BTreeMap::new();
    for file in sorted(folder)? {
        if file.extension().is_some_and(|extension| extension == "json") && name(&file) != "trained.json" {
            let value = serde_json::from_str(&fs::read_to_string(&file)?)
                .with_context(|| format!("{} is not JSON", file.display()))?;
            flatten(&value, "", &mut numbers);
        }
    }
    let weights = match models.as_slice() {
        [one] => one.clone(),
        _ => tensors::of_list(models),
    };
    Ok(Some(Agent { weights, tensors: count, numbers, losses }))
}

/// Returns `loss` of the last line that has one.
fn last_loss(metrics: &Path) -> Result<Option<f64>> {
    if !metrics.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(metrics)?;
    let mut losses =
        text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()?["loss"].as_f64());
    Ok(losses.next_back())
}

/// Collects every number inside a value under its dotted path; ignores texts such as commits and paths.
fn flatten(value: &Value, path: &str, into: &mut BTreeMap<String, f64>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(table) => table.iter().for_each(|(key, value)| flatten(value, &below(key), into)),
        Value::Array(list) => {
            list.iter()
                .enumerate()
                .for_each(|(index, value)| flatten(value, &below(&index.to_string()), into));
        }
        _ => {
            if let Some(number) = value.as_f64() {
                into.insert(path.to_owned(), number);
            }
        }
    }
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(root: &Path, file: &str, text: &str) {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes a safetensors file of one number.
    fn model(root: &Path, folder: &str, value: f32) {
        let header = r#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.as_bytes());
        file.extend(value.to_le_bytes());
        fs::create_dir_all(root.join(folder)).unwrap();
        fs::write(root.join(folder).join("model.safetensors"), file).unwrap();
    }

    #[test]
    fn the_newest_checkpoint_the_evaluation_and_the_last_loss_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        put(root, "config.toml", "");
        model(root, "flat/checkpoints/step-00000009", 1.0);
        model(root, "flat/checkpoints/step-00000010", 2.0);
        put(root, "flat/trained.json", r#"{"seconds": 1.5}"#);
        put(
            root,
            "flat/metrics.jsonl",
            "{\"step\":1,\"loss\":3.0}\n{\"step\":2,\"loss\":2.0}\n{\"step\":2,\"probe\":0}\n",
        );
        put(
            root,
            "flat/household-dev.json",
            r#"{"success": 0.5, "interval": [0.1, 0.9], "commit": "x", "score": null}"#,
        );
        model(root, "roles/planner/checkpoints/step-00000003", 2.0);
        model(root, "roles/executor/checkpoints/step-00000003", 3.0);
        let agents = read(root).unwrap();
        assert_eq!(agents.keys().collect::<Vec<_>>(), ["flat", "roles"]);
        let flat = &agents["flat"];
        let numbers: Vec<(&str, f64)> =
            flat.numbers.iter().map(|(key, &value)| (key.as_str(), value)).collect();
        assert_eq!(numbers, [("interval.0", 0.1), ("interval.1", 0.9), ("success", 0.5)]);
        assert_eq!(flat.losses, BTreeMap::from([(String::new(), 2.0)]));
        assert_eq!(agents["roles"].tensors, 2);
        model(root, "flat/checkpoints/step-00000009", 5.0);
        assert_eq!(read(root).unwrap()["flat"], *flat);
        model(root, "flat/checkpoints/step-00000010", 5.0);
        model(root, "roles/executor/checkpoints/step-00000003", 4.0);
        let changed = read(root).unwrap();
        assert_ne!(changed["flat"].weights, flat.weights);
        assert_ne!(changed["roles"].weights, agents["roles"].weights);
    }

    #[test]
    fn a_directory_without_agents_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("empty")).unwrap();
        let error = read(directory.path()).unwrap_err().to_string();
        assert!(error.ends_with("holds no trained agent"), "{error}");
    }
}
