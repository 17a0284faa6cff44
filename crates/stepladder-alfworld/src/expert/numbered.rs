//! Sub-goals without the numbers of things that were unknown when they were written (`agents.NAME.numbers = "known"`).

use super::Subtask;
use crate::view::entity::take_kind;
use crate::view::{Command, Entity};

/// Returns a sub-goal with the numbers that an action gives its things, where the sub-goal has none: `put mug in shelf 1`, done by
/// `move mug 2 to shelf 1`, is `put mug 2 in shelf 1`. None for a sub-goal that is complete or of another form.
pub(super) fn numbered(subgoal: &str, action: &str) -> Option<String> {
    if Subtask::parse(subgoal).is_some() {
        return None;
    }
    if let Some(rest) = subgoal.strip_prefix("locate and pick up a new ") {
        return another(rest, action);
    }
    let words: Vec<&str> = action.split_whitespace().collect();
    let number = |kind: &str| {
        let named = words.windows(2).find(|pair| pair[0] == kind);
        named.filter(|pair| pair[1].parse::<u32>().is_ok()).map(|pair| pair[1])
    };
    let said: Vec<&str> = subgoal.split_whitespace().collect();
    let mut filled = Vec::with_capacity(said.len() + 2);
    for (place, word) in said.iter().enumerate() {
        filled.push(*word);
        let has_one = said.get(place + 1).is_some_and(|next| next.parse::<u32>().is_ok());
        if let Some(number) = number(word).filter(|_| !has_one) {
            filled.push(number);
        }
    }
    Some(filled.join(" ")).filter(|text| Subtask::parse(text).is_some())
}

/// `mug except mug in shelf 1`, done by taking a mug from anywhere but shelf 1, where only the first one can be.
fn another(rest: &str, action: &str) -> Option<String> {
    let (kind, rest) = take_kind(rest)?;
    let place = rest.strip_prefix(" except ")?.strip_prefix(kind)?.strip_prefix(" in ")?;
    let at = Entity::parse(place)?;
    match Command::parse(action)? {
        // No object has the number 0.
        Command::Take { object, receptacle } if object.kind == kind && receptacle != at => {
            Some(Subtask::FindNew { kind, placed: Entity::new(kind, 0), at }.to_string())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_from_the_action_where_the_sub_goal_has_none() {
        let filled = |subgoal, action| numbered(subgoal, action).unwrap_or_default();
        assert_eq!(filled("put mug in shelf 1", "move mug 2 to shelf 1"), "put mug 2 in shelf 1");
        assert_eq!(filled("put mug in shelf", "move mug 2 to shelf 3"), "put mug 2 in shelf 3");
        assert_eq!(filled("heat egg", "heat egg 1 with microwave 1"), "heat egg 1");
        let another = "locate and pick up a new mug except mug in shelf 1";
        assert_eq!(
            filled(another, "take mug 2 from desk 1"),
            "locate and pick up a new mug except mug 0 in shelf 1"
        );
        // From there it would be the first one again.
        assert_eq!(filled(another, "take mug 2 from shelf 1"), "");
        // Complete, another form, or another thing.
        assert_eq!(filled("put mug 1 in shelf 1", "move mug 2 to shelf 1"), "");
        assert_eq!(filled("locate and pick up a mug", "take mug 2 from shelf 1"), "");
        assert_eq!(filled("tidy up", "move mug 2 to shelf 1"), "");
        assert_eq!(filled("put mug in shelf 1", "move pan 2 to shelf 1"), "");
    }
}
