//! Loading from the outside: written configurations and the resulting values and messages.

use super::keys::{self, KEYS, ValueType};
use super::origin::Origin;
use super::presets::PRESETS;
use super::*;
use stepladder_core::section::Choice;

/// A file in its own folder; its path in messages is replaced by `run.toml`.
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

#[test]
fn keys_say_what_the_structs_take() {
    let file = File::new(
        "preset = \"demo\"\n[algo]\ndagger.rounds = 1\noffline_ac.games = 1\nonline.group = 2\ngigpo.gamma = 0.5\n\
         ppo.lambda = 0.5\nhimac.kl_idle = 0.5\n",
    );
    let full = file.load().unwrap().text;
    for key in KEYS.iter() {
        let path = key.path.replace('*', "step_hrl");
        let (good, bad): (Vec<String>, Vec<String>) = match key.declared.value_type {
            ValueType::Count(most) => (vec![most.to_string()], vec!["-1".into(), "1.5".into(), "'x'".into()]),
            ValueType::Integer => (vec!["1".into(), "-1".into()], vec!["1.5".into(), "'x'".into()]),
            ValueType::Real => (vec!["0.5".into(), "1".into()], vec!["'x'".into(), "true".into()]),
            ValueType::Flag => (vec!["true".into(), "false".into()], vec!["1".into()]),
            ValueType::Text => (vec!["'x'".into()], vec!["1".into(), "{ x = 1 }".into()]),
            ValueType::Texts => (vec!["[]".into(), "['a/b']".into()], vec!["'a/b'".into(), "[1]".into()]),
            ValueType::Choice(choices) => {
                let quote = |choice: &Choice| format!("{:?}", choice.name);
                (choices.iter().map(quote).collect(), vec!["'other'".into(), "1".into()])
            }
            ValueType::Other(..) => (
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
        let bad = if let ValueType::Count(most @ ..0x1_0000_0000) = key.declared.value_type {
            [bad, vec![(most + 1).to_string()]].concat()
        } else {
            bad
        };
        let attempt = |value: &str| {
            let set = format!("{path}={value}");
            load(&file.path(), std::slice::from_ref(&set))
        };
        for value in good {
            // A value of the right type may still be out of range.
            let result = attempt(&value);
            assert!(
                matches!(result, Ok(_) | Err(ConfigError::Invalid { .. })),
                "{path}={value}: {}",
                result.unwrap_err()
            );
        }
        for value in bad {
            let text = attempt(&value).expect_err(&format!("{path}={value}")).to_string();
            let end = format!("; expected {}", key.declared.value_type.expected());
            assert!(text.contains(&format!("{path} is ")) && text.ends_with(&end), "{text}");
        }
        let (table, name) = keys::split(&key.path);
        let switch = table == "agents.*" && !key.is_required();
        assert!(key.declared.optional || switch || full.contains(&format!("{name} = ")), "{name}");
    }
}

#[test]
fn every_preset_loads_and_is_read_back_from_its_text() {
    for (name, _) in PRESETS {
        let loaded = load(name, &[]).unwrap();
        assert_eq!(loaded.name, *name);
        assert_eq!(from_resolved(&loaded.text, "resolved.toml").unwrap(), loaded.config);
        assert_eq!(
            from_resolved(&show(&loaded.config, &loaded.origins), "shown.toml").unwrap(),
            loaded.config
        );
        assert!(loaded.origins.values().all(|origin| matches!(origin, Origin::Default | Origin::Preset(_))));
        for (path, key) in keys::concrete(loaded.config.agents.keys().map(String::as_str)) {
            assert!(key.declared.optional || loaded.origins.contains_key(&path), "{path}");
        }
    }
}

#[test]
fn presets_are_short_and_begin_with_their_purpose() {
    for (name, text) in PRESETS {
        assert!(text.lines().count() <= 40, "{name}");
        assert!(text.starts_with("# "), "{name}");
        let layer = layer::Layer::preset(name, text).unwrap();
        let base =
            layer.preset.as_ref().map(|start| load(start.value.as_str().unwrap(), &[]).unwrap().config);
        let values =
            |config: &Config| entries(config).into_iter().collect::<std::collections::BTreeMap<_, _>>();
        let own = values(&load(name, &[]).unwrap().config);
        for item in &layer.items {
            let layer::Item::Value(path, entry) = item else { continue };
            let before = base.as_ref().and_then(|base| values(base).get(path).cloned());
            let before = before.or_else(|| keys::find(path).and_then(keys::Key::default));
            assert_ne!(before.as_ref(), Some(&entry.value), "{name}: {path} does not change a value");
            assert_eq!(own.get(path), Some(&entry.value), "{name}: {path}");
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
    assert_eq!(loaded.config.agents["flat"].budget, stepladder_algo::runtime::budget::Budget::Steps(10));
    assert_eq!(
        loaded.config.agents["step_hrl"].budget,
        stepladder_algo::runtime::budget::Budget::Epochs(3.0)
    );
    assert_eq!(loaded.config.algo.adamw.clip, 0.5);
    assert_eq!(loaded.config.eval.transfer, Vec::<String>::new());
    let origin = |key: &str| loaded.origins[key].to_string().replace(&file.path(), "run.toml");
    assert_eq!(origin("seed"), "run.toml:2");
    assert_eq!(origin("agents.flat.budget"), "run.toml:5");
    assert_eq!(origin("agents.flat.kind"), "preset demo");
    assert_eq!(origin("agents.flat.batch_tokens"), "default");
    assert_eq!(origin("algo.adamw.clip"), "--set");
    assert_eq!(loaded.origins["algo.adamw.clip"], Origin::Set("algo.bc.clip=0.5".to_owned()));
    // A resolved configuration reads back without the other layers.
    assert_eq!(from_resolved(&loaded.text, "resolved.toml").unwrap(), loaded.config);
}

#[test]
fn an_earlier_name_of_a_key_is_read_as_the_present_one() {
    let loaded = load("demo", &[concat!("eval.zero", "_shot=['household/test']").to_owned()]).unwrap();
    assert_eq!(loaded.config.eval.transfer, ["household/test"]);
    assert_eq!(loaded.origins["eval.transfer"].to_string(), "--set");
    assert!(!loaded.text.contains("_shot"));
    let old =
        File::new("agents.a = { kind = 'flat', algo = 'bc' }\n[model]\nwidth = 64\n[algo.bc]\nclip = 0.5\n")
            .load();
    let loaded = old.unwrap();
    assert_eq!((loaded.config.model.scratch.width, loaded.config.algo.adamw.clip), (64, 0.5));
    assert!(loaded.origins["model.scratch.width"].to_string().ends_with("run.toml:3"));
}

/// The keys of GiGPO and PPO were in `[algo.online]`.
#[test]
fn keys_that_moved_to_the_table_of_their_method_are_read_under_their_earlier_path() {
    let file = File::new(
        "[agents]\na = { kind = 'flat', algo = 'ppo' }\n[algo.online]\ngroup = 3\ngamma = 0.5\nomega = 0.25\n\
         gae_gamma = 0.75\ngae_lambda = 0.125\nvalue_clip = 0.375\ncritic_learning_rate = 0.0625\n",
    );
    let sets = ["algo.online.omega=2.0".to_owned()];
    let loaded = load(&file.path(), &sets).unwrap();
    let AlgoConfig { online, gigpo, ppo, .. } = &loaded.config.algo;
    assert_eq!((online.group, gigpo.gamma, gigpo.omega), (3, 0.5, 2.0));
    assert_eq!(
        (ppo.gamma, ppo.lambda, ppo.value_clip, ppo.critic_learning_rate),
        (0.75, 0.125, 0.375, 0.0625)
    );
    let origin = |key: &str| loaded.origins[key].to_string();
    assert_eq!(origin("algo.ppo.lambda"), format!("{}:8", file.path()));
    assert_eq!(origin("algo.gigpo.omega"), "--set");
    let lines: Vec<&str> = loaded.text.lines().collect();
    let table = |name: &str| {
        let rest = lines.iter().skip_while(|line| **line != name).skip(1);
        rest.take_while(|line| !line.is_empty()).copied().collect::<Vec<_>>()
    };
    assert_eq!(table("[algo.gigpo]"), ["gamma = 0.5", "omega = 2.0"]);
    let critic = ["gamma = 0.75", "lambda = 0.125", "value_clip = 0.375", "critic_learning_rate = 0.0625"];
    assert_eq!(table("[algo.ppo]"), critic);
    assert!(!table("[algo.online]").iter().any(|line| line.contains("gamma")), "{}", loaded.text);
    let message = set_message(&["algo.online.gae_gamma=2"]);
    assert!(message.contains("algo.ppo.gamma is 2.0 (--set); it must be from 0 to 1"), "{message}");
}

#[test]
fn an_agent_alone_is_a_complete_configuration() {
    use stepladder_agent::AgentKind::{Flat, Himac, StepHrl};
    let pairs = [
        (StepHrl, Algo::Bc, None),
        (Flat, Algo::Bc, None),
        (Himac, Algo::Bc, None),
        (StepHrl, Algo::Dagger, None),
        (Flat, Algo::Dagger, None),
        (StepHrl, Algo::OfflineAc, Some("mine_start")),
        (StepHrl, Algo::MoreBc, Some("mine_start")),
        (StepHrl, Algo::FilteredBc, Some("mine_start")),
        (StepHrl, Algo::TopBc, Some("mine_start")),
        (Himac, Algo::Himac, Some("mine_start")),
        (Flat, Algo::Grpo, Some("mine_start")),
        (Flat, Algo::Rloo, Some("mine_start")),
        (Flat, Algo::Gigpo, Some("mine_start")),
        (Flat, Algo::Ppo, Some("mine_start")),
    ];
    for (kind, algo, from) in pairs {
        let text = format!("[agents.mine]\nkind = {:?}\nalgo = {:?}\n", kind.name(), algo.name());
        let loaded = File::new(&text).load().unwrap();
        let agent = &loaded.config.agents["mine"];
        assert_eq!(agent.from.as_deref(), from);
        let names: Vec<&str> = loaded.config.agents.keys().map(String::as_str).collect();
        assert_eq!(names, from.into_iter().chain(["mine"]).collect::<Vec<_>>());
        if let Some(start) = from.map(|name| &loaded.config.agents[name]) {
            assert_eq!(
                (start.kind, start.algo, start.budget),
                (kind, Algo::Bc, loaded.config.algo.bc.budget)
            );
        }
        assert_eq!(loaded.origins["agents.mine.budget"], Origin::Default);
        assert_eq!(from_resolved(&loaded.text, "config.toml").unwrap(), loaded.config);
    }
}

#[test]
fn agents_take_what_they_do_not_set_from_their_algorithm() {
    let text = "[agents]\na = { kind = 'step_hrl', algo = 'bc' }\nb = { kind = 'step_hrl', algo = 'dagger', learning_rate = 0.5 }\n\
                [algo]\nbc.learning_rate = 0.25\ndagger = { learning_rate = 0.125, batch_tokens = 99 }\n";
    let file = File::new(text);
    let loaded = load(&file.path(), &["algo.dagger.budget={ steps = 3 }".to_owned()]).unwrap();
    let rate = |name: &str| loaded.config.agents[name].learning_rate;
    assert_eq!((rate("a"), rate("b")), (0.25, 0.5));
    assert_eq!((loaded.config.agents["a"].batch_tokens, loaded.config.agents["b"].batch_tokens), (1536, 99));
    assert_eq!(loaded.origins["agents.b.budget"].to_string(), "--set");
    assert!(loaded.origins["agents.a.learning_rate"].to_string().ends_with("run.toml:5"));
}

#[test]
fn the_configuration_of_a_run_directory_is_read_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("demo-1");
    fs_err::create_dir(&path).unwrap();
    fs_err::write(path.join("config.toml"), load("demo", &[]).unwrap().text).unwrap();
    let loaded = load(path.to_str().unwrap(), &["seed=3".to_owned()]).unwrap();
    assert_eq!((loaded.name.as_str(), loaded.config.seed), ("demo-1", 3));
    assert_eq!(loaded.origins["env.id"].to_string(), format!("run {}", path.display()));
    assert_eq!(loaded.origins["seed"].to_string(), "--set");
}

#[test]
fn options_of_the_environment_are_checked() {
    let options = |sets: &[&str]| with(sets).unwrap().config.env.options();
    let set = ("penalise_noop".to_owned(), "true".to_owned());
    assert_eq!(options(&["env.options=['penalise_noop=true']"]), std::slice::from_ref(&set));
    assert_eq!(options(&["env.penalise_noop=true"]), [set]);
    for (option, problem) in [
        ("penalise_noop=2", "option `penalise_noop` of household is `2`; it takes true or false"),
        ("goals=2", "option `goals` of household is for env generate, not for playing"),
        (
            "tiles",
            "household has no option `tiles`; it has penalise_noop=true|false (playing), goals=N (env generate)",
        ),
    ] {
        let message = set_message(&[&format!("env.options=['{option}']")]);
        assert!(message.contains("env.options is a list with \"") && message.contains(problem), "{message}");
    }
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
    let loaded = with(&["agents.step_hrl=false", "algo.adamw.eps=1e-9", "data.split=test"]).unwrap();
    let shown = show(&loaded.config, &loaded.origins);
    let lines = |table: &str| -> Vec<&str> {
        let after = shown.split(&format!("[{table}]\n")).nth(1).unwrap();
        after.lines().take_while(|line| !line.is_empty()).collect()
    };
    assert!(shown.starts_with("seed = 1                                      # default\n"), "{shown}");
    assert_eq!(
        lines("data"),
        [
            "split = \"test\"                                # --set",
            "games = 4000                                  # default",
            "noisy_passes = 1                              # default",
            "noise = 0.2                                   # default",
            "practice_games = 0                            # default",
            "renamed = 0                                   # default",
            "word_games = 500                              # default",
            "demonstrator = \"expert\"                       # default",
            "wander = 0                                    # default",
        ]
    );
    assert_eq!(
        lines("algo.adamw"),
        [
            "beta1 = 0.9                                   # default",
            "beta2 = 0.98                                  # default",
            "eps = 1e-9                                    # --set",
            "weight_decay = 0.05                           # default",
            "clip = 1.0                                    # default",
        ]
    );
    assert_eq!(
        lines("agents.flat"),
        [
            "kind = \"flat\"                                 # preset demo",
            "algo = \"bc\"                                   # preset demo",
            "budget = { tokens = 9000000, minutes = 5.0 }  # preset demo",
            "batch_tokens = 1536                           # default",
            "learning_rate = 0.002                         # default",
        ]
    );
    let tables: Vec<&str> = shown.lines().filter(|line| line.starts_with('[')).collect();
    let expected = [
        "[env]",
        "[data]",
        "[model]",
        "[model.scratch]",
        "[model.lora]",
        "[generation]",
        "[algo.adamw]",
        "[algo.bc]",
        "[agents.flat]",
        "[eval]",
        "[log]",
    ];
    assert_eq!(tables, expected, "tables of algorithms that no agent uses are left out");
}

#[test]
fn unknown_keys_are_all_named_with_what_was_meant_and_what_is_allowed() {
    assert_eq!(
        message("preset = \"demo\"\n\n[algo.bc]\nlearning_rat = 2e-3  # higher\n\n[modle]\nwidth = 64\n"),
        "run.toml:4: unknown key algo.bc.learning_rat; did you mean algo.bc.learning_rate? [algo.bc] takes \
         budget, batch_tokens, learning_rate, reduction, mixture, schedule, warmup, floor, batch_rows, planner_every, \
         group_rows, duplicates, prompt_loss\
         \n    learning_rat = 2e-3  # higher\
         \nrun.toml:6: unknown key modle; did you mean model? the top level takes \
         seed, threads, env, data, model, generation, algo, agents, eval, log\
         \n    [modle]"
    );
    assert_eq!(
        set_message(&["agents.stephrl.batch_tokens=64"]),
        "demo: missing agents.stephrl.kind, agents.stephrl.algo; write them too to have a new agent, or did you mean agents.step_hrl?"
    );
    assert_eq!(
        message("preset = \"demo\"\n[env]\n\"id.x\" = 1\n"),
        "run.toml:3: unknown key env.\"id.x\"; [env] takes id, max_steps, penalise_noop, options\n    \"id.x\" = 1"
    );
    // The dot is part of this name: it is not the key `env.id`.
    assert_eq!(
        message("preset = \"demo\"\n\"env.id\" = \"household\"\n"),
        "run.toml:2: unknown key \"env.id\"; the top level takes \
         seed, threads, env, data, model, generation, algo, agents, eval, log\n    \"env.id\" = \"household\""
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
         { env_steps = 100000 }, { tokens = 5000000 } and { tokens = 5000000, minutes = 4.0 }, with your values\n    flat.budget = { hours = 2 }"
    );
    assert_eq!(
        message("preset = \"demo\"\n[[env]]\nid = \"household\"\n"),
        "run.toml:2: env is [{ id = \"household\" }] (a list); expected a table with id, max_steps, penalise_noop, options\n    [[env]]"
    );
    let every_key = keys::children("agents.flat").join(", ");
    assert_eq!(
        set_message(&["agents.flat=true"]),
        format!(
            "--set agents.flat=true: agents.flat is true (a truth value); expected a table with {every_key}, or false to omit it"
        )
    );
    assert_eq!(
        message("preset = \"demo\"\n[eval]\ntransfer = [\n  \"a/b\",\n  3,\n]\n"),
        "run.toml:3: eval.transfer is [\"a/b\", 3] (a list); expected a list of strings\n    transfer = ["
    );
    assert_eq!(
        message("preset = 3\n"),
        "run.toml:1: preset is 3 (a whole number); expected the name of a preset: \"ablations\" or \"alfworld\" or \"alfworld-cpu\" or \"demo\" or \"himac-ablations\" or \"himac-sokoban\" or \"horizon\" or \"mixed-household\" or \"mixed-scienceworld\" or \"offline-controls\" or \"rl-chains\" or \"rl-chains-flat\" or \"rl-household\" or \"rl-sokoban\" or \"rl-sokoban-7x7\" or \"rl-webshop\" or \"scienceworld\" or \"scienceworld-ablations\" or \"scienceworld-cpu\" or \"smollm2-alfworld\" or \"smollm2-alfworld-scratch\" or \"smollm2-household\" or \"smollm2-household-scratch\" or \"smollm2-webshop\" or \"webshop-ablations\" or \"webshop-cpu\" or \"webshop-small\"\
         \n    preset = 3"
    );
}

#[test]
fn missing_keys_are_named() {
    assert_eq!(message(""), "run.toml: there is no agent to train; write a table [agents.NAME]");
    assert_eq!(message("[agents.a]\nkind = \"flat\"\n"), "run.toml: missing agents.a.algo; write it");
    assert_eq!(
        set_message(&["agents.flat=false", "agents.flat.batch_tokens=64"]),
        "demo: missing agents.flat.kind, agents.flat.algo; write them"
    );
    let error = from_resolved("preset = \"demo\"\n", "runs/a/config.toml").unwrap_err();
    assert_eq!(
        error.to_string(),
        "runs/a/config.toml:1: unknown key preset; the top level takes \
         seed, threads, env, data, model, generation, algo, agents, eval, log\n    preset = \"demo\""
    );
}

#[test]
fn false_takes_a_table_back_to_its_defaults() {
    let loaded =
        load("alfworld-cpu", &["algo.dagger=false".to_owned(), "algo.dagger.rounds=2".to_owned()]).unwrap();
    let expected = stepladder_algo::dagger::DaggerConfig { rounds: 2, ..Default::default() };
    assert_eq!(loaded.config.algo.dagger, expected);
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
        "unknown preset \"dmo\"; did you mean demo? presets are ablations, alfworld, alfworld-cpu, demo, himac-ablations, himac-sokoban, horizon, mixed-household, mixed-scienceworld, offline-controls, rl-chains, rl-chains-flat, rl-household, rl-sokoban, rl-sokoban-7x7, rl-webshop, scienceworld, scienceworld-ablations, scienceworld-cpu, smollm2-alfworld, smollm2-alfworld-scratch, smollm2-household, smollm2-household-scratch, smollm2-webshop, webshop-ablations, webshop-cpu, webshop-small, \
         and a file is given by a path that ends in .toml or contains /"
    );
    assert_eq!(
        error("something"),
        "unknown preset \"something\"; presets are ablations, alfworld, alfworld-cpu, demo, himac-ablations, himac-sokoban, horizon, mixed-household, mixed-scienceworld, offline-controls, rl-chains, rl-chains-flat, rl-household, rl-sokoban, rl-sokoban-7x7, rl-webshop, scienceworld, scienceworld-ablations, scienceworld-cpu, smollm2-alfworld, smollm2-alfworld-scratch, smollm2-household, smollm2-household-scratch, smollm2-webshop, webshop-ablations, webshop-cpu, webshop-small, \
         and a file is given by a path that ends in .toml or contains /"
    );
    assert_eq!(
        message("seed = 1\npreset = \"alfworld-cp\"\n"),
        "run.toml:2: unknown preset \"alfworld-cp\"; did you mean alfworld-cpu? presets are ablations, alfworld, alfworld-cpu, demo, himac-ablations, himac-sokoban, horizon, mixed-household, mixed-scienceworld, offline-controls, rl-chains, rl-chains-flat, rl-household, rl-sokoban, rl-sokoban-7x7, rl-webshop, scienceworld, scienceworld-ablations, scienceworld-cpu, smollm2-alfworld, smollm2-alfworld-scratch, smollm2-household, smollm2-household-scratch, smollm2-webshop, webshop-ablations, webshop-cpu, webshop-small, \
         and a file is given by a path that ends in .toml or contains /"
    );
    assert_eq!(
        error("no-such-folder/demo.toml"),
        "no-such-folder/demo.toml: no such file; did you mean the preset demo? presets are ablations, alfworld, alfworld-cpu, demo, himac-ablations, himac-sokoban, horizon, mixed-household, mixed-scienceworld, offline-controls, rl-chains, rl-chains-flat, rl-household, rl-sokoban, rl-sokoban-7x7, rl-webshop, scienceworld, scienceworld-ablations, scienceworld-cpu, smollm2-alfworld, smollm2-alfworld-scratch, smollm2-household, smollm2-household-scratch, smollm2-webshop, webshop-ablations, webshop-cpu, webshop-small"
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
    let example = "write --set KEY=VALUE, for example --set algo.adamw.clip=0.5";
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
    // A value cannot add further keys.
    let said = set_message(&["env.id=a\nseed=2"]);
    assert!(
        said.starts_with("demo: env.id is \"a\\nseed=2\" (--set); known are household, ")
            && !said.contains('\n'),
        "{said}"
    );
}

#[test]
fn an_unknown_algorithm() {
    assert_eq!(
        message("preset = \"demo\"\n[algo.bcc]\nclip = 1.0\n"),
        "run.toml:2: unknown key algo.bcc; did you mean algo.bc? [algo] takes adamw, bc, dagger, offline_ac, online, gigpo, ppo, himac\n    [algo.bcc]"
    );
    assert_eq!(
        message("preset = \"demo\"\n[algo]\nclip = 1.0\n"),
        "run.toml:3: unknown key algo.clip; did you mean algo.adamw.clip? [algo] takes adamw, bc, dagger, offline_ac, online, gigpo, ppo, himac\
         \n    clip = 1.0"
    );
}

#[test]
fn the_reference_page_lists_every_key() {
    let page = reference();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(rows.len(), KEYS.len());
    for row in [
        "| `games` | whole number | `4000` |  | Number of tasks: a sample drawn with the run seed, stratified by task family; 0 takes all tasks. |",
        "| `norm_eps` | number | `1e-5` | above 0, and finite | ε inside the root of RMSNorm. |",
        "| `kind` | name | must be set | `step_hrl`, `flat`, `himac` | Kind of agent. `step_hrl`: Planner, executor and progress writer (STEP-HRL); `flat`: History-conditioned: one role sees the task and all earlier actions and observations; `himac`: Macro and micro: a blueprint, then actions towards its active sub-goal (HiMAC). |",
        "| `learning_rate` | number | that of the algorithm's table | above 0, and finite | Peak learning rate. |",
        "| key | type | default | range | meaning |",
        "## `[agents.NAME]`",
    ] {
        assert!(page.lines().any(|line| line == row), "{row}\n{page}");
    }
    let presets = preset_reference();
    for (name, _) in PRESETS {
        assert!(presets.contains(&format!("\n## `{name}`\n")), "{name}");
    }
    assert!(
        presets.contains("Starts from `himac-sokoban`.") && presets.contains("| `algo.dagger` | `false` |")
    );
}
