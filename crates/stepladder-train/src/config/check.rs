//! Whether the values of a configuration make sense, each and together.

use stepladder_agent::{AgentKind, AgentSpec};
use stepladder_algo::himac::Selection;
use stepladder_algo::runtime::plan::Mixture;
use stepladder_algo::runtime::progress::Budget;
use stepladder_core::Role;
use stepladder_data::ablate::ProgressText;

use super::keys::{self, KEYS};
use super::origin::Origins;
use super::{AgentConfig, Algo, BcSection, Config, DaggerSection, OfflineSection, OnlineSection, Weights};
use crate::envs;

mod names;
#[cfg(test)]
mod tests;

// Above this, one step's activations exceed any memory of a small model.
const MOST_BATCH_TOKENS: usize = 1 << 22;
const LEAST_BATCH_TOKENS: usize = 16;
const MOST_THREADS: usize = 1024;

/// Every violation, as a sentence that names the key, its value, where it was written and what is allowed.
///
/// Bounds on counts, names of agents and agents that the expert cannot label are for `new` runs: one that was begun with
/// them can be evaluated and continued.
pub fn check(config: &Config, origins: &Origins, new: bool) -> Vec<String> {
    let mut found = Findings { origins, new, sentences: Vec::new() };
    let bound = format!("it must be at most {MOST_THREADS}, and 0 takes all cores");
    found.unless(config.threads <= MOST_THREADS, "threads", config.threads, &bound);
    found.at_least_one("env.max_steps", u64::from(config.env.max_steps));
    found.below_one("data.noise", config.data.noise);
    found.at_most("data.noisy_passes", config.data.noisy_passes, 1000);
    found.at_most("data.renamed", config.data.renamed, 1000);
    for sentence in config.model.violations() {
        found.sentence(sentence);
    }
    if let Some(section) = &config.algo.bc {
        found.bc(section);
    }
    if let Some(section) = &config.algo.dagger {
        found.dagger(section);
    }
    if let Some(section) = &config.algo.offline_ac {
        found.offline_ac(section);
    }
    if let Some(section) = &config.algo.online {
        found.online(section);
    }
    if config.agents.is_empty() {
        found.sentences.push("there is no agent to train; write a table [agents.NAME]".to_owned());
    }
    for name in config.agents.keys() {
        found.agent(config, name);
    }
    found.at_least_one("eval.slots", config.eval.slots as u64);
    found.at_most("eval.probes", u64::from(config.eval.probes), 10_000);
    if config.eval.probes > 0 {
        let allowed = "it must be at least 1 while eval.probes is above 0";
        let episodes = config.eval.probe_episodes;
        found.unless(episodes >= 1, "eval.probe_episodes", episodes, allowed);
    }
    found.names(config);
    found.positive("log.every_seconds", config.log.every_seconds);
    found.positive("log.checkpoint_seconds", config.log.checkpoint_seconds);
    found.at_least_one("log.keep", config.log.keep as u64);
    if new {
        found.agent_names(config);
    }
    found.sentences
}

/// Collects sentences.
struct Findings<'a> {
    origins: &'a Origins,
    /// The run was not begun yet.
    new: bool,
    sentences: Vec<String>,
}

