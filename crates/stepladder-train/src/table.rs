//! Final table of a run.

use serde_json::{Value, json};
use stepladder_env::Subset;
use stepladder_rollout::evaluation::{Evaluation, Summary};

use crate::envs::{self, Registered};

/// One evaluated agent.
pub struct Line {
    /// Name in the table; that of constrained decoding ends in ", constrained".
    pub name: String,
    /// Results of the agent.
    pub evaluation: Evaluation,
}

/// Returns the name of an agent's line with constrained decoding, which follows its line without.
pub(crate) fn constrained(name: &str) -> String {
    format!("{name}, constrained")
}

/// Renders a fraction; a count above zero is not shown as zero.
pub(crate) fn percent(fraction: f64) -> String {
    if fraction > 0.0 && fraction < 0.0005 {
        "<0.05 %".to_owned()
    } else {
        format!("{:.1} %", 100.0 * fraction)
    }
}

/// Renders the lines of one environment and split, with a block per task family. `unparsable` is the fraction of replies that
/// could not be parsed, `invalid` that of actions that the environment did not understand, and `shortened` that of prompts that
/// were shortened to fit into the context window, if there are any.
pub fn render(title: &str, lines: &[Line]) -> String {
    let shortened = lines.iter().any(|line| line.evaluation.shortened_share > 0.0);
    let scored = lines.iter().any(|line| line.evaluation.score_range.is_some());
    let score = ["score", "95 % interval"].into_iter().filter(|_| scored);
    let head = ["agent", "tasks", "n"]
        .into_iter()
        .chain(score)
        .chain([
            "success",
            "95 % interval",
            "steps",
            "tokens/step",
            "new/step",
            "loops",
            "unparsable",
            "invalid",
        ])
        .chain(shortened.then_some("shortened"));
    let mut rows: Vec<Vec<String>> = vec![head.map(str::to_owned).collect()];
    let columns = rows[0].len();
    for line in lines {
        let tokens = |pick: fn(&stepladder_rollout::evaluation::TokensPerStep) -> f64| {
            let total: f64 = line.evaluation.tokens_per_step.values().map(pick).sum();
            if total > 0.0 { format!("{total:.1}") } else { "-".to_owned() }
        };
        let mut cells = summary_cells(&line.name, "all", &line.evaluation.all, scored);
        cells.push(tokens(|role| role.prompt + role.new));
        cells.push(tokens(|role| role.new));
        let Evaluation { loops, unparsable_share, invalid_share, shortened_share, .. } = line.evaluation;
        cells.extend([loops, unparsable_share, invalid_share].map(percent));
        cells.extend(shortened.then(|| percent(shortened_share)));
        rows.push(cells);
    }
    for line in lines {
        for (family, summary) in &line.evaluation.per_type {
            let mut cells = summary_cells(&line.name, family, summary, scored);
            cells.resize(columns, String::new());
            rows.push(cells);
        }
    }
    format!("{title}\n{}", align(&rows))
}

/// Renders the cells of a summary; the score in points of 100.
fn summary_cells(name: &str, tasks: &str, summary: &Summary, scored: bool) -> Vec<String> {
    let range = |[low, high]: [f64; 2]| format!("[{:.1}, {:.1}]", 100.0 * low, 100.0 * high);
    let mut cells = vec![name.to_owned(), tasks.to_owned(), summary.n.to_string()];
    if scored {
        cells.extend([format!("{:.1}", 100.0 * summary.score), range(summary.score_interval)]);
    }
    cells.extend([
        format!("{:.1} %", 100.0 * summary.success),
        range(summary.interval),
        format!("{:.2}", summary.mean_steps),
    ]);
    cells
}

/// Aligns columns to their widest cell: the first two to the left, the others to the right.
pub fn align(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(
                |(column, (cell, &width))| {
                    if column < 2 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
                },
            )
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Returns the public JSON form of an evaluation of a split, or of some of its tasks. `options` holds the options of the environment
/// that differ from their defaults, if any do.
pub fn json(
    (env, split, subset): (&Registered, &str, &Subset),
    agent: &str,
    checkpoint: &str,
    commit: &str,
    evaluation: &Evaluation,
) -> Value {
    let all = &evaluation.all;
    let mut value = json!({
        "env": env.spec().id,
        "split": split,
        "split_tasks": subset.of,
        "subset": subset.text(),
        "agent": agent,
        "n": all.n,
        "success": all.success,
        "score": all.score,
        "score_interval": all.score_interval,
        "interval": all.interval,
        "mean_steps": all.mean_steps,
        "mean_steps_won": all.mean_steps_won,
        "tokens_per_step": evaluation.tokens_per_step,
        "per_type": evaluation.per_type,
        "subtasks": evaluation.subtasks,
        "repeated_subtasks": evaluation.repeated_subtasks,
        "loops": evaluation.loops,
        "unparsable": evaluation.unparsable,
        "unparsable_share": evaluation.unparsable_share,
        "invalid_share": evaluation.invalid_share,
        "shortened_share": evaluation.shortened_share,
        "cut": evaluation.cut,
        "errors": evaluation.errors,
        "checkpoint": checkpoint,
        "commit": commit,
    });
    let options = envs::chosen(&env.options);
    if !options.is_empty() {
        value["options"] = json!(options);
    }
    if let Some(range) = evaluation.score_range {
        value["score_range"] = json!(range);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_columns_and_a_small_one_is_not_zero() {
        let line = |shortened_share| Line {
            name: "flat".to_owned(),
            evaluation: Evaluation {
                unparsable_share: 0.125,
                invalid_share: 0.000_04,
                shortened_share,
                ..Evaluation::default()
            },
        };
        let table = render("title", &[line(0.0)]);
        assert!(table.lines().nth(1).unwrap().ends_with("loops  unparsable  invalid"), "{table}");
        assert!(table.trim_end().ends_with("  12.5 %  <0.05 %"), "{table}");
        let table = render("title", &[line(0.0), line(1e-6)]);
        assert!(table.lines().nth(1).unwrap().ends_with("unparsable  invalid  shortened"), "{table}");
        assert!(table.trim_end().ends_with("  <0.05 %"), "{table}");
    }
}
