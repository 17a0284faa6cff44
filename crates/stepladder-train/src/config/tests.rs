//! Loading from the outside: what users write, and what they are told.

use super::keys::{self, KEYS, Kind};
use super::load::PRESETS;
use super::origin::Origin;
use super::*;

/// A file in a folder of its own; its path in messages is replaced by `run.toml`.
pub(super) struct File {
    folder: tempfile::TempDir,
}

impl File {
    pub(super) fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("run.toml"), text).unwrap();
        Self { folder }
    }

    pub(super) fn path(&self) -> String {
        self.folder.path().join("run.toml").to_str().unwrap().to_owned()
    }

    pub(super) fn load(&self) -> Result<Loaded, ConfigError> {
        load(&self.path(), &[])
    }

    fn message(&self) -> String {
        self.load().unwrap_err().to_string().replace(&self.path(), "run.toml")
    }
}

pub(super) fn message(text: &str) -> String {
    File::new(text).message()
}

pub(super) fn with(sets: &[&str]) -> Result<Loaded, ConfigError> {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    load("demo", &sets)
}

pub(super) fn set_message(sets: &[&str]) -> String {
    with(sets).unwrap_err().to_string()
}

fn leaves(prefix: &str, value: &toml::Value, into: &mut Vec<String>) {
    match value {
        toml::Value::Table(table) if !prefix.ends_with(".budget") => {
            for (name, value) in table {
                leaves(&keys::join(prefix, name), value, into);
            }
        }
        _ => into.push(prefix.to_owned()),
    }
}

#[test]
fn keys_lists_exactly_the_keys_of_a_full_configuration() {
    let demo = load("demo", &[]).unwrap().text.replacen(
        "[data]\n",
        "penalise_noop = true\n[data]\nrenamed = 1\npractice = \"dev\"\npractice_games = 1\n",
        1,
    );
    let text = [demo.as_str(), ALGORITHMS, AGENT].concat();
    let config: Config = toml::from_str(&text).unwrap();
    let mut found = Vec::new();
    leaves("", &toml::Value::try_from(&config).unwrap(), &mut found);
    let mut found: Vec<String> = found.into_iter().map(|path| path.replace(".all.", ".*.")).collect();
    found.retain(|path| !path.starts_with("agents.step_hrl.") && !path.starts_with("agents.flat."));
    found.sort();
    let mut listed: Vec<String> = KEYS.iter().map(|key| key.path.to_owned()).collect();
    listed.sort();
    assert_eq!(listed, found);
}

/// The algorithms that the demo does without.
pub(super) const ALGORITHMS: &str = r#"
[algo.online]
tasks = "household/train"
tasks_per_iteration = 2
group = 2
temperature = 1.0
reward = "success"
penalty = 0.1
norm = "mean_std"
cross_step_stats = false
clip_low = 0.2
clip_high = 0.2
kl = 0.01
aggregate = "token_mean"
mini_batch = 8
gamma = 0.95
omega = 1.0
gae_gamma = 1.0
gae_lambda = 1.0
value_clip = 0.5
critic_learning_rate = 1e-3
[algo.dagger]
tasks = "household/train"
rounds = 2
games = 10
temperature = 0.5
[algo.offline_ac]
tasks = "household/train"
games = 10
collect_temperature = 1.0
demonstrations = 5
profile = "fixed"
actor_mode = "awr"
temperature = 1.0
weight_clip = 20.0
v_target_at = "action_end"
gamma = 0.99
smdp_gamma = false
omega = 0.95
value_bound = 1.0
tau = 0.2
target_update = "after_step"
micro_steps = 2
critic_learning_rate = 1e-4
critic_warmup = 50
schedule = "constant"
warmup = 0.0
floor = 1.0
mixture = "pooled"
batch_rows = 16
"#;

/// An agent with every option; none can have them all.
const AGENT: &str = r#"
[agents.all]
kind = "step_hrl"
algo = "bc"
from = "step_hrl"
budget = { steps = 3 }
batch_tokens = 64
learning_rate = 1e-3
history = 3
planner = false
progress = "none"
actor_mode = "linear"
omega = 0.5
weights = "per_role"
sub_done = false
also_flat = 1
coevolution = false
selection = "random"
"#;

