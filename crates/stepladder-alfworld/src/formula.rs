//! Grounded goals: small formulas over the facts that can change.

use crate::action::Action;
use crate::ids::{LocationId, ObjectId, ReceptacleId};
use crate::state::{Property, State};

/// A fact that can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Atom {
    AgentAt(LocationId),
    ObjectAt(ObjectId, LocationId),
    In(ObjectId, ReceptacleId),
    Holds(ObjectId),
    HoldsAny,
    Opened(ReceptacleId),
    Is(Property, ObjectId),
}

impl Atom {
    /// Whether the fact is true in a state.
    fn holds(self, state: &State) -> bool {
        match self {
            Self::AgentAt(location) => state.location == location,
            Self::ObjectAt(object, location) => state.lying.get(location.index(), object.index()),
            Self::In(object, receptacle) => state.contains(receptacle, object),
            Self::Holds(object) => state.holds == Some(object),
            Self::HoldsAny => state.holds.is_some(),
            Self::Opened(receptacle) => state.is_open(receptacle),
            Self::Is(property, object) => state.is(property, object),
        }
    }
}

/// A goal, evaluated after every action.
#[derive(Debug)]
pub(crate) struct Goal {
    formula: Formula,
    depends_on_place: bool,
}

impl Goal {
    pub(crate) fn new(formula: Formula) -> Self {
        let depends_on_place = formula.depends_on_place();
        Self { formula, depends_on_place }
    }

    /// Whether the goal is reached.
    pub(crate) fn is_reached(&self, state: &State) -> bool {
        self.formula.holds(state)
    }

    /// Whether an action can change the truth of the goal.
    pub(crate) fn may_change_with(&self, action: Action) -> bool {
        match action {
            Action::Look
            | Action::Inventory
            | Action::Help
            | Action::ExamineObject(_)
            | Action::ExamineReceptacle(_) => false,
            Action::GoTo(_) => self.depends_on_place,
            _ => true,
        }
    }
}

/// A grounded formula.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Formula {
    True,
    False,
    Atom(Atom),
    Not(Box<Self>),
    All(Vec<Self>),
    Any(Vec<Self>),
}

impl Formula {
    /// Whether the formula is true in a state.
    fn holds(&self, state: &State) -> bool {
        match self {
            Self::True => true,
            Self::False => false,
            Self::Atom(atom) => atom.holds(state),
            Self::Not(inner) => !inner.holds(state),
            Self::All(parts) => parts.iter().all(|part| part.holds(state)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(state)),
        }
    }

    fn depends_on_place(&self) -> bool {
        match self {
            Self::True | Self::False => false,
            Self::Atom(atom) => matches!(atom, Atom::AgentAt(_)),
            Self::Not(inner) => inner.depends_on_place(),
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::depends_on_place),
        }
    }

    pub(crate) fn not(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    pub(crate) fn known(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}
