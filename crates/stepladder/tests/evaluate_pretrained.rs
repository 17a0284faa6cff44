//! `evaluate` of a pretrained model without a run: a tiny random Hugging Face directory.

#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::path::{Path, PathBuf};

use common::tiny_llama::{self, FFN, LAYERS, WIDTH, tensors};
use common::{episodes, folder, json, ok, refused};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};

/// Writes a random Llama.
fn model(folder: &Path, name: &str, dtype: Dtype, window: usize) -> PathBuf {
    tiny_llama::write_in(dtype, folder, name, window, 1)
}

/// Writes an adapter for a model of width `width`, whose tensors have rank `stored`.
fn adapter(folder: &Path, name: &str, width: usize, stored: usize) {
    let place = folder.join(name);
    fs_err::create_dir(&place).unwrap();
    let config = json!({
        "peft_type": "LORA", "r": 2, "lora_alpha": 32, "target_modules": ["q_proj", "down_proj"], "bias": "none",
    });
    fs_err::write(place.join("adapter_config.json"), config.to_string()).unwrap();
    let modules = [("self_attn.q_proj", width, width), ("mlp.down_proj", FFN, width)];
    let shapes: Vec<(String, Vec<usize>)> = (0..LAYERS)
        .flat_map(|layer| {
            modules.iter().flat_map(move |(module, from, to)| {
                let name = format!("base_model.model.model.layers.{layer}.{module}");
                [
                    (format!("{name}.lora_A.weight"), vec![stored, *from]),
                    (format!("{name}.lora_B.weight"), vec![*to, stored]),
                ]
            })
        })
        .collect();
    tensors(&place.join("adapter_model.safetensors"), &shapes, Dtype::F32, 3);
}

const HOUSEHOLD: [&str; 6] = ["--env", "household", "--split", "dev", "--episodes", "2"];
const SOKOBAN: [&str; 6] = ["--env", "sokoban", "--split", "dev-6x6-1", "--episodes", "2"];

/// Arguments of an evaluation of `model` with at most two steps per episode.
fn evaluate<'a>(model: &'a str, agent: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let fixed = ["evaluate", model, "--agent", agent, "--style", "instruct", "--max-steps", "2"];
    [&fixed, more].concat()
}

fn tokens(value: &Value, role: &str) -> f64 {
    value["tokens_per_step"][role]["prompt"].as_f64().unwrap()
}

#[test]
fn a_pretrained_model_plays_every_agent_in_both_forms() {
    let temporary = folder();
    let folder = temporary.path();
    model(folder, "tiny", Dtype::F32, 8192);
    for (agent, role) in [("step_hrl", "executor"), ("flat", "flat"), ("himac", "macro")] {
        for env in [HOUSEHOLD, SOKOBAN] {
            let dialogue = json(folder, &[&evaluate("tiny", agent, &env)[..], &["--json"]].concat());
            let plain =
                json(folder, &[&evaluate("tiny", agent, &env)[..], &["--form", "plain", "--json"]].concat());
            for (value, form) in [(&dialogue, "chat"), (&plain, "plain")] {
                let about =
                    ["agent", "style", "form", "checkpoint"].map(|name| value[name].as_str().unwrap());
                assert_eq!(about, [agent, "instruct", form, "tiny"]);
                assert_eq!(
                    (&value["n"], &value["examples"], &value["adapter"]),
                    (&json!(2), &json!(0), &json!(null))
                );
                assert!(
                    value["new_tokens"].as_u64().unwrap() > 0 && value["seconds"].as_f64().unwrap() > 0.0
                );
                assert!(value["prompt_tokens"].as_u64() > value["new_tokens"].as_u64());
            }
            assert!(tokens(&dialogue, role) > tokens(&plain, role));
        }
    }
    let table = ok(folder, &evaluate("tiny", "flat:history=1", &HOUSEHOLD));
    let title = "household/dev, a sample of 2 of 200 tasks, stratified by family, tiny, instruct chat\n";
    assert!(table.starts_with(title), "{table}");
}