#[test]
fn every_environment_is_named_where_one_is_chosen() {
    let key = KEYS.iter().find(|key| key.path == "env.id").unwrap();
    for id in crate::envs::ids() {
        assert!(key.meaning.contains(&format!("`{id}`")), "{id}: {}", key.meaning);
    }
}

#[test]
fn keys_say_what_the_structs_take() {
    let file = File::new(&["preset = \"demo\"", ALGORITHMS].concat());
    let full = file.load().unwrap().text;
    for key in KEYS {
        let path = key.path.replace('*', "step_hrl");
        let (good, bad): (Vec<String>, Vec<String>) = match key.kind {
            Kind::Count(most) => (vec![most.to_string()], vec!["-1".into(), "1.5".into(), "'x'".into()]),
            Kind::Integer => (vec!["1".into(), "-1".into()], vec!["1.5".into(), "'x'".into()]),
            Kind::Real => (vec!["0.5".into(), "1".into()], vec!["'x'".into(), "true".into()]),
            Kind::Flag => (vec!["true".into(), "false".into()], vec!["1".into()]),
            Kind::Text => (vec!["'x'".into()], vec!["1".into(), "{ x = 1 }".into()]),
            Kind::Texts => (vec!["[]".into(), "['a/b']".into()], vec!["'a/b'".into(), "[1]".into()]),
            Kind::Choice(names) => {
                let quote = |name: &&str| format!("{name:?}");
                (names.iter().map(quote).collect(), vec!["'other'".into(), "1".into()])
            }
            Kind::Budget => (
                [
                    "{ minutes = 1 }",
                    "{ epochs = 0.5 }",
                    "{ steps = 7 }",
                    "{ tokens = 7 }",
                    "{ tokens = 7, minutes = 1 }",
                ]
                .map(str::to_owned)
                .into(),
                [
                    "{ steps = 0.5 }",
                    "{ steps = 1, epochs = 1 }",
                    "{ steps = 1, minutes = 1 }",
                    "{ tokens = 1, hours = 1 }",
                    "5",
                    "{}",
                ]
                .map(str::to_owned)
                .into(),
            ),
        };
        let bad = if let Kind::Count(most @ ..0x1_0000_0000) = key.kind {
            [bad, vec![(most + 1).to_string()]].concat()
        } else {
            bad
        };
        let attempt = |value: &str| {
            let set = format!("{path}={value}");
            load(&file.path(), std::slice::from_ref(&set))
        };
        for value in good {
            // A value of the right type may still be refused for its size.
            let result = attempt(&value);
            assert!(
                matches!(result, Ok(_) | Err(ConfigError::Invalid { .. })),
                "{path}={value}: {}",
                result.unwrap_err()
            );
        }
        for value in bad {
            let text = attempt(&value).expect_err(&format!("{path}={value}")).to_string();
            let end = format!("; expected {}", key.kind.expected());
            assert!(text.contains(&format!("{path} is ")) && text.ends_with(&end), "{text}");
        }
        let (_, name) = keys::split(key.path);
        assert!(key.optional || full.contains(&format!("{name} = ")), "{name}");
    }
}

#[test]
fn every_preset_loads_and_is_read_back_from_its_text() {
    for (name, _) in PRESETS {
        let loaded = load(name, &[]).unwrap();
        assert_eq!(loaded.name, *name);
        assert_eq!(from_resolved(&loaded.text, "resolved.toml").unwrap(), loaded.config);
        assert_eq!(from_resolved(&show(&loaded), "shown.toml").unwrap(), loaded.config);
        let preset = Origin::Preset((*name).to_owned());
        assert!(loaded.origins.values().all(|origin| *origin == preset));
        for (path, key) in keys::concrete(loaded.config.agents.keys().map(String::as_str)) {
            let optional = key.optional || keys::is_optional(keys::split(&path).0);
            assert!(optional || loaded.origins.contains_key(&path), "{path}");
        }
    }
}

