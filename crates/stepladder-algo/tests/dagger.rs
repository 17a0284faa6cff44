//! The order of DAgger's rounds, and the operations that a resumed run repeats.
#![allow(clippy::unwrap_used)]
#![allow(missing_docs)]

mod common;

use common::{factors, params, shape, weights};
use stepladder_algo::AlgoError;
use stepladder_algo::dagger::{Rounds, train};
use stepladder_algo::runtime::observer::Ending;
use stepladder_algo::runtime::optimiser::AdamWConfig;
use stepladder_algo::runtime::trainer::{Identity, Trainer};
use stepladder_core::trace::Episode;
use stepladder_data::Row;

const ADAM: AdamWConfig = AdamWConfig { beta1: 0.9, beta2: 0.98, eps: 1e-8, weight_decay: 0.0, clip: 1.0 };

/// Records all calls; round `k` plays `k + 1` episodes.
#[derive(Default)]
struct Recorded {
    calls: Vec<String>,
    /// Phase whose training is interrupted.
    interrupt: Option<u64>,
}

impl Rounds for Recorded {
    type Error = AlgoError;

    fn play(&mut self, round: u64, trainer: &Trainer) -> Result<Option<Vec<Episode>>, AlgoError> {
        self.calls.push(format!("play {round}, fresh: {}", trainer.counters.begins(round)));
        let line = include_str!("../../stepladder-core/tests/trace-v1.jsonl");
        let episode = stepladder_core::trace::read(line.as_bytes()).next().unwrap().unwrap();
        Ok(Some(vec![episode; round as usize + 1]))
    }

    fn label(&mut self, round: u64, played: &[Episode]) -> Result<Vec<Row>, AlgoError> {
        self.calls.push(format!("label {round}: {} episodes", played.len()));
        Ok(Vec::new())
    }

    fn clone_behaviour(&mut self, _rows: &[Row], trainer: &mut Trainer) -> Result<Ending, AlgoError> {
        let phase = trainer.counters.phase;
        self.calls.push(format!("clone in phase {phase}"));
        trainer.counters.step += 10;
        Ok(if self.interrupt == Some(phase) { Ending::Interrupted } else { Ending::Complete })
    }

    fn save(&mut self, trainer: &Trainer) -> Result<(), AlgoError> {
        self.calls.push(format!("save at {}", trainer.counters.step));
        Ok(())
    }
}

fn fresh() -> Trainer {
    let identity = Identity { agent: "test".into(), style: "test-v1".into(), data: "0".into(), base: None };
    Trainer::new(weights(&params(shape(), &factors(), 1)), ADAM, identity)
}

#[test]
fn a_round_plays_labels_all_episodes_clones_and_saves() {
    let mut trainer = fresh();
    let mut operations = Recorded::default();
    assert_eq!(train(2, &mut trainer, &mut operations).unwrap(), Ending::Complete);
    let expected = [
        "play 0, fresh: true",
        "label 0: 1 episodes",
        "clone in phase 0",
        "save at 10",
        "play 1, fresh: true",
        "label 1: 3 episodes",
        "clone in phase 1",
        "save at 20",
    ];
    assert_eq!(operations.calls, expected);
    assert_eq!(trainer.counters.phase, 2);
}

#[test]
fn a_resumed_run_reads_old_rounds_and_clones_only_unfinished_ones() {
    let mut trainer = fresh();
    let mut operations = Recorded { interrupt: Some(1), ..Recorded::default() };
    assert_eq!(train(2, &mut trainer, &mut operations).unwrap(), Ending::Interrupted);
    let mut operations = Recorded::default();
    assert_eq!(train(2, &mut trainer, &mut operations).unwrap(), Ending::Complete);
    let expected = [
        "play 0, fresh: false",
        "play 1, fresh: false",
        "label 1: 3 episodes",
        "clone in phase 1",
        "save at 30",
    ];
    assert_eq!(operations.calls, expected);
}
