//! Whether the sub-goals that a micro policy declares done were carried out (docs/spec/algorithms.md 9.2).
//!
//! The witness is the environment's expert as STEP-HRL executor: it reads the sub-goal and the observation before the last action, and
//! says which action completes the sub-goal. It knows no more than the prompt does.

use stepladder_core::label::Expert;
use stepladder_core::query::NO_PROGRESS;
use stepladder_core::reply::{Profile, parse_action_done};
use stepladder_core::trace::Episode;
use stepladder_core::{Observation, Query};

/// Counts of the sub-goals of an episode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Followed {
    /// Sub-goals that became active and had a step.
    pub begun: usize,
    /// Declarations (`<sub_done>`).
    pub declared: usize,
    /// Sub-goals with a declaration that the expert confirms.
    pub carried_out: usize,
}

impl Followed {
    /// Adds the counts of another episode.
    pub fn add(&mut self, other: Self) {
        self.begun += other.begun;
        self.declared += other.declared;
        self.carried_out += other.carried_out;
    }

    /// Returns the fraction of the sub-goals that were carried out; none without sub-goals.
    pub fn rate(self) -> Option<f64> {
        (self.begun > 0).then(|| self.carried_out as f64 / self.begun as f64)
    }

    /// Returns `bonus` for each sub-goal that was carried out, minus half of it for each other declaration.
    ///
    /// ```
    /// use stepladder_agent::himac::Followed;
    /// assert_eq!(Followed { begun: 3, declared: 5, carried_out: 2 }.reward(1.0), 0.5);
    /// ```
    pub fn reward(self, bonus: f64) -> f64 {
        let wrong = self.declared.saturating_sub(self.carried_out);
        bonus * (self.carried_out as f64 - 0.5 * wrong as f64)
    }
}

/// Returns an action without the numbers of things: which of two mugs was taken does not matter.
fn kind(action: &str) -> Vec<&str> {
    let is_number = |word: &&str| word.bytes().all(|byte| byte.is_ascii_digit());
    action.split_whitespace().filter(|word| !is_number(word)).collect()
}

/// Counts the sub-goals of an episode of HiMAC. An expert that does not play the executor confirms none.
pub fn followed(expert: &dyn Expert, episode: &Episode) -> Followed {
    let mut seen = Observation::first(&episode.start);
    let mut counts = Followed::default();
    for subtask in &episode.subtasks {
        counts.begun += usize::from(!subtask.steps.is_empty());
        let mut carried_out = false;
        for step in &subtask.steps {
            // Replies that only declare cost no step, and end what no step began.
            counts.declared += step.idle.len() + usize::from(step.finished);
            if step.finished && !carried_out {
                let query = Query::Executor {
                    subtask: subtask.text.clone(),
                    observation: seen.clone(),
                    progress: NO_PROGRESS.to_owned(),
                };
                let told = expert.reply(&query).map(|reply| parse_action_done(&reply, Profile::Fixed));
                carried_out =
                    told.is_some_and(|told| told.finished && kind(&told.action) == kind(&step.action));
            }
            seen.feedback.clone_from(&step.observation);
            if let Some(context) = &step.context {
                seen.context.clone_from(context);
            }
        }
        counts.carried_out += usize::from(carried_out);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepladder_core::Role;

    /// Action, declaration and answer of a step.
    type Played<'a> = (&'a str, bool, &'a str);

    /// Takes what is shown, where that is what the sub-goal names.
    struct Taker;

    impl Expert for Taker {
        fn reply(&self, query: &Query) -> Option<String> {
            let Query::Executor { subtask, observation, .. } = query else { return None };
            let there = observation.feedback.contains(subtask.as_str());
            Some(if there { format!("take {subtask} 1; True") } else { "look; False".to_owned() })
        }

        fn answers(&self, role: Role) -> bool {
            role == Role::Executor
        }
    }

    #[test]
    fn a_sub_goal_counts_if_the_expert_would_have_ended_it_with_the_same_action() {
        let line = include_str!("../../../stepladder-core/tests/trace-v1.jsonl");
        let mut episode = stepladder_core::trace::read(line.as_bytes()).next().unwrap().unwrap();
        let mut step = episode.subtasks[0].steps[0].clone();
        (step.idle, step.context) = (Vec::new(), None);
        let mut played = |start: &str, subtasks: &[(&str, &[Played<'_>])]| {
            episode.start.text = start.to_owned();
            episode.subtasks.truncate(1);
            let bare = episode.subtasks[0].clone();
            let steps = |steps: &[Played<'_>]| {
                let with = |&(action, finished, observation): &Played<'_>| {
                    let mut step = step.clone();
                    (step.action, step.finished) = (action.to_owned(), finished);
                    step.observation = observation.to_owned();
                    step
                };
                steps.iter().map(with).collect()
            };
            episode.subtasks = subtasks
                .iter()
                .map(|(text, done)| {
                    let mut subtask = bare.clone();
                    (subtask.text, subtask.steps) = ((*text).to_owned(), steps(done));
                    subtask
                })
                .collect();
            followed(&Taker, &episode)
        };
        let counts = |begun, declared, carried_out| Followed { begun, declared, carried_out };
        // The second mug is as good as the first, and what is seen before the last action decides.
        let took: (&str, &[_]) = ("mug", &[("look", false, "a mug"), ("take mug 2", true, "taken")]);
        assert_eq!(played("a room", &[took]), counts(1, 1, 1));
        assert_eq!(played("a room", &[took, ("cup", &[("take cup 1", true, "")])]), counts(2, 2, 1));
        assert_eq!(played("a mug", &[("mug", &[("look", true, "a mug")])]), counts(1, 1, 0));
        assert_eq!(played("a mug", &[("mug", &[("take mug 1", false, "taken")])]), counts(1, 0, 0));
        // Carried out once, however often the last sub-goal is declared.
        let again: (&str, &[_]) = ("mug", &[("take mug 1", true, "a mug"), ("take mug 1", true, "")]);
        assert_eq!(played("a mug", &[again]), counts(1, 2, 1));
        assert_eq!(counts(2, 2, 1).rate(), Some(0.5));
        assert_eq!(Followed::default().rate(), None);
    }
}
