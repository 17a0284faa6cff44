//! Checkpoints restore the model; a broken or foreign one is refused with one clear error.
#![allow(clippy::unwrap_used)]
#![allow(missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;

use common::{VOCAB, decoder, encoder, factors, random, shape};
use proptest::prelude::*;
use safetensors::SafeTensors;
use serde_json::{Value, json};
use stepladder_data::PromptEncoder;
use stepladder_data::words::{TOKENIZER, TOKENIZER_CONFIG};
use stepladder_model::checkpoint::{
    CONFIG, Embeddings, GENERATION, WEIGHTS, export, load, load_factored, save, write_tensors,
};
use stepladder_model::{Factors, Shape, Weights};
use tch::{Device, Kind, Tensor};

fn logits(weights: &Weights) -> Tensor {
    let decoder = decoder(weights);
    let ids: Vec<i64> = (0..34).map(|t| (7 * t + t * t) % i64::from(VOCAB)).collect();
    let hidden = decoder.hidden(&Tensor::from_slice(&ids).view([2, 17])).unwrap();
    decoder.logits(&hidden.reshape([34, -1])).unwrap()
}

#[test]
fn a_round_trip_keeps_the_logits() {
    let heads = [
        (shape(2), factors()),
        (Shape { tied: false, ..shape(1) }, factors()),
        (shape(4), Factors::default()),
    ];
    for (shape, factors) in heads {
        let folder = tempfile::tempdir().unwrap();
        let weights = random(shape.clone(), &factors, 1);
        save(folder.path(), &weights, &encoder()).unwrap();
        let loaded = load(folder.path(), &BTreeSet::new(), Device::Cpu).unwrap();
        assert!(encoder().is_in(folder.path()).unwrap());
        assert_eq!(loaded.config().shape, shape);
        assert_eq!(loaded.config().factors, 0);
        let (before, after) = (logits(&weights), logits(&loaded));
        assert!(before.std(false).double_value(&[]) > 0.1, "the model says nothing");
        assert!((&before - &after).abs().max().double_value(&[]) < 1e-5, "{shape:?}");
        // A second save and load changes no bit.
        let again = tempfile::tempdir().unwrap();
        save(again.path(), &loaded, &encoder()).unwrap();
        for name in [CONFIG, GENERATION, TOKENIZER, TOKENIZER_CONFIG, WEIGHTS] {
            let read = |folder: &Path| fs_err::read(folder.join(name)).unwrap();
            assert!(read(folder.path()) == read(again.path()), "{name}");
        }
    }
}

/// The weights and the parts of the factored embeddings restore every parameter.
#[test]
fn a_round_trip_keeps_every_bit() {
    for shape in [shape(2), Shape { tied: false, ..shape(1) }] {
        let folder = tempfile::tempdir().unwrap();
        let weights = random(shape, &factors(), 4);
        save(folder.path(), &weights, &encoder()).unwrap();
        let (own, shared) = (weights.get("embed.own").unwrap(), weights.get("embed.factors").unwrap());
        let factors = factors();
        let parts = Embeddings { factors: &factors, own: &own, shared: &shared };
        let loaded = load_factored(folder.path(), &parts, &BTreeSet::new(), Device::Cpu).unwrap();
        assert_eq!(loaded.config(), weights.config());
        assert!(loaded.trained.buffer.equal(&weights.trained.buffer));

        // One changed bit of one vector changes the sum.
        let other = own.copy();
        let _ = other.narrow(0, 4, 1).narrow(1, 0, 1).fill_(0.123);
        let parts = Embeddings { own: &other, ..parts };
        let message =
            load_factored(folder.path(), &parts, &BTreeSet::new(), Device::Cpu).unwrap_err().to_string();
        assert!(message.contains("`model.embed_tokens.weight` is not the sum"), "{message}");
    }
}

/// Names, shapes and dtypes of transformers' Llama.
#[test]
fn the_file_has_the_tensors_of_a_llama() {
    let folder = tempfile::tempdir().unwrap();
    let weights = random(Shape { tied: false, ..shape(2) }, &factors(), 2);
    save(folder.path(), &weights, &encoder()).unwrap();
    let bytes = fs_err::read(folder.path().join(WEIGHTS)).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let found: BTreeMap<String, Vec<usize>> =
        file.tensors().into_iter().map(|(name, view)| (name, view.shape().to_vec())).collect();
    let vocab = VOCAB as usize;
    let mut expected = BTreeMap::from([
        ("model.embed_tokens.weight".to_owned(), vec![vocab, 24]),
        ("model.norm.weight".to_owned(), vec![24]),
        ("lm_head.weight".to_owned(), vec![vocab, 24]),
    ]);
    for layer in 0..2 {
        for (name, shape) in [
            ("input_layernorm", vec![24]),
            ("post_attention_layernorm", vec![24]),
            ("self_attn.q_proj", vec![24, 24]),
            ("self_attn.k_proj", vec![12, 24]),
            ("self_attn.v_proj", vec![12, 24]),
            ("self_attn.o_proj", vec![24, 24]),
            ("mlp.gate_proj", vec![20, 24]),
            ("mlp.up_proj", vec![20, 24]),
            ("mlp.down_proj", vec![24, 20]),
        ] {
            expected.insert(format!("model.layers.{layer}.{name}.weight"), shape);
        }
    }
    assert_eq!(found, expected);
}

