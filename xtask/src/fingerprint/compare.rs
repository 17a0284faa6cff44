//! Comparison of the agents of two trees.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::runs::{Agent, Agents};

/// One agent in both trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// Run.
    pub(crate) run: String,
    /// Agent.
    pub(crate) agent: String,
    /// Differences; empty if the trees agree.
    pub(crate) differences: Vec<String>,
    /// Values that only one side has and that were not compared.
    pub(crate) left_out: Vec<String>,
}

/// Compares the agents of the working tree with those of `rev`.
///
/// An agent that only one side has is a difference. A number that only one side has is not compared, unless no number is left.
pub(crate) fn compare(here: &Agents, there: &Agents, rev: &str) -> Vec<Row> {
    let keys: BTreeSet<_> = here.keys().chain(there.keys()).collect();
    let rows = keys.into_iter().map(|key| {
        let mut row = Row { run: key.0.clone(), agent: key.1.clone(), differences: vec![], left_out: vec![] };
        match (here.get(key), there.get(key)) {
            (Some(here), Some(there)) => agent(here, there, &mut row),
            (None, _) => row.differences.push("missing in the working tree".to_owned()),
            (_, None) => row.differences.push(format!("missing in {rev}")),
        }
        row
    });
    rows.collect()
}

fn agent(here: &Agent, there: &Agent, row: &mut Row) {
    if here.weights != there.weights {
        row.differences.push(format!("weights {} -> {}", short(&there.weights), short(&here.weights)));
    }
    numbers("number", &here.numbers, &there.numbers, row);
    numbers("loss", &here.losses, &there.losses, row);
}

/// Lists the first few numbers that differ, and counts the others.
fn numbers(what: &str, here: &BTreeMap<String, f64>, there: &BTreeMap<String, f64>, row: &mut Row) {
    const SHOWN: usize = 3;
    let named =
        |key: &str| if what == "loss" { format!("loss {key}").trim().to_owned() } else { key.to_owned() };
    let mut differing = Vec::new();
    let mut shared = 0;
    for key in here.keys().chain(there.keys()).collect::<BTreeSet<_>>() {
        match (here.get(key), there.get(key)) {
            (Some(new), Some(old)) => {
                shared += 1;
                if new.to_bits() != old.to_bits() {
                    differing.push(format!("{} {old} -> {new}", named(key)));
                }
            }
            _ => row.left_out.push(named(key)),
        }
    }
    if shared == 0 {
        row.differences.push(format!("no {what} that both have"));
    }
    let more = differing.len().saturating_sub(SHOWN);
    differing.truncate(SHOWN);
    row.differences.extend(differing);
    if more > 0 {
        row.differences.push(format!("{more} more"));
    }
}

/// Returns the printed digits of a hash.
pub(crate) fn short(hash: &str) -> &str {
    hash.get(..16).unwrap_or(hash)
}

impl Row {
    /// Whether all compared values agree.
    pub(crate) fn same(&self) -> bool {
        self.differences.is_empty()
    }

    /// Renders the printed line.
    pub(crate) fn line(&self) -> String {
        let verdict = match self.same() {
            true => "same".to_owned(),
            false => format!("differs: {}", self.differences.join("; ")),
        };
        let left_out = match self.left_out.as_slice() {
            [] => String::new(),
            names => format!(" (not compared, only one side has it: {})", names.join(", ")),
        };
        format!("{:<10} {:<12} {verdict}{left_out}", self.run, self.agent)
    }

    /// Renders the row as JSON.
    pub(crate) fn json(&self) -> Value {
        let Self { run, agent, differences, left_out } = self;
        json!({ "run": run, "agent": agent, "same": self.same(), "differences": differences, "not_compared": left_out })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agents(names: &[&str], edit: impl Fn(&mut Agent)) -> Agents {
        let numbers = [("success", 0.5), ("mean_steps", 3.25), ("loops", 0.0)];
        let mut agent = Agent {
            weights: "0123456789abcdef0123".to_owned(),
            tensors: 1,
            numbers: numbers.map(|(key, value)| (key.to_owned(), value)).into(),
            losses: BTreeMap::from([(String::new(), 1.5)]),
        };
        edit(&mut agent);
        names.iter().map(|name| (("household".to_owned(), (*name).to_owned()), agent.clone())).collect()
    }

    fn lines(here: &Agents, there: &Agents) -> Vec<String> {
        compare(here, there, "abc").iter().map(Row::line).collect()
    }

    #[test]
    fn equal_agents_are_the_same_and_a_missing_one_is_a_difference() {
        let both = agents(&["flat", "ppo"], |_| ());
        let one = agents(&["flat"], |_| ());
        assert_eq!(lines(&both, &both), ["household  flat         same", "household  ppo          same"]);
        let without = compare(&both, &one, "abc");
        assert_eq!(without[1].line(), "household  ppo          differs: missing in abc");
        assert!(without[0].same() && !without[1].same());
        assert_eq!(lines(&one, &both)[1], "household  ppo          differs: missing in the working tree");
    }

    #[test]
    fn every_part_is_compared() {
        let before = agents(&["flat"], |_| ());
        let line = |edit: fn(&mut Agent)| lines(&agents(&["flat"], edit), &before).remove(0);
        assert_eq!(
            line(|agent| agent.weights.replace_range(..1, "f")),
            "household  flat         differs: weights 0123456789abcdef -> f123456789abcdef"
        );
        assert_eq!(
            line(|agent| {
                agent.numbers.insert("success".to_owned(), 0.75);
                agent.losses.insert(String::new(), 1.25);
            }),
            "household  flat         differs: success 0.5 -> 0.75; loss 1.5 -> 1.25"
        );
        assert_eq!(
            line(|agent| agent.numbers.values_mut().for_each(|value| *value += 1.0)),
            "household  flat         differs: loops 0 -> 1; mean_steps 3.25 -> 4.25; success 0.5 -> 1.5"
        );
    }

    #[test]
    fn what_one_side_lacks_is_named_and_is_no_agreement_by_itself() {
        let before = agents(&["flat"], |_| ());
        let more = agents(&["flat"], |agent| {
            agent.numbers.insert("population".to_owned(), 200.0);
        });
        assert_eq!(
            lines(&more, &before),
            ["household  flat         same (not compared, only one side has it: population)"]
        );
        let none = agents(&["flat"], |agent| agent.numbers.clear());
        assert!(
            lines(&none, &before)[0].starts_with("household  flat         differs: no number that both have")
        );
    }
}