#[test]
fn later_layers_win_and_origins_say_so() {
    let file = File::new(
        "preset = \"demo\"\nseed = 7\n\n[agents.flat]\nbudget = { steps = 10 }\n\n[algo.bc]\nclip = 2\n",
    );
    let sets =
        ["algo.bc.clip=0.5", "env.max_steps=40", "agents.step_hrl.budget.epochs=3", "eval.transfer=[]"];
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    let loaded = load(&file.path(), &sets).unwrap();
    assert_eq!(loaded.name, "run");
    assert_eq!(loaded.config.seed, 7);
    assert_eq!(loaded.config.env.max_steps, 40);
    assert_eq!(loaded.config.agents["flat"].budget, Budget::Steps(10));
    assert_eq!(loaded.config.agents["step_hrl"].budget, Budget::Epochs(3.0));
    assert_eq!(loaded.config.algo.bc.as_ref().unwrap().clip, 0.5);
    assert_eq!(loaded.config.eval.transfer, Vec::<String>::new());
    let origin = |key: &str| loaded.origins[key].to_string().replace(&file.path(), "run.toml");
    assert_eq!(origin("seed"), "run.toml:2");
    assert_eq!(origin("agents.flat.budget"), "run.toml:5");
    assert_eq!(origin("agents.flat.batch_tokens"), "preset demo");
    assert_eq!(origin("algo.bc.clip"), "--set");
    assert_eq!(loaded.origins["algo.bc.clip"], Origin::Set("algo.bc.clip=0.5".to_owned()));
    // Nothing of the chain is needed to read the outcome again.
    assert_eq!(from_resolved(&loaded.text, "resolved.toml").unwrap(), loaded.config);
}

#[test]
fn an_earlier_name_of_a_key_is_read_as_the_present_one() {
    let loaded = load("demo", &["eval.zero_shot=['household/test']".to_owned()]).unwrap();
    assert_eq!(loaded.config.eval.transfer, ["household/test"]);
    assert_eq!(loaded.origins["eval.transfer"].to_string(), "--set");
    assert!(!loaded.text.contains("zero_shot"));
}

#[test]
fn only_alfworld_and_households_can_penalise_what_does_nothing() {
    assert!(with(&["env.penalise_noop=true"]).unwrap().config.env.penalise_noop);
    let message = load("rl-sokoban", &["env.penalise_noop=true".to_owned()]).unwrap_err().to_string();
    assert!(
        message.contains("env.penalise_noop is true (--set); sokoban has no option `penalise_noop`; it has tiles=DIR (env verify)"),
        "{message}"
    );
}

#[test]
fn the_last_of_equal_sets_counts() {
    assert_eq!(with(&["seed=2", "seed=3"]).unwrap().config.seed, 3);
}

#[test]
fn show_prints_values_with_origins_by_table() {
    let loaded = with(&["agents.step_hrl=false", "algo.bc.eps=1e-9", "data.split=test"]).unwrap();
    let expected = r#"seed = 1                                      # preset demo
threads = 0                                   # preset demo

[env]
id = "household"                              # preset demo
max_steps = 50                                # preset demo

[data]
split = "test"                                # --set
games = 4000                                  # preset demo
noisy_passes = 1                              # preset demo
noise = 0.2                                   # preset demo

[model]
width = 128                                   # preset demo
layers = 4                                    # preset demo
heads = 4                                     # preset demo
kv_heads = 2                                  # preset demo
ffn = 352                                     # preset demo
max_positions = 1024                          # preset demo
rope_theta = 10000.0                          # preset demo
norm_eps = 1e-5                               # preset demo
tied = true                                   # preset demo

[algo.bc]
reduction = "row_mean"                        # preset demo
mixture = "pooled"                            # preset demo
schedule = "cosine"                           # preset demo
warmup = 0.03                                 # preset demo
floor = 0.02                                  # preset demo
beta1 = 0.9                                   # preset demo
beta2 = 0.98                                  # preset demo
eps = 1e-9                                    # --set
weight_decay = 0.05                           # preset demo
clip = 1.0                                    # preset demo
batch_rows = 16                               # preset demo
planner_every = 4                             # preset demo
duplicates = 0.0                              # preset demo

[agents.flat]
kind = "flat"                                 # preset demo
algo = "bc"                                   # preset demo
budget = { tokens = 9000000, minutes = 5.0 }  # preset demo
batch_tokens = 1536                           # preset demo
learning_rate = 0.002                         # preset demo

[eval]
split = "dev"                                 # preset demo
episodes = 200                                # preset demo
slots = 100                                   # preset demo
probes = 2                                    # preset demo
probe_episodes = 24                           # preset demo
transfer = ["alfworld/valid_seen"]            # preset demo

[log]
every_seconds = 5.0                           # preset demo
checkpoint_seconds = 30.0                     # preset demo
keep = 2                                      # preset demo
"#;
    assert_eq!(show(&loaded), expected);
}