struct Saved {
    folder: tempfile::TempDir,
    weights: Weights,
}

impl Saved {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let weights = random(shape(2), &factors(), 3);
        save(folder.path(), &weights, &encoder()).unwrap();
        Self { folder, weights }
    }

    /// Returns the error message, which is one line and starts with the file.
    fn refused(&self, what: &str, file: &str) -> String {
        let message = match load(self.folder.path(), &BTreeSet::new(), Device::Cpu) {
            Ok(_) => panic!("{what}: was read"),
            Err(error) => error.to_string(),
        };
        let path = self.folder.path().join(file).display().to_string();
        assert!(message.starts_with(&path), "{what}: {message}");
        assert!(message.len() > path.len() + 10 && !message.contains('\n'), "{what}: {message}");
        message
    }

    fn config(&self) -> Value {
        serde_json::from_str(&fs_err::read_to_string(self.folder.path().join(CONFIG)).unwrap()).unwrap()
    }

    fn set_config(&self, value: &Value) {
        fs_err::write(self.folder.path().join(CONFIG), value.to_string()).unwrap();
    }

    fn tensors(&self) -> Vec<(String, Tensor)> {
        export(&self.weights)
    }

    fn set_tensors(&self, tensors: &[(String, Tensor)]) {
        write_tensors(&self.folder.path().join(WEIGHTS), tensors).unwrap();
    }
}

#[test]
fn foreign_configurations_are_refused() {
    let saved = Saved::new();
    let good = saved.config();
    let changes: &[(&str, Value, &str)] = &[
        ("model_type", json!("gpt2"), "gpt2"),
        ("model_type", json!(null), "model_type"),
        ("hidden_size", json!("wide"), "hidden_size"),
        ("hidden_size", json!(24.5), "hidden_size"),
        ("hidden_size", json!(-24), "width"),
        ("num_hidden_layers", json!(0), "layers"),
        ("num_attention_heads", json!(5), "heads"),
        ("num_key_value_heads", json!(3), "kv_heads"),
        ("rope_scaling", json!({"type": "dynamic", "factor": 2.0}), "rope_scaling"),
        ("attention_bias", json!("yes"), "attention_bias"),
        ("rope_theta", json!(0.0), "they must agree"),
        ("rope_theta", json!("100"), "rope_theta"),
        ("rope_parameters", json!({"rope_type": "llama3", "rope_theta": 100.0}), "rope_parameters.factor"),
        ("rope_parameters", json!({"rope_theta": 100.0, "factor": 2.0}), "rope_parameters.factor"),
        ("rope_parameters", json!(100.0), "rope_parameters"),
        ("hidden_act", json!("relu"), "hidden_act"),
        ("tie_word_embeddings", json!("yes"), "tie_word_embeddings"),
        ("quantization_config", json!({"bits": 4}), "quantization_config"),
        ("mlp_bias", json!("no"), "mlp_bias"),
        ("rms_norm_eps", json!(null), "rms_norm_eps"),
        ("head_dim", json!(9), "a head is 9 wide"),
        ("vocab_size", json!(1), "vocab"),
        ("max_position_embeddings", json!(i64::MAX), "max_positions"),
    ];
    for (key, value, mentions) in changes {
        let mut config = good.clone();
        config[*key] = value.clone();
        saved.set_config(&config);
        let message = saved.refused(key, CONFIG);
        assert!(message.contains(mentions), "{key}: {message}");
    }
    for text in ["", "{", "[]", "null", "\"llama\"", "{\"model_type\": \"llama\"}", "\u{0}"] {
        fs_err::write(saved.folder.path().join(CONFIG), text).unwrap();
        saved.refused(text, CONFIG);
    }
    fs_err::write(saved.folder.path().join(CONFIG), [0xff, 0xfe]).unwrap();
    saved.refused("bytes", CONFIG);
    fs_err::remove_file(saved.folder.path().join(CONFIG)).unwrap();
    saved.refused("no file", CONFIG);
    saved.set_config(&good);
    assert!(load(saved.folder.path(), &BTreeSet::new(), Device::Cpu).is_ok());
}