/// A random model writes no action; under a constraint it writes nothing else.
#[test]
fn a_constrained_model_plays_admissible_actions_only() {
    let temporary = folder();
    let folder = temporary.path();
    model(folder, "tiny", Dtype::F32, 8192);
    for (agent, form) in [("step_hrl", "chat"), ("flat", "plain"), ("himac", "chat")] {
        let more =
            [&SOKOBAN[..], &["--form", form, "--constrained", "--trace", "t.jsonl", "--json"]].concat();
        let value = json(folder, &evaluate("tiny", agent, &more));
        let count = |value: &Value| ["invalid_share", "unparsable"].map(|name| value[name].as_f64().unwrap());
        assert_eq!((count(&value)[0], count(&value["constrained"])), (1.0, [0.0; 2]), "{agent} {form}");
        let played = episodes(&folder.join("t.jsonl"));
        let steps = played[2..].iter().flat_map(|episode| episode.steps()).collect::<Vec<_>>();
        assert_eq!(steps.len(), 4);
        assert!(steps.iter().all(|step| ["up", "down", "left", "right"].contains(&&*step.action)));
        assert!(steps.iter().all(|step| step.turn.logprob.is_some_and(|logprob| logprob > -20.0)));
    }
}

#[test]
fn a_model_of_the_data_root_is_found_by_its_name() {
    let temporary = folder();
    let folder = temporary.path();
    fs_err::create_dir_all(folder.join("root/models")).unwrap();
    model(&folder.join("root/models"), "tiny", Dtype::F32, 8192);
    let root = ["--data", "root", "--json"];
    let value = json(folder, &[&evaluate("tiny", "flat", &HOUSEHOLD)[..], &root].concat());
    assert_eq!(value["checkpoint"], "root/models/tiny");
    refused(
        folder,
        &[&evaluate("small", "flat", &HOUSEHOLD)[..], &root].concat(),
        2,
        "there is no directory \"small\", and no model of this name among those that were fetched; `stepladder model list` lists those that are there, `stepladder model get NAME` fetches one",
    );
}

#[test]
fn an_adapter_changes_the_replies() {
    let temporary = folder();
    let folder = temporary.path();
    model(folder, "tiny", Dtype::F32, 8192);
    adapter(folder, "tuned", WIDTH, 2);
    let play = |name: &str, more: &[&str]| {
        let trace = format!("{name}.jsonl");
        let arguments = [&evaluate("tiny", "flat", &HOUSEHOLD)[..], &["--trace", &trace], more].concat();
        (ok(folder, &arguments), episodes(&folder.join(&trace)))
    };
    let (_, bare) = play("bare", &[]);
    let (table, tuned) = play("tuned", &["--adapter", "tuned"]);
    assert!(table.lines().next().unwrap().ends_with("tiny, instruct chat, adapter tuned"), "{table}");
    assert_eq!(bare[0].policy, "pretrained/tiny");
    let (name, print) = tuned[0].policy.split_once('+').unwrap();
    assert!(name == "pretrained/tiny" && print.len() == 16, "{print}");
    let replies = |played: &[stepladder_core::trace::Episode]| -> Vec<String> {
        played.iter().flat_map(|episode| episode.turns().map(|turn| turn.reply.clone())).collect()
    };
    assert_ne!(replies(&bare), replies(&tuned));
}

