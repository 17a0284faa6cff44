//! A checkpoint is complete and contains the weights once; every violation is reported.
#![allow(clippy::unwrap_used)]
#![allow(missing_docs)]

mod common;

use std::path::PathBuf;

use common::{as_first_version, encoder, factors, params, reseal, shape, weights};
use stepladder_algo::AlgoError;
use stepladder_algo::runtime::checkpoint::{load, save};
use stepladder_algo::runtime::counters::Counters;
use stepladder_algo::runtime::optimiser::{AdamW, AdamWConfig};
use stepladder_algo::runtime::trainer::{Identity, Trainer};
use stepladder_model::checkpoint::{Bases, read_tensors, write_tensors};
use tch::{Device, Tensor};

const OPTIMISER: AdamWConfig =
    AdamWConfig { beta1: 0.9, beta2: 0.98, eps: 1e-8, weight_decay: 0.01, clip: 1.0 };

fn bits(tensor: &Tensor) -> Vec<u32> {
    Vec::<f32>::try_from(tensor).unwrap().into_iter().map(f32::to_bits).collect()
}

struct Saved {
    _folder: tempfile::TempDir,
    trainer: Trainer,
    place: PathBuf,
}

impl Saved {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let params = params(shape(), &factors(), 1);
        let mut optimiser = AdamW::new(OPTIMISER, &params.buffer);
        optimiser.first = &params.buffer * 0.1;
        optimiser.second = params.buffer.square();
        let counters = Counters { step: 7, seconds: 1.25, ..Counters::start() };
        let identity =
            Identity { agent: "test".into(), style: "test-v1".into(), data: "0".into(), base: None };
        let trainer = Trainer { optimiser, counters, ..Trainer::new(weights(&params), OPTIMISER, identity) };
        let place = save(folder.path(), &trainer, &encoder(), 1).unwrap();
        Self { _folder: folder, trainer, place }
    }

    fn load(&self) -> Result<Trainer, AlgoError> {
        load(&self.place, OPTIMISER, Device::Cpu, &Bases::default())
    }

    /// Returns the error message, which must name `file`.
    fn refuses(&self, what: &str, file: &str) -> String {
        let message = self.load().map(|_| ()).expect_err(what).to_string();
        let path = self.place.join(file).display().to_string();
        assert!(message.starts_with(&format!("{path}: ")) && !message.contains('\n'), "{what}: {message}");
        message
    }

    /// Changes the text of the state.
    fn edit(&self, from: &str, to: &str) {
        let path = self.place.join("trainer.json");
        let text = fs_err::read_to_string(&path).unwrap();
        assert!(text.contains(from), "no {from} in {text}");
        fs_err::write(&path, text.replacen(from, to, 1)).unwrap();
    }
}

const FILES: [&str; 7] = [
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "trainer.json",
    "trainer.safetensors",
];

#[test]
fn every_bit_of_every_file_counts() {
    let saved = Saved::new();
    let mut names: Vec<String> = fs_err::read_dir(&saved.place)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, FILES);
    for name in FILES {
        let path = saved.place.join(name);
        let bytes = fs_err::read(&path).unwrap();
        for place in (0..bytes.len()).step_by(bytes.len() / 23 + 1).chain([bytes.len() - 1]) {
            let mut other = bytes.clone();
            // A change of the lowest bit keeps text readable.
            other[place] ^= 1;
            fs_err::write(&path, other).unwrap();
            saved.refuses(&format!("bit {place} of {name}"), name);
        }
        for len in [0, 5, 60, bytes.len() / 2, bytes.len() - 1] {
            fs_err::write(&path, &bytes[..len]).unwrap();
            saved.refuses(&format!("{len} bytes of {name}"), name);
        }
        fs_err::remove_file(&path).unwrap();
        assert!(saved.refuses(name, name).contains("is missing; restore it"));
        fs_err::write(&path, &bytes).unwrap();
    }
    let loaded = saved.load().unwrap();
    assert!(bits(&loaded.weights.trained.buffer) == bits(&saved.trainer.weights.trained.buffer));
}

