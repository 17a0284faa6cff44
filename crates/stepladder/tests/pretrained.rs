//! Training of a pretrained model through the program.

#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::path::Path;

use common::{files, folder, metrics, ok, refused, run, tiny_llama};
use serde_json::Value;

/// A folder with `pretrained.toml` and its model `llama`.
fn place() -> tempfile::TempDir {
    let temporary = folder();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    fs_err::copy(tests.join("pretrained.toml"), temporary.path().join("pretrained.toml")).unwrap();
    tiny_llama::write(temporary.path(), "llama", 4096, 1);
    temporary
}

/// Settings that leave only `step_hrl`, `flat` and `grpo`.
const OTHERS: [&str; 8] = [
    "agents.dagger=false",
    "agents.offline=false",
    "agents.per_role=false",
    "agents.himac=false",
    "agents.blueprints=false",
    "agents.rloo=false",
    "agents.gigpo=false",
    "agents.ppo=false",
];

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap()
}

/// Returns the newest checkpoint of an agent.
fn newest(run: &Path, agent: &str) -> std::path::PathBuf {
    let all = run.join(agent).join("checkpoints");
    let mut found: Vec<_> = fs_err::read_dir(all).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found.pop().unwrap()
}

#[test]
fn every_method_trains_adapters_and_begins_at_its_reference() {
    let temporary = place();
    let folder = temporary.path();
    ok(folder, &["train", "pretrained.toml", "--run-dir", "run"]);
    let root = folder.join("run");
    for agent in ["grpo", "rloo", "gigpo", "ppo", "himac"] {
        let lines = metrics(&root, agent);
        let kl: Vec<f64> = lines.iter().filter_map(|line| line["kl"].as_f64()).collect();
        // The reference policy has the adapters that training starts with, so not even a rounding error is left. Where it goes from there
        // is shown by `stepladder-algo` (tests/online.rs); random weights never differ in what they earn here.
        assert_eq!(kl[0], 0.0, "{agent}: {kl:?}");
        assert_eq!(kl.len(), 2, "{agent}");
    }
    // Prompts of a role begin alike, and their beginnings are computed once.
    for agent in ["step_hrl", "dagger", "blueprints", "flat"] {
        let lines = metrics(&root, agent);
        assert!(lines.iter().all(|line| line["computed_tokens"].as_f64() > Some(0.0)), "{agent}");
    }
    for agent in
        ["step_hrl", "dagger", "offline", "blueprints", "himac", "flat", "grpo", "rloo", "gigpo", "ppo"]
    {
        let checkpoint = newest(&root, agent);
        let names = files(&checkpoint);
        assert!(!names.iter().any(|name| name == "model.safetensors" || name == "config.json"), "{names:?}");
        let adapter = read(&checkpoint.join("adapter_config.json"));
        assert_eq!((&adapter["r"], &adapter["peft_type"]), (&4.into(), &"LORA".into()), "{agent}");
        // The last update of the adapters moved them: B is no longer zero.
        let bytes = fs_err::read(checkpoint.join("adapter_model.safetensors")).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let b = tensors.tensor("base_model.model.model.layers.1.mlp.down_proj.lora_B.weight").unwrap();
        assert!(b.data().iter().any(|&byte| byte != 0), "{agent}");
    }
    let state = read(&newest(&root, "offline").join("trainer.json"));
    assert!(state["critic_steps"].as_u64().unwrap() > 0);
    // The pretrained model was used where it is.
    assert_eq!(state["base"]["path"], folder.join("llama").display().to_string());
    let size = |agent: &str, name: &str| newest(&root, agent).join(name).metadata().unwrap().len();
    assert!(size("ppo", "trainer.safetensors") > 2 * size("ppo", "adapter_model.safetensors"));
}

