//! The table of a comparison.

use std::collections::BTreeSet;

use super::Row;
use crate::results;
use crate::statistics::Estimate;
use crate::table::percent;

/// Renders heading, notes, table and a line about the intervals.
pub(super) fn render(target: &str, rows: &[Row], notes: &[String]) -> String {
    let notes: String = notes.iter().map(|note| format!("* {note}\n")).collect();
    let notes = if notes.is_empty() { notes } else { notes + "\n" };
    let tasks = |row: &Row| match row.results.tasks().len() {
        0 => row.n.first().copied().unwrap_or(0) as usize,
        tasks => tasks,
    };
    let kinds: Vec<_> =
        rows.iter().map(|row| (row.agent.as_str(), row.scope, row.seeds.len(), tasks(row))).collect();
    let gains = rows.iter().filter(|row| row.gain.is_some()).count();
    format!("{}\n\n{notes}{}\n{}", heading(target, rows), body(rows), results::caption(&kinds, gains))
}

/// Renders the score per seed, its mean and interval.
fn score_cells(row: &Row) -> String {
    let seeds = results::by_seed(&row.seeds, row.score.iter().copied());
    let mean = row.score_mean.map_or("-".to_owned(), |Estimate { mean, interval: [low, high], .. }| {
        format!("{mean:.1} [{low:.1}, {high:.1}]")
    });
    format!(" {seeds} | {mean} |")
}

/// Renders the split and the subsets that were played.
fn heading(target: &str, rows: &[Row]) -> String {
    let subsets: BTreeSet<&str> = rows.iter().flat_map(|row| &row.subsets).map(String::as_str).collect();
    std::iter::once(target).chain(subsets).collect::<Vec<_>>().join(", ")
}

