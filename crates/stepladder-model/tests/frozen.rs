//! Partly frozen weights: the same forward pass, gradients of the trained part, checkpoints.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;

use common::{VOCAB, decoder, encoder, factors, random, shape};
use stepladder_model::checkpoint::{load, save};
use stepladder_model::{Decoder, Factors, Frame, Shape, Weights};
use tch::{Device, Kind, Tensor};

fn names(weights: &Weights, frozen: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let all = weights.trained.layout.entries.iter().map(|entry| entry.name.clone());
    all.filter(|name| frozen(name)).collect()
}

/// Sets of parameters to freeze.
fn cases(weights: &Weights) -> Vec<BTreeSet<String>> {
    vec![
        names(weights, |name| !name.starts_with("layers.1.")),
        names(weights, |name| name.starts_with("embed.")),
        names(weights, |name| name.contains("norm")),
        names(weights, |name| name == "layers.0.qkv" || name == "head"),
    ]
}

/// Tied and factored, untied, and plain models.
fn models() -> Vec<(Shape, Factors)> {
    vec![
        (shape(2), factors()),
        (Shape { tied: false, ..shape(2) }, factors()),
        (shape(4), Factors::default()),
    ]
}

fn logprobs(decoder: &Decoder) -> Tensor {
    let ids: Vec<i64> = (0..60).map(|at| at * at % i64::from(VOCAB)).collect();
    let targets = Tensor::from_slice(&[3i64, 7, 19, 24, 29, 45, 59]);
    decoder.logprobs(&Tensor::from_slice(&ids).view([3, 20]), &targets).unwrap()
}

/// Log-probabilities, and the gradient of their sum by parameter name.
fn learnt(weights: &Weights) -> (Tensor, Vec<(String, Tensor)>) {
    let leaf = weights.trained.leaf();
    let logprobs = logprobs(&Frame::new(weights, Kind::Float).decoder(&leaf));
    let d = Tensor::from_slice(&[1.0f32, -2.0, 0.5, 0.25, 3.0, -1.0, 1.5]);
    (&logprobs * d).sum(Kind::Float).backward();
    for (name, tensor) in weights.frozen() {
        assert!(!tensor.requires_grad() && !tensor.grad().defined(), "{name} has a gradient");
    }
    let layout = &weights.trained.layout;
    let named = layout.entries.iter().map(|entry| entry.name.clone()).zip(layout.split(&leaf.grad()));
    (logprobs.detach(), named.collect())
}

#[test]
fn what_is_frozen_computes_the_same_and_gets_no_gradient() {
    for (shape, factors) in models() {
        let whole = random(shape, &factors, 6);
        let (expected, gradients) = learnt(&whole);
        for frozen in cases(&whole) {
            let part =
                random(whole.config().shape.clone(), &factors, 6).freeze(&frozen, Kind::Float).unwrap();
            assert_eq!(part.frozen().len(), frozen.len());
            let (found, own) = learnt(&part);
            // A frozen matrix does not take in the gain before it, which rounds in another order.
            assert!(found.allclose(&expected, 1e-5, 1e-6, false), "{frozen:?}");
            let mut rest = gradients.iter().filter(|(name, _)| !frozen.contains(name));
            for (name, gradient) in &own {
                let (expected_name, expected) = rest.next().unwrap();
                assert_eq!(name, expected_name);
                assert!(gradient.allclose(expected, 1e-4, 1e-5, false), "{name} beside {frozen:?}");
                assert!(gradient.abs().sum(Kind::Float).double_value(&[]) > 0.0, "{name}");
            }
            assert!(rest.next().is_none());
        }
    }
}

#[test]
fn frozen_parameters_may_have_another_dtype() {
    let whole = random(shape(2), &factors(), 8);
    let before = logprobs(&decoder(&whole));
    for frozen in cases(&whole) {
        let half = random(shape(2), &factors(), 8).freeze(&frozen, Kind::BFloat16).unwrap();
        assert!(half.frozen().values().all(|tensor| tensor.kind() == Kind::BFloat16));
        let after = logprobs(&decoder(&half));
        assert_eq!(after.kind(), Kind::Float);
        assert!(!after.equal(&before) && after.allclose(&before, 0.1, 0.1, false), "{frozen:?}");
    }
}

