//! Adapters are those of PEFT in both directions. `parity/transformers/adapters.py` made the fixtures.
#![allow(clippy::unwrap_used)]
#![allow(missing_docs)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stepladder_model::checkpoint::{
    ADAPTER_CONFIG, ADAPTER_WEIGHTS, load, load_adapter, read_config, read_tensors, save_adapter,
    write_tensors,
};
use stepladder_model::{
    Decoder, Device, Frame, Kind, Layout, Lora, ModelConfig, Params, Shape, Weights, engine,
};
use stepladder_rollout::engine::Prompt;
use tch::Tensor;

/// Relative tolerance of a loss over a base in bf16, whose products have 8 bits.
const LOSS_IN_BF16: f64 = 0.01;
const IDS: [i64; 10] = [3, 17, 5, 29, 8, 8, 11, 24, 6, 13];
/// Fixture and its base.
const ADAPTERS: [(&str, &str); 3] =
    [("qwen3-all", "qwen3"), ("gemma-qv", "gemma"), ("qwen2-rslora", "qwen2-bf16")];

fn tests(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// A model of `families`, frozen in f32.
fn base(name: &str) -> Weights {
    let folder = tests("families").join(name);
    let names = read_config(&folder).unwrap().parameters().into_iter().map(|each| each.name).collect();
    load(&folder, &names, Device::Cpu).unwrap().cast_frozen(Kind::Float)
}

fn adapted(adapter: &str, on: &str) -> Weights {
    load_adapter(&tests("adapters").join(adapter), &base(on)).unwrap()
}

fn decoder(weights: &Weights, leaf: &Tensor) -> Decoder {
    Frame::new(weights, Kind::Float).decoder(leaf)
}

fn logits(weights: &Weights) -> Tensor {
    tch::no_grad(|| {
        let decoder = decoder(weights, &weights.trained.buffer);
        let hidden = decoder.hidden(&Tensor::from_slice(&IDS).view([1, -1])).unwrap();
        decoder.logits(&hidden.squeeze_dim(0)).unwrap()
    })
}

fn distance(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a - b).abs().max().double_value(&[]) / b.abs().max().double_value(&[]).max(1.0)
}

#[test]
fn outputs_are_those_of_peft() {
    for (adapter, on) in ADAPTERS {
        let expected = read_tensors(&tests("adapters").join(adapter).join("expected.safetensors")).unwrap();
        assert!(distance(&logits(&base(on)), &expected["base"]) < 1e-5, "{on}");
        assert!(distance(&expected["base"], &expected["logits"]) > 0.01, "{adapter} has no effect");
        let worst = distance(&logits(&adapted(adapter, on)), &expected["logits"]);
        assert!(worst < 1e-5, "{adapter}: {worst}");
    }
}

#[test]
fn merging_computes_what_applying_computes() {
    for (adapter, on) in ADAPTERS {
        let weights = adapted(adapter, on);
        let merged = weights.merged().unwrap();
        assert_eq!(merged.config(), base(on).config());
        let worst = distance(&logits(&merged), &logits(&weights));
        assert!(worst < 1e-5, "{adapter}: {worst}");
    }
    // A model without adapters is merged as it is.
    assert!(logits(&base("gemma").merged().unwrap()).equal(&logits(&base("gemma"))));
}

#[test]
fn what_is_written_is_what_peft_wrote() {
    for (adapter, on) in ADAPTERS {
        let weights = adapted(adapter, on);
        // A folder that stays, for the check by peft.
        #[allow(clippy::disallowed_methods)]
        let kept = std::env::var_os("STEPLADDER_ADAPTERS").map(|root| PathBuf::from(root).join(adapter));
        let temporary = tempfile::tempdir().unwrap();
        let folder = kept.as_deref().unwrap_or(temporary.path());
        fs_err::create_dir_all(folder).unwrap();
        save_adapter(folder, &weights, Some(on)).unwrap();
        write_tensors(&folder.join("logits.safetensors"), &[("logits".to_owned(), logits(&weights))])
            .unwrap();
        let (ours, theirs) = (
            read_tensors(&folder.join(ADAPTER_WEIGHTS)).unwrap(),
            read_tensors(&tests("adapters").join(adapter).join(ADAPTER_WEIGHTS)).unwrap(),
        );
        assert_eq!(ours.len(), theirs.len());
        for (name, tensor) in &theirs {
            assert!(ours[name].equal(tensor), "{adapter}: {name}");
        }
        let read = |path: PathBuf| -> Value {
            serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap()
        };
        let (ours, theirs) =
            (read(folder.join(ADAPTER_CONFIG)), read(tests("adapters").join(adapter).join(ADAPTER_CONFIG)));
        for (name, value) in ours.as_object().unwrap() {
            match name.as_str() {
                "target_modules" => {
                    let sorted = |value: &Value| {
                        let mut names: Vec<Value> = value.as_array().unwrap().clone();
                        names.sort_by_key(ToString::to_string);
                        names
                    };
                    assert_eq!(sorted(value), sorted(&theirs[name]));
                }
                _ => assert_eq!(*value, theirs[name], "{adapter}: {name}"),
            }
        }
        let again = load_adapter(folder, &base(on)).unwrap();
        assert!(again.trained.buffer.equal(&weights.trained.buffer) && again.config() == weights.config());
    }
}

