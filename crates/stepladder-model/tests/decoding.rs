//! Decoding prompts in a batch gives the same replies as decoding each alone, up to near-ties (docs/design.md D3).
#![allow(clippy::unwrap_used)]
#![allow(missing_docs)]

mod common;

use std::sync::Arc;

use common::{FIRST_WORD, VOCAB, decoder, encoder, weights};
use rand::RngExt;
use rand::seq::SliceRandom;
use stepladder_core::Query;
use stepladder_core::query::Observation;
use stepladder_core::seed::{Rng, stream};
use stepladder_core::trace::TurnTokens;
use stepladder_data::token_bytes::{TokenBytes, Writing};
use stepladder_model::cache::generate;
use stepladder_model::engine::{Memory, open};
use stepladder_model::{Decoder, Weights};
use stepladder_rollout::LocalGenerator;
use stepladder_rollout::engine::{NEAR_TIE, Prompt, Reply};
use stepladder_rollout::generator::{Completion, Request, RequestId};
use stepladder_rollout::sampling::{Distribution, Sampling};
use stepladder_rollout::stop::{Stop, StopStrings};
use tch::{Device, Kind, Tensor};

/// An id outside the vocabulary: only the budget ends a reply.
const NO_END: u32 = u32::MAX;
/// Tolerance for log-probabilities of one model with different orders of f32 additions.
const TOLERANCE: f64 = 1e-4;

/// Prompts from 1 to 60 words with budgets from 1 to 30, in random order.
fn prompts(seed: u64, count: usize) -> Vec<Prompt> {
    let mut rng = stream(seed, "test-prompts", &[]);
    let mut prompts: Vec<Prompt> = (0..count)
        .map(|index| Prompt {
            ids: (0..1 + 59 * index / (count - 1)).map(|_| rng.random_range(0..VOCAB)).collect(),
            budget: rng.random_range(1..31),
            sampling: None,
            constraint: None,
            stop: None,
        })
        .collect();
    prompts.shuffle(&mut rng);
    prompts
}

fn write(decoder: &Decoder, prompts: &[Prompt], end: u32) -> Vec<Reply> {
    generate(decoder, prompts, &[end], Device::Cpu).unwrap()
}

/// Log-probabilities of all words after `ids`, by a forward pass without a cache.
fn next(decoder: &Decoder, ids: &[u32]) -> Vec<f32> {
    tch::no_grad(|| {
        let ids: Vec<i64> = ids.iter().map(|&id| i64::from(id)).collect();
        let hidden = decoder.hidden(&Tensor::from_slice(&ids).unsqueeze(0)).unwrap();
        let logits = decoder.logits(&hidden.select(1, ids.len() as i64 - 1)).unwrap();
        Vec::try_from(logits.log_softmax(-1, Kind::Float).view([-1])).unwrap()
    })
}

fn close(a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        assert!(f64::from((a - b).abs()) < TOLERANCE, "{a} and {b}");
    }
}

/// Checks that two greedy replies are equal up to a near-tie; returns whether they are entirely equal.
fn same_up_to_near_ties(decoder: &Decoder, prompt: &[u32], a: &[u32], b: &[u32]) -> bool {
    if a == b {
        return true;
    }
    let common = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let mut logprobs = next(decoder, &[prompt, &a[..common]].concat());
    logprobs.sort_by(|a, b| b.total_cmp(a));
    let gap = f64::from(logprobs[0] - logprobs[1]);
    assert!(gap < NEAR_TIE, "{a:?} and {b:?} part at {common}, where the best words are {gap} apart");
    false
}

/// A word that many replies contain, used as the end token.
fn frequent_word(replies: &[Reply]) -> u32 {
    let mut counts = [0; VOCAB as usize];
    for id in replies.iter().flat_map(|reply| reply.ids.iter().skip(2)) {
        counts[*id as usize] += 1;
    }
    (0..VOCAB).max_by_key(|&id| counts[id as usize]).unwrap()
}

#[test]
fn together_is_as_alone() {
    let (mut same, mut total, mut ended, mut cut) = (0, 0, 0, 0);
    for (seed, kv_heads) in [(0, 2), (1, 4), (2, 1)] {
        let decoder = decoder(&weights(kv_heads, seed));
        let prompts = prompts(seed, 20);
        let end = frequent_word(&write(&decoder, &prompts, NO_END));
        let together = write(&decoder, &prompts, end);
        for (prompt, reply) in prompts.iter().zip(&together) {
            let alone = write(&decoder, std::slice::from_ref(prompt), end).remove(0);
            total += 1;
            if same_up_to_near_ties(&decoder, &prompt.ids, &alone.ids, &reply.ids) {
                same += 1;
                assert_eq!(alone.cut, reply.cut);
                close(&alone.logprobs, &reply.logprobs);
            }
            let has_end = reply.ids.last() == Some(&end);
            assert_eq!(reply.cut, !has_end);
            assert!(!reply.ids[..reply.ids.len() - 1].contains(&end), "a reply goes on after its end");
            assert!(reply.ids.len() <= prompt.budget && (has_end || reply.ids.len() == prompt.budget));
            ended += usize::from(has_end);
            cut += usize::from(reply.cut);
        }
    }
    assert!(ended > 5 && cut > 5, "{ended} replies ended, {cut} were cut: both must happen");
    // Near-ties are rare, so most replies must be equal.
    assert!(same * 10 >= total * 9, "{same} of {total} replies are the same");
}

