//! Selection of the blueprint that phase B executes.

use rand::RngExt;
use stepladder_core::seed::Rng;

use super::config::{AllFailed, Degenerate, HimacConfig};
use crate::ops::group::is_degenerate;

stepladder_core::choices! {
    /// Blueprint that phase B executes.
    pub enum Selection {
        /// The blueprint with the highest return.
        Best = "best",
        /// A random readable blueprint (ablation).
        Random = "random",
    }
}

/// Returns the index of the blueprint with the highest return; ties: fewer sub-goals, then the lower index. None without
/// blueprints.
///
/// ```
/// use stepladder_algo::himac::best_blueprint;
/// assert_eq!(best_blueprint(&[0.0, 9.0, 9.0], &[1, 3, 2]), Some(2));
/// ```
pub fn best_blueprint(returns: &[f64], subgoals: &[usize]) -> Option<usize> {
    (0..returns.len()).min_by(|&a, &b| {
        returns[b].total_cmp(&returns[a]).then(subgoals[a].cmp(&subgoals[b])).then(a.cmp(&b))
    })
}

/// Blueprint of a task in phase B.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Chosen {
    /// These sub-goals; for none the task is the only sub-goal.
    Follow(Vec<String>),
    /// The policy's greedy blueprint.
    Greedy,
    /// The task is left out.
    Skip,
}

/// Selects z* among the blueprints of a group; `None` is one that could not be read. `returns` are those of the blueprints, `solved` says
/// whether any of their episodes solved the task.
pub(super) fn choose(
    rules: &HimacConfig,
    selection: Selection,
    (returns, solved): (&[f64], bool),
    mut blueprints: Vec<Option<Vec<String>>>,
    rng: &mut Rng,
) -> Chosen {
    let alike = is_degenerate(returns);
    if alike && !solved && rules.all_failed == AllFailed::Skip {
        return Chosen::Skip;
    }
    let index = match selection {
        Selection::Best if alike && rules.degenerate == Degenerate::Greedy => return Chosen::Greedy,
        Selection::Best => {
            let lens: Vec<usize> =
                blueprints.iter().map(|found| found.as_ref().map_or(0, Vec::len)).collect();
            best_blueprint(returns, &lens)
        }
        Selection::Random => {
            let readable: Vec<usize> =
                (0..blueprints.len()).filter(|&index| blueprints[index].is_some()).collect();
            (!readable.is_empty()).then(|| readable[rng.random_range(0..readable.len())])
        }
    };
    Chosen::Follow(index.and_then(|index| blueprints[index].take()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepladder_core::seed::stream;

    const ALIKE: [f64; 3] = [5.0; 3];

    fn chosen(rules: HimacConfig, selection: Selection, returns: &[f64], solved: bool) -> Chosen {
        let plan = |words: &[&str]| Some(words.iter().map(|&word| word.to_owned()).collect());
        let blueprints = vec![plan(&["a", "b"]), plan(&["c"]), None];
        choose(&rules, selection, (returns, solved), blueprints, &mut stream(1, "test", &[]))
    }

    fn follow(words: &[&str]) -> Chosen {
        Chosen::Follow(words.iter().map(|&word| word.to_owned()).collect())
    }

    #[test]
    fn a_group_with_differences_follows_its_best_blueprint() {
        for rules in [HimacConfig::default(), HimacConfig::BEFORE] {
            for solved in [false, true] {
                assert_eq!(chosen(rules, Selection::Best, &[9.0, 1.0, -1.0], solved), follow(&["a", "b"]));
            }
        }
    }

    #[test]
    fn a_group_without_differences_follows_the_greedy_blueprint() {
        assert_eq!(chosen(HimacConfig::default(), Selection::Best, &ALIKE, true), Chosen::Greedy);
        let fewest = HimacConfig { degenerate: Degenerate::Fewest, ..HimacConfig::default() };
        let read = [5.0, 5.0, 4.0];
        assert_eq!(chosen(fewest, Selection::Best, &read, true), follow(&["c"]));
    }

    #[test]
    fn a_group_that_failed_without_differences_is_left_out() {
        assert_eq!(chosen(HimacConfig::default(), Selection::Best, &ALIKE, false), Chosen::Skip);
        let train = HimacConfig { all_failed: AllFailed::Train, ..HimacConfig::default() };
        assert_eq!(chosen(train, Selection::Best, &ALIKE, false), Chosen::Greedy);
    }

    #[test]
    fn a_random_blueprint_is_one_that_can_be_read() {
        let random = |returns| chosen(HimacConfig::BEFORE, Selection::Random, returns, true);
        assert!([follow(&["a", "b"]), follow(&["c"])].contains(&random(&ALIKE)));
    }
}
