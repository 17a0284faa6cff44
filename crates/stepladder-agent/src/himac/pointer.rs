//! Pointer to the active sub-goal of a blueprint (docs/spec/algorithms.md 5.2).
//!
//! ```text
//! b = max(b_min, ceil(1.5 · T_max / K))      budget per sub-goal; none on the last
//! has action            → a step of the environment; n += 1; c += 1; idle = 0
//! no action, sub_done   → no step; idle += 1; the third (max_idle) in a row counts as an invalid reply
//! neither               → an invalid reply: its step counts; idle = 0
//! then: if sub_done or (c ≥ b and k < K):  k < K: k += 1, c = 0;  k = K: c = 0
//! ```

/// Limits on the length of a sub-goal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Limits {
    /// A sub-goal ends when a reply declares it done or when its budget is used up.
    Declared {
        /// Minimum budget of a sub-goal (b_min).
        min_steps: u32,
    },
    /// Fixed lengths: T_max div K steps each, one more for the first T_max mod K (ablation without `<sub_done>`).
    Even,
    /// The lengths of a recorded episode, independent of the replies; the last sub-goal has no limit.
    Recorded(Vec<u32>),
}

/// Effect of a reply on the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// A step with the reply's action.
    Act,
    /// No step.
    Idle,
    /// A step for an invalid reply.
    Invalid,
}

/// Pointer of one episode.
#[derive(Debug, Clone)]
pub struct Pointer {
    /// Active sub-goal k, from 0.
    active: usize,
    /// Steps spent on it.
    spent: u32,
    /// Consecutive replies without a step.
    idle: u32,
    max_idle: u32,
    subgoals: usize,
    limit: u32,
    limits: Limits,
}

impl Pointer {
    /// Creates a pointer to the first of `subgoals` (at least one) of an episode of at most `limit` steps. The `max_idle`-th
    /// consecutive reply that only declares a sub-goal done counts as invalid.
    pub fn new(subgoals: usize, limit: u32, limits: Limits, max_idle: u32) -> Self {
        Self { active: 0, spent: 0, idle: 0, max_idle, subgoals: subgoals.max(1), limit, limits }
    }

    /// Returns the index of the active sub-goal, from 0.
    pub fn active(&self) -> usize {
        self.active
    }

    /// Returns the step budget of sub-goal `k`, or `None` for the last one, which has no limit.
    pub fn budget(&self, k: usize) -> Option<u32> {
        let count = self.subgoals as u32;
        if k + 1 >= self.subgoals {
            return None;
        }
        Some(match &self.limits {
            Limits::Declared { min_steps } => (3 * self.limit).div_ceil(2 * count).max(*min_steps),
            Limits::Even => self.limit / count + u32::from((k as u32) < self.limit % count),
            Limits::Recorded(lengths) => *lengths.get(k)?,
        })
    }

    /// Whether a reply can end a sub-goal.
    fn ends_declared(&self) -> bool {
        matches!(self.limits, Limits::Declared { .. })
    }

    /// Returns the effect of a reply and counts its step, if any.
    pub fn reply(&mut self, has_action: bool, done: bool) -> Effect {
        if !has_action && done && self.ends_declared() {
            self.idle += 1;
            if self.idle < self.max_idle {
                return Effect::Idle;
            }
        }
        self.idle = 0;
        self.spent += 1;
        if has_action { Effect::Act } else { Effect::Invalid }
    }

    /// Moves to the next sub-goal if the active one has ended. Returns whether it moved, and whether the budget was the
    /// only reason for the end.
    pub fn advance(&mut self, done: bool) -> (bool, bool) {
        let done = done && self.ends_declared();
        let forced = !done && self.budget(self.active).is_some_and(|budget| self.spent >= budget);
        if !done && !forced {
            return (false, false);
        }
        self.spent = 0;
        let more = self.active + 1 < self.subgoals;
        self.active += usize::from(more);
        (more, forced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::himac::{MAX_IDLE, MAX_SUBGOALS, MIN_SUBGOAL_STEPS};
    use serde_json::Value;

    #[test]
    fn golden_pointers() {
        let golden: Value = serde_json::from_str(include_str!("../../../../tests/golden.json")).unwrap();
        let cases = golden["cases"].as_array().unwrap().iter();
        let cases: Vec<_> =
            cases.filter(|case| case["id"].as_str().unwrap().starts_with("himac_pointer")).collect();
        assert_eq!(cases.len(), 3);
        for case in cases {
            let number = |name: &str| case["inputs"][name].as_u64().unwrap();
            let fixed = case["inputs"]["fixed"].as_bool().unwrap_or(false);
            let declared = Limits::Declared { min_steps: MIN_SUBGOAL_STEPS };
            let limits = if fixed { Limits::Even } else { declared };
            let mut pointer = Pointer::new(number("K") as usize, number("T_max") as u32, limits, MAX_IDLE);
            let expected = &case["expected"];
            match &expected["budget_per_subgoal"] {
                Value::Array(budgets) => {
                    let all = [budgets[0].as_u64(), budgets[1].as_u64()];
                    assert_eq!([0, 1].map(|k| pointer.budget(k).map(u64::from)), all);
                }
                budget => assert_eq!(pointer.budget(0).map(u64::from), budget.as_u64()),
            }
            let mut steps = 0;
            let rows = expected["trace"].as_array().unwrap();
            for (place, row) in rows.iter().enumerate() {
                let text = case["inputs"]["replies"][place].as_str().unwrap();
                let effect = pointer.reply(text.contains('a'), text.contains('s'));
                let (_, forced) = pointer.advance(text.contains('s'));
                steps += u64::from(effect != Effect::Idle);
                let what = format!("{} row {place}", case["id"]);
                assert_eq!(Some(effect != Effect::Idle), row["env_step"].as_bool(), "{what}");
                assert_eq!(Some(pointer.active() as u64 + 1), row["pointer_after"].as_u64(), "{what}");
                assert_eq!(Some(forced), row["forced"].as_bool(), "{what}");
                assert_eq!(Some(steps), row["steps"].as_u64(), "{what}");
            }
            let all = case["inputs"]["replies"].as_array().unwrap().len();
            assert_eq!(Some(steps >= number("T_max")), expected["truncated"].as_bool());
            assert!(rows.len() == all || steps >= number("T_max"));
        }
    }

    #[test]
    fn a_short_episode_has_the_minimum_budget() {
        let budget = |min_steps| Pointer::new(3, 4, Limits::Declared { min_steps }, MAX_IDLE).budget(0);
        assert_eq!([1, 2, MIN_SUBGOAL_STEPS, 9].map(budget), [Some(2), Some(2), Some(4), Some(9)]);
    }

    #[test]
    fn golden_blueprints() {
        let golden: Value = serde_json::from_str(include_str!("../../../../tests/golden.json")).unwrap();
        let mut cases = golden["cases"].as_array().unwrap().iter();
        let case = cases.find(|case| case["id"] == "himac_parse_blueprint").unwrap();
        let texts = case["inputs"]["texts"].as_array().unwrap().iter();
        for (text, expected) in texts.zip(case["expected"].as_array().unwrap()) {
            let found = stepladder_core::blueprint::parse(text.as_str().unwrap(), MAX_SUBGOALS);
            assert_eq!(serde_json::to_value(found).unwrap(), *expected, "{text}");
        }
    }
}