#[test]
fn unknown_keys_are_all_named_with_what_was_meant_and_what_is_allowed() {
    assert_eq!(
        message("preset = \"demo\"\n\n[algo.bc]\nlearning_rat = 2e-3  # higher\n\n[modle]\nwidth = 64\n"),
        "run.toml:4: unknown key algo.bc.learning_rat; did you mean agents.NAME.learning_rate? [algo.bc] takes \
         reduction, mixture, schedule, warmup, floor, beta1, beta2, eps, weight_decay, clip, batch_rows, planner_every, \
         duplicates\
         \n    learning_rat = 2e-3  # higher\
         \nrun.toml:6: unknown key modle; did you mean model? the top level takes \
         seed, threads, env, data, model, algo, agents, eval, log\
         \n    [modle]"
    );
    assert_eq!(
        set_message(&["agents.stephrl.batch_tokens=64"]),
        "demo: missing agents.stephrl.kind, agents.stephrl.algo, agents.stephrl.budget, agents.stephrl.learning_rate; \
         write them too to have a new agent, or did you mean agents.step_hrl?"
    );
    assert_eq!(
        message("preset = \"demo\"\n[env]\n\"id.x\" = 1\n"),
        "run.toml:3: unknown key env.\"id.x\"; [env] takes id, max_steps, penalise_noop\n    \"id.x\" = 1"
    );
    // The dot is part of this name: it is not the key `env.id`.
    assert_eq!(
        message("preset = \"demo\"\n\"env.id\" = \"household\"\n"),
        "run.toml:2: unknown key \"env.id\"; the top level takes \
         seed, threads, env, data, model, algo, agents, eval, log\n    \"env.id\" = \"household\""
    );
}

#[test]
fn values_of_the_wrong_type() {
    assert_eq!(
        message("preset = \"demo\"\nenv.max_steps = \"many\"\n"),
        "run.toml:2: env.max_steps is \"many\" (a string); expected a whole number from 0 to 4294967295\
         \n    env.max_steps = \"many\""
    );
    assert_eq!(
        set_message(&["algo.bc.schedule=cosin"]),
        "--set algo.bc.schedule=cosin: algo.bc.schedule is \"cosin\" (a string); \
         expected \"constant\", \"cosine\" or \"linear\"; did you mean \"cosine\"?"
    );
    assert_eq!(
        message("preset = \"demo\"\n[agents]\nflat.budget = { hours = 2 }\n"),
        "run.toml:3: agents.flat.budget is { hours = 2 } (a table); expected one of { minutes = 4.0 }, { epochs = 5.0 }, { steps = 1000 }, \
         { env_steps = 100000 }, { tokens = 5000000 } and { tokens = 5000000, minutes = 4.0 }, with your numbers\n    flat.budget = { hours = 2 }"
    );
    assert_eq!(
        message("preset = \"demo\"\n[[env]]\nid = \"household\"\n"),
        "run.toml:2: env is [{ id = \"household\" }] (a list); expected a table with id, max_steps, penalise_noop\n    [[env]]"
    );
    assert_eq!(
        set_message(&["agents.flat=true"]),
        "--set agents.flat=true: agents.flat is true (a truth value); \
         expected a table with kind, algo, from, budget, batch_tokens, learning_rate, history, planner, progress, actor_mode, \
         omega, weights, sub_done, also_flat, coevolution, selection, or false to leave it out"
    );
    assert_eq!(
        message("preset = \"demo\"\n[eval]\ntransfer = [\n  \"a/b\",\n  3,\n]\n"),
        "run.toml:3: eval.transfer is [\"a/b\", 3] (a list); expected a list of strings\n    transfer = ["
    );
    assert_eq!(
        message("preset = 3\n"),
        "run.toml:1: preset is 3 (a whole number); expected the name of a preset: \"ablations\" or \"alfworld\" or \"alfworld-cpu\" or \"demo\" or \"himac-ablations\" or \"himac-sokoban\" or \"horizon\" or \"rl-household\" or \"rl-sokoban\" or \"rl-sokoban-8x8\" or \"scienceworld\" or \"scienceworld-ablations\" or \"scienceworld-cpu\"\
         \n    preset = 3"
    );
}

