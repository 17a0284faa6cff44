//! Embedded presets.

use toml::Value;

use super::error::ConfigError;
use super::layer::{Entry, Layer};
use super::origin::Origin;

macro_rules! presets {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../../../presets/", $name, ".toml")))),+]
    };
}

/// The embedded presets by name.
pub(super) const PRESETS: &[(&str, &str)] = presets![
    "ablations",
    "alfworld",
    "alfworld-cpu",
    "demo",
    "himac-ablations",
    "himac-sokoban",
    "horizon",
    "mixed-household",
    "mixed-scienceworld",
    "offline-controls",
    "rl-chains",
    "rl-chains-flat",
    "rl-household",
    "rl-sokoban",
    "rl-sokoban-7x7",
    "rl-webshop",
    "scienceworld",
    "scienceworld-ablations",
    "scienceworld-cpu",
    "smollm2-alfworld",
    "smollm2-alfworld-scratch",
    "smollm2-household",
    "smollm2-household-scratch",
    "smollm2-webshop",
    "webshop-ablations",
    "webshop-cpu",
    "webshop-small",
];

/// Preset that the reference page uses as its example.
pub(super) const EXAMPLE: &str = "demo";

/// Returns the layers of a preset: those of the preset that it starts from, then its own. `at` is the place that names it, if it
/// is not the command line.
///
/// # Errors
/// [`ConfigError::UnknownPreset`].
pub(super) fn layers(name: &str, at: Option<&Origin>) -> Result<Vec<Layer>, ConfigError> {
    let Some((known, text)) = PRESETS.iter().find(|(known, _)| *known == name) else {
        return Err(ConfigError::UnknownPreset {
            at: at.cloned(),
            name: name.to_owned(),
            nearest: nearest(name),
            known: names(),
        });
    };
    with_start(Layer::preset(known, text)?)
}

/// Returns a layer after those of the preset that it starts from.
///
/// # Errors
/// [`ConfigError::UnknownPreset`], and [`ConfigError::WrongType`] if the preset is not a name.
pub(super) fn with_start(layer: Layer) -> Result<Vec<Layer>, ConfigError> {
    let mut all = match &layer.preset {
        None => Vec::new(),
        Some(Entry { value: Value::String(name), origin, .. }) => layers(name, Some(origin))?,
        Some(start) => {
            let names: Vec<String> = names().iter().map(|name| format!("{name:?}")).collect();
            let expected = format!("the name of a preset: {}", names.join(" or "));
            return Err(start.wrong_type("preset".to_owned(), expected, None));
        }
    };
    all.push(layer);
    Ok(all)
}

/// Returns the names of the presets.
pub(super) fn names() -> Vec<&'static str> {
    PRESETS.iter().map(|(name, _)| *name).collect()
}

/// Returns the preset that is most similar to a misspelt name.
pub(super) fn nearest(name: &str) -> Option<String> {
    stepladder_env::names::nearest(name, names()).map(str::to_owned)
}
