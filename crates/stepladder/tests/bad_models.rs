//! Defects of pretrained models: one sentence, before anything is computed or written.

#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;
#[path = "common/models.rs"]
mod models;

use std::path::Path;

use common::{files, folder, ok, refused, run};
use models::{DEFECTS, copy, gguf, tiny};

/// A run of a pretrained model.
const PRETRAINED: &str = r#"
preset = "demo"
threads = 1
[env]
max_steps = 6
[data]
games = 4
[model]
from = "broken"
[agents.flat]
budget = { steps = 2 }
"#;
const TRAIN: [&str; 4] = ["train", "pretrained.toml", "--run-dir", "run"];

/// Arguments of an evaluation of a model.
fn evaluate(model: &str) -> Vec<&str> {
    let fixed =
        ["--agent", "flat", "--style", "instruct", "--env", "household", "--split", "dev", "--episodes", "1"];
    [&["evaluate", model], &fixed[..]].concat()
}

/// Gives each defect to a copy of a tiny model, on which a command must fail with one sentence that names file and cause, and
/// write nothing.
fn every_defect_is_one_sentence(arguments: &[&str], except: &[&str]) {
    let temporary = folder();
    let folder = temporary.path();
    let tiny = tiny(folder, "tiny", 2048);
    fs_err::write(folder.join("pretrained.toml"), PRETRAINED).unwrap();
    for (what, apply, file, reason) in DEFECTS.into_iter().filter(|(what, ..)| !except.contains(what)) {
        let broken = folder.join("broken");
        copy(&tiny, &broken);
        apply(&broken);
        let before = files(folder);
        let outcome = run(folder, arguments);
        let place = if file.is_empty() { "broken".to_owned() } else { format!("broken/{file}") };
        let message = outcome.err.lines().last().unwrap_or_default();
        let named = message.starts_with("error: ") && message.contains(&format!("{place}: {reason}"));
        assert!(named && outcome.code == Some(1), "{what}: {outcome:#?}");
        assert_eq!(files(folder), before, "{what}");
        fs_err::remove_dir_all(broken).unwrap();
    }
}

#[test]
fn model_check_finds_every_defect() {
    every_defect_is_one_sentence(&["model", "check", "broken"], &[]);
}

#[test]
fn evaluate_finds_every_defect_before_it_plays() {
    // Without a configuration it could also be meant as a run or a checkpoint.
    every_defect_is_one_sentence(&evaluate("broken"), &["no configuration"]);
}

#[test]
fn train_finds_every_defect_before_it_makes_a_run() {
    // Values are read when training begins.
    every_defect_is_one_sentence(&TRAIN, &["weights that are no numbers"]);
}

#[test]
fn a_context_that_is_longer_than_the_model_is_refused() {
    let temporary = folder();
    let folder = temporary.path();
    tiny(folder, "broken", 96);
    fs_err::write(folder.join("pretrained.toml"), PRETRAINED).unwrap();
    let before = files(folder);
    let short = "replies may have 150 tokens, but the context window of broken is 96 tokens, prompt and reply together: take a model with a longer context, or smaller budgets (generation.short, generation.long)";
    refused(folder, &evaluate("broken"), 2, short);
    let outcome = run(folder, &TRAIN);
    let absolute = short
        .replace("of broken", &format!("of {}", folder.canonicalize().unwrap().join("broken").display()));
    assert_eq!((outcome.code, outcome.err), (Some(2), format!("error: {absolute}\n")));
    let outcome = run(folder, &[&TRAIN[..], &["--set", "model.context=97"]].concat());
    assert_eq!(outcome.code, Some(2), "{outcome:#?}");
    assert!(
        outcome.err.starts_with("error: model.context is 97, but ")
            && outcome.err.ends_with("broken was trained for at most 96 tokens: choose at most that\n"),
        "{outcome:#?}"
    );
    assert_eq!(files(folder), before);
}

/// Replaces the first occurrence of some bytes by as many others.
fn patched(file: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = file.windows(from.len()).position(|window| window == from).unwrap();
    [&file[..at], to, &file[at + from.len()..]].concat()
}

/// Bytes of a line of the tensor table of a GGUF file: name, 2 dimensions, sizes, type.
fn table_line(name: &str, sizes: [u64; 2], kind: u32) -> Vec<u8> {
    let [columns, rows] = sizes.map(u64::to_le_bytes);
    [name.as_bytes(), &2u32.to_le_bytes(), &columns, &rows, &kind.to_le_bytes()].concat()
}

