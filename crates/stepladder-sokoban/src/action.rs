//! Actions of both rule sets and their names.

use crate::board::Direction;

/// Rule set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Variant {
    /// verl-agent's rules: four moves that push, and standing still (0), which does not count as a step.
    #[default]
    VerlAgent,
    /// gym-sokoban 0.0.6: no operation (0, an ordinary step), four moves that push (1 to 4), four that do not (5 to 8).
    Gym,
}

/// One action of either rule set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Number 0. verl-agent plays it for a reply that does not parse.
    Still,
    /// Numbers 1 to 4: moves one cell and pushes a box in the way.
    Push(Direction),
    /// Numbers 5 to 8, gym-sokoban only: moves one cell and never pushes.
    Walk(Direction),
}

impl Action {
    /// Returns the action with a number. `None` if the rule set has no such action.
    ///
    /// ```
    /// use stepladder_sokoban::{Action, Direction, Variant};
    /// assert_eq!(Action::from_number(3, Variant::VerlAgent), Some(Action::Push(Direction::Left)));
    /// assert_eq!(Action::from_number(8, Variant::Gym), Some(Action::Walk(Direction::Right)));
    /// assert_eq!(Action::from_number(8, Variant::VerlAgent), None);
    /// ```
    pub fn from_number(number: u64, variant: Variant) -> Option<Self> {
        match (number, variant) {
            (0, _) => Some(Self::Still),
            (1..=4, _) => Some(Self::Push(Direction::ALL[number as usize - 1])),
            (5..=8, Variant::Gym) => Some(Self::Walk(Direction::ALL[number as usize - 5])),
            _ => None,
        }
    }

    /// Returns the number of an action.
    pub fn number(self) -> u64 {
        match self {
            Self::Still => 0,
            Self::Push(direction) => 1 + direction as u64,
            Self::Walk(direction) => 5 + direction as u64,
        }
    }

    /// Parses an action: a number, or a name in any case: `up`, `push up`, and with gym-sokoban's rules `move up`;
    /// `still` or `no operation` for 0. `None` for any other text.
    ///
    /// ```
    /// use stepladder_sokoban::{Action, Direction, Variant};
    /// let read = |text| Action::parse(text, Variant::VerlAgent);
    /// assert_eq!(read(" Up\n"), Some(Action::Push(Direction::Up)));
    /// assert_eq!(read("4"), Some(Action::Push(Direction::Right)));
    /// assert_eq!(read("move up"), None);
    /// assert_eq!(read("north"), None);
    /// ```
    pub fn parse(text: &str, variant: Variant) -> Option<Self> {
        let text = text.trim();
        let direction = |name: &str| {
            Direction::ALL
                .into_iter()
                .find(|direction| name.trim_start().eq_ignore_ascii_case(direction.name()))
        };
        let after = |verb: &str| {
            text.get(..verb.len()).filter(|head| head.eq_ignore_ascii_case(verb)).map(|_| &text[verb.len()..])
        };
        if let [digit @ b'0'..=b'9'] = text.as_bytes() {
            return Self::from_number(u64::from(digit - b'0'), variant);
        }
        if text.eq_ignore_ascii_case("still") || text.eq_ignore_ascii_case("no operation") {
            return Some(Self::Still);
        }
        if let Some(rest) = after("push ") {
            return direction(rest).map(Self::Push);
        }
        match after("move ") {
            Some(rest) if variant == Variant::Gym => direction(rest).map(Self::Walk),
            _ => direction(text).map(Self::Push),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_original() {
        for number in 0..20 {
            let action = Action::from_number(number, Variant::Gym);
            assert_eq!(action.is_some(), number <= 8);
            assert!(action.is_none_or(|action| action.number() == number));
            assert_eq!(Action::from_number(number, Variant::VerlAgent).is_some(), number <= 4);
        }
    }

    #[test]
    fn anything_may_be_said() {
        for text in ["", " ", "upp", "push", "push  ", "√", "pushüup", "10", "-1", "Move", "9"] {
            assert_eq!(Action::parse(text, Variant::Gym), None, "{text}");
        }
        assert_eq!(Action::parse("MOVE Left", Variant::Gym), Some(Action::Walk(Direction::Left)));
        assert_eq!(Action::parse("Push down", Variant::VerlAgent), Some(Action::Push(Direction::Down)));
        assert_eq!(Action::parse("Still", Variant::VerlAgent), Some(Action::Still));
    }
}
