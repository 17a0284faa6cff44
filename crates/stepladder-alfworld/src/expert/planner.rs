//! The planner: the next subtask.

use super::chain::{ChainState, chain_state};
use super::{AlfworldExpert, Note, Progress, Subtask};
use crate::view::{Entity, Family, Goal, Room};

/// Subtask for a task sentence of unknown form. The executor cannot pursue it and looks around.
const NO_PLAN: &str = "look around";

impl AlfworldExpert {
    /// Returns the next subtask.
    pub(super) fn plan(&self, task: &str, earlier: &[String], progress: &str, room: &Room<'_>) -> String {
        let Some(goals) = Goal::parse_all(task) else { return NO_PLAN.to_owned() };
        let earlier: Vec<Subtask<'_>> = earlier.iter().filter_map(|text| Subtask::parse(text)).collect();
        let progress = Progress::parse(progress);
        let Some(ChainState { goal, since, in_hand }) = chain_state(&goals, &earlier, &progress.note) else {
            return NO_PLAN.to_owned();
        };
        if let Some(kind) = in_hand {
            return Subtask::PutAway { kind }.to_string();
        }
        let plan = Plan { expert: self, goal, earlier: &earlier[since..], room };
        plan.next(&progress).to_string()
    }
}

struct Plan<'a, 'r> {
    expert: &'r AlfworldExpert,
    goal: Goal<'a>,
    earlier: &'r [Subtask<'a>],
    room: &'r Room<'a>,
}

impl<'a> Plan<'a, '_> {
    fn next<'n>(&self, progress: &Progress<'n>) -> Subtask<'n>
    where
        'a: 'n,
    {
        if let Some(object) = progress.held {
            return self.holding(object, None);
        }
        match progress.note {
            Note::Put { object, receptacle } => match self.goal.family {
                Family::Two if object.kind == self.goal.object && receptacle.kind == self.goal.target => {
                    Subtask::FindNew { kind: self.goal.object, placed: object, at: receptacle }
                }
                _ => self.search(),
            },
            Note::PickedUp { object, receptacle } => self.holding(object, Some(receptacle)),
            Note::Treated { treatment, object, .. } => {
                if self.goal.family == Family::Treat(treatment) && object.kind == self.goal.object {
                    Subtask::Put { object, receptacle: self.target() }
                } else {
                    self.holding(object, None)
                }
            }
            Note::Used(_) | Note::HandEmpty => self.search(),
            Note::Fresh | Note::Searching { .. } | Note::At(_) | Note::Failed(_) | Note::Unknown => {
                self.again()
            }
        }
    }

    /// Searches for an object that is not in place yet.
    fn search(&self) -> Subtask<'a> {
        let kind = self.goal.object;
        match self.placed() {
            Some((placed, at)) => Subtask::FindNew { kind, placed, at },
            None => Subtask::Find { kind },
        }
    }

    /// Returns the first of two objects and its receptacle, known from the earlier subtasks. `None` if none is placed.
    fn placed(&self) -> Option<(Entity<'a>, Entity<'a>)> {
        self.earlier.iter().rev().find_map(|subtask| match *subtask {
            Subtask::FindNew { kind, placed, at }
                if self.goal.family == Family::Two && kind == self.goal.object =>
            {
                Some((placed, at))
            }
            _ => None,
        })
    }

    /// Returns the subtask for the object in the hand.
    fn holding<'n>(&self, object: Entity<'n>, from: Option<Entity<'n>>) -> Subtask<'n>
    where
        'a: 'n,
    {
        if object.kind != self.goal.object {
            let best = || self.expert.prior.order(self.room, object.kind).first().copied();
            let receptacle = from.or_else(best).unwrap_or_else(|| self.target());
            return Subtask::Put { object, receptacle };
        }
        if let Some((_, at)) = self.placed() {
            return Subtask::Put { object, receptacle: at };
        }
        let put = Subtask::Put { object, receptacle: self.target() };
        match self.goal.family {
            Family::Place | Family::Two => put,
            Family::Look => Subtask::FindUse { kind: self.goal.target },
            // A put was issued before, so the treatment is complete.
            Family::Treat(_) if self.earlier.last() == Some(&put) => put,
            Family::Treat(treatment) => Subtask::Treat { treatment, object },
        }
    }

    /// Repeats the last subtask if it can lead to the goal; starts a new search otherwise.
    fn again(&self) -> Subtask<'a> {
        let kind = self.goal.object;
        let useful = |subtask: &Subtask<'a>| match (*subtask, self.goal.family) {
            (Subtask::Find { kind: wanted } | Subtask::FindNew { kind: wanted, .. }, _) => wanted == kind,
            (Subtask::FindUse { kind: wanted }, Family::Look) => wanted == self.goal.target,
            (Subtask::Treat { treatment, object }, Family::Treat(wanted)) => {
                treatment == wanted && object.kind == kind
            }
            (Subtask::Put { object, receptacle }, family) => {
                object.kind != kind || (receptacle.kind == self.goal.target && family != Family::Look)
            }
            (Subtask::PutAway { kind: held }, _) => held != kind,
            _ => false,
        };
        match self.earlier.last() {
            Some(last) if useful(last) => *last,
            _ => self.search(),
        }
    }

    /// Returns the target receptacle. All receptacles of the kind are equivalent; the first is used.
    fn target(&self) -> Entity<'a> {
        let number = self.room.numbers(self.goal.target).first().copied().unwrap_or(1);
        Entity::new(self.goal.target, number)
    }
}
