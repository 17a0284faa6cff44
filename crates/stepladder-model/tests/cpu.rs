//! The CPU engine writes the same replies as libtorch.
#![allow(clippy::unwrap_used)]
#![allow(missing_docs)]

mod common;

use common::{VOCAB, decoder, factors, random, shape};
use rand::RngExt;
use stepladder_core::seed::stream;
use stepladder_cpu::{Model, Writer, checkpoint};
use stepladder_model::cache::generate;
use stepladder_model::{Decoder, Factors, Shape};
use stepladder_rollout::engine::{NEAR_TIE, Prompt};
use stepladder_rollout::sampling::Sampling;
use tch::{Device, Kind, Tensor};

/// Tolerance for log-probabilities of one model with different orders of f32 additions.
const TOLERANCE: f64 = 1e-4;
const KEPT: usize = 1 << 30;

/// Prompts with common prefixes; some extend each other, some are equal.
fn prompts(seed: u64, count: usize, sampled: bool) -> Vec<Prompt> {
    let mut rng = stream(seed, "test-prompts", &[]);
    let mut word = |most: u32| rng.random_range(0..most);
    let rooms: Vec<Vec<u32>> = (0..3).map(|room| (0..5 + 11 * room).map(|_| word(VOCAB)).collect()).collect();
    (0..count)
        .map(|index| {
            let mut ids = rooms[word(3) as usize].clone();
            ids.truncate(1 + word(30) as usize);
            // Few distinct words, so that some prompts are equal.
            ids.extend((0..word(28)).map(|_| word(3)));
            let sampling = (sampled && index % 3 != 0)
                .then(|| Sampling::at(1.0, stream(seed, "sampling", &[index as u64])));
            Prompt { ids, budget: 1 + word(20) as usize, sampling, constraint: None, stop: None }
        })
        .collect()
}

fn writer(decoder: &Decoder, workers: usize) -> Writer {
    Writer::new(Model::new(decoder.plain().unwrap()), workers, KEPT)
}

/// Log-probabilities of all words after each position of `ids`, and of the words of `ids`, by libtorch.
fn logprobs(decoder: &Decoder, prompt: &[u32], reply: &[u32]) -> Vec<f32> {
    let ids: Vec<i64> = prompt.iter().chain(reply).map(|&id| i64::from(id)).collect();
    let targets: Vec<i64> = (prompt.len() as i64..ids.len() as i64).collect();
    let found = tch::no_grad(|| {
        decoder.logprobs(&Tensor::from_slice(&ids).unsqueeze(0), &Tensor::from_slice(&targets)).unwrap()
    });
    Vec::try_from(found).unwrap()
}

/// The gap between the two best words after `ids`.
fn gap(decoder: &Decoder, ids: &[u32]) -> f64 {
    let ids: Vec<i64> = ids.iter().map(|&id| i64::from(id)).collect();
    let mut logprobs: Vec<f32> = tch::no_grad(|| {
        let hidden = decoder.hidden(&Tensor::from_slice(&ids).unsqueeze(0)).unwrap();
        let logits = decoder.logits(&hidden.select(1, ids.len() as i64 - 1)).unwrap();
        Vec::try_from(logits.log_softmax(-1, Kind::Float).view([-1])).unwrap()
    });
    logprobs.sort_by(|a, b| b.total_cmp(a));
    f64::from(logprobs[0] - logprobs[1])
}

fn shapes() -> Vec<(Shape, Factors)> {
    let none = Factors { names: Vec::new(), of_word: vec![Vec::new(); VOCAB as usize] };
    let wide = Shape { width: 160, heads: 2, kv_heads: 1, ffn: 50, layers: 3, ..shape(1) };
    vec![
        (shape(1), factors()),
        (shape(2), factors()),
        (shape(4), none.clone()),
        (Shape { tied: false, layers: 1, ..shape(2) }, factors()),
        (wide, none),
        (Shape { width: 64, heads: 4, kv_heads: 2, ffn: 96, ..shape(2) }, factors()),
    ]
}