#[test]
fn cached_logprobs_are_those_of_a_forward_pass() {
    for (seed, kv_heads) in [(3, 2), (4, 4)] {
        let tempered = decoder(&weights(kv_heads, seed)).at_temperature(1.3);
        let decoder = decoder(&weights(kv_heads, seed));
        let mut prompts = prompts(seed, 12);
        for (index, prompt) in prompts.iter_mut().enumerate().filter(|(index, _)| index % 2 == 0) {
            prompt.sampling = Some(Sampling::at(1.3, stream(seed, "sampling", &[index as u64])));
        }
        let replies = write(&decoder, &prompts, 7);
        for (prompt, reply) in prompts.iter().zip(&replies) {
            let ids: Vec<i64> = prompt.ids.iter().chain(&reply.ids).map(|&id| i64::from(id)).collect();
            let targets: Vec<i64> = (prompt.ids.len() as i64..ids.len() as i64).collect();
            let full = tch::no_grad(|| {
                let policy = if prompt.sampling.is_some() { &tempered } else { &decoder };
                policy
                    .logprobs(&Tensor::from_slice(&ids).unsqueeze(0), &Tensor::from_slice(&targets))
                    .unwrap()
            });
            close(&Vec::<f32>::try_from(full).unwrap(), &reply.logprobs);
            let best = next(&decoder, &prompt.ids).into_iter().fold(f32::NEG_INFINITY, f32::max);
            if prompt.sampling.is_none() {
                close(&[best], &reply.logprobs[..1]);
            }
        }
    }
}

/// `hidden_at` agrees with `hidden` at the selected positions.
#[test]
fn hidden_vectors_at_positions_are_those_of_all() {
    let decoder = decoder(&weights(2, 9));
    let mut rng = stream(9, "test-ids", &[]);
    let ids: Vec<i64> = (0..60).map(|_| rng.random_range(0..i64::from(VOCAB))).collect();
    let ids = Tensor::from_slice(&ids).view([3, 20]);
    let positions = Tensor::from_slice(&[0i64, 7, 19, 20, 41, 59]);
    let all = decoder.hidden(&ids).unwrap().reshape([60, -1]).index_select(0, &positions);
    let some = decoder.hidden_at(&ids, &positions).unwrap();
    assert!((all - some).abs().max().double_value(&[]) < TOLERANCE);
}

/// A reply does not depend on content and length of the other prompts of the batch.
#[test]
fn neighbours_are_never_read() {
    let decoder = decoder(&weights(2, 6));
    let all = prompts(6, 10);
    for (index, prompt) in all.iter().enumerate().step_by(3) {
        let among = write(&decoder, &all, 7).remove(index);
        let mut others = prompts(100 + index as u64, 5);
        others.insert(2, prompt.clone());
        let elsewhere = write(&decoder, &others, 7).remove(2);
        if same_up_to_near_ties(&decoder, &prompt.ids, &among.ids, &elsewhere.ids) {
            close(&among.logprobs, &elsewhere.logprobs);
        }
    }
}

#[test]
fn a_sampled_reply_depends_on_its_own_stream_alone() {
    let decoder = decoder(&weights(2, 7));
    let sampled = |streams: &dyn Fn(usize) -> u64| -> Vec<Prompt> {
        let mut all = prompts(7, 12);
        for (index, prompt) in all.iter_mut().enumerate() {
            prompt.budget = 12;
            prompt.sampling = Some(Sampling::at(1.0, stream(7, "sampling", &[streams(index)])));
        }
        all
    };
    let own = |index: usize| index as u64;
    let ids = |replies: Vec<Reply>| -> Vec<Vec<u32>> { replies.into_iter().map(|reply| reply.ids).collect() };
    let expected = ids(write(&decoder, &sampled(&own), 7));
    // Other streams for the other rows, another order, and each row alone.
    let others = |index: usize| if index == 4 { 4 } else { 50 + index as u64 };
    let changed = ids(write(&decoder, &sampled(&others), 7));
    assert_eq!(changed[4], expected[4]);
    let differing = changed.iter().zip(&expected).filter(|(a, b)| a != b).count();
    assert!(differing >= 10, "other streams changed {differing} of 11 replies only");
    let mut reversed = sampled(&own);
    reversed.reverse();
    let mut replies = ids(write(&decoder, &reversed, 7));
    replies.reverse();
    assert_eq!(replies, expected);
    for (prompt, expected) in sampled(&own).iter().zip(&expected) {
        assert_eq!(&write(&decoder, std::slice::from_ref(prompt), 7)[0].ids, expected);
    }
    // A greedy row draws no random numbers.
    let mut mixed = sampled(&own);
    mixed[3].sampling = None;
    assert_eq!(ids(write(&decoder, &mixed, 7))[4..], expected[4..]);
}

