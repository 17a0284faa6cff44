//! Agents: kind, algorithm, and settings that override those of the algorithm.

use stepladder_agent::himac::{MAX_IDLE, MAX_SUBGOALS, MIN_SUBGOAL_STEPS, Numbers, Sees};
use stepladder_agent::{AgentKind, AgentSpec};
use stepladder_algo::himac::{Phases, Selection};
use stepladder_algo::ops::actor::ActorMode;
use stepladder_algo::runtime::budget::Budget;
use stepladder_core::section::Bound;
use stepladder_core::{choices, section};
use stepladder_data::ablate::ProgressText;
use stepladder_data::labels::{ActorLevels, Intrinsic, Returns};

choices! {
    /// Algorithm that trains an agent.
    pub enum Algo {
        /// Behaviour cloning of demonstrations.
        Bc = "bc",
        /// Behaviour cloning of demonstrations and of expert replies to prompts that the policy met (DAgger).
        Dagger = "dagger",
        /// Offline actor-critic on demonstrations and collected episodes.
        OfflineAc = "offline_ac",
        /// Control of `offline_ac`: goes on cloning the demonstrations, with the same budget, rate and schedule.
        MoreBc = "more_bc",
        /// Control of `offline_ac`: clones the demonstrations and the solved ones among the collected episodes.
        FilteredBc = "filtered_bc",
        /// Control of `offline_ac`: clones the demonstrations and the best quarter of the collected episodes by return.
        TopBc = "top_bc",
        /// Macro exploration and micro adaptation in turns (HiMAC).
        Himac = "himac",
        /// Group-relative policy optimisation: compares the episodes of one task.
        Grpo = "grpo",
        /// REINFORCE leave-one-out: compares each episode with the mean of the others in its group.
        Rloo = "rloo",
        /// GRPO with an additional comparison of steps taken in the same state.
        Gigpo = "gigpo",
        /// Proximal policy optimisation with a token-level critic.
        Ppo = "ppo",
    }
}

choices! {
    /// Assignment of models to the roles of an agent.
    pub enum Weights {
        /// One model plays every role.
        Shared = "shared",
        /// One model per role, trained on the rows of that role.
        PerRole = "per_role",
    }
}

impl Algo {
    /// Returns the table in `[algo]` from which its agents inherit.
    pub fn table(self) -> &'static str {
        match self {
            _ if self.is_online() => "online",
            _ if self.is_control() => Self::OfflineAc.name(),
            _ => self.name(),
        }
    }

    /// Returns every table in `[algo]` that it reads.
    pub fn tables(self) -> &'static [&'static str] {
        match self {
            Self::Bc => &["adamw", "bc"],
            Self::Dagger => &["adamw", "bc", "dagger"],
            Self::OfflineAc | Self::MoreBc | Self::FilteredBc | Self::TopBc => &["adamw", "bc", "offline_ac"],
            Self::Grpo | Self::Rloo => &["adamw", "online"],
            Self::Himac => &["adamw", "online", "himac"],
            Self::Gigpo => &["adamw", "online", "gigpo"],
            Self::Ppo => &["adamw", "online", "ppo"],
        }
    }

    /// Whether it is an online algorithm.
    pub fn is_online(self) -> bool {
        self.tables().contains(&"online")
    }

    /// Whether it is a control of offline actor-critic: behaviour cloning with its budget and its episodes.
    pub fn is_control(self) -> bool {
        matches!(self, Self::MoreBc | Self::FilteredBc | Self::TopBc)
    }

    /// Whether it improves a trained policy. Such an agent names one with `from`, or starts from a cloned agent that is added for
    /// it.
    pub fn needs_start(self) -> bool {
        self.is_online() || self.is_control() || self == Self::OfflineAc
    }
}

