//! Engine on libtorch: distributes prompts to workers in tiles and caches their keys and values. All workers share one copy of the
//! weights.

use stepladder_cpu::prefixes::Prefixes;
use stepladder_rollout::engine::{Engine, EngineError, Prompt, Reply};
use tch::{Device, Kind};

use crate::ModelError;
use crate::cache::{Known, Piece, generate_from};
use crate::decoder::Decoder;

/// Largest number of rows that one worker decodes together.
const TILE: usize = 96;
/// Fewer rows than this are not split among workers: such a step costs as much as one with twice the rows.
const FEW: usize = 32;

/// Engine with one decoder per worker.
pub(crate) struct Tiles {
    decoders: Vec<Decoder>,
    device: Device,
    prefixes: Prefixes<Piece>,
    context: usize,
    vocab: usize,
}

/// Rows that are decoded together: indices of their prompts, and cached prefixes.
struct Tile {
    rows: Vec<usize>,
    prompts: Vec<Prompt>,
    known: Vec<Known>,
}

impl Tiles {
    /// Creates an engine with `workers` threads over the tensors of one decoder, with matrix products in `dtype`; it caches at
    /// most `prefix_bytes` of keys and values.
    pub(crate) fn new(
        decoder: Decoder,
        workers: usize,
        device: Device,
        dtype: Kind,
        prefix_bytes: usize,
    ) -> Self {
        let config = decoder.config();
        let shape = &config.shape;
        let width = if dtype == Kind::Float { 4 } else { 2 };
        let bytes_per_token = (2 * shape.layers * shape.kv_heads * config.head_dim() * width) as usize;
        let kept = prefix_bytes / bytes_per_token;
        let (context, vocab) = (shape.max_positions as usize, decoder.table().size()[0] as usize);
        let decoder = decoder.for_replies();
        let decoders = (0..workers).map(|_| decoder.handle()).collect();
        Self { decoders, device, prefixes: Prefixes::new(kept), context, vocab }
    }

    /// Generates a reply for every prompt, in order.
    fn write(&mut self, prompts: Vec<Prompt>, tokens: (&[u32], u32)) -> Result<Vec<Reply>, ModelError> {
        let (count, workers, device) = (prompts.len(), self.decoders.len(), self.device);
        let known: Vec<Known> = prompts.iter().map(|prompt| self.prefixes.find(&prompt.ids)).collect();
        let known_len = |pieces: &Known| pieces.iter().map(|(_, _, count)| *count as usize).sum::<usize>();
        let lens: Vec<usize> = known.iter().map(known_len).collect();
        let sequences: Vec<Vec<u32>> = prompts.iter().map(|prompt| prompt.ids.clone()).collect();
        let mut rows: Vec<(usize, Prompt, Known)> = prompts
            .into_iter()
            .zip(known)
            .enumerate()
            .map(|(row, (prompt, known))| (row, prompt, known))
            .collect();
        rows.sort_by_key(|(row, prompt, _)| (prompt.ids.len() - lens[*row], *row));
        // Every worker gets the same number of tiles; rows, sorted by length, are dealt round-robin to balance the work.
        let tile_count = (workers * count.div_ceil(workers * TILE)).min(count.div_ceil(FEW));
        let mut tiles: Vec<Tile> = (0..tile_count)
            .map(|_| Tile { rows: Vec::new(), prompts: Vec::new(), known: Vec::new() })
            .collect();
        for (at, (row, prompt, known)) in rows.into_iter().enumerate() {
            let tile = &mut tiles[at % tile_count];
            tile.rows.push(row);
            tile.prompts.push(prompt);
            tile.known.push(known);
        }
        let mut of_workers: Vec<Vec<Tile>> = (0..workers.min(tile_count)).map(|_| Vec::new()).collect();
        for (at, tile) in tiles.into_iter().enumerate() {
            of_workers[at % workers].push(tile);
        }
        type Written = Vec<(usize, Reply, Piece)>;
        let run = |decoder: &Decoder, tiles: Vec<Tile>| -> Result<Written, ModelError> {
            let mut written = Vec::new();
            for Tile { rows, mut prompts, known } in tiles {
                let (replies, pieces) = generate_from(decoder, &mut prompts, &known, tokens, device, true)?;
                let found = rows.into_iter().zip(replies).zip(pieces);
                written.extend(found.map(|((row, reply), piece)| (row, reply, piece)));
            }
            Ok(written)
        };
        let written: Vec<Result<Written, ModelError>> = if of_workers.len() == 1 {
            of_workers.into_iter().map(|tiles| run(&self.decoders[0], tiles)).collect()
        } else {
            let run = &run;
            std::thread::scope(|scope| {
                let handles: Vec<_> = self
                    .decoders
                    .iter_mut()
                    .zip(of_workers)
                    .map(|(decoder, tiles)| scope.spawn(move || run(decoder, tiles)))
                    .collect();
                let panicked = |payload: Box<dyn std::any::Any + Send>| Err(ModelError::thread(&*payload));
                handles.into_iter().map(|handle| handle.join().unwrap_or_else(panicked)).collect()
            })
        };
        let mut replies = vec![Reply::default(); count];
        let written: Vec<Written> = written.into_iter().collect::<Result<_, _>>()?;
        for (row, reply, piece) in written.into_iter().flatten() {
            // The last token has no keys and values.
            let mut sequence = sequences[row].clone();
            sequence.extend(&reply.ids[..reply.ids.len() - 1]);
            let new = (sequence.len() - lens[row]) as i64;
            self.prefixes.insert(&sequence, lens[row], [(piece, 0, new)]);
            replies[row] = reply;
        }
        self.prefixes.trim();
        Ok(replies)
    }
}

