//! DAgger on the toy environment, with adapters over a pretrained model.

use std::sync::atomic::AtomicBool;

use stepladder_algo::AlgoError;
use stepladder_algo::bc::{self, BcConfig};
use stepladder_algo::dagger::{Rounds, train};
use stepladder_algo::online::rollouts::Sampled;
use stepladder_algo::runtime::budget::Budget;
use stepladder_algo::runtime::observer::Ending;
use stepladder_algo::runtime::schedule::Schedule;
use stepladder_algo::runtime::trainer::Trainer;
use stepladder_algo::runtime::workers::Workers;
use stepladder_core::Query;
use stepladder_core::trace::Episode;
use stepladder_data::Sample as Demonstrated;
use stepladder_data::rows::{Row, row};
use stepladder_data::samples::prompts;
use stepladder_env::TaskSet;
use stepladder_model::checkpoint::Bases;
use tch::Kind;

use crate::echo::{Curve, Echoes, Fixture, flat};

/// Plays every task once per round; the expert says what is shown.
struct Teacher<'a> {
    fixture: &'a Fixture,
    returns: Vec<f64>,
}

impl Teacher<'_> {
    fn episodes(&self, trainer: &Trainer, round: u64) -> Vec<Episode> {
        let pool = Echoes.tasks("all").unwrap();
        let jobs = stepladder_rollout::Job::each(&pool);
        let sampled = Sampled { temperature: 1.0, only: None };
        self.fixture.rollouts(&pool, 1, flat()).play(trainer, &jobs, sampled, round).unwrap().0
    }

    fn score(&mut self, episodes: &[Episode]) {
        let total: f64 = episodes.iter().flat_map(Episode::steps).map(|step| step.answer().reward).sum();
        self.returns.push(total / episodes.len() as f64);
    }
}

impl Rounds for Teacher<'_> {
    type Error = AlgoError;

    fn play(&mut self, round: u64, trainer: &Trainer) -> Result<Option<Vec<Episode>>, AlgoError> {
        let episodes = self.episodes(trainer, round);
        self.score(&episodes);
        Ok(Some(episodes))
    }

    fn label(&mut self, _round: u64, played: &[Episode]) -> Result<Vec<Row>, AlgoError> {
        let mut rows = Vec::new();
        for query in played.iter().flat_map(|episode| prompts(flat(), episode).unwrap()) {
            let Query::Flat { history, .. } = &query else { continue };
            let Some(reply) = history.last().map(|(_, shown)| shown.clone()) else { continue };
            rows.push(row(&Demonstrated { query, reply }, &*self.fixture.encoder).unwrap());
        }
        Ok(rows)
    }

    fn clone_behaviour(&mut self, rows: &[Row], trainer: &mut Trainer) -> Result<Ending, AlgoError> {
        let config = BcConfig {
            learning_rate: 5e-3,
            schedule: Schedule::Cosine,
            warmup: 0.1,
            floor: 0.02,
            batch_tokens: 2048,
            batch_rows: 1,
            budget: Budget::Steps(200),
            group_rows: 0,
            ..BcConfig::default()
        };
        let workers = Workers::cloning(1, &trainer.weights, Kind::Float);
        let (stop, mut curve) = (AtomicBool::new(false), Curve(vec![], vec![]));
        bc::train(&config, rows, 1, trainer, &workers, &stop, &mut curve)
    }

    fn save(&mut self, _trainer: &Trainer) -> Result<(), AlgoError> {
        Ok(())
    }
}

#[test]
fn dagger_learns_with_adapters_over_a_pretrained_model() {
    let (fixture, bases) = (Fixture::new(), Bases::default());
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = fixture.warm_adapters(folder.path(), &bases);
    let mut teacher = Teacher { fixture: &fixture, returns: Vec::new() };
    assert_eq!(train(2, &mut trainer, &mut teacher).unwrap(), Ending::Complete);
    let last = teacher.episodes(&trainer, 2);
    teacher.score(&last);
    println!("returns of 4: {:.2?}", teacher.returns);
    assert!(teacher.returns[0] < 2.5 && teacher.returns[2] > 3.5, "{:?}", teacher.returns);
}
