//! Whether the values of a configuration make sense, each and together.

use stepladder_algo::bc::Budget;

use super::keys::{self, KEYS};
use super::origin::Origins;
use super::{AgentConfig, AlgoConfig, BcSection, Config};

// Above this, one step's activations exceed any memory of a small model.
const MOST_BATCH_TOKENS: usize = 1 << 22;
const LEAST_BATCH_TOKENS: usize = 16;
const MOST_THREADS: usize = 1024;

/// Every violation, as a sentence that names the key, its value, where it was written and what is allowed.
pub(crate) fn check(config: &Config, origins: &Origins) -> Vec<String> {
    let mut found = Findings { origins, sentences: Vec::new() };
    let bound = format!("it must be at most {MOST_THREADS}, and 0 takes all cores");
    found.unless(config.threads <= MOST_THREADS, "threads", config.threads, &bound);
    found.at_least_one("env.max_steps", u64::from(config.env.max_steps));
    found.below_one("data.noise", config.data.noise);
    for sentence in config.model.violations() {
        found.sentence(sentence);
    }
    match &config.algo {
        AlgoConfig::Bc(section) => found.bc(section),
    }
    found.agents(&[("agents.step_hrl", &config.agents.step_hrl), ("agents.flat", &config.agents.flat)]);
    found.at_least_one("eval.slots", config.eval.slots as u64);
    if config.eval.probes > 0 {
        let allowed = "it must be at least 1 while eval.probes is above 0";
        let episodes = config.eval.probe_episodes;
        found.unless(episodes >= 1, "eval.probe_episodes", episodes, allowed);
    }
    for entry in &config.eval.zero_shot {
        let parts: Vec<&str> = entry.split('/').collect();
        let is_pair = parts.len() == 2
            && parts.iter().all(|part| !part.is_empty() && !part.contains(char::is_whitespace));
        let allowed = "each entry must be ENV/SPLIT, for example alfworld/valid_seen";
        found.unless(is_pair, "eval.zero_shot", format!("a list with {entry:?}"), allowed);
    }
    found.positive("log.every_seconds", config.log.every_seconds);
    found.positive("log.checkpoint_seconds", config.log.checkpoint_seconds);
    found.at_least_one("log.keep", config.log.keep as u64);
    found.sentences
}

/// Collects sentences.
struct Findings<'a> {
    origins: &'a Origins,
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
        let decay = bc.weight_decay;
        let is_decay = decay.is_finite() && decay >= 0.0;
        self.unless(is_decay, "algo.bc.weight_decay", number(decay), "it must be 0 or above, and finite");
        self.positive("algo.bc.clip", bc.clip);
        self.at_least_one("algo.bc.batch_rows", bc.batch_rows as u64);
        self.at_least_one("algo.bc.planner_every", bc.planner_every);
        let in_unit = (0.0..=1.0).contains(&bc.duplicates);
        self.unless(in_unit, "algo.bc.duplicates", number(bc.duplicates), "it must be from 0 to 1");
    }

    fn agents(&mut self, agents: &[(&str, &Option<AgentConfig>)]) {
        if agents.iter().all(|(_, agent)| agent.is_none()) {
            let tables: Vec<String> = agents.iter().map(|(table, _)| format!("[{table}]")).collect();
            self.sentences.push(format!("there is no agent to train; write {}", tables.join(" or ")));
        }
        for (table, agent) in agents.iter().filter_map(|(table, agent)| Some((table, agent.as_ref()?))) {
            let (amount, unit) = match agent.budget {
                Budget::Minutes(minutes) => (minutes, "minutes"),
                Budget::Epochs(epochs) => (epochs, "epochs"),
                Budget::Steps(steps) => (steps as f64, "steps"),
            };
            let key = format!("{table}.budget");
            let is_budget = amount.is_finite() && amount > 0.0;
            self.unless(is_budget, &key, format!("{amount} {unit}"), "it must be above 0, and finite");
            let tokens = agent.batch_tokens;
            let allowed = format!("it must be from {LEAST_BATCH_TOKENS} to {MOST_BATCH_TOKENS}");
            let fits = (LEAST_BATCH_TOKENS..=MOST_BATCH_TOKENS).contains(&tokens);
            self.unless(fits, &format!("{table}.batch_tokens"), tokens, &allowed);
            self.positive(&format!("{table}.learning_rate"), agent.learning_rate);
        }
    }

    fn at_least_one(&mut self, key: &str, value: u64) {
        self.unless(value >= 1, key, value, "it must be at least 1");
    }

    fn below_one(&mut self, key: &str, value: f64) {
        self.unless((0.0..1.0).contains(&value), key, number(value), "it must be from 0 to below 1");
    }

    fn positive(&mut self, key: &str, value: f64) {
        let is_positive = value.is_finite() && value > 0.0;
        self.unless(is_positive, key, number(value), "it must be above 0, and finite");
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
