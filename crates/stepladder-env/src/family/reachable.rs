//! Tasks that can be solved at all.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::Options;

/// Request of `env verify --reachable`.
#[derive(Debug)]
pub struct ReachableRequest<'a> {
    /// Split whose tasks are tried.
    pub split: &'a str,
    /// Data root.
    pub data_root: Option<&'a Path>,
    /// Options of the family.
    pub options: &'a Options,
}

/// How many tasks of a split can be solved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Reachable {
    /// Environment id.
    pub env: String,
    /// Split.
    pub split: String,
    /// Tasks of the split.
    pub tasks: u64,
    /// Tasks that can be solved.
    pub reachable: u64,
    /// Number of the other tasks by the reason.
    pub unreachable: BTreeMap<String, u64>,
}

impl Reachable {
    /// Counts a task: one that can be solved, or the reason why it cannot.
    pub fn count(&mut self, unreachable: Option<&str>) {
        self.tasks += 1;
        match unreachable {
            None => self.reachable += 1,
            Some(reason) => *self.unreachable.entry(reason.to_owned()).or_default() += 1,
        }
    }
}

impl fmt::Display for Reachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { env, split, tasks, reachable, unreachable } = self;
        write!(f, "{env} {split}: {reachable} of {tasks} tasks can be solved")?;
        for (index, (reason, count)) in unreachable.iter().enumerate() {
            write!(f, "{}{count} not for {reason}", if index == 0 { "; " } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted() {
        let mut found = Reachable { env: "toy".to_owned(), split: "dev".to_owned(), ..Reachable::default() };
        for reason in [None, Some("price"), None, Some("rank"), Some("price")] {
            found.count(reason);
        }
        assert_eq!(found.to_string(), "toy dev: 2 of 5 tasks can be solved; 2 not for price, 1 not for rank");
        let none = Reachable { tasks: 1, reachable: 1, ..found };
        assert!(
            Reachable { unreachable: BTreeMap::new(), ..none }
                .to_string()
                .ends_with("1 of 1 tasks can be solved")
        );
    }
}
