//! Chains: number of goals of a game, and the family of its results.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::GenerateError;
use super::household::{Family, Household, Task, read_goal, read_household};
use crate::chain::{FAMILY, LONGEST};

/// Number of goals of a game: 1 to 8.
///
/// ```
/// use stepladder_alfworld::generate::GoalCount;
/// assert_eq!(GoalCount::new(3).unwrap().get(), 3);
/// assert_eq!(GoalCount::new(0), None);
/// assert_eq!(GoalCount::new(9), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GoalCount(usize);

impl GoalCount {
    /// One goal: the official form.
    pub const ONE: Self = Self(1);

    /// Checks a number of goals. `None` outside 1 to 8.
    pub fn new(goals: usize) -> Option<Self> {
        (1..=LONGEST).contains(&goals).then_some(Self(goals))
    }

    /// Number of goals.
    pub fn get(self) -> usize {
        self.0
    }

    /// Iterates over all possible numbers, ascending.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=LONGEST).map(Self)
    }
}

/// Family of a game in result tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum GameFamily {
    /// One goal: its official family.
    Single(Family),
    /// A chain: `goals_N`.
    Chain(GoalCount),
}

impl GameFamily {
    /// Official family of a game with one goal. `None` for a chain.
    pub fn single(self) -> Option<Family> {
        match self {
            Self::Single(family) => Some(family),
            Self::Chain(_) => None,
        }
    }
}

impl fmt::Display for GameFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Single(family) => f.write_str(family.name()),
            Self::Chain(goals) => write!(f, "{FAMILY}{}", goals.get()),
        }
    }
}

impl From<GameFamily> for String {
    fn from(family: GameFamily) -> Self {
        family.to_string()
    }
}

impl TryFrom<String> for GameFamily {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let single = || Family::ALL.into_iter().find(|family| family.name() == name).map(Self::Single);
        let number = name.strip_prefix(FAMILY).and_then(|number| number.parse().ok());
        number
            .and_then(GoalCount::new)
            .map(Self::Chain)
            .or_else(single)
            .ok_or_else(|| format!("unknown task family `{name}`"))
    }
}

/// Parses the household and the goals, in order, of a problem with one goal or a chain.
///
/// # Errors
/// [`GenerateError::Problem`] with the first invalid fact or goal.
pub fn read_chain(problem: &str) -> Result<(Household, Vec<Task>), GenerateError> {
    let (household, goal) = read_household(problem)?;
    let goals = match goal.split_once("(sequence") {
        None => vec![read_goal(goal)?],
        Some((_, parts)) => expressions(parts).into_iter().map(read_goal).collect::<Result<_, _>>()?,
    };
    Ok((household, goals))
}

/// Splits the expressions at the start of `text`, up to the first unmatched closing bracket.
fn expressions(text: &str) -> Vec<&str> {
    let (mut found, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => {
                if depth == 0 {
                    start = at;
                }
                depth += 1;
            }
            b')' if depth == 0 => break,
            b')' => {
                depth -= 1;
                if depth == 0 {
                    found.push(&text[start..=at]);
                }
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_have_names() {
        for name in ["pick_heat_then_place_in_recep", "goals_1", "goals_8"] {
            assert_eq!(GameFamily::try_from(name.to_owned()).unwrap().to_string(), name);
        }
        for name in ["goals_0", "goals_9", "goals_", "pick"] {
            assert!(GameFamily::try_from(name.to_owned()).is_err(), "{name}");
        }
    }

    #[test]
    fn expressions_end_where_their_brackets_close() {
        assert_eq!(expressions("\n(a (b))\n(c))\n)"), ["(a (b))", "(c)"]);
        assert!(expressions(")").is_empty() && expressions("(a").is_empty());
    }
}
