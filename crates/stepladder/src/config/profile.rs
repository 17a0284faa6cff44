//! What `algo.offline_ac.profile = "code"` says besides itself: the switches of offline actor-critic on the released side.
//!
//! It replaces what a preset says and fills in what nobody says. A key that is written in a file or by `--set` wins, and so
//! does a preset's own key where the preset itself says "code". "fixed" changes no other key.

use std::collections::BTreeMap;

use stepladder_algo::offline_ac::OfflineConfig;
use stepladder_core::reply::Profile;
use stepladder_model::Kind;
use toml::Value;

use super::layer::Entry;
use super::origin::Origin;

const TABLE: &str = "algo.offline_ac";

/// Keys of `[algo.offline_ac]` with their released values; none for a key that is then left out.
fn released() -> Vec<(&'static str, Option<Value>)> {
    let released = OfflineConfig::profile(Profile::Code, 0, Kind::Float);
    // Every value is a number, a truth value or a name.
    let value = |value: Result<Value, toml::ser::Error>| Some(value.expect("a TOML value"));
    vec![
        ("actor_mode", value(Value::try_from(released.actor_mode))),
        ("temperature", Some(Value::Float(released.temperature))),
        ("weight_clip", Some(Value::Float(released.weight_clip))),
        ("v_target_at", value(Value::try_from(released.v_target_at))),
        ("gamma", Some(Value::Float(released.gamma))),
        ("smdp_gamma", Some(Value::Boolean(released.smdp_gamma))),
        ("omega", Some(Value::Float(released.omega))),
        ("value_bound", released.value_bound.map(Value::Float)),
        ("tau", Some(Value::Float(released.tau))),
        ("target_update", value(Value::try_from(released.target_update))),
        ("micro_steps", Some(Value::Integer(i64::from(released.micro_steps)))),
        ("critic_learning_rate", Some(Value::Float(released.critic_learning_rate))),
        ("critic_warmup", Some(Value::Integer(released.critic_warmup as i64))),
        ("schedule", value(Value::try_from(released.schedule))),
        ("warmup", Some(Value::Float(released.warmup))),
        ("floor", Some(Value::Float(released.floor))),
        ("mixture", value(Value::try_from(released.mixture))),
        ("batch_rows", Some(Value::Integer(released.batch_rows as i64))),
    ]
}

/// Has the profile say what it stands for.
pub(super) fn apply(values: &mut BTreeMap<String, Entry>) {
    let Some(profile) = values.get(&format!("{TABLE}.profile")) else { return };
    if profile.value.as_str() != Some("code") {
        return;
    }
    let by_preset = |entry: &Entry| matches!(entry.origin, Origin::Preset(_));
    let replaces = !by_preset(profile);
    for (key, value) in released() {
        let path = format!("{TABLE}.{key}");
        match (values.get(&path), value) {
            (Some(written), _) if !(replaces && by_preset(written)) => {}
            (_, Some(value)) => {
                values.insert(path, Entry { value, origin: Origin::Profile, excerpt: None });
            }
            (_, None) => {
                values.remove(&path);
            }
        }
    }
}