/// A request with its own seed, distribution and stop strings gets the same reply alone and among 63 others, which ends with
/// the first token that completes a stop string.
#[test]
fn a_reply_is_the_same_alone_and_among_others() {
    let decoder = decoder(&weights(2, 11));
    let word = |id: u32| -> Vec<u8> { (0..=id % 3).map(|at| b'a' + (id / 3 + at) as u8 % 5).collect() };
    let writing = Writing { tokens: TokenBytes::new((0..VOCAB).map(word)), lead: String::new() };
    let strings = Arc::new(StopStrings::new(&["ab".to_owned(), "dd".to_owned()], writing));
    let mut free = prompts(11, 64);
    for (index, prompt) in (0..).zip(&mut free) {
        let distribution = match index % 4 {
            1 => Distribution { temperature: 1.5, top_p: 0.8, top_k: 9 },
            2 => Distribution { temperature: 0.7, top_p: 1.0, top_k: 3 },
            3 => Distribution { temperature: 1.0, top_p: 0.6, top_k: 0 },
            _ => Distribution::at(1.0),
        };
        prompt.sampling = Some(Sampling { distribution, rng: stream(11, "sampling", &[index]) });
    }
    let stop = || Stop::new(strings.clone());
    let bound: Vec<Prompt> =
        free.iter().map(|prompt| Prompt { stop: Some(stop()), ..prompt.clone() }).collect();
    let (unstopped, together) = (write(&decoder, &free, 7), write(&decoder, &bound, 7));
    let mut stopped = 0;
    for ((prompt, found), unstopped) in bound.iter().zip(&together).zip(&unstopped) {
        let alone = &write(&decoder, std::slice::from_ref(prompt), 7)[0];
        assert_eq!((&alone.ids, alone.cut), (&found.ids, found.cut));
        close(&alone.logprobs, &found.logprobs);
        let mut stop = stop();
        let last = unstopped.ids.iter().position(|&id| id != 7 && stop.push(id));
        let expected = last.map_or(&unstopped.ids[..], |last| &unstopped.ids[..=last]);
        assert_eq!((found.ids.as_slice(), found.cut), (expected, last.is_none() && unstopped.cut));
        stopped += usize::from(last.is_some());
    }
    assert!((10..60).contains(&stopped), "{stopped} replies were stopped");
}

#[test]
fn no_prompts_no_replies() {
    assert!(write(&decoder(&weights(2, 0)), &[], 7).is_empty());
}

fn words(count: usize, rng: &mut Rng) -> String {
    let words: Vec<String> =
        (0..count).map(|_| format!("w{:02}", rng.random_range(FIRST_WORD..VOCAB))).collect();
    words.join(" ")
}

fn answers(generator: &mut LocalGenerator, requests: &[Request]) -> Vec<Completion> {
    generator.generate(requests).unwrap().into_iter().map(Result::unwrap).collect()
}

fn tokens(completion: &Completion) -> &TurnTokens {
    completion.tokens.as_ref().unwrap()
}

fn generator(weights: &Weights, workers: usize) -> LocalGenerator {
    let Memory { prefix_bytes, remembered_tokens } = Memory::on(Device::Cpu);
    let engine = open(weights, Kind::Float, workers, prefix_bytes).unwrap();
    LocalGenerator::new(engine, Arc::new(encoder()), remembered_tokens, "test".to_owned())
}

fn request(index: usize, query: &Query, sampled: bool) -> Request {
    Request {
        id: RequestId::fresh(),
        query: query.clone(),
        session: index as u64,
        sampling: (sampled && index.is_multiple_of(2))
            .then(|| Sampling::at(1.0, stream(8, "sampling", &[index as u64]))),
        allowed: None,
        stop: None,
    }
}

fn complete(weights: &Weights, workers: usize, queries: &[Query], sampled: bool) -> Vec<Completion> {
    let requests: Vec<Request> =
        queries.iter().enumerate().map(|(index, query)| request(index, query, sampled)).collect();
    answers(&mut generator(weights, workers), &requests)
}