section! {
    /// One agent.
    pub struct AgentConfig {
        required {
            /// Kind of agent.
            pub kind: AgentKind,
            /// Training algorithm. Its hyperparameters are in the table of that name in `[algo]`; those that all online
            /// algorithms share are in `[algo.online]`.
            pub algo: Algo,
            /// Training budget; with `dagger`, the budget of each round.
            pub budget: Budget => [Bound::Positive],
            /// Padded tokens per optimiser step (mixture `pooled`, and flat episodes).
            pub batch_tokens: usize => [Bound::Between(16, 4_194_304)],
            /// Peak learning rate.
            pub learning_rate: f64 => [Bound::Positive],
        }
        /// Earlier agent of the file whose trained weights are the initial weights. Without it, `bc` and `dagger` start from
        /// random weights, and the other algorithms start from an agent `NAME_start` that is cloned for them. With a pretrained
        /// model (`model.from`), all but `offline_ac` and its controls then start from that model.
        pub from: Option<String> = None,
        /// `bc`: success at a probe (`eval.probes`) that ends training before the budget does, so that what starts from this agent has
        /// something left to learn; the rest of the schedule is left out.
        pub until: Option<f64> = None => [Bound::Inside],
        /// `flat`: number of latest (action, observation) pairs in the prompt; all if absent. `himac`: the same within the active
        /// sub-goal; 5 if absent.
        pub history: Option<usize> = None,
        /// `step_hrl`: whether a planner issues subtasks; without a planner the task is the only subtask.
        pub planner: bool = true,
        /// `step_hrl`: content of the progress text.
        pub progress: ProgressText = ProgressText::Full,
        /// `offline_ac`: actor loss of this agent, in place of the one in `[algo.offline_ac]`.
        pub actor_mode: Option<ActorMode> = None,
        /// `offline_ac`: ω of this agent, in place of the one in `[algo.offline_ac]`.
        pub omega: Option<f64> = None => [Bound::Inside],
        /// `step_hrl`: one model for all roles, or one per role.
        pub weights: Weights = Weights::Shared,
        /// `himac`: whether a sub-goal ends when the policy declares it done; otherwise each sub-goal has the same fraction of
        /// the steps.
        pub sub_done: bool = true,
        /// `himac`: K_max, the largest number of sub-goals of a blueprint.
        pub max_subgoals: usize = MAX_SUBGOALS => [Bound::AtLeast(1)],
        /// `himac`: limit on consecutive replies that only declare a sub-goal done; the last of them counts as invalid.
        pub max_idle: u32 = MAX_IDLE => [Bound::AtLeast(1)],
        /// `himac`: minimum step budget of a sub-goal that the policy can declare done (docs/spec/algorithms.md 5.2).
        pub min_subgoal_steps: u32 = MIN_SUBGOAL_STEPS => [Bound::AtLeast(1)],
        /// `himac` with `bc`: also trains the replies of a flat agent with this many pairs in its prompt, so that flat methods
        /// can start from it.
        pub also_flat: Option<usize> = None,
        /// `himac`: whether blueprints and actions are trained in turns; otherwise they are sampled together and trained on the
        /// same return.
        pub coevolution: bool = true,
        /// `himac`: rule that selects the blueprint of a group for the second phase.
        pub selection: Selection = Selection::Best,
        /// `offline_ac`: returns of this agent, in place of those in `[algo.offline_ac]`.
        pub returns: Option<Returns> = None,
        /// `offline_ac`: reward of executor and progress writer for this agent, in place of the one in `[algo.offline_ac]`.
        pub intrinsic: Option<Intrinsic> = None,
        /// `offline_ac`: levels that this agent's policy learns from, in place of those in `[algo.offline_ac]`.
        pub actor_levels: Option<ActorLevels> = None,
        /// `himac`: what the prompt of an action shows besides the segment and the observation. Equal in the agent that this one starts
        /// from.
        pub sees: Sees = Sees::All,
        /// `himac`: which numbers of things the sub-goals of cloned blueprints keep. A mug's number is not known before it is found.
        pub numbers: Numbers = Numbers::All,
        /// `himac` with `coevolution`: phases of an iteration.
        pub phases: Phases = Phases::Both,
    }
}

impl AgentConfig {
    /// Returns the specification of the agent.
    pub fn spec(&self) -> AgentSpec {
        AgentSpec {
            kind: self.kind,
            history: self.history,
            planner: self.planner,
            progress: self.progress.slot(),
            sub_done: self.sub_done,
            max_subgoals: self.max_subgoals,
            max_idle: self.max_idle,
            min_subgoal_steps: self.min_subgoal_steps,
            sees: self.sees,
            numbers: self.numbers,
        }
    }

    /// Whether two agents derive the same prompts and replies from the same demonstrations.
    pub fn reads_like(&self, other: &Self) -> bool {
        let reading = |agent: &Self| (agent.spec(), agent.progress, agent.also_flat);
        reading(self) == reading(other)
    }
}
