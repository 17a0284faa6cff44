//! Whether the sub-goals that a micro policy declares done were carried out (docs/spec/algorithms.md 9.2).
//!
//! The witness is the environment's expert as STEP-HRL executor: it reads the sub-goal and the observation before the last action, and
//! says which action completes the sub-goal. It knows no more than the prompt does.

use stepladder_core::Observation;
use stepladder_core::label::Expert;
use stepladder_core::trace::Episode;

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

/// Returns, for each subtask of an episode, whether the expert confirms one of its declarations.
fn confirmed(expert: &dyn Expert, episode: &Episode) -> Vec<bool> {
    let mut seen = Observation::first(&episode.start);
    let mut found = Vec::with_capacity(episode.subtasks.len());
    for subtask in &episode.subtasks {
        let mut carried_out = false;
        for step in &subtask.steps {
            carried_out |=
                step.finished && expert.completes(&subtask.text, &seen, &step.action, &step.observation);
            seen.feedback.clone_from(&step.observation);
            if let Some(context) = &step.context {
                seen.context.clone_from(context);
            }
        }
        found.push(carried_out);
    }
    found
}

/// Counts the sub-goals of an episode of HiMAC. An expert that does not play the executor confirms none.
pub fn followed(expert: &dyn Expert, episode: &Episode) -> Followed {
    let carried_out = confirmed(expert, episode).into_iter().filter(|confirmed| *confirmed).count();
    let begun = episode.subtasks.iter().filter(|subtask| !subtask.steps.is_empty()).count();
    // Replies that only declare cost no step, and end what no step began.
    let declared = episode.steps().map(|step| step.idle.len() + usize::from(step.finished)).sum();
    Followed { begun, declared, carried_out }
}

/// Keeps the first subtasks of an episode, up to the first that the expert does not confirm, and removes the planner's replies: what
/// is left is an episode whose sub-goals were given, all of them carried out.
pub fn given(expert: &dyn Expert, mut episode: Episode) -> Episode {
    let count = confirmed(expert, &episode).into_iter().take_while(|confirmed| *confirmed).count();
    episode.subtasks.truncate(count);
    for subtask in &mut episode.subtasks {
        subtask.turn = None;
    }
    episode
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepladder_core::trace::Turn;
    use stepladder_core::{Query, Role};

    /// Action, declaration and answer of a step.
    type Played<'a> = (&'a str, bool, &'a str);

    /// Takes what is shown, where that is what the sub-goal names; gives a sub-goal without a name back.
    struct Taker;

    impl Expert for Taker {
        fn reply(&self, query: &Query) -> Option<String> {
            let Query::Executor { subtask, observation, .. } = query else { return None };
            if subtask.is_empty() {
                return Some("look; True".to_owned());
            }
            let there = observation.feedback.contains(subtask.as_str());
            Some(if there { format!("take {subtask} 1; True") } else { "look; False".to_owned() })
        }

        fn answers(&self, role: Role) -> bool {
            role == Role::Executor
        }

        fn gives_back(&self) -> Option<&str> {
            Some("look")
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
        // What the expert gives back was not carried out.
        assert_eq!(played("a mug", &[("", &[("look", true, "a mug")])]), counts(1, 1, 0));
        // Carried out once, however often the last sub-goal is declared.
        let again: (&str, &[_]) = ("mug", &[("take mug 1", true, "a mug"), ("take mug 1", true, "")]);
        assert_eq!(played("a mug", &[again]), counts(1, 2, 1));
        assert_eq!(counts(2, 2, 1).rate(), Some(0.5));
        // Given sub-goals are kept up to the first that was not carried out.
        episode.subtasks[0].turn = Some(Turn::said(Role::Planner, "mug"));
        let mut other = episode.subtasks[0].clone();
        other.text = "cup".to_owned();
        episode.subtasks.extend([other, episode.subtasks[0].clone()]);
        let kept = given(&Taker, episode);
        assert_eq!(kept.subtasks.len(), 1);
        assert!(kept.subtasks[0].turn.is_none() && !kept.subtasks[0].steps.is_empty());
        assert_eq!(Followed::default().rate(), None);
    }
}