/// Memory for the model is allocated only after the tensors were checked against the sizes in the configuration.
#[test]
fn sizes_that_the_tensors_do_not_have_are_refused() {
    let saved = Saved::new();
    let good = saved.config();
    let large = 1i64 << 24;
    type Change<'a> = &'a [(&'a str, i64)];
    let changes: &[(Change<'_>, &str)] = &[
        (&[("num_hidden_layers", 1)], WEIGHTS),
        (&[("num_hidden_layers", 3)], WEIGHTS),
        (&[("num_hidden_layers", 4096)], WEIGHTS),
        (&[("num_hidden_layers", large)], CONFIG),
        (&[("intermediate_size", 21)], WEIGHTS),
        (&[("intermediate_size", large)], WEIGHTS),
        (&[("hidden_size", 48), ("head_dim", 12)], WEIGHTS),
        (&[("hidden_size", large), ("intermediate_size", large), ("head_dim", large / 4)], WEIGHTS),
        (&[("head_dim", 8)], WEIGHTS),
        (&[("num_key_value_heads", 4)], WEIGHTS),
    ];
    for (change, file) in changes {
        let mut config = good.clone();
        for (key, value) in *change {
            config[*key] = json!(value);
        }
        saved.set_config(&config);
        saved.refused(&format!("{change:?}"), file);
    }
    let mut config = good.clone();
    config["tie_word_embeddings"] = json!(false);
    saved.set_config(&config);
    assert!(saved.refused("untied", WEIGHTS).contains("lm_head.weight"));
    config = good;
    config["vocab_size"] = json!(large);
    saved.set_config(&config);
    saved.refused("vocabulary", WEIGHTS);
}

#[test]
fn missing_and_misshapen_tensors_are_named() {
    let saved = Saved::new();
    let names: Vec<String> = saved.tensors().into_iter().map(|(name, _)| name).collect();
    for name in &names {
        let mut tensors = saved.tensors();
        tensors.retain(|(other, _)| other != name);
        saved.set_tensors(&tensors);
        assert!(saved.refused(name, WEIGHTS).contains(name));

        let mut tensors = saved.tensors();
        let (_, tensor) = tensors.iter_mut().find(|(other, _)| other == name).unwrap();
        *tensor = Tensor::cat(&[tensor.shallow_clone(), tensor.narrow(0, 0, 1)], 0);
        saved.set_tensors(&tensors);
        assert!(saved.refused(name, WEIGHTS).contains(name));

        let mut tensors = saved.tensors();
        let (_, tensor) = tensors.iter_mut().find(|(other, _)| other == name).unwrap();
        *tensor = tensor.unsqueeze(0);
        saved.set_tensors(&tensors);
        assert!(saved.refused(name, WEIGHTS).contains(name));
    }
    // A transposed matrix that is not square.
    let mut tensors = saved.tensors();
    let (_, tensor) = tensors.iter_mut().find(|(name, _)| name.ends_with("down_proj.weight")).unwrap();
    *tensor = tensor.tr();
    saved.set_tensors(&tensors);
    assert!(saved.refused("transposed", WEIGHTS).contains("down_proj"));
    // Rows of one matrix here.
    let mut tensors = saved.tensors();
    let (_, tensor) =
        tensors.iter_mut().find(|(name, _)| name.ends_with("layers.0.mlp.up_proj.weight")).unwrap();
    *tensor = tensor.to_kind(Kind::BFloat16);
    saved.set_tensors(&tensors);
    let message = saved.refused("two dtypes", WEIGHTS);
    let expected = "`model.layers.0.mlp.up_proj.weight` is BF16, but `model.layers.0.mlp.gate_proj.weight` is F32; both must have one dtype";
    assert!(message.contains(expected), "{message}");
}

#[test]
fn tensors_that_would_be_ignored_are_named() {
    let saved = Saved::new();
    let mut tensors = saved.tensors();
    let bias = "model.layers.0.self_attn.q_proj.bias".to_owned();
    tensors.push((bias.clone(), Tensor::zeros([24], (Kind::Float, Device::Cpu))));
    saved.set_tensors(&tensors);
    assert!(saved.refused("a bias", WEIGHTS).contains(&format!("has no `{bias}`; ")));
    tensors.push(("z".to_owned(), Tensor::zeros([1], (Kind::Float, Device::Cpu))));
    saved.set_tensors(&tensors);
    assert!(saved.refused("two", WEIGHTS).contains(&format!("has no `{bias}` and 1 more; ")));

    // With tied embeddings, an output matrix in the file must be equal to the table.
    let mut tensors = saved.tensors();
    let table = tensors[0].1.copy();
    tensors.push(("lm_head.weight".to_owned(), table.shallow_clone()));
    saved.set_tensors(&tensors);
    assert!(load(saved.folder.path(), &BTreeSet::new(), Device::Cpu).is_ok());
    let _ = table.narrow(0, 7, 1).narrow(1, 3, 1).fill_(0.5);
    saved.set_tensors(&tensors);
    assert!(saved.refused("another head", WEIGHTS).contains("`lm_head.weight` differs from"));
}

#[test]
fn numbers_that_are_none_are_refused() {
    let saved = Saved::new();
    for broken in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for (place, (name, _)) in saved.tensors().iter().enumerate() {
            let mut tensors = saved.tensors();
            let tensor = tensors[place].1.copy();
            let _ = tensor.view([-1]).narrow(0, 5, 1).fill_(broken);
            tensors[place].1 = tensor;
            saved.set_tensors(&tensors);
            let message = saved.refused(name, WEIGHTS);
            assert!(message.contains(&format!("`{name}` contains NaN or infinite values")), "{message}");
        }
    }
}

/// The rotary base has one name in transformers 4 and another in 5.
#[test]
fn both_forms_of_the_rotary_base_are_read() {
    let saved = Saved::new();
    let good = saved.config();
    assert_eq!(good["rope_theta"], 100.0);
    assert_eq!(good["rope_parameters"], json!({"rope_type": "default", "rope_theta": 100.0}));
    for left_out in ["rope_theta", "rope_parameters"] {
        let mut config = good.clone();
        config.as_object_mut().unwrap().remove(left_out);
        saved.set_config(&config);
        let weights = load(saved.folder.path(), &BTreeSet::new(), Device::Cpu).unwrap();
        assert_eq!(weights.config().shape.rope_theta, 100.0, "without {left_out}");
    }
    let mut config = good;
    config["rope_theta"] = json!(null);
    config["rope_parameters"] = json!(null);
    saved.set_config(&config);
    assert!(saved.refused("neither", CONFIG).contains("`rope_theta` or `rope_parameters.rope_theta`"));
}

#[test]
fn cut_and_foreign_tensor_files_are_refused() {
    let saved = Saved::new();
    let path = saved.folder.path().join(WEIGHTS);
    let bytes = fs_err::read(&path).unwrap();
    for len in (0..bytes.len()).step_by(bytes.len() / 37).chain([1, 7, 8, 9, bytes.len() - 1]) {
        fs_err::write(&path, &bytes[..len]).unwrap();
        saved.refused(&format!("{len} of {} bytes", bytes.len()), WEIGHTS);
    }
    fs_err::write(&path, [bytes.as_slice(), b"more"].concat()).unwrap();
    saved.refused("bytes after the end", WEIGHTS);
    // A header length beyond the end of the file, and one beyond memory.
    for length in [bytes.len() as u64, u64::MAX] {
        fs_err::write(&path, [&length.to_le_bytes(), &bytes[8..]].concat()).unwrap();
        saved.refused("header length", WEIGHTS);
    }
    let header = r#"{"model.embed_tokens.weight":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}"#;
    let double = [(header.len() as u64).to_le_bytes().as_slice(), header.as_bytes(), &[0; 8]].concat();
    fs_err::write(&path, double).unwrap();
    assert!(saved.refused("double precision", WEIGHTS).contains("F64; this program reads F32, BF16 and F16"));
    fs_err::remove_file(&path).unwrap();
    saved.refused("no file", WEIGHTS);
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let weights = random(shape(2), &factors(), 3);
    let message = save(&missing, &weights, &encoder()).unwrap_err().to_string();
    assert!(message.starts_with(&missing.display().to_string()), "{message}");
}

/// Bytes that often leave JSON valid.
const BYTES: &[u8] = b"0123456789-aeT\"{}[],: \xff";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn changed_bytes_and_cut_ends_never_panic(
        damaged in prop::sample::select(&[CONFIG, WEIGHTS][..]),
        flips in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(BYTES)), 0..4),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        let saved = Saved::new();
        let path = saved.folder.path().join(damaged);
        let mut bytes = fs_err::read(&path).unwrap();
        // Of the weights, the header.
        let end = if damaged == WEIGHTS { 8 + usize::from(bytes[0]) + 256 * usize::from(bytes[1]) } else { bytes.len() };
        for (at, byte) in &flips {
            bytes[at.index(end)] = *byte;
        }
        if let Some(cut) = &cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        fs_err::write(&path, bytes).unwrap();
        if let Err(error) = load(saved.folder.path(), &BTreeSet::new(), Device::Cpu) {
            prop_assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
}
