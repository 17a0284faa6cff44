//! Expansion of `algo.offline_ac.profile = "code"`: the switches of offline actor-critic as in the released code.
//!
//! The profile replaces defaults and values of a preset. A key in a file or a `--set` argument takes precedence over it, and so
//! does a preset's own key where the preset itself sets "code". "fixed" changes no other key.

use std::collections::BTreeMap;

use stepladder_algo::offline_ac::OfflineConfig;
use stepladder_core::reply::Profile;
use toml::Value;

use super::keys::{self, KEYS};
use super::layer::Entry;
use super::origin::Origin;

const TABLE: &str = "algo.offline_ac";

/// Keys of the table that the profile does not change: collected episodes, and the extent of training.
const OTHERS: [&str; 9] = [
    "budget",
    "batch_tokens",
    "learning_rate",
    "tasks",
    "games",
    "samples",
    "collect_temperature",
    "demonstrations",
    "profile",
];

/// Returns the keys of `[algo.offline_ac]` with their released values; `None` for a key that is then absent.
fn released() -> Vec<(&'static str, Option<Value>)> {
    // Every value has a TOML form.
    let released = Value::try_from(OfflineConfig::profile(Profile::Code)).expect("hyperparameters are TOML");
    let names = KEYS.iter().filter(|key| keys::split(&key.path).0 == TABLE).map(|key| key.declared.name);
    names.filter(|name| !OTHERS.contains(name)).map(|name| (name, released.get(name).cloned())).collect()
}

/// Sets the keys of the profile.
pub(super) fn apply(values: &mut BTreeMap<String, Entry>) {
    let Some(profile) = values.get(&format!("{TABLE}.profile")) else { return };
    if profile.value.as_str() != Some("code") {
        return;
    }
    let by_preset = |entry: &Entry| matches!(entry.origin, Origin::Preset(_));
    let replaces = !by_preset(profile);
    let weak = |entry: &Entry| entry.origin == Origin::Default || replaces && by_preset(entry);
    for (key, value) in released() {
        let path = format!("{TABLE}.{key}");
        match (values.get(&path), value) {
            (Some(written), _) if !weak(written) => {}
            (_, Some(value)) => {
                values.insert(path, Entry { value, origin: Origin::Profile, excerpt: None });
            }
            (_, None) => {
                values.remove(&path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::File;
    use super::super::*;
    use stepladder_core::reply::Profile;

    /// Values of the released code by key of `[algo.offline_ac]`; it has no `value_bound`.
    const RELEASED: &[(&str, &str)] = &[
        ("held_out", "0.0"),
        ("truncation", "\"bootstrap\""),
        ("returns", "\"td\""),
        ("intrinsic", "\"declared\""),
        ("noise", "\"imitated\""),
        ("duplicates", "1.0"),
        ("weight_mean", "\"step\""),
        ("level_share", "\"equal\""),
        ("critic_reads", "\"end\""),
        ("actor_mode", "\"linear_outer\""),
        ("temperature", "1.0"),
        ("weight_clip", "20.0"),
        ("v_target_at", "\"state_end\""),
        ("gamma", "0.99"),
        ("smdp_gamma", "false"),
        ("omega", "0.95"),
        ("tau", "0.2"),
        ("target_update", "\"before_step\""),
        ("micro_steps", "2"),
        ("critic_learning_rate", "0.0001"),
        ("critic_warmup", "50"),
        ("schedule", "\"constant\""),
        ("warmup", "0.0"),
        ("floor", "1.0"),
        ("mixture", "\"levels\""),
        ("batch_rows", "128"),
        ("actor_levels", "\"all\""),
    ];

    fn offline(loaded: &Loaded, key: &str) -> Option<String> {
        let path = format!("algo.offline_ac.{key}");
        let found = show::entries(&loaded.config).into_iter().find(|(known, _)| *known == path);
        found.map(|(_, value)| toml::Value::to_string(&value))
    }

    #[test]
    fn the_profile_code_sets_every_switch_that_a_preset_has_otherwise() {
        let sets = ["algo.offline_ac.profile=code".to_owned()];
        let loaded = load("scienceworld", &sets).unwrap();
        assert_eq!(loaded.config.algo.offline_ac.profile, Profile::Code);
        for (key, value) in RELEASED {
            assert_eq!(offline(&loaded, key).as_deref(), Some(*value), "{key}");
            assert_eq!(
                loaded.origins[&format!("algo.offline_ac.{key}")].to_string(),
                "algo.offline_ac.profile"
            );
        }
        // The preset has one.
        assert!(offline(&load("scienceworld", &[]).unwrap(), "value_bound").is_some());
        assert_eq!(offline(&loaded, "value_bound"), None);
        // A stored configuration reads back unchanged.
        assert_eq!(from_resolved(&loaded.text, "config.toml").unwrap(), loaded.config);
    }

    #[test]
    fn what_is_written_wins_over_the_profile() {
        let file = File::new(
            "preset = \"scienceworld\"\n[algo.offline_ac]\nprofile = \"code\"\nvalue_bound = 2.0\nomega = 0.5\n",
        );
        let loaded = load(&file.path(), &["algo.offline_ac.actor_mode=awr".to_owned()]).unwrap();
        let own = [("value_bound", "2.0"), ("omega", "0.5"), ("actor_mode", "\"awr\"")];
        for (key, value) in own {
            assert_eq!(offline(&loaded, key).as_deref(), Some(value));
        }
        assert_eq!(loaded.origins["algo.offline_ac.omega"].to_string(), format!("{}:5", file.path()));
        for (key, value) in RELEASED.iter().filter(|(key, _)| own.iter().all(|(written, _)| written != key)) {
            assert_eq!(offline(&loaded, key).as_deref(), Some(*value), "{key}");
        }
    }

    #[test]
    fn the_profile_code_replaces_defaults_and_fixed_does_not() {
        let table = |profile: &str| {
            format!(
                "preset = \"demo\"\n[algo.offline_ac]\ngames = 1\ncollect_temperature = 0\nprofile = \"{profile}\"\n"
            )
        };
        let loaded = File::new(&table("code")).load().unwrap();
        for (key, value) in RELEASED {
            assert_eq!(offline(&loaded, key).as_deref(), Some(*value), "{key}");
        }
        let loaded = File::new(&table("fixed")).load().unwrap();
        assert_eq!(offline(&loaded, "actor_mode").as_deref(), Some("\"awr\""));
        let preset = load("scienceworld", &[]).unwrap();
        let fixed = load("scienceworld", &["algo.offline_ac.profile=fixed".to_owned()]).unwrap();
        assert_eq!(fixed.config, preset.config);
    }
}
