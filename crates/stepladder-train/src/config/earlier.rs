//! Keys that configurations of earlier runs lack, with the values that those runs had.
//!
//! A run directory lists every key of its version. A key that it lacks is a later one, and takes its default, unless the default changes
//! what the run computes: then it takes the value here, so that the run goes on as it began.

use toml::Value;

/// Returns path and value of each such key; docs/spec/algorithms.md 9.1 and 9.2.
pub(super) fn values() -> [(&'static str, Value); 9] {
    [
        ("algo.offline_ac.held_out", Value::Float(0.0)),
        ("algo.offline_ac.truncation", Value::from("bootstrap")),
        ("algo.offline_ac.noise", Value::from("imitated")),
        ("algo.offline_ac.duplicates", Value::Float(1.0)),
        ("algo.offline_ac.weight_mean", Value::from("step")),
        // In every case, also where the profile "code" sets another.
        ("algo.offline_ac.level_share", Value::from("rows")),
        ("algo.himac.degenerate", Value::from("fewest")),
        ("algo.himac.all_failed", Value::from("train")),
        ("algo.himac.moments", Value::from("shared")),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::{from_resolved, load};

    #[test]
    fn a_run_without_the_keys_goes_on_as_it_began() {
        use stepladder_algo::offline_ac::WeightMean;
        use stepladder_data::{Noise, Truncation};
        let loaded = load("alfworld-cpu", &[]).unwrap();
        assert_eq!(from_resolved(&loaded.text, "config.toml").unwrap(), loaded.config);
        let now = &loaded.config.algo.offline_ac;
        assert_eq!((now.held_out, now.truncation, now.duplicates), (0.1, Truncation::Terminal, 0.0));
        let later = ["held_out =", "truncation =", "noise = \"", "duplicates =", "weight_mean ="];
        // `[algo.bc]` has a key `duplicates` too.
        let (before, after) = loaded.text.split_once("[algo.offline_ac]").unwrap();
        let (own, rest) = after.split_once("\n\n").unwrap();
        let own: Vec<&str> =
            own.lines().filter(|line| !later.iter().any(|key| line.starts_with(key))).collect();
        let old = format!("{before}[algo.offline_ac]{}\n\n{rest}", own.join("\n"));
        assert_eq!(loaded.text.lines().count(), old.lines().count() + later.len());
        let then = from_resolved(&old, "config.toml").unwrap().algo.offline_ac;
        assert_eq!((then.held_out, then.duplicates), (0.0, 1.0));
        assert_eq!((then.truncation, then.noise), (Truncation::Bootstrap, Noise::Imitated));
        assert_eq!(then.weight_mean, WeightMean::Step);
    }

    #[test]
    fn a_himac_run_without_the_keys_goes_on_as_it_began() {
        use stepladder_algo::himac::HimacConfig;
        let loaded = load("himac-sokoban", &[]).unwrap();
        assert_eq!(from_resolved(&loaded.text, "config.toml").unwrap(), loaded.config);
        assert_eq!(loaded.config.algo.himac, HimacConfig::default());
        let (before, after) = loaded.text.split_once("[algo.himac]").unwrap();
        let (_, rest) = after.split_once("\n\n").unwrap();
        let then = from_resolved(&format!("{before}{rest}"), "config.toml").unwrap();
        assert_eq!(then.algo.himac, HimacConfig::BEFORE);
    }

    #[test]
    fn a_run_without_offline_agents_is_the_configuration_that_it_was_made_of() {
        let loaded = load("demo", &[]).unwrap();
        assert!(!loaded.text.contains("offline_ac"));
        assert_eq!(from_resolved(&loaded.text, "config.toml").unwrap(), loaded.config);
    }
}
