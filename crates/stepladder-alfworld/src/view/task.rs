//! Parsed task sentences.

use super::command::Treatment;
use super::entity::take_kind;

/// Task family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// Put an object into a receptacle.
    Place,
    /// Hold an object where a lamp is on.
    Look,
    /// Heat, clean or cool an object, then put it into a receptacle.
    Treat(Treatment),
    /// Put two objects of one kind into one receptacle.
    Two,
}

/// A goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Goal<'a> {
    /// Family.
    pub family: Family,
    /// Kind of the object.
    pub object: &'a str,
    /// Kind of the target receptacle, or of the lamp.
    pub target: &'a str,
}

/// All wordings of task sentences: text before the object, text between object and target, family.
pub const WORDINGS: [(&str, &str, Family); 12] = [
    ("put a clean ", " in ", Family::Treat(Treatment::Clean)),
    ("put a hot ", " in ", Family::Treat(Treatment::Heat)),
    ("put a cool ", " in ", Family::Treat(Treatment::Cool)),
    ("clean some ", " and put it in ", Family::Treat(Treatment::Clean)),
    ("heat some ", " and put it in ", Family::Treat(Treatment::Heat)),
    ("cool some ", " and put it in ", Family::Treat(Treatment::Cool)),
    ("put a ", " in ", Family::Place),
    ("put some ", " on ", Family::Place),
    ("put two ", " in ", Family::Two),
    ("find two ", " and put them in ", Family::Two),
    ("look at ", " under the ", Family::Look),
    ("examine the ", " with the ", Family::Look),
];

/// Separator of the goals of a chain.
pub const THEN: &str = ", then ";

impl<'a> Goal<'a> {
    /// Parses the goals of a task sentence, in order. `None` if one of them has no known form.
    ///
    /// ```
    /// use stepladder_alfworld::view::Goal;
    /// let goals = Goal::parse_all("put a hot mug in shelf, then examine the pen with the desklamp.").unwrap();
    /// assert_eq!(goals[1], Goal::parse("examine the pen with the desklamp.").unwrap());
    /// assert_eq!(Goal::parse_all("put a hot mug in shelf, then sing."), None);
    /// ```
    pub fn parse_all(task: &'a str) -> Option<Vec<Self>> {
        task.split(THEN).map(Self::parse).collect()
    }

    /// Parses the goal of a task sentence. `None` for any other sentence.
    ///
    /// ```
    /// use stepladder_alfworld::view::{Family, Goal, Treatment};
    /// let goal = Goal::parse("put a hot mug in coffeemachine.").unwrap();
    /// assert_eq!(goal.family, Family::Treat(Treatment::Heat));
    /// assert_eq!((goal.object, goal.target), ("mug", "coffeemachine"));
    /// ```
    pub fn parse(task: &'a str) -> Option<Self> {
        let task = task.trim().strip_prefix("Your task is to: ").unwrap_or(task.trim());
        let task = task.strip_suffix('.').unwrap_or(task);
        WORDINGS.iter().find_map(|(before, between, family)| {
            let (object, rest) = take_kind(task.strip_prefix(before)?)?;
            let (target, rest) = take_kind(rest.strip_prefix(between)?)?;
            rest.is_empty().then_some(Self { family: *family, object, target })
        })
    }
}
