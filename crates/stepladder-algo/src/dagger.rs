//! DAgger: interactive imitation (Ross, Gordon and Bagnell 2011; docs/algorithms/dagger.md), for every kind of agent whose
//! prompts an expert labels.
//!
//! ```text
//! D ← demonstrations                                    π: the agent to start from
//! round k = 1 … rounds:
//!     play        episodes of tasks drawn for the round, with π; π alone acts (β = 0 from the first round)
//!     label       the expert's reply to every prompt that π met
//!     aggregate   D ← D ∪ labelled prompts
//!     clone       π ← behaviour cloning of π on D (`bc`), for one budget, with a learning-rate schedule of its own
//! ```
//! A round is a phase of the run (`Progress::phase`). Its episodes are kept before the first step of the phase and read again
//! when the run is resumed, so a resumed round trains on the same rows in the same order. A checkpoint is saved after each
//! round.
//!
//! Metrics: those of `bc`. Run it: `stepladder train alfworld-cpu`.

use stepladder_core::section;
use stepladder_core::section::Bound;
use stepladder_core::trace::Episode;
use stepladder_data::Row;

use crate::AlgoError;
use crate::runtime::observer::Ending;
use crate::runtime::progress::Budget;
use crate::runtime::trainer::Trainer;

section! {
    /// Hyperparameters of DAgger.
    pub struct DaggerConfig {
        /// End of each round's training, of agents that do not set their own.
        pub budget: Budget = Budget::Epochs(0.5) => [Bound::Positive],
        /// Padded tokens of a step (mixture `pooled`, and flat episodes), of agents that do not set their own.
        pub batch_tokens: usize = 1536 => [Bound::Between(16, 4_194_304)],
        /// Peak learning rate of agents that do not set their own.
        pub learning_rate: f64 = 1e-3 => [Bound::Positive],
        /// Times that the learner plays and is trained again.
        pub rounds: u64 = 4 => [Bound::AtLeast(1), Bound::NewAtMost(1000)],
        /// `ENV/SPLIT` whose tasks the learner plays; the demonstrations' split if absent.
        pub tasks: Option<String> = None,
        /// Tasks that the learner plays in a round, others in each; 0 takes all.
        pub games: usize = 2000,
        /// Sampling temperature of the learner while it collects; 0 plays greedily.
        pub temperature: f64 = 0.0 => [Bound::NotNegative],
    }
}

/// The parts of a round that need an environment, an expert and files.
pub trait Rounds {
    /// Errors of the program around the algorithm.
    type Error: From<AlgoError>;

    /// Play: episodes of tasks drawn for this round, by the trainer's policy. Kept for a resumed run, which reads them instead
    /// of playing: [`Progress::begins`](crate::runtime::progress::Progress::begins) says whether they may be played. None if
    /// the run was stopped before.
    ///
    /// # Errors
    /// From playing, or if the episodes of a round whose training has begun are lost.
    fn play(&mut self, round: u64, trainer: &Trainer) -> Result<Option<Vec<Episode>>, Self::Error>;

    /// Label and aggregate: rows of the demonstrations, and of the expert's replies to every prompt in `played`, the episodes
    /// of all rounds so far.
    ///
    /// # Errors
    /// If there is no expert for these prompts.
    fn label(&mut self, round: u64, played: &[Episode]) -> Result<Vec<Row>, Self::Error>;

    /// Clone: one phase of [`crate::bc::train`] on these rows.
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

/// Trains for `rounds` rounds, or until the run is stopped. Continues at `trainer.progress`.
///
/// # Errors
/// Whatever the parts of a round answer.
pub fn train<R: Rounds>(rounds: u64, trainer: &mut Trainer, parts: &mut R) -> Result<Ending, R::Error> {
    let mut played: Vec<Episode> = Vec::new();
    for round in 0..rounds {
        let Some(episodes) = parts.play(round, trainer)? else { return Ok(Ending::Interrupted) };
        played.extend(episodes);
        if trainer.progress.phase > round {
            // Done before the run was resumed; later rounds learn from its episodes too.
            continue;
        }
        let rows = parts.label(round, &played)?;
        if parts.clone_behaviour(&rows, trainer)? == Ending::Interrupted {
            return Ok(Ending::Interrupted);
        }
        trainer.progress.next_phase();
        parts.save(trainer)?;
    }
    Ok(Ending::Complete)
}
