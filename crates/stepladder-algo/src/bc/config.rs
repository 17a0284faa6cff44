//! Hyperparameters of behaviour cloning.

use stepladder_core::section;
use stepladder_core::section::Bound;
use stepladder_data::batch::Reduction;

use crate::runtime::budget::Budget;
use crate::runtime::plan::Mixture;
use crate::runtime::schedule::Schedule;

section! {
    /// Hyperparameters of behaviour cloning.
    pub struct BcConfig {
        /// End of training; overridden by an agent's own setting.
        pub budget: Budget = Budget::Tokens { tokens: 9_000_000, cap: None } => [Bound::Positive],
        /// Tokens of a step (mixture `pooled`, and flat episodes): computed ones with `group_rows`, padded ones without; overridden by
        /// an agent's own setting.
        pub batch_tokens: usize = 1536 => [Bound::Between(16, 4_194_304)],
        /// Peak learning rate; overridden by an agent's own setting.
        pub learning_rate: f64 = 2e-3 => [Bound::Positive],
        /// Averaging inside the loss: over a reply's tokens and then over rows, or over all reply tokens
        /// (docs/spec/algorithms.md 3.3).
        pub reduction: Reduction = Reduction::RowMean,
        /// Composition of a step: rows of one pool in natural proportion, or the same number of rows of each level.
        pub mixture: Mixture = Mixture::Pooled,
        /// Learning-rate schedule after warm-up.
        pub schedule: Schedule = Schedule::Cosine,
        /// Fraction of the run for warm-up of the learning rate.
        pub warmup: f64 = 0.03 => [Bound::BelowOne],
        /// Final learning rate as a fraction of the peak.
        pub floor: f64 = 0.02 => [Bound::Between(0, 1)],
        /// Rows of each level per step (mixture `levels`).
        pub batch_rows: usize = 16 => [Bound::AtLeast(1)],
        /// The planner's loss counts in every n-th step (mixture `levels`; docs/spec/algorithms.md 3.3).
        pub planner_every: u64 = 4 => [Bound::AtLeast(1)],
        /// Pretrained models: largest number of rows whose common beginning (instruction, room) is computed once per step; steps are
        /// made of such groups (mixture `pooled`). Applies to `dagger` too; 0 composes steps as for models from scratch. Tokens of a
        /// budget count once per row.
        pub group_rows: usize = 8 => [Bound::AtMost(256)],
        /// Exponent of n in the weight of a row merged from n identical samples; 1 keeps the unmerged loss, 0 counts distinct samples once.
        pub duplicates: f64 = 0.0 => [Bound::Between(0, 1)],
        /// Share of the rows that also learn their prompts (the loss of a language model), with the weight of a reply. A model with random
        /// initial weights learns from them to copy what a prompt says. Applies to `dagger` too.
        pub prompt_loss: f64 = 0.0 => [Bound::Between(0, 1)],
    }
}
