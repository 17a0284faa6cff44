//! The table at the end.

use serde_json::{Value, json};
use stepladder_agent::evaluation::{Evaluation, Summary};

/// One evaluated agent.
pub(crate) struct Line {
    /// Name in the table.
    pub(crate) name: String,
    /// What came out.
    pub(crate) evaluation: Evaluation,
}

/// Lines of one environment and split, with a block per task family.
pub(crate) fn render(title: &str, lines: &[Line]) -> String {
    let mut rows: Vec<Vec<String>> = vec![
        ["agent", "tasks", "n", "success", "95 % interval", "steps", "tokens/step", "new/step", "loops"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for line in lines {
        let tokens = |pick: fn(&stepladder_agent::evaluation::TokensPerStep) -> f64| {
            let total: f64 = line.evaluation.tokens_per_step.values().map(pick).sum();
            if total > 0.0 { format!("{total:.1}") } else { "-".to_owned() }
        };
        let mut cells = summary_cells(&line.name, "all", &line.evaluation.all);
        cells.push(tokens(|role| role.prompt + role.new));
        cells.push(tokens(|role| role.new));
        cells.push(format!("{:.1} %", 100.0 * line.evaluation.loops));
        rows.push(cells);
    }
    for line in lines {
        for (family, summary) in &line.evaluation.per_type {
            let mut cells = summary_cells(&line.name, family, summary);
            cells.resize(9, String::new());
            rows.push(cells);
        }
    }
    format!("{title}\n{}", align(&rows))
}

fn summary_cells(name: &str, tasks: &str, summary: &Summary) -> Vec<String> {
    vec![
        name.to_owned(),
        tasks.to_owned(),
        summary.n.to_string(),
        format!("{:.1} %", 100.0 * summary.success),
        format!("[{:.1}, {:.1}]", 100.0 * summary.interval[0], 100.0 * summary.interval[1]),
        format!("{:.2}", summary.mean_steps),
    ]
}

/// Columns as wide as their widest cell; the first two to the left, numbers to the right.
pub(crate) fn align(rows: &[Vec<String>]) -> String {
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

/// The public form of an evaluation (design 5).
pub(crate) fn json(
    env: &str,
    split: &str,
    agent: &str,
    checkpoint: &str,
    commit: &str,
    evaluation: &Evaluation,
) -> Value {
    let all = &evaluation.all;
    json!({
        "env": env,
        "split": split,
        "agent": agent,
        "n": all.n,
        "success": all.success,
        "score": all.score,
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
    })
}
