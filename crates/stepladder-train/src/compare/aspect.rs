//! What runs must have in common to be compared.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::config::{self, AgentConfig, Config};

/// Something that runs must have in common, unless it is allowed to differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// Tasks that were played.
    Tasks,
    /// Splits of demonstrations and of training, and the split that was played.
    Splits,
    /// Number of demonstrations and training budgets.
    Budgets,
}

impl Aspect {
    /// All of them, by name.
    pub const ALL: [Self; 3] = [Self::Tasks, Self::Splits, Self::Budgets];
}

impl fmt::Display for Aspect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Tasks => "tasks",
            Self::Splits => "splits",
            Self::Budgets => "budgets",
        })
    }
}

impl FromStr for Aspect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|aspect| aspect.to_string() == text);
        found.ok_or_else(|| format!("{text:?} is none of tasks, splits, budgets"))
    }
}

/// Splits and budgets of a run.
#[derive(Debug)]
pub(super) struct Profile {
    /// Values by key, as text.
    keys: BTreeMap<String, (Aspect, String)>,
    /// Budgets of agents that learn by playing.
    online: BTreeMap<String, String>,
}

/// A difference from the first run.
#[derive(Debug, PartialEq)]
pub(super) struct Difference {
    pub(super) aspect: Aspect,
    /// Agent that it concerns; all agents of the run if `None`.
    pub(super) agent: Option<String>,
    /// `KEY = VALUE` of this run.
    pub(super) here: String,
    /// Value of the first run.
    pub(super) there: String,
}

impl Profile {
    pub(super) fn of(config: &Config) -> Self {
        let entries = config::effective(config).into_iter();
        let keys = entries.filter_map(|(key, value)| Some((aspect(&key)?, key, config::inline(&value))));
        let budget = |agent: &AgentConfig| format!("{:?}", agent.budget);
        let online = config.agents.iter().filter(|(_, agent)| agent.algo.is_online());
        Self {
            keys: keys.map(|(aspect, key, value)| (key, (aspect, value))).collect(),
            online: online.map(|(name, agent)| (name.clone(), budget(agent))).collect(),
        }
    }

    /// Differences of this run from the first one: keys that both have, or of the whole run; and budgets of agents that learn by
    /// playing, of which the first run has others only, none of them with the same budget.
    pub(super) fn differences(&self, first: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        let unset = || "unset".to_owned();
        for key in self.keys.keys().chain(first.keys.keys().filter(|key| !self.keys.contains_key(*key))) {
            let (here, there) = (self.keys.get(key), first.keys.get(key));
            let agent = agent(key);
            // An agent that only one of them trains is compared with all of the other's below.
            if here == there || (agent.is_some() && (here.is_none() || there.is_none())) {
                continue;
            }
            let Some((aspect, _)) = here.or(there) else { continue };
            let value = |side: Option<&(Aspect, String)>| side.map_or_else(unset, |(_, value)| value.clone());
            let name = agent.map_or(key.as_str(), |_| "budget");
            found.push(Difference {
                aspect: *aspect,
                agent: agent.map(str::to_owned),
                here: format!("{name} = {}", value(here)),
                there: value(there),
            });
        }
        for (agent, budget) in &self.online {
            let others: Vec<&String> = first.online.values().collect();
            let known = first.online.contains_key(agent) || others.is_empty() || others.contains(&budget);
            if !known {
                let others: Vec<&str> = others.into_iter().map(String::as_str).collect();
                found.push(Difference {
                    aspect: Aspect::Budgets,
                    agent: Some(agent.clone()),
                    here: format!("budget = {budget}"),
                    there: others.join(", "),
                });
            }
        }
        found
    }
}

/// The agent of a key `agents.NAME.budget`.
fn agent(key: &str) -> Option<&str> {
    key.strip_prefix("agents.")?.strip_suffix(".budget")
}

fn aspect(key: &str) -> Option<Aspect> {
    match key {
        "data.split" | "data.practice" => Some(Aspect::Splits),
        "data.games" | "data.practice_games" => Some(Aspect::Budgets),
        _ if agent(key).is_some() => Some(Aspect::Budgets),
        _ if key.starts_with("algo.") && key.ends_with(".tasks") => Some(Aspect::Splits),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(sets: &[&str]) -> Profile {
        let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
        Profile::of(&config::load("rl-household", &sets).unwrap().config)
    }

    #[test]
    fn splits_and_budgets_are_told_apart_and_nothing_else_is() {
        let first = profile(&[]);
        let found = |sets: &[&str]| {
            let found = profile(sets).differences(&first).into_iter();
            found.map(|found| (found.aspect, found.agent, found.here)).collect::<Vec<_>>()
        };
        assert!(found(&["seed=7", "threads=2", "eval.slots=3"]).is_empty());
        let other = found(&["data.split=\"train-goals-2\"", "data.games=77"]);
        let expected = [
            (Aspect::Budgets, None, "data.games = 77".to_owned()),
            (Aspect::Splits, None, "data.split = \"train-goals-2\"".to_owned()),
        ];
        assert_eq!(other, expected);
        let agents: Vec<String> =
            config::load("rl-household", &[]).unwrap().config.agents.keys().cloned().collect();
        let online = agents.last().unwrap();
        let found = found(&[&format!("agents.{online}.budget={{ env_steps = 11 }}")]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].0 == Aspect::Budgets && found[0].1.as_deref() == Some(online), "{found:?}");
        assert!(found[0].2.contains("11"), "{found:?}");
    }

    #[test]
    fn an_aspect_is_read_by_its_name() {
        for aspect in Aspect::ALL {
            assert_eq!(aspect.to_string().parse(), Ok(aspect));
        }
        assert!("budget".parse::<Aspect>().unwrap_err().contains("tasks, splits, budgets"));
    }
}