#[test]
fn the_weights_are_saved_once() {
    let saved = Saved::new();
    let tensors = read_tensors(&saved.place.join("trainer.safetensors")).unwrap();
    let mut names: Vec<&str> = tensors.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["embed.factors", "embed.own", "first_moment", "second_moment"]);

    // Rollouts use the weights of the file.
    let path = saved.place.join("model.safetensors");
    let mut weights = read_tensors(&path).unwrap();
    let norm = weights.remove("model.norm.weight").unwrap() * 2.0;
    weights.insert("model.norm.weight".to_owned(), norm.shallow_clone());
    write_tensors(&path, &weights.into_iter().collect::<Vec<_>>()).unwrap();
    assert!(saved.refuses("other weights", "model.safetensors").contains("damaged or edited"));
    reseal(&saved.place);
    assert!(saved.load().unwrap().weights.trained.get("norm").unwrap().equal(&norm));
}

/// Checkpoints of the first version load to the same bits, and continue to the same bits.
#[test]
fn the_first_version_still_loads() {
    let saved = Saved::new();
    as_first_version(&saved.place, &saved.trainer.weights.trained);
    let loaded = saved.load().unwrap();
    let tensors = |trainer: &Trainer| {
        let adam = &trainer.optimiser;
        [bits(&trainer.weights.trained.buffer), bits(&adam.first), bits(&adam.second)]
    };
    assert!(tensors(&loaded) == tensors(&saved.trainer));
    assert_eq!(
        (&loaded.counters, &loaded.identity, loaded.weights.factors()),
        (&saved.trainer.counters, &saved.trainer.identity, saved.trainer.weights.factors())
    );
    // Without checksums, the exported copy is compared with the trainer's.
    let exported = saved.place.join("model.safetensors");
    let whole = fs_err::read(&exported).unwrap();
    let mut edited = read_tensors(&exported).unwrap();
    let norm = edited["model.norm.weight"].copy();
    let _ = norm.narrow(0, 0, 1).fill_(5.0);
    edited.insert("model.norm.weight".to_owned(), norm);
    write_tensors(&exported, &edited.into_iter().collect::<Vec<_>>()).unwrap();
    let message = saved.refuses("an edited copy", "model.safetensors");
    assert!(message.contains("`model.norm.weight` differs from trainer.safetensors"), "{message}");
    fs_err::write(&exported, whole).unwrap();
    let broken = saved.trainer.weights.trained.buffer.copy();
    let _ = broken.narrow(0, 100, 1).fill_(f64::NAN);
    let path = saved.place.join("trainer.safetensors");
    let mut tensors = read_tensors(&path).unwrap();
    tensors.insert("parameters".to_owned(), broken);
    write_tensors(&path, &tensors.into_iter().collect::<Vec<_>>()).unwrap();
    let message = saved.refuses("not a number", "trainer.safetensors");
    assert!(message.contains("`parameters` contains NaN or infinite values"), "{message}");
}

/// Both versions, with valid checksums.
#[test]
fn a_broken_trainer_state_is_one_clear_error() {
    for first in [false, true] {
        let saved = Saved::new();
        if first {
            as_first_version(&saved.place, &saved.trainer.weights.trained);
        }
        let state = saved.place.join("trainer.json");
        let text = fs_err::read_to_string(&state).unwrap();
        let version = if first { "\"version\": 1" } else { "\"version\": 2" };
        for (from, to, file, mentions) in [
            (version, "\"version\": 99", "trainer.json", "99"),
            (
                "\"ffn\": 20",
                "\"ffn\": 22",
                if first { "trainer.safetensors" } else { "config.json" },
                "model",
            ),
            (
                "\"ffn\": 20",
                "\"ffn\": 16777216",
                if first { "trainer.safetensors" } else { "config.json" },
                "model",
            ),
            ("\"width\": 24", "\"width\": 48", "trainer.safetensors", "values"),
            ("\"vocab\": 30", "\"vocab\": 31", "trainer.json", "factors"),
            ("\"names\": [", "\"names\": [], \"not\": [", "trainer.json", "factors"),
        ] {
            saved.edit(from, to);
            if !first {
                reseal(&saved.place);
            }
            let message = saved.refuses(to, file);
            assert!(message.contains(mentions), "{to}: {message}");
            fs_err::write(&state, &text).unwrap();
        }
        fs_err::write(&state, &text[..text.len() / 2]).unwrap();
        saved.refuses("half a file", "trainer.json");
        fs_err::write(&state, &text).unwrap();
        assert!(saved.load().is_ok());
    }
}