/// Values in bf16 that are exact in f32 give the same episodes in both dtypes.
#[test]
fn a_model_in_bf16_plays_as_its_values_in_f32_do() {
    let temporary = folder();
    let folder = temporary.path();
    let place = model(folder, "half", Dtype::BF16, 8192);
    let bytes = fs_err::read(place.join("model.safetensors")).unwrap();
    let half = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let whole: Vec<(String, Vec<usize>, Vec<u8>)> = half
        .iter()
        .map(|(name, view)| {
            let values = view.data().chunks_exact(2).flat_map(|pair| [0, 0, pair[0], pair[1]]).collect();
            (name.to_owned(), view.shape().to_vec(), values)
        })
        .collect();
    model(folder, "whole", Dtype::F32, 8192);
    let views = whole
        .iter()
        .map(|(name, shape, values)| (name, TensorView::new(Dtype::F32, shape.clone(), values).unwrap()));
    fs_err::write(folder.join("whole/model.safetensors"), safetensors::serialize(views, None).unwrap())
        .unwrap();
    let play = |model: &str| {
        let trace = format!("{model}.jsonl");
        ok(folder, &[&evaluate(model, "step_hrl", &HOUSEHOLD)[..], &["--trace", &trace]].concat());
        episodes(&folder.join(&trace)).into_iter().map(|episode| episode.subtasks).collect::<Vec<_>>()
    };
    assert_eq!(play("half"), play("whole"));
}

#[test]
fn examples_precede_the_query_of_every_role() {
    let temporary = folder();
    let folder = temporary.path();
    model(folder, "tiny", Dtype::F32, 16384);
    for (agent, roles) in
        [("step_hrl", &["planner", "executor", "progress"][..]), ("flat", &["flat"]), ("himac", &["macro"])]
    {
        for form in ["plain", "chat"] {
            let trace = format!("{agent}-{form}.jsonl");
            let shown = ["--form", form, "--examples", "2", "--json", "--trace", &trace];
            let value = json(folder, &[&evaluate("tiny", agent, &HOUSEHOLD)[..], &shown].concat());
            assert_eq!(value["examples"], 2);
            let bare = [&evaluate("tiny", agent, &HOUSEHOLD)[..], &["--form", form, "--json"]].concat();
            let bare = json(folder, &bare);
            let played = episodes(&folder.join(&trace));
            for role in roles {
                assert!(tokens(&value, role) > tokens(&bare, role) + 50.0, "{role}");
                let prompts: Vec<&str> = played
                    .iter()
                    .flat_map(|episode| episode.turns())
                    .filter(|turn| turn.role.name() == *role)
                    .map(|turn| turn.prompt.as_str())
                    .collect();
                let tasks = prompts[0].matches(if *role == "executor" || *role == "progress" {
                    "\nSubtask: "
                } else {
                    "\nTask: "
                });
                assert_eq!(tasks.count(), 3, "{}", prompts[0]);
                // Two tasks, the same examples.
                let last = prompts[prompts.len() - 1];
                let end = prompts[0].rfind("ask: ").unwrap();
                let shared = prompts[0].bytes().zip(last.bytes()).take_while(|(a, b)| a == b).count();
                assert!(shared * 2 > end, "{shared} of {end}");
            }
        }
    }
    let value =
        json(folder, &[&evaluate("tiny", "flat", &SOKOBAN)[..], &["--examples", "1", "--json"]].concat());
    assert_eq!(value["examples"], 1);
}