/// vLLM's documentation ("LoRA Adapters", and the choices of --max-lora-rank): plain module names, no bias, no
/// modules_to_save, rank in its list.
#[test]
fn adapters_with_default_hyperparameters_follow_the_rules_of_vllm() {
    let folder = tempfile::tempdir().unwrap();
    save_adapter(folder.path(), &base("qwen3").with_lora(&Lora::default(), 1).unwrap(), None).unwrap();
    let text = fs_err::read_to_string(folder.path().join(ADAPTER_CONFIG)).unwrap();
    let config: Value = serde_json::from_str(&text).unwrap();
    assert!([1, 8, 16, 32, 64, 128, 256, 320, 512].contains(&config["r"].as_i64().unwrap()));
    assert_eq!((&config["bias"], &config["modules_to_save"]), (&json!("none"), &Value::Null));
    for name in config["target_modules"].as_array().unwrap() {
        assert!(name.as_str().unwrap().chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
    }
    for name in read_tensors(&folder.path().join(ADAPTER_WEIGHTS)).unwrap().keys() {
        assert!(name.ends_with(".lora_A.weight") || name.ends_with(".lora_B.weight"), "{name}");
    }
}

#[test]
fn new_adapters_change_nothing_and_share_their_base() {
    let base = base("qwen3");
    let lora = Lora { rank: 2, ..Lora::default() };
    let (one, two) = (base.with_lora(&lora, 1).unwrap(), base.with_lora(&lora, 2).unwrap());
    assert!(logits(&one).equal(&logits(&base)));
    assert!(!one.trained.buffer.equal(&two.trained.buffer), "seeds differ");
    assert!(one.trained.buffer.equal(&base.with_lora(&lora, 1).unwrap().trained.buffer));
    for (name, tensor) in base.frozen() {
        assert_eq!(one.frozen()[name].data_ptr(), tensor.data_ptr(), "{name} was copied");
        assert_eq!(two.frozen()[name].data_ptr(), tensor.data_ptr(), "{name} was copied");
    }
    let message = one.with_lora(&lora, 1).unwrap_err().to_string();
    assert!(message.contains("the model has adapters already"), "{message}");
    let wrong = Lora { targets: vec!["qkv".to_owned()], rank: 0, ..Lora::default() };
    let message = base.with_lora(&wrong, 1).unwrap_err().to_string();
    assert!(message.contains("rank is 0") && message.contains("`qkv` is not a matrix"), "{message}");
}

/// A plain Llama with adapters, all of whose values are random.
fn plain_llama() -> Weights {
    plain_llama_with(&Lora { rank: 3, ..Lora::default() }, Kind::Float)
}

/// A model without parts that the CPU engine lacks, with adapters over a base in `dtype`.
fn plain_llama_with(lora: &Lora, dtype: Kind) -> Weights {
    let shape = Shape {
        width: 12,
        layers: 2,
        heads: 2,
        kv_heads: 1,
        ffn: 20,
        max_positions: 40,
        rope_theta: 50.0,
        norm_eps: 1e-5,
        tied: true,
    };
    let config = ModelConfig::new(shape, 30, 0).unwrap();
    let base = Weights::init(&config, 3, Device::Cpu).merged().unwrap().cast_frozen(dtype);
    let mut weights = base.with_lora(lora, 4).unwrap();
    weights.trained.buffer = &weights.trained.buffer + 0.1 * (&weights.trained.buffer + 0.7).sin();
    weights
}

/// Finite differences, and the gradient by way of the CPU engine's matrices.
#[test]
fn gradients_of_adapters_are_those_of_the_loss() {
    let weights = plain_llama();
    let targets = Tensor::from_slice(&(1..IDS.len() as i64).collect::<Vec<_>>());
    let loss = |leaf: &Tensor| {
        let logprobs = decoder(&weights, leaf).logprobs(&Tensor::from_slice(&IDS).view([1, -1]), &targets);
        -logprobs.unwrap().sum(Kind::Float)
    };
    let leaf = weights.trained.leaf();
    loss(&leaf).backward();
    let gradient = leaf.grad();
    assert!(
        weights.trained.layout.split(&gradient).iter().all(|part| part.abs().max().double_value(&[]) > 0.0)
    );
    let at = |index: i64, step: f64| {
        let moved = weights.trained.buffer.copy();
        let _ = moved.get(index).g_add_scalar_(step);
        tch::no_grad(|| loss(&moved)).double_value(&[])
    };
    let (step, mut checked) = (1e-2, 0);
    for index in (0..weights.trained.count()).step_by(37) {
        let difference = (at(index, step) - at(index, -step)) / (2.0 * step);
        let found = gradient.double_value(&[index]);
        assert!((difference - found).abs() < 2e-3 + 2e-2 * found.abs(), "{index}: {found} for {difference}");
        checked += 1;
    }
    assert!(checked > 20, "{checked}");
}

/// With a mask: gradients by finite differences. Without: the adapters as they are.
#[test]
fn dropout_is_in_training_only() {
    let with = |dropout| plain_llama_with(&Lora { rank: 3, dropout, ..Lora::default() }, Kind::Float);
    let (weights, without) = (with(0.4), with(0.0));
    let ids = || Tensor::from_slice(&IDS).view([1, -1]);
    let targets = Tensor::from_slice(&(1..IDS.len() as i64).collect::<Vec<_>>());
    let loss = |weights: &Weights, leaf: &Tensor, seed: Option<u64>| {
        let frame = Frame::new(weights, Kind::Float);
        let decoder = match seed {
            Some(seed) => frame.decoder_in_training(leaf, seed),
            None => frame.decoder(leaf),
        };
        -decoder.logprobs(&ids(), &targets).unwrap().sum(Kind::Float)
    };
    let value = |weights: &Weights, seed| {
        tch::no_grad(|| loss(weights, &weights.trained.buffer, seed)).double_value(&[])
    };
    assert_eq!(value(&weights, None), value(&without, None));
    assert_eq!(value(&without, Some(1)), value(&without, None));
    assert_eq!(value(&weights, Some(1)), value(&weights, Some(1)));
    assert_ne!(value(&weights, Some(1)), value(&weights, Some(2)));
    assert_ne!(value(&weights, Some(1)), value(&weights, None));
    // Generation drops nothing.
    let replies = |weights: &Weights| {
        let prompt = Prompt { ids: vec![3, 17, 5], budget: 12, sampling: None, constraint: None, stop: None };
        engine::open(weights, Kind::Float, 1, 0).unwrap().complete(vec![prompt], &[2]).unwrap().remove(0)
    };
    assert_eq!(replies(&weights), replies(&without));

    let leaf = weights.trained.leaf();
    loss(&weights, &leaf, Some(1)).backward();
    let gradient = leaf.grad();
    let at = |index: i64, step: f64| {
        let moved = weights.trained.buffer.copy();
        let _ = moved.get(index).g_add_scalar_(step);
        tch::no_grad(|| loss(&weights, &moved, Some(1))).double_value(&[])
    };
    let mut checked = 0;
    for index in (0..weights.trained.count()).step_by(37) {
        // Small: the loss is far from linear.
        let step = 2e-4;
        let difference = (at(index, step) - at(index, -step)) / (2.0 * step);
        let found = gradient.double_value(&[index]);
        assert!((difference - found).abs() < 2e-2 + 2e-2 * found.abs(), "{index}: {found} for {difference}");
        checked += 1;
    }
    assert!(checked > 20, "{checked}");

    let folder = tempfile::tempdir().unwrap();
    save_adapter(folder.path(), &weights, None).unwrap();
    let again = load_adapter(folder.path(), &weights.merged().unwrap()).unwrap();
    assert_eq!(again.config(), weights.config());
}

/// Adapters over a base in bf16 are f32, and so is their gradient; products with the base are rounded to 8 bits.
#[test]
fn adapters_over_a_base_in_16_bits_are_trained_in_32() {
    let lora = Lora { rank: 3, ..Lora::default() };
    let [full, half] = [Kind::Float, Kind::BFloat16].map(|dtype| plain_llama_with(&lora, dtype));
    let learnt = |weights: &Weights| {
        let leaf = weights.trained.leaf();
        let targets = Tensor::from_slice(&(1..IDS.len() as i64).collect::<Vec<_>>());
        let logprobs = decoder(weights, &leaf).logprobs(&Tensor::from_slice(&IDS).view([1, -1]), &targets);
        let loss = -logprobs.unwrap().mean(Kind::Float);
        loss.backward();
        (loss.double_value(&[]), leaf.grad())
    };
    assert!(half.frozen().values().all(|tensor| tensor.kind() == Kind::BFloat16));
    let ((expected, whole), (found, gradient)) = (learnt(&full), learnt(&half));
    assert!(half.trained.buffer.kind() == Kind::Float && gradient.kind() == Kind::Float);
    assert!(
        found != expected && (found - expected).abs() < LOSS_IN_BF16 * expected,
        "{found} for {expected}"
    );
    let cosine = gradient.dot(&whole).double_value(&[])
        / (gradient.norm().double_value(&[]) * whole.norm().double_value(&[]));
    println!("loss {found} for {expected}, cosine {cosine}");
    assert!(cosine > 0.99, "gradients have cosine {cosine}");
}

/// The CPU engine replies with merged weights, none of them frozen, as libtorch does with adapters.
#[test]
fn engines_agree_on_adapters() {
    let weights = plain_llama();
    let merged = weights.merged().unwrap();
    let layout = Layout::new(merged.config());
    let values = layout.entries.iter().map(|entry| merged.frozen()[&entry.name].view([-1]));
    let buffer = Tensor::cat(&values.collect::<Vec<_>>(), 0);
    let whole = Weights::new(Params { layout, buffer }, BTreeMap::new()).unwrap();
    let native = |weights| engine::is_native(weights, Kind::Float);
    assert!(native(&whole) && !native(&merged) && !native(&weights));
    let reply = |weights| {
        let prompt = Prompt { ids: vec![3, 17, 5], budget: 12, sampling: None, constraint: None, stop: None };
        let mut engine = engine::open(weights, Kind::Float, 1, 1 << 20).unwrap();
        engine.complete(vec![prompt], &[2]).unwrap().remove(0).ids
    };
    let expected = reply(&whole);
    assert!(expected.len() > 3, "{expected:?}");
    assert_eq!(reply(&merged), expected);
    assert_eq!(reply(&weights), expected);
}

#[test]
fn adapters_that_do_not_fit_are_refused() {
    let copy = || {
        let copy = tempfile::tempdir().unwrap();
        for name in [ADAPTER_CONFIG, ADAPTER_WEIGHTS] {
            fs_err::copy(tests("adapters").join("qwen3-all").join(name), copy.path().join(name)).unwrap();
        }
        copy
    };
    let refusal = |folder: &Path, on: &str| load_adapter(folder, &base(on)).unwrap_err().to_string();
    let changed = |key: &str, value: Value| {
        let copy = copy();
        let path = copy.path().join(ADAPTER_CONFIG);
        let mut config: Value = serde_json::from_str(&fs_err::read_to_string(&path).unwrap()).unwrap();
        config[key] = value;
        fs_err::write(&path, config.to_string()).unwrap();
        refusal(copy.path(), "qwen3")
    };
    let message = refusal(&tests("adapters").join("qwen3-all"), "gemma");
    assert!(message.contains("the adapters are of another model or rank"), "{message}");
    for (key, value, expected) in [
        ("peft_type", json!("LOHA"), "`peft_type` is \"LOHA\"; this program reads \"LORA\""),
        ("r", json!(4), "but this model and rank 4 need [4, 12]"),
        ("r", json!(0), "rank is 0"),
        ("lora_alpha", json!("7"), "no number under `lora_alpha`"),
        ("use_dora", json!(true), "`use_dora` is true, which is not supported"),
        ("bias", json!("all"), "`bias` is \"all\", which is not supported"),
        ("modules_to_save", json!(["lm_head"]), "`modules_to_save` is [\"lm_head\"], which is not supported"),
        ("rank_pattern", json!({"q_proj": 2}), "`rank_pattern` is {\"q_proj\":2}, which is not supported"),
        ("target_modules", json!("all-linear"), "`target_modules` must be a list of names"),
        ("target_modules", json!(["c_attn"]), "`c_attn` is not a matrix that can have an adapter"),
        ("target_modules", json!(["q_proj"]), "belongs to none of the target_modules; it would be ignored"),
        ("target_modules", json!([]), "no matrix has an adapter"),
    ] {
        let message = changed(key, value);
        assert!(message.contains(expected), "{key}: {message}");
    }
    let copy = copy();
    let path = copy.path().join(ADAPTER_WEIGHTS);
    let bytes = fs_err::read(&path).unwrap();
    fs_err::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(refusal(copy.path(), "qwen3").contains("the file is incomplete; fetch it again"));
    fs_err::remove_file(&path).unwrap();
    assert!(refusal(copy.path(), "qwen3").contains(ADAPTER_WEIGHTS));
}