#[test]
fn what_a_model_cannot_read_is_an_error() {
    let decoder = decoder(&random(shape(1), &factors(), 1));
    let most = decoder.config().shape.max_positions as usize;
    let row = |ids: &[i64]| tch::no_grad(|| decoder.hidden(&Tensor::from_slice(ids).unsqueeze(0)));
    let long = vec![3i64; most];
    assert!(row(&long).is_ok() && row(&[3, i64::from(VOCAB) - 1]).is_ok());
    assert!(row(&[long.as_slice(), &[3]].concat()).is_err());
    assert!(row(&[3, i64::from(VOCAB)]).is_err());
    let targets = Tensor::from_slice(&[2i64]);
    assert!(decoder.logprobs(&Tensor::from_slice(&[3i64, 3]).unsqueeze(0), &targets).is_err());
    let unknown: Vec<Prompt> = (0..40)
        .map(|number| Prompt {
            ids: vec![number % 7, 3, VOCAB + 9],
            budget: 2,
            sampling: None,
            constraint: None,
            stop: None,
        })
        .collect();
    assert!(generate(&decoder, &unknown, &[7], Device::Cpu).is_err());
    let mut writer = writer(&decoder, 2);
    let error = writer.write(unknown, &[7]).unwrap_err().to_string();
    assert_eq!(error, "prompt 0 of the call: token 49 is not in the vocabulary of 40");
    // A refused call does not affect the next one.
    let known = Prompt { ids: vec![3, 4], budget: 2, sampling: None, constraint: None, stop: None };
    assert_eq!(writer.write(vec![known], &[7]).unwrap().len(), 1);
}

#[test]
fn replies_are_those_of_the_tensors() {
    let (mut same, mut total) = (0, 0);
    for (seed, (shape, factors)) in shapes().into_iter().enumerate() {
        let decoder = decoder(&random(shape, &factors, seed as u64));
        let mut writer = writer(&decoder, 2);
        // The second call starts from prefixes that the first one cached.
        for call in 0..2 {
            let prompts = prompts(10 * seed as u64 + call, 40, true);
            let expected = generate(&decoder, &prompts, &[7], Device::Cpu).unwrap();
            let found = writer.write(prompts.clone(), &[7]).unwrap();
            for ((prompt, expected), found) in prompts.iter().zip(expected).zip(found) {
                for (a, b) in logprobs(&decoder, &prompt.ids, &found.ids).iter().zip(&found.logprobs) {
                    assert!(f64::from((a - b).abs()) < TOLERANCE, "{a} and {b}");
                }
                let ended = found.ids.last() == Some(&7);
                assert_eq!(found.cut, !ended);
                assert!(!found.ids[..found.ids.len() - 1].contains(&7));
                assert!(found.ids.len() <= prompt.budget && (ended || found.ids.len() == prompt.budget));
                total += 1;
                if expected.ids == found.ids {
                    same += 1;
                } else if prompt.sampling.is_none() {
                    let common = expected.ids.iter().zip(&found.ids).take_while(|(a, b)| a == b).count();
                    let gap = gap(&decoder, &[&prompt.ids[..], &found.ids[..common]].concat());
                    assert!(gap < NEAR_TIE, "the best words are {gap} apart");
                }
            }
        }
    }
    assert!(same * 100 >= total * 98, "{same} of {total} replies are the same");
}

#[test]
fn a_checkpoint_read_without_libtorch_has_the_bits_of_the_converted_decoder() {
    for (at, (shape, factors)) in shapes().into_iter().enumerate() {
        let weights = random(shape, &factors, at as u64);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(checkpoint::WEIGHTS);
        stepladder_model::checkpoint::write_tensors(&path, &stepladder_model::checkpoint::export(&weights))
            .unwrap();
        let mut config = stepladder_model::families::write(weights.config());
        fs_err::write(folder.path().join(checkpoint::CONFIG), serde_json::to_string(&config).unwrap())
            .unwrap();
        let read = checkpoint::load(folder.path()).unwrap();
        let loaded =
            stepladder_model::checkpoint::load(folder.path(), &Default::default(), Device::Cpu).unwrap();
        assert_eq!(read, decoder(&loaded).plain().unwrap(), "shape {at}");
        config.insert("hidden_size".to_owned(), 1.into());
        fs_err::write(folder.path().join(checkpoint::CONFIG), serde_json::to_string(&config).unwrap())
            .unwrap();
        assert!(checkpoint::load(folder.path()).unwrap_err().to_string().contains("has shape"));
    }
}