impl Findings<'_> {
    fn bc(&mut self, bc: &BcSection) {
        self.below_one("algo.bc.warmup", bc.warmup);
        let in_unit = (0.0..=1.0).contains(&bc.floor);
        self.unless(in_unit, "algo.bc.floor", number(bc.floor), "it must be from 0 to 1");
        self.below_one("algo.bc.beta1", bc.beta1);
        self.below_one("algo.bc.beta2", bc.beta2);
        self.positive("algo.bc.eps", bc.eps);
        self.not_negative("algo.bc.weight_decay", bc.weight_decay);
        self.positive("algo.bc.clip", bc.clip);
        self.at_least_one("algo.bc.batch_rows", bc.batch_rows as u64);
        self.at_least_one("algo.bc.planner_every", bc.planner_every);
        let in_unit = (0.0..=1.0).contains(&bc.duplicates);
        self.unless(in_unit, "algo.bc.duplicates", number(bc.duplicates), "it must be from 0 to 1");
    }

    fn dagger(&mut self, dagger: &DaggerSection) {
        self.at_least_one("algo.dagger.rounds", dagger.rounds);
        self.at_most("algo.dagger.rounds", dagger.rounds, 1000);
        self.not_negative("algo.dagger.temperature", dagger.temperature);
    }

    fn offline_ac(&mut self, numbers: &OfflineSection) {
        let key = |name: &str| format!("algo.offline_ac.{name}");
        let unit = "it must be from 0 to 1";
        self.not_negative(&key("collect_temperature"), numbers.collect_temperature);
        self.positive(&key("temperature"), numbers.temperature);
        self.positive(&key("weight_clip"), numbers.weight_clip);
        self.unless((0.0..=1.0).contains(&numbers.gamma), &key("gamma"), number(numbers.gamma), unit);
        let inside = numbers.omega > 0.0 && numbers.omega < 1.0;
        self.unless(inside, &key("omega"), number(numbers.omega), "it must be strictly between 0 and 1");
        if let Some(bound) = numbers.value_bound {
            self.positive(&key("value_bound"), bound);
        }
        let rate = numbers.tau > 0.0 && numbers.tau <= 1.0;
        self.unless(rate, &key("tau"), number(numbers.tau), "it must be above 0 and at most 1");
        self.at_least_one(&key("micro_steps"), u64::from(numbers.micro_steps));
        self.at_most(&key("micro_steps"), u64::from(numbers.micro_steps), 10_000);
        self.positive(&key("critic_learning_rate"), numbers.critic_learning_rate);
        self.below_one(&key("warmup"), numbers.warmup);
        self.unless((0.0..=1.0).contains(&numbers.floor), &key("floor"), number(numbers.floor), unit);
        self.at_least_one(&key("batch_rows"), numbers.batch_rows as u64);
    }

    fn online(&mut self, numbers: &OnlineSection) {
        let key = |name: &str| format!("algo.online.{name}");
        let unit = |value: f64| (0.0..=1.0).contains(&value);
        self.at_least_one(&key("tasks_per_iteration"), numbers.tasks_per_iteration as u64);
        let allowed = "it must be at least 2: one episode cannot be compared";
        self.unless(numbers.group >= 2, &key("group"), numbers.group, allowed);
        // An iteration keeps all its episodes.
        self.at_most(&key("tasks_per_iteration"), numbers.tasks_per_iteration as u64, 10_000);
        self.at_most(&key("group"), numbers.group as u64, 1000);
        self.positive(&key("temperature"), numbers.temperature);
        self.not_negative(&key("penalty"), numbers.penalty);
        self.below_one(&key("clip_low"), numbers.clip_low);
        self.positive(&key("clip_high"), numbers.clip_high);
        self.not_negative(&key("kl"), numbers.kl);
        self.at_least_one(&key("mini_batch"), numbers.mini_batch as u64);
        self.not_negative(&key("omega"), numbers.omega);
        for (name, value) in
            [("gamma", numbers.gamma), ("gae_gamma", numbers.gae_gamma), ("gae_lambda", numbers.gae_lambda)]
        {
            self.unless(unit(value), &key(name), number(value), "it must be from 0 to 1");
        }
        self.positive(&key("value_clip"), numbers.value_clip);
        self.positive(&key("critic_learning_rate"), numbers.critic_learning_rate);
    }

    fn agent(&mut self, config: &Config, name: &str) {
        let table = format!("agents.{name}");
        let agent = &config.agents[name];
        let (amount, unit, cap) = match agent.budget {
            Budget::Minutes(minutes) => (minutes, "minutes", None),
            Budget::Epochs(epochs) => (epochs, "epochs", None),
            Budget::Steps(steps) => (steps as f64, "steps", None),
            Budget::EnvSteps(steps) => (steps as f64, "env_steps", None),
            Budget::Tokens { tokens, cap } => (tokens as f64, "tokens", cap),
        };
        let key = format!("{table}.budget");
        for (amount, unit) in [Some((amount, unit)), cap.map(|cap| (cap, "minutes"))].into_iter().flatten() {
            let is_budget = amount.is_finite() && amount > 0.0;
            self.unless(is_budget, &key, format!("{amount} {unit}"), "it must be above 0, and finite");
        }
        let playing = agent.algo.is_online() || !matches!(agent.budget, Budget::EnvSteps(_));
        let allowed = "only methods that learn by playing take environment steps";
        self.unless(playing, &key, format!("{amount} {unit}"), allowed);
        let tokens = agent.batch_tokens;
        let allowed = format!("it must be from {LEAST_BATCH_TOKENS} to {MOST_BATCH_TOKENS}");
        let fits = (LEAST_BATCH_TOKENS..=MOST_BATCH_TOKENS).contains(&tokens);
        self.unless(fits, &format!("{table}.batch_tokens"), tokens, &allowed);
        self.positive(&format!("{table}.learning_rate"), agent.learning_rate);
        self.algorithm(config, &table, agent);
        self.source(config, &table, name);
        self.method(config, &table, agent);
    }

    /// Every algorithm that an agent names has its numbers.
    fn algorithm(&mut self, config: &Config, table: &str, agent: &AgentConfig) {
        // `bc` has the loss with which a learner imitates, and the numbers of AdamW.
        let needed = match agent.algo {
            Algo::Bc => vec![("bc", config.algo.bc.is_some())],
            Algo::Dagger => vec![("bc", config.algo.bc.is_some()), ("dagger", config.algo.dagger.is_some())],
            Algo::OfflineAc => {
                vec![("bc", config.algo.bc.is_some()), ("offline_ac", config.algo.offline_ac.is_some())]
            }
            _ => vec![("bc", config.algo.bc.is_some()), ("online", config.algo.online.is_some())],
        };
        for (section, _) in needed.into_iter().filter(|(_, present)| !present) {
            let allowed = format!("it needs a table [algo.{section}]");
            self.unless(false, &format!("{table}.algo"), format!("{:?}", agent.algo.name()), &allowed);
        }
    }

    /// An agent starts from an earlier one of the same kind.
    fn source(&mut self, config: &Config, table: &str, name: &str) {
        let agent = &config.agents[name];
        let Some(from) = &agent.from else { return };
        let key = format!("{table}.from");
        let position = |name: &str| config.agents.get_index_of(name);
        match config.agents.get(from) {
            None => {
                let near = keys::nearest(from, config.agents.keys().map(String::as_str));
                let meant = near.map(|name| format!("; did you mean {name:?}?")).unwrap_or_default();
                self.unless(false, &key, format!("{from:?}"), &format!("there is no [agents.{from}]{meant}"));
            }
            Some(_) if from == name => {
                self.unless(false, &key, format!("{from:?}"), "an agent cannot start from itself");
            }
            Some(_) if position(from) > position(name) => {
                let allowed = format!("[agents.{from}] must stand before [{table}]");
                self.unless(false, &key, format!("{from:?}"), &allowed);
            }
            Some(source) => {
                // What HiMAC's ablation without `<sub_done>` changes, its starting policy need not have seen.
                let spec = |agent: &AgentConfig| AgentSpec { sub_done: true, ..agent.spec() };
                let both = agent.kind == AgentKind::Flat
                    && source.also_flat.is_some()
                    && source.also_flat == agent.history;
                let same = both
                    || spec(source) == spec(agent)
                        && source.progress == agent.progress
                        && source.weights == agent.weights;
                let allowed =
                    "both must be of the same kind, with the same history, planner, progress and weights";
                self.unless(same, &key, format!("{from:?}"), allowed);
            }
        }
    }

    /// Options that fit the kind of the agent and what trains it.
    fn method(&mut self, config: &Config, table: &str, agent: &AgentConfig) {
        let plain = agent.planner && agent.progress == ProgressText::Full;
        let kind = format!("{table}.kind");
        let named = format!("{:?}", agent.kind.name());
        if agent.kind != AgentKind::StepHrl {
            let allowed = "planner, progress and weights are for kind = \"step_hrl\"";
            self.unless(plain && agent.weights == Weights::Shared, &kind, &named, allowed);
        } else {
            let allowed = "history is for kind = \"flat\" and \"himac\"";
            self.unless(agent.history.is_none(), &kind, &named, allowed);
        }
        if agent.kind != AgentKind::Himac {
            let own = agent.sub_done && agent.coevolution && agent.selection == Selection::Best;
            self.unless(own, &kind, &named, "sub_done, coevolution and selection are for kind = \"himac\"");
        }
        let cloned = agent.kind == AgentKind::Himac && agent.algo == Algo::Bc;
        let allowed = "it is for kind = \"himac\" with algo = \"bc\"";
        let both = agent.also_flat.unwrap_or_default();
        self.unless(cloned || agent.also_flat.is_none(), &format!("{table}.also_flat"), both, allowed);
        if agent.algo.is_online() {
            let key = format!("{table}.algo");
            let name = format!("{:?}", agent.algo.name());
            let wanted = if agent.algo == Algo::Himac { AgentKind::Himac } else { AgentKind::Flat };
            self.unless(agent.kind == wanted, &key, &name, &format!("it is for kind = {:?}", wanted.name()));
            let allowed = "it needs from = \"NAME\", a trained agent to start from";
            self.unless(agent.from.is_some(), &key, &name, allowed);
        }
        if agent.algo == Algo::Dagger {
            let allowed = "it is for kind = \"step_hrl\" and \"flat\"";
            self.unless(agent.kind != AgentKind::Himac, &format!("{table}.algo"), "\"dagger\"", allowed);
            let id = &config.env.id;
            let unlabelled =
                Role::ALL.iter().any(|role| agent.spec().has(*role) && !envs::expert_plays(id, *role));
            if self.new && unlabelled && agent.kind != AgentKind::Himac {
                let allowed = format!(
                    "the expert of env.id = {id:?} does not label what an agent of kind = {named} is asked: choose algo = \"bc\", \
                     or kind = \"step_hrl\""
                );
                self.unless(false, &format!("{table}.algo"), "\"dagger\"", &allowed);
            }
        }
        let own = agent.actor_mode.is_none() && agent.omega.is_none();
        let allowed = "actor_mode and omega are for algo = \"offline_ac\"";
        let name = format!("{:?}", agent.algo.name());
        self.unless(own || agent.algo == Algo::OfflineAc, &format!("{table}.algo"), name, allowed);
        let omega = agent.omega.unwrap_or(0.5);
        let allowed = "it must be strictly between 0 and 1";
        self.unless(omega > 0.0 && omega < 1.0, &format!("{table}.omega"), number(omega), allowed);
        if agent.algo == Algo::OfflineAc {
            let key = format!("{table}.algo");
            let (is_hierarchy, starts) = (agent.kind == AgentKind::StepHrl, agent.from.is_some());
            self.unless(is_hierarchy, &key, "\"offline_ac\"", "it is for kind = \"step_hrl\"");
            self.unless(
                starts,
                &key,
                "\"offline_ac\"",
                "it needs from = \"NAME\", a trained agent to start from",
            );
        }
        if agent.weights == Weights::PerRole
            && config.algo.bc.as_ref().is_some_and(|bc| bc.mixture == Mixture::Levels)
        {
            let allowed = "algo.bc.mixture must be \"pooled\": a model of one role has no levels to pair";
            self.unless(false, &format!("{table}.weights"), "\"per_role\"", allowed);
        }
        if matches!(agent.algo, Algo::Dagger | Algo::OfflineAc) {
            let own_progress = agent.algo == Algo::OfflineAc || agent.progress == ProgressText::Full;
            let whole =
                agent.planner && own_progress && agent.weights == Weights::Shared && agent.history.is_none();
            let allowed = match agent.algo {
                Algo::OfflineAc => "leave history, planner and weights out",
                _ => "only the whole method is trained so: leave history, planner, progress and weights out",
            };
            self.unless(whole, &format!("{table}.algo"), format!("{:?}", agent.algo.name()), allowed);
        }
    }

    fn at_least_one(&mut self, key: &str, value: u64) {
        self.unless(value >= 1, key, value, "it must be at least 1");
    }

    /// For new runs.
    fn at_most(&mut self, key: &str, value: u64, most: u64) {
        self.unless(!self.new || value <= most, key, value, &format!("it must be at most {most}"));
    }

    fn below_one(&mut self, key: &str, value: f64) {
        self.unless((0.0..1.0).contains(&value), key, number(value), "it must be from 0 to below 1");
    }

    fn positive(&mut self, key: &str, value: f64) {
        let is_positive = value.is_finite() && value > 0.0;
        self.unless(is_positive, key, number(value), "it must be above 0, and finite");
    }

    fn not_negative(&mut self, key: &str, value: f64) {
        let fits = value.is_finite() && value >= 0.0;
        self.unless(fits, key, number(value), "it must be 0 or above, and finite");
    }

    fn unless(&mut self, holds: bool, key: &str, value: impl std::fmt::Display, allowed: &str) {
        if !holds {
            let origin = self.origins.get(key).map(|origin| format!(" ({origin})")).unwrap_or_default();
            self.sentences.push(format!("{key} is {value}{origin}; {allowed}"));
        }
    }

    /// A sentence that names its keys itself: their origins follow it.
    fn sentence(&mut self, sentence: String) {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        let named: Vec<&str> = sentence.split(|c| !is_part(c)).collect();
        let written: Vec<String> = KEYS
            .iter()
            .filter(|key| named.contains(&key.path))
            .filter_map(|key| {
                Some(format!("{} from {}", keys::split(key.path).1, self.origins.get(key.path)?))
            })
            .collect();
        let origins = if written.is_empty() { String::new() } else { format!(" ({})", written.join(", ")) };
        self.sentences.push(format!("{sentence}{origins}"));
    }
}

/// A number as a configuration would write it.
fn number(value: f64) -> String {
    format!("{value:?}")
}