impl Engine for Tiles {
    fn context(&self) -> usize {
        self.context
    }

    fn complete(&mut self, prompts: Vec<Prompt>, end: &[u32], pad: u32) -> Result<Vec<Reply>, EngineError> {
        for (index, prompt) in prompts.iter().enumerate() {
            // On a GPU an id outside the vocabulary aborts the process.
            prompt
                .check(self.context, self.vocab, end)
                .map_err(|reason| EngineError::new(format!("prompt {index} of the call: {reason}")))?;
        }
        self.write(prompts, (end, pad)).map_err(EngineError::new)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use stepladder_core::seed::stream;
    use stepladder_rollout::sampling::Sampling;
    use stepladder_rollout::trie::{Constraint, Trie};

    use super::*;
    use crate::cache::generate;
    use crate::config::{ModelConfig, tiny};
    use crate::linear::Linear;
    use crate::{Frame, Lora, Weights};

    /// Two workers; the second call starts from prefixes that the first one cached.
    #[test]
    fn tiles_give_what_one_batch_gives() {
        let config = ModelConfig::new(tiny(), 20, 0).expect("a model");
        let weights = Weights::init(&config, 1, Device::Cpu);
        let frame = Frame::new(&weights, Kind::Float);
        let decoder = || frame.decoder(&weights.trained.buffer);
        let mut tiles = Tiles::new(decoder(), 2, Device::Cpu, Kind::Float, 1 << 20);
        let (mut same, mut total) = (0, 0);
        for call in 0..2 {
            let prompts: Vec<Prompt> = (0..70u32)
                .map(|index| {
                    let ids = (0..1 + index / 3 + call).map(|at| (at * at + index % 3) % 20).collect();
                    Prompt {
                        ids,
                        budget: 1 + index as usize % 7,
                        sampling: None,
                        constraint: None,
                        stop: None,
                    }
                })
                .collect();
            let expected = generate(&decoder(), &mut prompts.clone(), &[3], 0, Device::Cpu).unwrap();
            for (found, expected) in tiles.complete(prompts, &[3], 0).unwrap().iter().zip(&expected) {
                total += 1;
                if found.ids == expected.ids {
                    same += 1;
                    let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-4;
                    assert!(found.logprobs.iter().zip(&expected.logprobs).all(close));
                }
            }
        }
        // Near-ties may resolve differently.
        assert!(same * 100 >= total * 98, "{same} of {total} replies are the same");
        assert!(!tiles.prefixes.find(&[0, 1, 4, 9]).is_empty());
        let unknown = Prompt { ids: vec![1, 20], budget: 1, sampling: None, constraint: None, stop: None };
        let error = tiles.complete(vec![unknown], &[3], 0).unwrap_err().to_string();
        assert_eq!(error, "prompt 0 of the call: token 20 is not in the vocabulary of 20");
    }

    /// Workers of a model with adapters use the tensors of its weights.
    #[test]
    fn workers_share_what_is_frozen() {
        let config = ModelConfig::new(tiny(), 20, 0).expect("a model");
        let weights =
            Weights::init(&config, 1, Device::Cpu).with_lora(&Lora::default(), 1).expect("adapters");
        for dtype in [Kind::Float, Kind::BFloat16] {
            let weights =
                weights.merged().unwrap().cast_frozen(dtype).with_lora(&Lora::default(), 1).unwrap();
            let own = |name: &str| weights.frozen()[name].data_ptr();
            let decoder = Frame::new(&weights, Kind::Float).decoder(&weights.trained.buffer);
            let tiles = Tiles::new(decoder, 2, Device::Cpu, Kind::Float, 1 << 20);
            // Small matrices in f32 have one transposed copy in all.
            let copies = usize::from(dtype == Kind::Float);
            let [first, second] = [0, 1].map(|worker: usize| &tiles.decoders[worker]);
            let check = |[one, other]: [&Linear; 2], name: &str| {
                assert_eq!(one.matrices(), other.matrices());
                assert_eq!((one.matrices()[0], one.matrices().len()), (own(name), 1 + copies));
            };
            assert_eq!([first, second].map(|decoder| decoder.table().data_ptr()), [own("embed.own"); 2]);
            check([first.head(), second.head()], "embed.own");
            for layer in 0..2 {
                let of = |name: &str| format!("layers.{layer}.{name}");
                let [one, other] = [first, second].map(|decoder| &decoder.blocks[layer]);
                check([&one.qkv, &other.qkv], &of("qkv"));
                check([&one.out, &other.out], &of("out"));
                check([&one.gate_up, &other.gate_up], &of("gate_up"));
                check([&one.down, &other.down], &of("down"));
            }
        }
        let trained = Frame::new(&Weights::init(&config, 1, Device::Cpu), Kind::Float);
        let decoder = trained.decoder(&Weights::init(&config, 1, Device::Cpu).trained.buffer);
        let tiles = Tiles::new(decoder, 2, Device::Cpu, Kind::Float, 1 << 20);
        let [first, second] = [0, 1].map(|worker| tiles.decoders[worker].blocks[0].qkv.matrices());
        assert!(first == second && first.len() == 2, "a trained matrix has one transposed copy in all");
    }

    /// Half of the prompts have a constraint, and half of those sample; the others reply as without them.
    #[test]
    fn constrained_replies_are_allowed_and_change_no_other() {
        let config = ModelConfig::new(tiny(), 20, 0).expect("a model");
        let weights = Weights::init(&config, 1, Device::Cpu);
        let frame = Frame::new(&weights, Kind::Float);
        let decoder = || frame.decoder(&weights.trained.buffer);
        let tiles = || Tiles::new(decoder(), 2, Device::Cpu, Kind::Float, 1 << 20);
        let prompt = |index: u32| {
            let ids = (0..1 + index / 3).map(|at| (at * at + index % 3) % 20).collect();
            Prompt { ids, budget: 6, sampling: None, constraint: None, stop: None }
        };
        let free: Vec<Prompt> = (0..60).map(prompt).collect();
        let allowed = vec![vec![4, 3], vec![4, 5, 3], vec![4, 5, 6, 3], vec![7, 7, 8, 3]];
        let constraint = Constraint::new(Arc::new(Trie::new(allowed.clone())));
        let sampling = |index: u64| Sampling::at(2.0, stream(1, "sampling", &[index]));
        let bound = free.iter().zip(0..).map(|(prompt, index)| Prompt {
            sampling: (index % 2 == 0).then(|| sampling(index)),
            constraint: Some(constraint.clone()),
            ..prompt.clone()
        });
        let mixed = free.iter().cloned().chain(bound).collect();
        let found = tiles().complete(mixed, &[3], 0).unwrap();
        let alone = tiles().complete(free.clone(), &[3], 0).unwrap();
        let same = found.iter().zip(&alone).filter(|(found, alone)| found.ids == alone.ids).count();
        assert!(same >= 58, "{same} of 60 free replies are the same");
        let mut counts = [0; 4];
        for reply in &found[60..] {
            assert!(!reply.cut && reply.logprobs.len() == reply.ids.len());
            counts[allowed.iter().position(|allowed| *allowed == reply.ids).unwrap()] += 1;
        }
        assert!(counts.iter().filter(|&&count| count > 0).count() > 1, "{counts:?}");
        // A token that is the only one has probability 1.
        assert!(found[60..].iter().all(|reply| reply.ids[0] != 7 || reply.logprobs[1..] == [0.0; 3]));

        // The greedy replies themselves as the constraint of each.
        let (prompts, replies): (Vec<_>, Vec<_>) =
            free.into_iter().zip(alone).filter(|(_, reply)| !reply.cut).unzip();
        let constraint = Trie::new(replies.iter().map(|reply: &Reply| reply.ids.clone()).collect());
        let constraint = Some(Constraint::new(Arc::new(constraint)));
        let bound = |prompt: Prompt| Prompt { constraint: constraint.clone(), ..prompt };
        let found = tiles().complete(prompts.into_iter().map(bound).collect(), &[3], 0).unwrap();
        let same = found.iter().zip(&replies).filter(|(found, reply)| found.ids == reply.ids).count();
        assert!(!replies.is_empty() && same * 100 >= replies.len() * 95, "{same} of {}", replies.len());
    }
}
