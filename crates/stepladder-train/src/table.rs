//! Final table of a run.

use serde_json::{Value, json};
use stepladder_env::Subset;
use stepladder_rollout::evaluation::{Evaluation, Summary};

/// One evaluated agent.
pub struct Line {
    /// Name in the table.
    pub name: String,
    /// Results of the agent.
    pub evaluation: Evaluation,
}

/// Renders the lines of one environment and split, with a block per task family.
pub fn render(title: &str, lines: &[Line]) -> String {
    let scored = lines.iter().any(|line| line.evaluation.score_range.is_some());
    let score = ["score", "95 % interval"].into_iter().filter(|_| scored);
    let head = ["agent", "tasks", "n"].into_iter().chain(score).chain([
        "success",
        "95 % interval",
        "steps",
        "tokens/step",
        "new/step",
        "loops",
    ]);
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
        cells.push(format!("{:.1} %", 100.0 * line.evaluation.loops));
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

/// Returns the public JSON form of an evaluation of a split, or of some of its tasks.
pub fn json(
    (env, split, subset): (&str, &str, &Subset),
    agent: &str,
    checkpoint: &str,
    commit: &str,
    evaluation: &Evaluation,
) -> Value {
    let all = &evaluation.all;
    let mut value = json!({
        "env": env,
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
        "cut": evaluation.cut,
        "errors": evaluation.errors,
        "checkpoint": checkpoint,
        "commit": commit,
    });
    if let Some(range) = evaluation.score_range {
        value["score_range"] = json!(range);
    }
    value
}
