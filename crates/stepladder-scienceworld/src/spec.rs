//! Static description of the environment.

use stepladder_env::EnvSpec;

/// Description of ScienceWorld.
pub static SPEC: EnvSpec = EnvSpec {
    id: "scienceworld",
    summary: "elementary science in a text world: 30 task types (needs Java; `stepladder data get scienceworld`)",
    version: 1,
    upstream: "ScienceWorld 1.2.3, the official simulator, with equal identity hashes",
    data_licence: "Apache-2.0",
    splits: &[
        "train",
        "dev",
        "test",
        "train_dev",
        "train_fit",
        "train_first",
        "train_last",
        "practice",
        "practice_first",
        "train-easy",
        "dev-easy",
        "test-easy",
        "train_dev-easy",
        "train_fit-easy",
        "all-train",
        "all-dev",
        "all-test",
        "all-train-easy",
        "all-dev-easy",
        "all-test-easy",
    ],
    max_steps: 50,
    reward_range: (-2.0, 1.0),
    score_range: Some((0.0, 1.0)),
    deterministic: true,
};
