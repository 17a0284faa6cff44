//! Validation of the values of a configuration, each alone and in combination.

use stepladder_agent::himac::{MAX_IDLE, MAX_SUBGOALS, MIN_SUBGOAL_STEPS, Numbers, Sees};
use stepladder_agent::{AgentKind, AgentSpec};
use stepladder_algo::himac::{Phases, Selection};
use stepladder_algo::runtime::budget::Budget;
use stepladder_algo::runtime::plan::Mixture;
use stepladder_core::Role;
use stepladder_core::section::Section;
use stepladder_data::ablate::ProgressText;
use stepladder_env::names::nearest;

use super::keys::{self, KEYS};
use super::origin::{Origin, Origins};
use super::{AgentConfig, Algo, Config, GenerationConfig, Weights};
use crate::envs;

mod names;
#[cfg(test)]
mod tests;

/// Returns every violation as a sentence with the key, its value, its origin and the allowed values.
///
/// Bounds on counts, names of agents, and agents that the expert cannot label are checked for `new` runs only, so that older runs
/// can be evaluated and continued.
pub fn check(config: &Config, origins: &Origins, new: bool) -> Vec<String> {
    let mut found = Findings { origins, new, sentences: Vec::new() };
    for violation in config.violations() {
        let applies = new || !violation.bound.is_for_new_runs();
        if applies && !found.is_inherited(config, &violation.key) {
            found.unless(false, &violation.key, &violation.value, &format!("it must be {}", violation.bound));
        }
    }
    for sentence in config.model.scratch.conflicts() {
        found.sentence("model.scratch", &sentence);
    }
    for sentence in config.model.lora.conflicts() {
        found.sentence("model.lora", &sentence);
    }
    found.pretrained(config);
    found.generation(config);
    if config.agents.is_empty() {
        found.sentences.push("there is no agent to train; write a table [agents.NAME]".to_owned());
    }
    for name in config.agents.keys() {
        found.agent(config, name);
    }
    if config.eval.probes > 0 {
        let allowed = "it must be at least 1 while eval.probes is above 0";
        let episodes = config.eval.probe_episodes;
        found.unless(episodes >= 1, "eval.probe_episodes", episodes, allowed);
    }
    found.names(config);
    if new {
        found.agent_names(config);
    }
    found.sentences
}

/// Collector of violations.
struct Findings<'a> {
    origins: &'a Origins,
    /// Whether the run has not started yet.
    new: bool,
    sentences: Vec<String>,
}