#[test]
fn a_checkpoint_gives_back_what_is_frozen_and_what_is_trained() {
    let plain = Factors::default();
    for dtype in [Kind::Float, Kind::BFloat16, Kind::Half] {
        let whole = random(shape(2), &plain, 9);
        for frozen in cases(&whole) {
            let part = random(shape(2), &plain, 9).freeze(&frozen, dtype).unwrap();
            let folder = tempfile::tempdir().unwrap();
            save(folder.path(), &part, &encoder()).unwrap();
            let again = load(folder.path(), &frozen, Device::Cpu).unwrap();
            assert!(again.trained.buffer.equal(&part.trained.buffer));
            assert_eq!(again.frozen().keys().collect::<Vec<_>>(), part.frozen().keys().collect::<Vec<_>>());
            for (name, tensor) in part.frozen() {
                let found = &again.frozen()[name];
                assert!(found.kind() == dtype && found.equal(tensor), "{name}");
            }
        }
        let part = random(shape(2), &plain, 9).freeze(&names(&whole, |name| name == "norm"), dtype).unwrap();
        let folder = tempfile::tempdir().unwrap();
        save(folder.path(), &part, &encoder()).unwrap();
        let refused = load(folder.path(), &BTreeSet::from(["nrom".to_owned()]), Device::Cpu).unwrap_err();
        assert!(refused.to_string().contains("no parameter `nrom`"), "{refused}");
        // Parameters in 16 bits are trained in f32.
        let widened = load(folder.path(), &BTreeSet::new(), Device::Cpu).unwrap();
        let norm = widened.trained.get("norm").unwrap();
        assert!(norm.kind() == Kind::Float && norm.equal(&part.frozen()["norm"].to_kind(Kind::Float)));
    }
}

#[test]
fn weights_are_the_parameters_of_their_model() {
    let whole = || random(shape(2), &factors(), 1);
    assert!(whole().freeze(&BTreeSet::from(["layers.9.qkv".to_owned()]), Kind::Float).is_err());
    let other = Factors { names: vec!["one".to_owned()], of_word: vec![vec![0]; VOCAB as usize] };
    for unfit in [other, Factors { of_word: vec![Vec::new(); 3], ..factors() }, Factors::default()] {
        let refused = whole().with_factors(unfit).unwrap_err().to_string();
        assert!(refused.contains("do not fit a model with 5 factors"), "{refused}");
    }
    let norm = BTreeSet::from(["norm".to_owned()]);
    let part = whole().freeze(&norm, Kind::Float).unwrap();
    assert!(whole().freeze(&norm, Kind::Float).unwrap().freeze(&norm, Kind::Float).is_err());
    let frozen = || part.frozen().iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone()));
    let refused = |trained: Weights, frozen| Weights::new(trained.trained, frozen).unwrap_err().to_string();
    assert!(refused(whole(), frozen().collect()).contains("`norm` is both trained and frozen"));
    let halves = |(name, tensor): (String, Tensor)| (name, tensor.narrow(0, 0, 12));
    let part = || whole().freeze(&norm, Kind::Float).unwrap();
    assert!(refused(part(), frozen().map(halves).collect()).contains("`norm` has shape [12], not [24]"));
    assert!(refused(part(), Default::default()).contains("`norm` is missing"));
    let renamed = |(_, tensor): (String, Tensor)| ("mron".to_owned(), tensor);
    assert!(refused(whole(), frozen().map(renamed).collect()).contains("no parameter `mron`"));
}

#[test]
fn weights_are_drawn_on_a_device_as_a_new_model_is() {
    let whole = random(shape(2), &Factors::default(), 1);
    let config = whole.config();
    let draw = |seed, dtype| Weights::drawn_on(config, seed, (dtype, Device::Cpu)).unwrap();
    let drawn = draw(1, Kind::BFloat16);
    assert_eq!((drawn.config(), drawn.trained.count()), (config, 0));
    let init = Weights::init(config, 1, Device::Cpu);
    for parameter in config.parameters() {
        let (found, other) = (&drawn.frozen()[&parameter.name], init.get(&parameter.name).unwrap());
        assert_eq!((found.kind(), found.size()), (Kind::BFloat16, other.size()), "{}", parameter.name);
        let deviation = |tensor: &Tensor| tensor.to_kind(Kind::Double).square().mean(Kind::Double).sqrt();
        let ratio = f64::try_from(deviation(found) / deviation(&other)).unwrap();
        assert!((0.8..1.25).contains(&ratio), "{}: {ratio}", parameter.name);
    }
    let table = |weights: Weights| weights.get("embed.own").unwrap();
    assert!(table(draw(3, Kind::Float)).equal(&table(draw(3, Kind::Float))));
    assert!(!table(draw(3, Kind::Float)).equal(&table(draw(4, Kind::Float))));
    assert!(
        Weights::drawn_on(random(shape(2), &factors(), 1).config(), 1, (Kind::Float, Device::Cpu)).is_err()
    );
}
