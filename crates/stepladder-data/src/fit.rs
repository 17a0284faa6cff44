//! Shortening of prompts that exceed the model's context window (docs/spec/algorithms.md 1.4). Fixed parts (instruction,
//! task, subtask) are never cut. The observation is cut from its end; histories lose their oldest entries first. If that is
//! not enough, the progress text is cut from its end too: an untrained model writes long ones, and a single text must not end
//! an evaluation.

use stepladder_core::Query;

/// Removes one part of `query`. Returns false if only fixed parts are left.
///
/// ```
/// use stepladder_core::Query;
/// let mut query = Query::Flat {
///     task: "t".into(),
///     context: "room".into(),
///     history: vec![("old".into(), "x".into()), ("new".into(), "y".into())],
/// };
/// assert!(stepladder_data::fit::shrink(&mut query));
/// let Query::Flat { history, .. } = &query else { unreachable!() };
/// assert_eq!(history, &[("new".to_owned(), "y".to_owned())]);
/// ```
pub fn shrink(query: &mut Query) -> bool {
    match query {
        Query::Flat { context, history, .. } => {
            if history.is_empty() {
                return cut_end(context);
            }
            history.remove(0);
            true
        }
        Query::Planner { earlier, observation, progress, .. } => {
            if !earlier.is_empty() {
                earlier.remove(0);
                return true;
            }
            cut_end(&mut observation.feedback) || cut_end(&mut observation.context) || cut_end(progress)
        }
        Query::Macro { observation, .. } => {
            cut_end(&mut observation.feedback) || cut_end(&mut observation.context)
        }
        Query::Micro { history, observation, blueprint, active, .. } => {
            if !history.is_empty() {
                history.remove(0);
                return true;
            }
            if cut_end(&mut observation.feedback) || cut_end(&mut observation.context) {
                return true;
            }
            // The model writes the blueprint too, so it may be too long; sub-goals far from the active one go first.
            if blueprint.len() > 1 {
                if *active + 1 < blueprint.len() {
                    blueprint.pop();
                } else {
                    blueprint.remove(0);
                    *active -= 1;
                }
                return true;
            }
            blueprint.first_mut().is_some_and(cut_end)
        }
        Query::Executor { observation, progress, .. } | Query::Progress { observation, progress, .. } => {
            cut_end(&mut observation.feedback) || cut_end(&mut observation.context) || cut_end(progress)
        }
    }
}

/// Removes the last quarter of the words, at least one. Returns false if no word was left.
fn cut_end(text: &mut String) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.is_empty() {
        return false;
    }
    let keep = words.len() - words.len().div_ceil(4);
    *text = words[..keep].join(" ");
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepladder_core::Observation;

    #[test]
    fn shrinking_ends_and_keeps_the_fixed_parts() {
        let observation = Observation { feedback: "a b c d e f".into(), context: "g h".into() };
        let mut query = Query::Planner {
            task: "the task".into(),
            earlier: vec!["g1".into(), "g2".into()],
            progress: "p".into(),
            observation,
        };
        let mut rounds = 0;
        while shrink(&mut query) {
            rounds += 1;
            assert!(rounds < 100);
        }
        let Query::Planner { task, earlier, progress, observation } = &query else { panic!("role changed") };
        assert_eq!(task, "the task");
        assert!(earlier.is_empty() && observation.text().is_empty() && progress.is_empty());
    }

    #[test]
    fn what_is_far_from_the_active_sub_goal_goes_first() {
        let mut query = Query::Micro {
            task: "the task".into(),
            blueprint: ["g0", "g1 now", "g2", "g3"].map(str::to_owned).into(),
            active: 1,
            history: vec![("o".into(), "a".into())],
            observation: Observation { feedback: String::new(), context: String::new() },
        };
        let mut left = Vec::new();
        while shrink(&mut query) {
            let Query::Micro { blueprint, active, history, .. } = &query else { panic!("role changed") };
            left.push((blueprint.len(), history.len(), blueprint[*active].clone()));
        }
        let now = |goals: usize, pairs: usize| (goals, pairs, "g1 now".to_owned());
        assert_eq!(left[..4], [now(4, 0), now(3, 0), now(2, 0), now(1, 0)]);
        assert_eq!(left[4..], [(1, 0, "g1".to_owned()), (1, 0, String::new())]);
    }

    #[test]
    fn a_progress_text_is_cut_only_when_no_observation_is_left() {
        let observation = Observation { feedback: "a b".into(), context: "c".into() };
        let mut query =
            Query::Executor { subtask: "the subtask".into(), observation, progress: "p q r s".into() };
        let mut progresses = Vec::new();
        while shrink(&mut query) {
            let Query::Executor { progress, observation, .. } = &query else { panic!("role changed") };
            progresses.push((progress.clone(), observation.text()));
        }
        assert_eq!(progresses[2], ("p q r s".to_owned(), String::new()));
        assert_eq!(progresses[3].0, "p q r");
        assert_eq!(progresses.last().map(|(progress, _)| progress.as_str()), Some(""));
    }
}