/// Renders the rows as a Markdown table.
fn body(rows: &[Row]) -> String {
    let scored = rows.iter().any(|row| !row.score.is_empty());
    let plain = "| agent | success by seed | mean | 95 % interval | n | steps | tokens/step | unparsable | \
                 invalid | training minutes | training Mtokens |\n|---|---|---|---|---|---|---|---|---|---|---|\n";
    let mut text = plain.to_owned();
    let capped: String = rows
        .iter()
        .filter(|row| !row.capped.is_empty())
        .map(|row| {
            let seeds: Vec<String> = row.capped.iter().map(u64::to_string).collect();
            format!("{}: a cap on minutes ended training early (seed {})\n", row.agent, seeds.join(", "))
        })
        .collect();
    if scored {
        text = text.replacen("| agent |", "| agent | score by seed | mean score |", 1).replacen(
            "|---|",
            "|---|---|---|",
            1,
        );
    }
    let shortened = rows.iter().any(|row| row.shortened_share.is_some_and(|share| share > 0.0));
    if shortened {
        text = text.replacen("| invalid |", "| invalid | shortened |", 1).replacen("|---|", "|---|---|", 1);
    }
    let gained = rows.iter().any(|row| row.gain.is_some());
    if gained {
        text = text.replacen("Mtokens |", "Mtokens | gain in points: by seed; mean [95 %], p |", 1);
        text.insert_str(text.len() - 1, "---|");
    }
    for row in rows {
        let mut episodes = row.n.clone();
        episodes.dedup();
        let episodes: Vec<String> = episodes.iter().map(u64::to_string).collect();
        let mut shares = vec![row.unparsable_share, row.invalid_share];
        shares.extend(shortened.then_some(row.shortened_share));
        let shares: Vec<String> =
            shares.into_iter().map(|share| share.map_or("-".to_owned(), percent)).collect();
        text.push_str(&format!(
            "| {} |{} {} | {:.1} % | [{:.1}, {:.1}] | {} | {:.2} | {:.1} | {} | {:.1} | {:.1} |{}\n",
            row.agent,
            if scored { score_cells(row) } else { String::new() },
            results::by_seed(&row.seeds, row.success.iter().map(|success| 100.0 * success)),
            100.0 * row.mean,
            100.0 * row.interval[0],
            100.0 * row.interval[1],
            episodes.join(", "),
            row.mean_steps,
            row.tokens_per_step,
            shares.join(" | "),
            row.training_minutes,
            row.training_mtokens,
            match &row.gain {
                Some(gain) => format!(" {} |", gain.cell()),
                None if gained => " |".to_owned(),
                None => String::new(),
            },
        ));
    }
    if !capped.is_empty() {
        text.insert_str(0, &(capped + "\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::{Comparison, Gain};
    use super::*;
    use crate::envs::Chosen;
    use crate::statistics::{Difference, Scope};

    #[test]
    fn scores_and_gains_have_columns_of_their_own() {
        let scored = || {
            let mut row = Row::new("step_hrl", "household/dev");
            (row.seeds, row.success, row.n) = (vec![1, 2], vec![0.5, 0.5], vec![100; 2]);
            row.score = vec![80.0, 84.0];
            row.finish();
            let (mean, interval, scope) = (82.0, [79.5, 84.5], Scope::SeedsAndTasks);
            row.score_mean = Some(Estimate { mean, interval, scope });
            row
        };
        let columns = |table: &str| table.lines().map(|line| line.matches('|').count()).collect::<Vec<_>>();
        let table = body(&[scored()]);
        assert_eq!(columns(&table), [14, 14, 14], "{table}");
        assert!(table.contains("| 1: 80.0, 2: 84.0 | 82.0 [79.5, 84.5] | 1: 50.0, 2: 50.0 |"), "{table}");

        let gain = Gain {
            over: "bc".into(),
            by_seed: vec![-2.0, 1.0],
            difference: Difference {
                difference: -0.5,
                interval: [-3.0, 2.0],
                p: 0.4,
                p_holm: 0.8,
                scope: Scope::SeedsAndTasks,
                tasks: 100,
            },
        };
        let table = body(&[scored(), Row { gain: Some(gain), ..scored() }]);
        assert_eq!(columns(&table), [15, 15, 15, 15], "{table}");
        assert!(table.ends_with("| bc: -2.0, +1.0; -0.5 [-3.0, +2.0], p 0.400 (Holm 0.800) |\n"), "{table}");
    }

    #[test]
    fn shares_are_shown_and_an_unknown_one_is_not_zero() {
        let row = |shares: [Option<f64>; 3]| {
            let mut row = Row::new("flat", "household/dev");
            (row.seeds, row.success, row.n) = (vec![1, 2], vec![0.5, 0.5], vec![100; 2]);
            [row.unparsable_share, row.invalid_share, row.shortened_share] = shares;
            row.finish();
            row
        };
        let table = body(&[row([Some(0.5), Some(0.0), Some(0.0)]), row([None; 3])]);
        assert!(!table.contains("shortened"), "{table}");
        assert!(table.contains("| 0.0 | 25.0 % | 0.0 % | 0.0 |"), "{table}");
        assert!(table.contains("| 0.0 | - | - | 0.0 |"), "{table}");
        let table = body(&[row([Some(0.0), Some(0.25), Some(0.02)])]);
        assert!(table.contains("| unparsable | invalid | shortened | training minutes |"), "{table}");
        assert!(table.contains("| 0.0 | 0.0 % | 12.5 % | 1.0 % | 0.0 |"), "{table}");
        let columns = |line: &str| line.matches('|').count();
        assert!(table.lines().all(|line| columns(line) == 13), "{table}");
    }

    #[test]
    fn the_heading_names_options_and_subsets() {
        let first = |options: Chosen| {
            let subsets = ["a sample of 24 of 200 tasks".to_owned()].into();
            let rows = vec![Row { subsets, options, ..Row::new("flat", "household/dev") }];
            let notes = Vec::new();
            let text = Comparison { target: "webshop/dev".to_owned(), rows, notes }.markdown();
            text.lines().next().unwrap_or_default().to_owned()
        };
        let short = [("pages".to_owned(), "short".to_owned())].into();
        assert_eq!(first(short), "webshop/dev, pages=short, a sample of 24 of 200 tasks");
        assert_eq!(first(Chosen::new()), "webshop/dev, a sample of 24 of 200 tasks");
    }

    #[test]
    fn the_mean_has_an_interval_over_seeds_and_tasks() {
        let mut row = Row::new("flat", "household/dev");
        (row.seeds, row.n) = (vec![1, 2, 3], vec![140; 3]);
        for (seed, solved) in [(1, 126), (2, 140), (3, 133)] {
            row.success.push(f64::from(solved) / 140.0);
            let won = |task: i32| f64::from(u8::from(task < solved));
            row.played(seed, (0..140).map(|task| (format!("{task:03}"), won(task))).collect(), None);
        }
        row.mean_steps = 24.0;
        row.finish();
        assert!((row.mean - 0.95).abs() < 1e-12 && row.mean_steps == 8.0, "{row:?}");
        // Three seeds at 90, 95 and 100 %: wider than the Wilson interval of the median one, [90.0, 97.6].
        assert!(row.interval[0] < 0.88 && row.interval[1] > 0.975 && row.interval[1] < 1.0, "{row:?}");
        let table = render("household/dev", &[row], &[]);
        let line = table.lines().nth(4).unwrap();
        assert!(line.starts_with("| flat | 1: 90.0, 2: 100.0, 3: 95.0 | 95.0 % | ["), "{table}");
        assert!(
            table.ends_with(
                "\nIntervals: 95 %, over seeds and tasks (3 seeds, 140 tasks). See docs/statistics.md.\n"
            ),
            "{table}"
        );
    }
}
