//! DAgger: interactive imitation (arXiv:1011.0686; docs/algorithms/dagger.md), for all agents whose prompts the expert labels.
//!
//! ```text
//! D ← demonstrations                                    π: the starting policy
//! round k = 1 … rounds:
//!     play        episodes of tasks drawn for the round; only π acts (β = 0 from the first round)
//!     label       the expert's reply to every prompt of these episodes
//!     aggregate   D ← D ∪ labelled prompts
//!     clone       π ← behaviour cloning of π on D (`bc`), with one budget and one learning-rate schedule per round
//! ```
//! A round is a phase of the run (`Counters::phase`). Its episodes are stored before the first step of the phase and read when
//! the run resumes, so a resumed round trains on the same rows in the same order. Each round ends with a checkpoint.
//!
//! Metrics: those of `bc`. Run it: `stepladder train alfworld-cpu`.

use stepladder_core::section;
use stepladder_core::section::Bound;
use stepladder_core::trace::Episode;
use stepladder_data::Row;

use crate::AlgoError;
use crate::runtime::budget::Budget;
use crate::runtime::observer::Ending;
use crate::runtime::trainer::Trainer;

section! {
    /// Hyperparameters of DAgger.
    pub struct DaggerConfig {
        /// End of each round's training; overridden by an agent's own setting.
        pub budget: Budget = Budget::Epochs(0.5) => [Bound::Positive],
        /// Tokens of a step as in `algo.bc` (mixture `pooled`, and flat episodes); overridden by an agent's own setting.
        pub batch_tokens: usize = 1536 => [Bound::Between(16, 4_194_304)],
        /// Peak learning rate; overridden by an agent's own setting.
        pub learning_rate: f64 = 1e-3 => [Bound::Positive],
        /// Rounds of rollouts and training.
        pub rounds: u64 = 4 => [Bound::AtLeast(1), Bound::NewAtMost(1000)],
        /// `ENV/SPLIT` of the tasks for rollouts; the demonstrations' split if absent.
        pub tasks: Option<String> = None,
        /// Tasks per round, different ones in each; 0 takes all.
        pub games: usize = 2000,
        /// Sampling temperature of rollouts; 0 is greedy.
        pub temperature: f64 = 0.0 => [Bound::NotNegative],
    }
}

/// Operations of a round that need an environment, an expert and files.
pub trait Rounds {
    /// Error type of the caller.
    type Error: From<AlgoError>;

    /// Plays tasks drawn for this round with the trainer's policy and stores the episodes. A resumed run reads them instead,
    /// unless [`Counters::begins`](crate::runtime::counters::Counters::begins). Returns none if the run was stopped.
    ///
    /// # Errors
    /// From the rollout, or if the stored episodes of a round whose training has begun are missing.
    fn play(&mut self, round: u64, trainer: &Trainer) -> Result<Option<Vec<Episode>>, Self::Error>;

    /// Labels and aggregates: returns the rows of the demonstrations and of the expert's replies to all prompts in `played`,
    /// the episodes of all rounds so far.
    ///
    /// # Errors
    /// If there is no expert for these prompts.
    fn label(&mut self, round: u64, played: &[Episode]) -> Result<Vec<Row>, Self::Error>;

    /// Runs one phase of [`crate::bc::train`] on these rows.
    ///
    /// # Errors
    /// From training.
    fn clone_behaviour(&mut self, rows: &[Row], trainer: &mut Trainer) -> Result<Ending, Self::Error>;

    /// Saves a checkpoint after a round.
    ///
    /// # Errors
    /// From the file system.
    fn save(&mut self, trainer: &Trainer) -> Result<(), Self::Error>;
}

/// Trains for `rounds` rounds or until the run is stopped, starting at `trainer.counters`.
///
/// # Errors
/// From the operations of a round.
pub fn train<R: Rounds>(rounds: u64, trainer: &mut Trainer, operations: &mut R) -> Result<Ending, R::Error> {
    let mut played: Vec<Episode> = Vec::new();
    for round in 0..rounds {
        let Some(episodes) = operations.play(round, trainer)? else { return Ok(Ending::Interrupted) };
        played.extend(episodes);
        if trainer.counters.phase > round {
            // Completed before the run was resumed; later rounds use its episodes too.
            continue;
        }
        let rows = operations.label(round, &played)?;
        if operations.clone_behaviour(&rows, trainer)? == Ending::Interrupted {
            return Ok(Ending::Interrupted);
        }
        trainer.counters.next_phase();
        operations.save(trainer)?;
    }
    Ok(Ending::Complete)
}
