//! Hyperparameters of the algorithms.

use stepladder_algo::bc::BcConfig;
use stepladder_algo::dagger::DaggerConfig;
use stepladder_algo::gigpo::GigpoConfig;
use stepladder_algo::himac::HimacConfig;
use stepladder_algo::offline_ac::OfflineConfig;
use stepladder_algo::online::OnlineConfig;
use stepladder_algo::ppo::PpoConfig;
use stepladder_algo::runtime::optimiser::AdamWConfig;
use stepladder_core::section;

section! {
    /// Algorithms.
    pub struct AlgoConfig {}
    tables {
        /// The optimiser of all algorithms.
        pub adamw: AdamWConfig,
        /// Behaviour cloning (docs/spec/algorithms.md 3.3); its loss is also that of `dagger`.
        pub bc: BcConfig,
        /// Interactive imitation: the policy plays, the expert labels the prompts that it met, and the policy is trained on all
        /// of them.
        pub dagger: DaggerConfig,
        /// Offline actor-critic per level (docs/spec/algorithms.md 3.4 to 3.6).
        pub offline_ac: OfflineConfig,
        /// All online algorithms: `himac`, `grpo`, `rloo`, `gigpo` and `ppo` (docs/spec/algorithms.md 4 to 6).
        pub online: OnlineConfig,
        /// `gigpo`, besides `[algo.online]` (docs/spec/algorithms.md 6.4).
        pub gigpo: GigpoConfig,
        /// `ppo`, besides `[algo.online]` (docs/spec/algorithms.md 6.3).
        pub ppo: PpoConfig,
        /// `himac`, besides `[algo.online]` (docs/spec/algorithms.md 9.2).
        pub himac: HimacConfig,
    }
}