#[test]
fn a_damaged_gguf_file_is_one_sentence_and_leaves_nothing() {
    let temporary = folder();
    let folder = temporary.path();
    let llama = fs_err::read(gguf("llama")).unwrap();
    let (name, sizes) = ("blk.0.attn_q.weight", [24, 24]);
    let unknown = |kind| patched(&llama, &table_line(name, sizes, 0), &table_line(name, sizes, kind));
    for (bytes, reason) in [
        (llama[..llama.len() - 1].to_vec(), "the file ends before the end of the tensor `"),
        (llama[..100].to_vec(), "the file ends within `"),
        (b"not GGUF".to_vec(), "not a GGUF file: it does not begin with `GGUF`"),
        (Vec::new(), ""),
        (unknown(13), "the tensor `blk.0.attn_q.weight` is Q5_K; this program reads F32, "),
        (unknown(99), "the tensor `blk.0.attn_q.weight` is of the unknown type 99; this program reads F32, "),
        (patched(&llama, b"llama", b"mamba"), "`general.architecture` is mamba; this program reads llama, "),
        (patched(&llama, b"llama.block_count", b"llama.black_count"), "`llama.black_count` is not supported"),
    ] {
        fs_err::write(folder.join("broken.gguf"), &bytes).unwrap();
        let before = files(folder);
        let outcome = run(folder, &["model", "convert", "broken.gguf", "model"]);
        let start = format!("error: broken.gguf: {reason}");
        assert!(outcome.code == Some(1) && outcome.err.starts_with(&start), "{reason}: {outcome:#?}");
        assert_eq!((outcome.err.lines().count(), files(folder)), (1, before), "{reason}");
    }
    // A file is no directory; where the directory exists, it is not overwritten.
    for command in ["show", "check"] {
        refused(
            folder,
            &["model", command, "broken.gguf"],
            1,
            "broken.gguf is a file; name the directory that holds config.json and the weights, or convert it first: stepladder model convert broken.gguf DIR",
        );
    }
    let path = gguf("llama");
    ok(folder, &["model", "convert", path.to_str().unwrap(), "model"]);
    refused(
        folder,
        &["model", "convert", path.to_str().unwrap(), "model"],
        1,
        "model exists already; name a new directory",
    );
}

#[test]
#[cfg(not(feature = "hub"))]
fn a_hub_name_needs_the_feature() {
    let temporary = folder();
    let folder = temporary.path();
    let name = "Qwen/Qwen2.5-0.5B-Instruct";
    let remedy = "name the directory of a model, or rebuild with `--features hub`";
    let message = format!("{name} is not a directory, and this build has no hub feature: {remedy}");
    for command in [&["model", "show", name][..], &["model", "check", name], &evaluate(name)] {
        refused(folder, command, 1, &message);
    }
    fs_err::write(folder.join("pretrained.toml"), PRETRAINED.replace("broken", name)).unwrap();
    refused(folder, &TRAIN, 1, &format!("model.from: {message}"));
}

/// Makes a model of a tiny one whose weights would need 4 GiB in f32, in a file without blocks on the disk.
#[cfg(target_os = "linux")]
fn enlarge(place: &Path) {
    use models::edit;
    use serde_json::json;

    const WIDTH: u64 = 1 << 15;
    const ROWS: u64 = 1 << 15;
    edit(&place.join("config.json"), |config| {
        config["vocab_size"] = json!(ROWS);
        config["hidden_size"] = json!(WIDTH);
        config["num_hidden_layers"] = json!(1);
        config["intermediate_size"] = json!(1);
        config["num_attention_heads"] = json!(1);
        config["num_key_value_heads"] = json!(1);
        config["head_dim"] = json!(2);
    });
    let mut shapes = vec![("embed_tokens", vec![ROWS, WIDTH]), ("norm", vec![WIDTH])];
    for name in ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"] {
        shapes.push((name, vec![2, WIDTH]));
    }
    shapes.extend([("self_attn.o_proj", vec![WIDTH, 2]), ("mlp.down_proj", vec![WIDTH, 1])]);
    shapes.extend([("mlp.gate_proj", vec![1, WIDTH]), ("mlp.up_proj", vec![1, WIDTH])]);
    shapes.extend([("input_layernorm", vec![WIDTH]), ("post_attention_layernorm", vec![WIDTH])]);
    let (mut header, mut end) = (serde_json::Map::new(), 0);
    for (name, shape) in shapes {
        let layer = if name.contains("embed") || name == "norm" { "" } else { "layers.0." };
        let from = end;
        end += 2 * shape.iter().product::<u64>();
        header.insert(
            format!("model.{layer}{name}.weight"),
            json!({ "dtype": "BF16", "shape": shape, "data_offsets": [from, end] }),
        );
    }
    let header = serde_json::Value::Object(header).to_string();
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    fs_err::write(place.join("model.safetensors"), &bytes).unwrap();
    let file = fs_err::OpenOptions::new().write(true).open(place.join("model.safetensors")).unwrap();
    file.set_len(bytes.len() as u64 + end).unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn too_little_memory_is_said_before_weights_are_read() {
    let temporary = folder();
    let folder = temporary.path();
    enlarge(&tiny(folder, "broken", 2048));
    fs_err::write(folder.join("pretrained.toml"), PRETRAINED).unwrap();
    let before = files(folder);
    let load = "error: not enough memory: the weights of broken need ";
    for (command, start) in [
        (&["model", "check", "broken"][..], load),
        (&evaluate("broken"), load),
        (&TRAIN, "error: not enough memory: training "),
    ] {
        let outcome = common::within(4 << 20, folder, command);
        assert!(outcome.code == Some(1) && outcome.err.starts_with(start), "{outcome:#?}");
        assert!(
            outcome.err.contains(" MiB are free for this process; choose a smaller model"),
            "{outcome:#?}"
        );
        assert_eq!(outcome.err.lines().count(), 1, "{outcome:#?}");
    }
    assert_eq!(files(folder), before);
}
