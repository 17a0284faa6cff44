//! Which subtask comes next.

use super::chain::{Standing, standing};
use super::{AlfworldExpert, Note, Progress, Subtask};
use crate::view::{Entity, Family, Goal, Room};

/// What is issued for a task sentence of no known form: nothing the executor can work on, so it looks around.
const NO_PLAN: &str = "look around";

impl AlfworldExpert {
    /// The next subtask.
    pub(super) fn plan(&self, task: &str, earlier: &[String], progress: &str, room: &Room<'_>) -> String {
        let Some(goals) = Goal::parse_all(task) else { return NO_PLAN.to_owned() };
        let earlier: Vec<Subtask<'_>> = earlier.iter().filter_map(|text| Subtask::parse(text)).collect();
        let progress = Progress::parse(progress);
        let Some(Standing { goal, since, in_hand }) = standing(&goals, &earlier, &progress.note) else {
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

    /// The search for an object that still has to be brought.
    fn search(&self) -> Subtask<'a> {
        let kind = self.goal.object;
        match self.placed() {
            Some((placed, at)) => Subtask::FindNew { kind, placed, at },
            None => Subtask::Find { kind },
        }
    }

    /// Which of two objects is in its place already, as the earlier subtasks tell.
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

    /// What to do with the object in the hand.
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
            // A put that was issued already means that the treatment had been done.
            Family::Treat(_) if self.earlier.last() == Some(&put) => put,
            Family::Treat(treatment) => Subtask::Treat { treatment, object },
        }
    }

    /// The last subtask once more, if it can lead to the goal; a new search otherwise.
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

    /// Where the object has to go. The first receptacle of the kind is as good as any.
    fn target(&self) -> Entity<'a> {
        let number = self.room.numbers(self.goal.target).first().copied().unwrap_or(1);
        Entity::new(self.goal.target, number)
    }
}
