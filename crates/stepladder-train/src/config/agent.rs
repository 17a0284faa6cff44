//! Agents: their kind, their algorithm, and their own values.

use stepladder_agent::himac::{MAX_IDLE, MAX_SUBGOALS};
use stepladder_agent::{AgentKind, AgentSpec};
use stepladder_algo::himac::Selection;
use stepladder_algo::ops::actor::ActorMode;
use stepladder_algo::runtime::progress::Budget;
use stepladder_core::section::Bound;
use stepladder_core::{choices, section};
use stepladder_data::ablate::ProgressText;

choices! {
    /// Algorithm that trains an agent.
    pub enum Algo {
        /// Behaviour cloning of demonstrations.
        Bc = "bc",
        /// Behaviour cloning of demonstrations and of expert replies to prompts that the learner met.
        Dagger = "dagger",
        /// Offline actor-critic on demonstrations and collected episodes.
        OfflineAc = "offline_ac",
        /// Macro exploration and micro adaptation in turns.
        Himac = "himac",
        /// Groups of episodes of a task, compared with each other.
        Grpo = "grpo",
        /// Each episode against the mean of the others of its group.
        Rloo = "rloo",
        /// GRPO and a comparison of steps taken in the same state.
        Gigpo = "gigpo",
        /// A token-level critic.
        Ppo = "ppo",
    }
}

choices! {
    /// Assignment of models to the roles of an agent.
    pub enum Weights {
        /// One model plays every role.
        Shared = "shared",
        /// Every role has a model of its own, trained on its own stream.
        PerRole = "per_role",
    }
}

impl Algo {
    /// The table in `[algo]` that has its hyperparameters.
    pub fn table(self) -> &'static str {
        if self.is_online() { "online" } else { self.name() }
    }

    /// Every table in `[algo]` that it reads.
    pub fn tables(self) -> &'static [&'static str] {
        match self {
            Self::Bc => &["adamw", "bc"],
            Self::Dagger => &["adamw", "bc", "dagger"],
            Self::OfflineAc => &["adamw", "bc", "offline_ac"],
            Self::Himac | Self::Grpo | Self::Rloo | Self::Gigpo | Self::Ppo => &["adamw", "online"],
        }
    }

    /// Whether it learns by playing.
    pub fn is_online(self) -> bool {
        matches!(self, Self::Himac | Self::Grpo | Self::Rloo | Self::Gigpo | Self::Ppo)
    }

    /// Whether it improves a policy that is trained already. Such an agent names one with `from`, or starts from a clone of its own.
    pub fn needs_start(self) -> bool {
        self.is_online() || self == Self::OfflineAc
    }
}

section! {
    /// One agent.
    pub struct AgentConfig {
        required {
            /// Agent.
            pub kind: AgentKind,
            /// Algorithm that trains it. Its hyperparameters are in the table of that name in `[algo]`, those of the last five in
            /// `[algo.online]`.
            pub algo: Algo,
            /// End of training; with `dagger`, of each round.
            pub budget: Budget => [Bound::Positive],
            /// Padded tokens of a step (mixture `pooled`, and flat episodes).
            pub batch_tokens: usize => [Bound::Between(16, 4_194_304)],
            /// Peak learning rate.
            pub learning_rate: f64 => [Bound::Positive],
        }
        /// Agent whose trained weights it starts from; it stands earlier in the file. Without it, `bc` and `dagger` start from random
        /// weights, and the other algorithms from an agent `NAME_start` that is cloned for them.
        pub from: Option<String> = None,
        /// `flat`: latest (action, observation) pairs in its prompt; all if absent. `himac`: of the active sub-goal; 5 if absent.
        pub history: Option<usize> = None,
        /// `step_hrl`: a planner issues subtasks; without one the task is the only subtask.
        pub planner: bool = true,
        /// `step_hrl`: content of the progress text.
        pub progress: ProgressText = ProgressText::Full,
        /// `offline_ac`: this actor loss instead of that of `[algo.offline_ac]`.
        pub actor_mode: Option<ActorMode> = None,
        /// `offline_ac`: this ω instead of that of `[algo.offline_ac]`.
        pub omega: Option<f64> = None => [Bound::Inside],
        /// `step_hrl`: one model for all roles, or one for each.
        pub weights: Weights = Weights::Shared,
        /// `himac`: a sub-goal ends when it is declared done; without that each has the same fraction of the steps.
        pub sub_done: bool = true,
        /// `himac`: largest number of sub-goals of a blueprint, K_max.
        pub max_subgoals: usize = MAX_SUBGOALS => [Bound::AtLeast(1)],
        /// `himac`: replies in a row that only declare a sub-goal done, of which the last counts as invalid.
        pub max_idle: u32 = MAX_IDLE => [Bound::AtLeast(1)],
        /// `himac` with `bc`: it learns a flat agent's replies too, shown this many pairs; flat methods can then start from it.
        pub also_flat: Option<usize> = None,
        /// `himac`: blueprints and actions learn in turns; otherwise they are sampled together and learn from the same return.
        pub coevolution: bool = true,
        /// `himac`: the blueprint of a group that is executed in the second phase.
        pub selection: Selection = Selection::Best,
    }
}

impl AgentConfig {
    /// How it plays.
    pub fn spec(&self) -> AgentSpec {
        AgentSpec {
            kind: self.kind,
            history: self.history,
            planner: self.planner,
            progress: self.progress.slot(),
            sub_done: self.sub_done,
            max_subgoals: self.max_subgoals,
            max_idle: self.max_idle,
        }
    }

    /// Whether two agents make the same prompts and replies of the same demonstrations.
    pub fn reads_like(&self, other: &Self) -> bool {
        let reading = |agent: &Self| (agent.spec(), agent.progress, agent.also_flat);
        reading(self) == reading(other)
    }
}