/// Prompts with common prefixes over several calls; some extend each other, some repeat. The prefix cache of a generator
/// changes no reply.
#[test]
fn what_is_kept_changes_no_reply() {
    let weights = weights(2, 11);
    let decoder = decoder(&weights);
    let mut rng = stream(11, "test-queries", &[]);
    let rooms: Vec<String> = (0..3).map(|_| words(12, &mut rng)).collect();
    let query = |room: &str, feedback: String| Query::Executor {
        subtask: room.to_owned(),
        observation: Observation { feedback, context: "w25".to_owned() },
        progress: "w27".to_owned(),
    };
    let fresh = || generator(&weights, 2);
    let mut keeping = fresh();
    let (mut same, mut total) = (0, 0);
    for round in 0..5 {
        // Rows of different lengths with cached prefixes of different lengths.
        let queries: Vec<Query> =
            (0..40).map(|index| query(&rooms[index % 3], words(index % (4 + 3 * round), &mut rng))).collect();
        let request = |index: usize| Request {
            id: RequestId::fresh(),
            query: queries[index].clone(),
            session: index as u64,
            sampling: (index % 4 == 1)
                .then(|| Sampling::at(1.0, stream(11, "sampling", &[round as u64, index as u64]))),
            allowed: None,
            stop: None,
        };
        let requests: Vec<Request> = (0..queries.len()).map(request).collect();
        let kept = answers(&mut keeping, &requests);
        for (index, kept) in kept.iter().enumerate() {
            let alone = answers(&mut fresh(), &[request(index)]).remove(0);
            assert_eq!(kept.prompt, alone.prompt);
            let ids = |completion: &Completion| tokens(completion).reply.clone();
            let prompt = tokens(kept).prompt.clone();
            total += 1;
            if ids(kept) == ids(&alone) {
                same += 1;
                assert_eq!((&kept.text, kept.cut), (&alone.text, alone.cut));
                let logprobs = |completion| tokens(completion).logprobs.as_deref().unwrap();
                close(logprobs(kept), logprobs(&alone));
            } else {
                assert!(index % 4 != 1, "a sampled reply of round {round} has changed");
                same_up_to_near_ties(&decoder, &prompt, &ids(kept), &ids(&alone));
            }
        }
    }
    assert!(same * 50 >= total * 49, "{same} of {total} replies are the same");
}

#[test]
fn a_prompt_that_exceeds_the_window_is_an_error_of_its_request_only() {
    let weights = weights(2, 8);
    let window = weights.config().shape.max_positions as usize;
    let mut rng = stream(12, "test-queries", &[]);
    let queries: Vec<Query> = [3, window, 4]
        .into_iter()
        .map(|count| Query::Executor {
            subtask: words(count, &mut rng),
            observation: Observation { feedback: words(2, &mut rng), context: words(1, &mut rng) },
            progress: words(1, &mut rng),
        })
        .collect();
    let requests: Vec<Request> =
        queries.iter().enumerate().map(|(index, query)| request(index, query, false)).collect();
    let results = generator(&weights, 1).generate(&requests).unwrap();
    let error = results[1].as_ref().unwrap_err().to_string();
    assert!(error.starts_with("the shortest possible executor prompt needs "), "{error}");
    let alone = complete(&weights, 1, &[queries[0].clone()], false);
    assert_eq!(results[0].as_ref().unwrap(), &alone[0]);
    assert!(results[2].is_ok());
}

#[test]
fn the_number_of_workers_does_not_change_replies() {
    let weights = weights(2, 8);
    let decoder = decoder(&weights);
    let mut rng = stream(8, "test-queries", &[]);
    let queries: Vec<Query> = (0..21)
        .map(|index| Query::Executor {
            subtask: words(1 + index % 3, &mut rng),
            observation: Observation { feedback: words(2 * index, &mut rng), context: words(1, &mut rng) },
            progress: words(1, &mut rng),
        })
        .collect();
    let ids = |completion: &Completion| tokens(completion).reply.clone();
    for sampled in [false, true] {
        let one = complete(&weights, 1, &queries, sampled);
        assert_eq!(one.len(), queries.len());
        let mut same = 0;
        for workers in [2, 3] {
            for (a, b) in one.iter().zip(&complete(&weights, workers, &queries, sampled)) {
                assert_eq!((&a.prompt, a.prompt_tokens), (&b.prompt, b.prompt_tokens));
                let prompt = tokens(a).prompt.clone();
                if same_up_to_near_ties(&decoder, &prompt, &ids(a), &ids(b)) {
                    same += 1;
                    assert_eq!((&a.text, a.cut, a.uncached_tokens), (&b.text, b.cut, b.uncached_tokens));
                }
            }
        }
        assert!(same >= 2 * queries.len() - 3, "{same} of {} replies are the same", 2 * queries.len());
    }
}