#[test]
fn all_parameters_can_be_trained() {
    let temporary = place();
    let folder = temporary.path();
    let mut arguments =
        vec!["train", "pretrained.toml", "--run-dir", "run", "--set", "model.tuning=\"full\""];
    arguments.extend(OTHERS.iter().flat_map(|without| ["--set", without]));
    ok(folder, &arguments);
    let root = folder.join("run");
    assert_eq!(metrics(&root, "grpo").iter().find_map(|line| line["kl"].as_f64()), Some(0.0));
    let checkpoint = newest(&root, "grpo");
    let bytes = fs_err::read(checkpoint.join("model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let table = tensors.tensor("model.embed_tokens.weight").unwrap();
    assert_eq!(table.shape(), [tiny_llama::ROWS, tiny_llama::WIDTH]);
    let before = fs_err::read(folder.join("llama/model.safetensors")).unwrap();
    let before = safetensors::SafeTensors::deserialize(&before).unwrap();
    assert_ne!(table.data(), before.tensor("model.embed_tokens.weight").unwrap().data());
    // A finished run is read again: the model of a checkpoint is the one that was configured.
    fs_err::remove_file(root.join("grpo/trained.json")).unwrap();
    ok(folder, &["train", "--resume", "run"]);
}

#[test]
fn a_changed_base_ends_a_run_before_it_goes_on() {
    let temporary = place();
    let folder = temporary.path();
    ok(
        folder,
        &["train", "pretrained.toml", "--run-dir", "run", "--set", "agents.step_hrl.budget={steps=2}"],
    );
    let outcome = run(folder, &["evaluate", "run", "--agent", "flat", "--episodes", "1"]);
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    tiny_llama::write(folder, "llama", 4096, 2);
    let outcome = run(folder, &["evaluate", "run", "--agent", "flat", "--episodes", "1"]);
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    assert!(outcome.err.contains("put the original model back"), "{outcome:#?}");
    fs_err::remove_dir_all(folder.join("llama")).unwrap();
    let outcome = run(folder, &["evaluate", "run", "--agent", "flat", "--episodes", "1"]);
    assert!(outcome.err.contains("put its directory back"), "{outcome:#?}");
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
}

#[test]
fn settings_that_do_not_fit_the_model_are_refused_before_a_run_is_created() {
    let temporary = place();
    let folder = temporary.path();
    let llama = folder.join("llama").display().to_string();
    let refuse = |set: &str, message: &str| {
        let arguments = ["train", "pretrained.toml", "--run-dir", "run", "--set", set];
        refused(folder, &arguments, 2, message);
        assert!(!folder.join("run").exists());
    };
    refuse(
        "model.context=5000",
        &format!(
            "model.context is 5000, but {llama} was trained for at most 4096 tokens: choose at most that"
        ),
    );
    refuse(
        "model.from=\"nowhere\"",
        "model.from: there is no directory \"nowhere\", and no model of this name among those that were fetched; `stepladder model list` lists those that are there, `stepladder model get NAME` fetches one",
    );
    refuse(
        "model.scratch.width=64",
        "pretrained.toml: model.scratch.width is 64 (--set); a pretrained model has its own shape: remove this key, or model.from",
    );
    refuse(
        "model.lora.targets=[\"q_proj\", \"query\"]",
        "pretrained.toml: [model.lora]: `query` is not a matrix that can have an adapter; those are q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj",
    );
    refused(
        folder,
        &["train", "tiny.toml", "--run-dir", "run", "--set", "model.form=\"chat\""],
        2,
        "tiny.toml: model.form is \"chat\" (--set); it is for pretrained models: name one with model.from, or remove this key",
    );
}

#[test]
fn measures_against_memory_change_losses_by_rounding_and_dropout_more() {
    let temporary = place();
    let folder = temporary.path();
    let train = |name: &str, settings: &[&str]| {
        let mut arguments = vec!["train", "pretrained.toml", "--run-dir", name];
        let agents = OTHERS.iter().filter(|other| **other != "agents.offline=false");
        let all = agents.chain(&["agents.grpo=false"]).chain(settings);
        arguments.extend(all.flat_map(|setting| ["--set", setting]));
        ok(folder, &arguments);
        ["step_hrl", "offline", "flat"].map(|agent| {
            let lines = metrics(&folder.join(name), agent);
            lines.iter().filter_map(|line| line["loss"].as_f64()).collect::<Vec<f64>>()
        })
    };
    let whole = train("whole", &[]);
    let within = |found: &[Vec<f64>; 3], agents: &[usize], tolerance: f64| {
        agents.iter().map(|&agent| (&found[agent], &whole[agent])).all(|(found, whole)| {
            assert_eq!((found.len(), found.is_empty()), (whole.len(), false));
            found.iter().zip(whole).all(|(a, b)| (a - b).abs() <= tolerance * b.abs())
        })
    };
    // Steps of AdamW on gradients that differ by rounding.
    let small = train("small", &["model.recompute=true", "model.micro_tokens=700"]);
    assert!(within(&small, &[0, 1, 2], 1e-3) && small != whole, "{small:?} for {whole:?}");
    let half = train("half", &["model.dtype=\"bf16\""]);
    // `offline` learns from other episodes, those of its own policy.
    assert!(within(&half, &[0, 2], 0.01) && !within(&half, &[0, 2], 1e-7), "{half:?} for {whole:?}");
    let bytes = fs_err::read(newest(&folder.join("half"), "flat").join("adapter_model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert!(tensors.iter().all(|(_, tensor)| tensor.dtype() == safetensors::Dtype::F32));
    let dropped = train("dropped", &["model.lora.dropout=0.5"]);
    // The first loss is that of adapters without effect.
    assert!(dropped[2][0] == whole[2][0] && dropped[2] != whole[2], "{dropped:?} for {whole:?}");
    let adapter = read(&newest(&folder.join("dropped"), "flat").join("adapter_config.json"));
    assert_eq!(adapter["lora_dropout"], 0.5);
}

/// The preset as it is, but for its size, with a tiny model in the place of the one that it fetches.
#[test]
fn the_preset_trains_the_model_of_its_name() {
    let temporary = folder();
    let folder = temporary.path();
    tiny_llama::write(&folder.join("cache/stepladder/models"), "smollm2-135m-instruct", 4096, 1);
    let mut arguments = vec!["train", "smollm2-alfworld", "--run-dir", "run"];
    let smaller = [
        "data.games=12",
        "agents.step_hrl.budget={ steps = 2 }",
        "eval.episodes=2",
        "env.max_steps=6",
        "generation.short=8",
        "generation.long=8",
        "eval.transfer=[]",
    ];
    arguments.extend(smaller.iter().flat_map(|set| ["--set", *set]));
    let table = ok(folder, &arguments);
    assert!(table.contains("household/dev, greedy, 6 steps") && table.contains("step_hrl"), "{table}");
    let about = read(&folder.join("run/run.json"));
    assert_eq!(about["preset"], "smollm2-household");
}