impl Findings<'_> {
    /// Whether the value of an agent's key comes from the table of its algorithm, which is checked too.
    fn is_inherited(&self, config: &Config, key: &str) -> bool {
        let Some((agent, name)) = key.strip_prefix("agents.").and_then(|path| path.split_once('.')) else {
            return false;
        };
        let source = config.agents.get(agent).map(|agent| format!("algo.{}.{name}", agent.algo.table()));
        let origin = self.origins.get(key);
        origin.is_some() && source.is_some_and(|source| self.origins.get(&source) == origin)
    }

    fn agent(&mut self, config: &Config, name: &str) {
        let table = format!("agents.{name}");
        let agent = &config.agents[name];
        if let (Budget::EnvSteps(steps), false) = (agent.budget, agent.algo.is_online()) {
            let allowed = "only methods that learn by playing take environment steps";
            self.unless(false, &format!("{table}.budget"), format!("{steps} env_steps"), allowed);
        }
        self.source(config, &table, name);
        self.method(config, &table, agent);
    }

    /// Checks that keys of pretrained models are set for a pretrained model only, and keys of a shape for random weights only.
    fn pretrained(&mut self, config: &Config) {
        let given = config.model.from.is_some();
        let (without, with) = (
            "it is for pretrained models: name one with model.from, or remove this key",
            "a pretrained model has its own shape: remove this key, or model.from",
        );
        let values = if self.new { super::effective(config) } else { Vec::new() };
        for (path, value) in &values {
            let (table, name) = keys::split(path);
            let of_scratch =
                table == "model.scratch" || ["model.tokenizer", "model.tokens"].contains(&path.as_str());
            let of_pretrained = table == "model.lora"
                || path == "generation.stop"
                || table == "model" && ["tuning", "form", "context", "dtype"].contains(&name);
            let value = super::inline(value);
            let origin = self.origins.get(path);
            // The file of a run lists every key, so a value says nothing unless it was chosen.
            let chosen = origin.is_some_and(Origin::is_of_user)
                && super::default_text(path).is_none_or(|default| default != value);
            if of_pretrained && !given && chosen {
                self.unless(false, path, value, without);
            } else if of_scratch && given && matches!(origin, Some(Origin::Set(_))) {
                self.unless(false, path, value, with);
            }
        }
    }

    /// Checks stop strings, and that no agent learns online from a truncated distribution: its probability ratios would be those
    /// of other replies than were drawn.
    fn generation(&mut self, config: &Config) {
        let stop = &config.generation.stop;
        if stop.iter().any(String::is_empty) {
            self.unless(
                false,
                "generation.stop",
                format!("{stop:?}"),
                "a stop string has at least one character",
            );
        }
        let Some((name, agent)) = config.agents.iter().find(|(_, agent)| agent.algo.is_online()) else {
            return;
        };
        let because = format!(
            "while agents.{name} learns with algo = {:?}, whose probability ratios count every token that could be drawn",
            agent.algo.name()
        );
        let GenerationConfig { top_p, top_k, .. } = config.generation;
        self.unless(top_p >= 1.0, "generation.top_p", top_p, &format!("it must be 1 {because}"));
        self.unless(top_k == 0, "generation.top_k", top_k, &format!("it must be 0 {because}"));
    }

    /// Checks that an agent starts from an earlier agent of the same kind.
    fn source(&mut self, config: &Config, table: &str, name: &str) {
        let agent = &config.agents[name];
        let Some(from) = &agent.from else { return };
        let key = format!("{table}.from");
        let position = |name: &str| config.agents.get_index_of(name);
        match config.agents.get(from) {
            None => {
                let near = nearest(from, config.agents.keys().map(String::as_str));
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
                // The initial policy may have been trained with other rules for the end and the limits of HiMAC's sub-goals.
                let spec = |agent: &AgentConfig| {
                    let AgentSpec { kind, history, planner, progress, sees, .. } = agent.spec();
                    AgentSpec { history, planner, progress, sees, ..AgentSpec::from(kind) }
                };
                let both = agent.kind == AgentKind::Flat
                    && source.also_flat.is_some()
                    && source.also_flat == agent.history;
                let same = both
                    || spec(source) == spec(agent)
                        && source.progress == agent.progress
                        && source.weights == agent.weights;
                let allowed = "both must be of the same kind, with the same history, planner, progress, weights and sees";
                self.unless(same, &key, format!("{from:?}"), allowed);
            }
        }
    }

    /// Checks that the options fit the kind of the agent and its algorithm.
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
            let limits = agent.max_subgoals == MAX_SUBGOALS
                && agent.max_idle == MAX_IDLE
                && agent.min_subgoal_steps == MIN_SUBGOAL_STEPS;
            let reads =
                agent.sees == Sees::All && agent.numbers == Numbers::All && agent.phases == Phases::Both;
            let own =
                agent.sub_done && limits && reads && agent.coevolution && agent.selection == Selection::Best;
            let allowed = "sub_done, max_subgoals, max_idle, min_subgoal_steps, coevolution, selection, sees, numbers and phases are for kind = \"himac\"";
            self.unless(own, &kind, &named, allowed);
        }
        let bonus = config.algo.himac.subgoal_reward;
        let judged = bonus == 0.0 || envs::expert_plays(&config.env.id, Role::Executor);
        if agent.algo == Algo::Himac && self.new {
            let allowed =
                format!("the expert of env.id = {:?} confirms no sub-goals: leave it out", config.env.id);
            self.unless(judged, "algo.himac.subgoal_reward", bonus, &allowed);
        }
        let joint = !agent.coevolution && agent.phases != Phases::Both;
        let named_phases = format!("{:?}", agent.phases.name());
        let allowed = "a joint update (coevolution = false) has no phases: leave one of both out";
        self.unless(!joint, &format!("{table}.phases"), named_phases, allowed);
        let cloned = agent.kind == AgentKind::Himac && agent.algo == Algo::Bc;
        let allowed = "it is for kind = \"himac\" with algo = \"bc\"";
        let both = agent.also_flat.unwrap_or_default();
        self.unless(cloned || agent.also_flat.is_none(), &format!("{table}.also_flat"), both, allowed);
        if agent.algo.is_online() {
            let key = format!("{table}.algo");
            let name = format!("{:?}", agent.algo.name());
            let wanted = if agent.algo == Algo::Himac { AgentKind::Himac } else { AgentKind::Flat };
            self.unless(agent.kind == wanted, &key, &name, &format!("it is for kind = {:?}", wanted.name()));
            let allowed =
                "it needs from = \"NAME\", a trained agent to start from, or a pretrained model (model.from)";
            let starts = agent.from.is_some() || config.model.from.is_some();
            self.unless(starts, &key, &name, allowed);
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
        if let Some(until) = agent.until {
            let probed = agent.algo == Algo::Bc && agent.weights == Weights::Shared && config.eval.probes > 0;
            let allowed =
                "it is for algo = \"bc\" with one model for all roles, and needs eval.probes above 0";
            self.unless(probed, &format!("{table}.until"), until, allowed);
        }
        let own = [
            ("actor_mode", agent.actor_mode.is_some()),
            ("omega", agent.omega.is_some()),
            ("returns", agent.returns.is_some()),
            ("intrinsic", agent.intrinsic.is_some()),
            ("actor_levels", agent.actor_levels.is_some()),
        ];
        if let Some((key, _)) = own.into_iter().find(|(_, is_set)| *is_set) {
            let allowed = format!("{key} is for algo = \"offline_ac\"");
            let name = format!("{:?}", agent.algo.name());
            self.unless(agent.algo == Algo::OfflineAc, &format!("{table}.algo"), name, &allowed);
        }
        let offline = agent.algo == Algo::OfflineAc || agent.algo.is_control();
        if offline {
            let key = format!("{table}.algo");
            let name = format!("{:?}", agent.algo.name());
            let (is_hierarchy, starts) = (agent.kind == AgentKind::StepHrl, agent.from.is_some());
            self.unless(is_hierarchy, &key, &name, "it is for kind = \"step_hrl\"");
            self.unless(starts, &key, &name, "it needs from = \"NAME\", a trained agent to start from");
        }
        if agent.weights == Weights::PerRole && config.algo.bc.mixture == Mixture::Levels {
            let allowed = "algo.bc.mixture must be \"pooled\": a model of one role has no levels to pair";
            self.unless(false, &format!("{table}.weights"), "\"per_role\"", allowed);
        }
        if agent.algo == Algo::Dagger || offline {
            let own_progress = offline || agent.progress == ProgressText::Full;
            let whole =
                agent.planner && own_progress && agent.weights == Weights::Shared && agent.history.is_none();
            let allowed = match agent.algo {
                _ if offline => "leave history, planner and weights out",
                _ => "only the whole method is trained so: leave history, planner, progress and weights out",
            };
            self.unless(whole, &format!("{table}.algo"), format!("{:?}", agent.algo.name()), allowed);
        }
    }

    fn unless(&mut self, holds: bool, key: &str, value: impl std::fmt::Display, allowed: &str) {
        if !holds {
            let origin = self.origins.get(key).map(|origin| format!(" ({origin})")).unwrap_or_default();
            self.sentences.push(format!("{key} is {value}{origin}; {allowed}"));
        }
    }

    /// Adds a sentence about a table, followed by the origins of the keys that it names.
    fn sentence(&mut self, table: &str, sentence: &str) {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let named: Vec<&str> = sentence.split(|c| !is_part(c)).collect();
        let written: Vec<String> = KEYS
            .iter()
            .filter(|key| {
                let (inside, name) = keys::split(&key.path);
                inside == table && named.contains(&name)
            })
            .filter_map(|key| Some(format!("{} from {}", key.declared.name, self.origins.get(&key.path)?)))
            .collect();
        let origins = if written.is_empty() { String::new() } else { format!(" ({})", written.join(", ")) };
        self.sentences.push(format!("[{table}]: {sentence}{origins}"));
    }
}