#[test]
fn missing_keys_are_named() {
    assert_eq!(
        message(""),
        "run.toml: missing seed, threads, [env], [data], [model], [eval], [log]; \
         write them, or start from a preset with preset = \"demo\""
    );
    let text = load("demo", &[]).unwrap().text;
    let without: Vec<&str> = text.lines().filter(|line| !line.starts_with("max_steps")).collect();
    assert_eq!(
        message(&without.join("\n")),
        "run.toml: missing env.max_steps; write it, or start from a preset with preset = \"demo\""
    );
    assert_eq!(
        set_message(&["agents.flat=false", "agents.flat.batch_tokens=64"]),
        "demo: missing agents.flat.kind, agents.flat.algo, agents.flat.budget, agents.flat.learning_rate; \
         write them too, or do not set the table to false"
    );
    assert_eq!(
        set_message(&["algo.bc=false", "agents.flat=false"]),
        "demo: agents.step_hrl.algo is \"bc\" (preset demo); it needs a table [algo.bc]"
    );
    let gap = text.replace("tied = true\n", "");
    assert_eq!(
        from_resolved(&gap, "runs/a/config.toml").unwrap_err().to_string(),
        "runs/a/config.toml: missing model.tied; it was written by another version, or changed since"
    );
    let error = from_resolved("preset = \"demo\"\n", "runs/a/config.toml").unwrap_err();
    assert_eq!(
        error.to_string(),
        "runs/a/config.toml:1: unknown key preset; the top level takes \
         seed, threads, env, data, model, algo, agents, eval, log\n    preset = \"demo\""
    );
}

#[test]
fn text_that_is_not_toml() {
    assert_eq!(
        message("preset = \"demo\"\nseed = 1\nseed = 2\n"),
        "run.toml:3: not valid TOML: duplicate key\n    seed = 2"
    );
    assert_eq!(
        message("preset = \"demo\"\n\nthreads 2\n"),
        "run.toml:3: not valid TOML: key with no value, expected `=`\n    threads 2"
    );
    assert_eq!(
        message("preset = \"demo\"\nseed = 99999999999999999999\n"),
        "run.toml:2: not valid TOML: a number is too large: whole numbers end at 2^63 - 1, others at 1.8e308\n    seed = 99999999999999999999"
    );
}

#[test]
fn presets_and_files_that_do_not_exist() {
    let error = |name: &str| load(name, &[]).unwrap_err().to_string();
    assert_eq!(
        error("dmo"),
        "unknown preset \"dmo\"; did you mean demo? presets are ablations, alfworld, alfworld-cpu, demo, himac-ablations, himac-sokoban, horizon, rl-household, rl-sokoban, rl-sokoban-8x8, scienceworld, scienceworld-ablations, scienceworld-cpu, \
         and a file is given by a path that ends in .toml or contains /"
    );
    assert_eq!(
        error("something"),
        "unknown preset \"something\"; presets are ablations, alfworld, alfworld-cpu, demo, himac-ablations, himac-sokoban, horizon, rl-household, rl-sokoban, rl-sokoban-8x8, scienceworld, scienceworld-ablations, scienceworld-cpu, \
         and a file is given by a path that ends in .toml or contains /"
    );
    assert_eq!(
        message("seed = 1\npreset = \"alfworld-cp\"\n"),
        "run.toml:2: unknown preset \"alfworld-cp\"; did you mean alfworld-cpu? presets are ablations, alfworld, alfworld-cpu, demo, himac-ablations, himac-sokoban, horizon, rl-household, rl-sokoban, rl-sokoban-8x8, scienceworld, scienceworld-ablations, scienceworld-cpu, \
         and a file is given by a path that ends in .toml or contains /"
    );
    assert_eq!(
        error("no-such-folder/demo.toml"),
        "no-such-folder/demo.toml: no such file; did you mean the preset demo? presets are ablations, alfworld, alfworld-cpu, demo, himac-ablations, himac-sokoban, horizon, rl-household, rl-sokoban, rl-sokoban-8x8, scienceworld, scienceworld-ablations, scienceworld-cpu"
    );
    let file = File::new("");
    fs_err::write(file.path(), b"seed = \xff").unwrap();
    for path in [file.path(), file.folder.path().join("").to_str().unwrap().to_owned()] {
        let text = error(&path);
        let named = text.contains(path.trim_end_matches('/'));
        assert!(text.starts_with("the configuration cannot be read: ") && named, "{text}");
    }
}