#[test]
fn what_a_pretrained_model_lacks_is_said_before_it_plays() {
    let temporary = folder();
    let folder = temporary.path();
    let place = model(folder, "tiny", Dtype::F32, 2048);
    let base = ["evaluate", "tiny"];
    let with = |more: &[&'static str]| [&base[..], more].concat();
    let style = ["--style", "instruct"];
    let play = ["--agent", "flat", "--style", "instruct"];
    refused(
        folder,
        &with(&HOUSEHOLD),
        2,
        "tiny is a pretrained model (it has no trainer.json), which records no prompts: pass --style instruct",
    );
    refused(
        folder,
        &with(&[&["--style", "compact"], &HOUSEHOLD[..]].concat()),
        2,
        "unknown prompt style `compact`; a pretrained model plays with --style instruct",
    );
    refused(
        folder,
        &with(&[&style[..], &HOUSEHOLD].concat()),
        2,
        "tiny is a pretrained model, which can play every agent: pass --agent with one of step_hrl, flat, himac",
    );
    refused(
        folder,
        &with(&[&style[..], &["--agent", "react"], &HOUSEHOLD].concat()),
        2,
        "unknown agent `react`; a pretrained model plays one of step_hrl, flat, himac",
    );
    for (given, lacking) in [(["--split", "dev"], "env"), (["--env", "household"], "split")] {
        let message = format!("a pretrained model has no {lacking} of its own: pass --{lacking}");
        refused(folder, &with(&[&play[..], &given].concat()), 2, &message);
    }
    let unknown = common::run(folder, &with(&[&play[..], &["--env", "household", "--split", "x"]].concat()));
    assert!(unknown.code == Some(2) && unknown.err.contains("`x`"), "{unknown:?}");
    let form = common::run(folder, &with(&[&play[..], &["--form", "xml"], &HOUSEHOLD].concat()));
    assert!(form.code == Some(2) && form.err.contains("use chat or plain"), "{form:?}");

    adapter(folder, "wide", WIDTH + 2, 2);
    adapter(folder, "ranked", WIDTH, 3);
    for name in ["wide", "ranked"] {
        let outcome = common::run(folder, &with(&[&play[..], &HOUSEHOLD, &["--adapter", name]].concat()));
        let start = format!("error: {name}/adapter_model.safetensors: ");
        let end = "the adapters are of another model or rank\n";
        assert!(
            outcome.code == Some(1) && outcome.err.starts_with(&start) && outcome.err.ends_with(end),
            "{outcome:?}"
        );
    }
    let many = common::run(folder, &with(&[&play[..], &HOUSEHOLD, &["--examples", "12"]].concat()));
    let end = " tokens, more than half of the context window of 2048; ask for fewer\n";
    assert!(
        many.code == Some(2)
            && many.err.contains("error: --examples 12: the examples of the role flat have ")
            && many.err.ends_with(end),
        "{many:?}"
    );
    assert!(place.join("tokenizer_config.json").exists());
    let mut tokenizer: Value =
        serde_json::from_slice(&fs_err::read(place.join("tokenizer_config.json")).unwrap()).unwrap();
    tokenizer.as_object_mut().unwrap().remove("chat_template").unwrap();
    fs_err::write(place.join("tokenizer_config.json"), tokenizer.to_string()).unwrap();
    refused(
        folder,
        &with(&[&play[..], &HOUSEHOLD, &["--form", "chat"]].concat()),
        1,
        "tiny: the model has no chat template; use plain prompts, or add chat_template.jinja",
    );
    let value = json(folder, &with(&[&play[..], &HOUSEHOLD, &["--max-steps", "1", "--json"]].concat()));
    assert_eq!(value["form"], "plain");
}

#[test]
fn a_trained_policy_keeps_its_own_prompts() {
    let temporary = folder();
    let folder = temporary.path();
    ok(folder, &["train", "tiny.toml", "--run-dir", "run"]);
    let checkpoint = common::checkpoints(&folder.join("run"), "flat").pop().unwrap();
    let checkpoint = checkpoint.strip_prefix(folder).unwrap().to_str().unwrap();
    for place in ["run", checkpoint] {
        for (option, value) in
            [("--style", "instruct"), ("--form", "plain"), ("--adapter", "tuned"), ("--examples", "1")]
        {
            refused(
                folder,
                &[&["evaluate", place, option, value], &HOUSEHOLD[..]].concat(),
                2,
                &format!(
                    "{option} is for pretrained models, and {place} is a run or a checkpoint, which records its prompts and weights: omit it"
                ),
            );
        }
    }
    refused(
        folder,
        &[&["evaluate", checkpoint, "--stop", "x"], &HOUSEHOLD[..]].concat(),
        2,
        &format!(
            "stop strings are for pretrained models, and {checkpoint} has prompts of style compact/1+alfworld/1, whose replies are no text: omit --stop"
        ),
    );
    refused(
        folder,
        &[&["evaluate", ".", "--style", "instruct"], &HOUSEHOLD[..]].concat(),
        1,
        ". is no run (it has no config.toml), no checkpoint (it has no trainer.json) and no model (it has no config.json)",
    );
}