#[test]
fn malformed_sets() {
    let example = "write --set KEY=VALUE, for example --set algo.bc.clip=0.5";
    assert_eq!(set_message(&["seed"]), format!("--set seed: there is no =; {example}"));
    assert_eq!(set_message(&["=1"]), format!("--set =1: \"\" is not a key; {example}"));
    assert_eq!(set_message(&["env..id=x"]), format!("--set env..id=x: \"env..id\" is not a key; {example}"));
    assert_eq!(
        set_message(&["eval.transfer=[alfworld/valid_seen]"]),
        format!(
            "--set eval.transfer=[alfworld/valid_seen]: the value is not valid TOML: \
             string values must be quoted, expected literal string; {example}"
        )
    );
    assert_eq!(
        set_message(&["seed="]),
        "--set seed=: seed is \"\" (a string); expected a whole number from 0 to 2^63 - 1"
    );
    assert_eq!(
        set_message(&["seed=99999999999999999999"]),
        format!(
            "--set seed=99999999999999999999: a number is too large: whole numbers end at 2^63 - 1, others at 1.8e308; {example}"
        )
    );
    // A value cannot smuggle in further keys.
    assert_eq!(
        set_message(&["env.id=a\nseed=2"]),
        "demo: env.id is \"a\\nseed=2\" (--set); known are household, alfworld, sokoban, scienceworld"
    );
}

#[test]
fn an_unknown_algorithm() {
    assert_eq!(
        message("preset = \"demo\"\n[algo.bcc]\nclip = 1.0\n"),
        "run.toml:2: unknown key algo.bcc; did you mean algo.bc? [algo] takes bc, dagger, offline_ac, online\n    [algo.bcc]"
    );
    assert_eq!(
        message("preset = \"demo\"\n[algo]\nclip = 1.0\n"),
        "run.toml:3: unknown key algo.clip; did you mean algo.bc.clip? [algo] takes bc, dagger, offline_ac, online\
         \n    clip = 1.0"
    );
}

#[test]
fn the_reference_page_lists_every_key_with_both_presets() {
    let page = reference();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(rows.len(), KEYS.len());
    for row in [
        "| `games` | a whole number from 0 to 2^63 - 1 | Number of tasks: a sample drawn with the run seed, stratified by task family; 0 takes all. | `0` | `0` | `0` | `4000` | `70` | `70` | `1200` | `1000` | `70` | `4000` | `0` | `0` | `0` |",
        "| `norm_eps` | a number | ε inside the root of RMSNorm; above 0. | `1e-5` | `1e-5` | `1e-5` | `1e-5` | `1e-5` | `1e-5` | `1e-5` | `1e-5` | `1e-5` | `1e-5` | `1e-5` | `1e-5` | `1e-5` |",
        "| key | takes | meaning | `ablations` | `alfworld` | `alfworld-cpu` | `demo` | `himac-ablations` | `himac-sokoban` | `horizon` | `rl-household` | `rl-sokoban` | `rl-sokoban-8x8` | `scienceworld` | `scienceworld-ablations` | `scienceworld-cpu` |",
        "## `[agents.NAME]`",
    ] {
        assert!(page.lines().any(|line| line == row), "{row}\n{page}");
    }
}
