//! Comparison of several runs in one table.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;
use serde_json::Value;
use stepladder_rollout::evaluation::wilson;

use crate::config::AgentConfig;
use crate::directory::RunDir;
use crate::envs::{self, Chosen};
use crate::evaluated;
use crate::table::{self, percent};

mod gain;

use crate::error::{Result, bail};
use gain::Differences;
pub use gain::Gain;

/// Evaluations of the agents of several runs on one split.
#[derive(Debug)]
pub struct Comparison {
    /// Environment and split, as `ENV/SPLIT`.
    pub target: String,
    /// One row per agent.
    pub rows: Vec<Row>,
}

impl Comparison {
    /// Renders a heading and a Markdown table.
    pub fn markdown(&self) -> String {
        let options = self.rows.first().map(|row| envs::suffix(&row.options)).unwrap_or_default();
        let target = format!("{}{options}", self.target);
        format!("{}\n\n{}", heading(&target, &self.rows), markdown(&self.rows))
    }
}

/// Results of one agent in all runs that train it.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Name in the configurations; with constrained decoding `NAME, constrained`, in the row after its own.
    pub agent: String,
    /// Run seeds, in the order of the runs.
    pub seeds: Vec<u64>,
    /// Success rate per run.
    pub success: Vec<f64>,
    /// Mean score per run, in points of 100, if the benchmark defines a score.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub score: Vec<f64>,
    /// Half width of the 95 % interval of the score, per run.
    #[serde(skip)]
    spread: Vec<f64>,
    /// Episodes per run.
    pub n: Vec<u64>,
    /// Options of the environment that differ from their defaults; the same for all rows.
    #[serde(skip_serializing_if = "Chosen::is_empty")]
    pub options: Chosen,
    /// Descriptions of the subsets that were played, where a run did not play the whole split.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub subsets: BTreeSet<String>,
    /// Success rate of the median run.
    pub median: f64,
    /// 95 % Wilson interval over the episodes of the median run.
    pub interval: [f64; 2],
    /// Environment steps per episode, averaged over the runs.
    pub mean_steps: f64,
    /// Prompt and completion tokens per environment step, summed over the roles.
    pub tokens_per_step: f64,
    /// Fraction of the replies that could not be parsed, averaged over the runs; `None` if an evaluation of release 0.1.0 is
    /// among them, which did not record it. The same holds for the next two.
    pub unparsable_share: Option<f64>,
    /// Fraction of the actions that the environment did not understand.
    pub invalid_share: Option<f64>,
    /// Fraction of the prompts that were shortened to fit into the context window.
    pub shortened_share: Option<f64>,
    /// Training minutes of the agent and of the agents that it started from, without the time for collecting episodes.
    pub training_minutes: f64,
    /// Trained tokens in millions, of the same agents.
    pub training_mtokens: f64,
    /// Seeds of the runs in which a cap on minutes ended training early, for this agent or one that it started from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub capped: Vec<u64>,
    /// Gain over the agent that it started from, or over the requested agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gain: Option<Gain>,
    #[serde(skip)]
    differences: Vec<Differences>,
    #[serde(skip)]
    configured: Option<AgentConfig>,
}

/// Reads the evaluations of the runs on `target`. All results but the success rate are averaged over the runs. Gains are measured
/// against the agent named `over`, or against the agents that the others started from if it is `None`.
///
/// # Errors
/// If a run or an evaluation cannot be read, two runs have the same seed, two runs configure an agent differently, or two evaluations
/// are of different options of the environment.
pub fn compare(runs: &[PathBuf], target: &str, over: Option<&str>) -> Result<Comparison> {
    let mut rows: Vec<Row> = Vec::new();
    let mut options: Option<Chosen> = None;
    for path in runs {
        let (run, config, info) = RunDir::open(path)?;
        if let Some(over) = over {
            run.check_agent(&config, over)?;
        }
        for (agent, constrained) in config.agents.keys().flat_map(|agent| [(agent, false), (agent, true)]) {
            let shown = |name: &str| if constrained { table::constrained(name) } else { name.to_owned() };
            let stem = evaluated::stem(target, constrained);
            let evaluated = run.agent(agent).join(format!("{stem}.json"));
            if !evaluated.exists() {
                continue;
            }
            let evaluation = evaluated::read(&evaluated, target, agent)?;
            let own = evaluated::options(&evaluation);
            if *options.get_or_insert_with(|| own.clone()) != own {
                bail!(
                    "{}: {agent} played {target} with other options of the environment than in the first run",
                    path.display()
                );
            }
            let name = shown(agent);
            let row = match rows.iter_mut().position(|row| row.agent == name) {
                Some(at) => &mut rows[at],
                None => {
                    rows.push(Row::new(&name));
                    let last = rows.len() - 1;
                    &mut rows[last]
                }
            };
            row.options = own;
            let configured = &config.agents[agent];
            if row.configured.get_or_insert_with(|| configured.clone()) != configured {
                bail!("{}: {agent} is configured differently than in the first run", path.display());
            }
            if row.seeds.contains(&info.seed) {
                bail!(
                    "{}: another of these runs has seed {} too; compare each seed once",
                    path.display(),
                    info.seed
                );
            }
            row.seeds.push(info.seed);
            row.success.push(number(&evaluation, "success", &evaluated)?);
            if evaluation.get("score_range").is_some() {
                row.score.push(100.0 * number(&evaluation, "score", &evaluated)?);
                let end = |at: usize| evaluation["score_interval"][at].as_f64().unwrap_or(f64::NAN);
                row.spread.push(50.0 * (end(1) - end(0)));
            }
            let other = over.or(configured.from.as_deref()).filter(|other| *other != agent);
            let played = |name: &str| run.agent(name).join(format!("{stem}.jsonl.zst"));
            if let Some(other) = other.filter(|other| played(other).exists() && played(agent).exists()) {
                let range: Option<(f64, f64)> = serde_json::from_value(evaluation["score_range"].clone())?;
                row.differences.push(Differences::read(&played(agent), &played(other), range)?);
                row.gain = Gain::of(&shown(other), &row.differences);
            }
            row.n.push(number(&evaluation, "n", &evaluated)? as u64);
            row.subsets.extend(evaluation["subset"].as_str().map(str::to_owned));
            // Evaluations of older versions lack the number of tasks in the split; they played its first tasks.
            let limited =
                target == format!("{}/{}", config.env.id, config.eval.split) && config.eval.episodes > 0;
            if limited && evaluation.get("split_tasks").is_none() {
                row.subsets.insert(format!("the first {} tasks", evaluation["n"]));
            }
            row.mean_steps += number(&evaluation, "mean_steps", &evaluated)?;
            let roles = evaluation["tokens_per_step"].as_object().into_iter().flatten();
            row.tokens_per_step += roles
                .map(|(_, role)| role["prompt"].as_f64().unwrap_or(0.0) + role["new"].as_f64().unwrap_or(0.0))
                .sum::<f64>();
            for (sum, key) in [
                (&mut row.unparsable_share, "unparsable_share"),
                (&mut row.invalid_share, "invalid_share"),
                (&mut row.shortened_share, "shortened_share"),
            ] {
                *sum = sum.zip(evaluation[key].as_f64()).map(|(sum, share)| sum + share);
            }
            let cost = evaluated::cost(&run, &config, agent)?;
            row.training_minutes += cost.minutes;
            row.training_mtokens += cost.mtokens;
            row.capped.extend(cost.capped.then_some(info.seed));
        }
    }
    for row in &mut rows {
        row.finish();
    }
    Ok(Comparison { target: target.to_owned(), rows })
}

fn number(value: &Value, key: &str, path: &Path) -> Result<f64> {
    Ok(value[key].as_f64().with_context(|| format!("{}: no number `{key}`", path.display()))?)
}

impl Row {
    fn new(agent: &str) -> Self {
        Self {
            agent: agent.to_owned(),
            seeds: Vec::new(),
            success: Vec::new(),
            score: Vec::new(),
            spread: Vec::new(),
            n: Vec::new(),
            options: Chosen::new(),
            subsets: BTreeSet::new(),
            median: 0.0,
            interval: [0.0, 1.0],
            mean_steps: 0.0,
            tokens_per_step: 0.0,
            unparsable_share: Some(0.0),
            invalid_share: Some(0.0),
            shortened_share: Some(0.0),
            training_minutes: 0.0,
            training_mtokens: 0.0,
            capped: Vec::new(),
            gain: None,
            differences: Vec::new(),
            configured: None,
        }
    }

    /// Turns sums into means and selects the median run: the lower of the two middle runs where their number is even.
    fn finish(&mut self) {
        let count = self.success.len().max(1) as f64;
        for sum in [
            &mut self.mean_steps,
            &mut self.tokens_per_step,
            &mut self.training_minutes,
            &mut self.training_mtokens,
        ] {
            *sum /= count;
        }
        for sum in [&mut self.unparsable_share, &mut self.invalid_share, &mut self.shortened_share] {
            *sum = sum.map(|sum| sum / count);
        }
        let mut ordered: Vec<(f64, u64)> = self.success.iter().copied().zip(self.n.iter().copied()).collect();
        ordered.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (median, n) = ordered.get(ordered.len().saturating_sub(1) / 2).copied().unwrap_or((0.0, 0));
        self.median = median;
        self.interval = wilson((median * n as f64).round() as usize, n as usize);
    }
}

/// Renders the score per seed, the mean over seeds, and its 95 % interval over episodes. Seeds are independent, so the squares of
/// the half widths add up.
fn score_cells(row: &Row) -> String {
    let count = row.score.len().max(1) as f64;
    let mean = row.score.iter().sum::<f64>() / count;
    let half = row.spread.iter().map(|half| half * half).sum::<f64>().sqrt() / count;
    let seeds: Vec<String> =
        row.seeds.iter().zip(&row.score).map(|(seed, score)| format!("{seed}: {score:.1}")).collect();
    format!(" {} | {mean:.1} [{:.1}, {:.1}] |", seeds.join(", "), mean - half, mean + half)
}

/// Renders the split and the subsets that were played.
fn heading(target: &str, rows: &[Row]) -> String {
    let subsets: BTreeSet<&str> = rows.iter().flat_map(|row| &row.subsets).map(String::as_str).collect();
    std::iter::once(target).chain(subsets).collect::<Vec<_>>().join(", ")
}

/// Renders the rows as a Markdown table.
fn markdown(rows: &[Row]) -> String {
    let scored = rows.iter().any(|row| !row.score.is_empty());
    let plain = "| agent | success by seed | median | 95 % interval (games) | n | steps | tokens/step | unparsable | \
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
        text = text.replacen("Mtokens |", "Mtokens | gain in points: by seed; mean [95 % over tasks] |", 1);
        text.insert_str(text.len() - 1, "---|");
    }
    for row in rows {
        let mut episodes = row.n.clone();
        episodes.dedup();
        let episodes: Vec<String> = episodes.iter().map(u64::to_string).collect();
        let seeds: Vec<String> = row
            .seeds
            .iter()
            .zip(&row.success)
            .map(|(seed, success)| format!("{seed}: {:.1}", 100.0 * success))
            .collect();
        let mut shares = vec![row.unparsable_share, row.invalid_share];
        shares.extend(shortened.then_some(row.shortened_share));
        let shares: Vec<String> =
            shares.into_iter().map(|share| share.map_or("-".to_owned(), percent)).collect();
        text.push_str(&format!(
            "| {} |{} {} | {:.1} % | [{:.1}, {:.1}] | {} | {:.2} | {:.1} | {} | {:.1} | {:.1} |{}\n",
            row.agent,
            if scored { score_cells(row) } else { String::new() },
            seeds.join(", "),
            100.0 * row.median,
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
    use super::*;

    #[test]
    fn scores_and_gains_have_columns_of_their_own() {
        let scored = || {
            let mut row = Row::new("step_hrl");
            (row.seeds, row.success, row.n) = (vec![1, 2], vec![0.5, 0.5], vec![100; 2]);
            (row.score, row.spread) = (vec![80.0, 84.0], vec![3.0, 4.0]);
            row.finish();
            row
        };
        let columns = |table: &str| table.lines().map(|line| line.matches('|').count()).collect::<Vec<_>>();
        let table = markdown(&[scored()]);
        assert_eq!(columns(&table), [14, 14, 14], "{table}");
        assert!(table.contains("| 1: 80.0, 2: 84.0 | 82.0 [79.5, 84.5] | 1: 50.0, 2: 50.0 |"), "{table}");

        let gain = Gain { over: "bc".into(), by_seed: vec![-2.0, 1.0], mean: -0.5, interval: [-3.0, 2.0] };
        let table = markdown(&[scored(), Row { gain: Some(gain), ..scored() }]);
        assert_eq!(columns(&table), [15, 15, 15, 15], "{table}");
        assert!(table.ends_with("| bc: -2.0, +1.0; -0.5 [-3.0, +2.0] |\n"), "{table}");
    }

    #[test]
    fn shares_are_shown_and_an_unknown_one_is_not_zero() {
        let row = |shares: [Option<f64>; 3]| {
            let mut row = Row::new("flat");
            (row.seeds, row.success, row.n) = (vec![1, 2], vec![0.5, 0.5], vec![100; 2]);
            [row.unparsable_share, row.invalid_share, row.shortened_share] = shares;
            row.finish();
            row
        };
        let table = markdown(&[row([Some(0.5), Some(0.0), Some(0.0)]), row([None; 3])]);
        assert!(!table.contains("shortened"), "{table}");
        assert!(table.contains("| 0.0 | 25.0 % | 0.0 % | 0.0 |"), "{table}");
        assert!(table.contains("| 0.0 | - | - | 0.0 |"), "{table}");
        let table = markdown(&[row([Some(0.0), Some(0.25), Some(0.02)])]);
        assert!(table.contains("| unparsable | invalid | shortened | training minutes |"), "{table}");
        assert!(table.contains("| 0.0 | 0.0 % | 12.5 % | 1.0 % | 0.0 |"), "{table}");
        let columns = |line: &str| line.matches('|').count();
        assert!(table.lines().all(|line| columns(line) == 13), "{table}");
    }

    #[test]
    fn the_heading_names_options_and_subsets() {
        let first = |options: Chosen| {
            let subsets = ["a sample of 24 of 200 tasks".to_owned()].into();
            let rows = vec![Row { subsets, options, ..Row::new("flat") }];
            let text = Comparison { target: "webshop/dev".to_owned(), rows }.markdown();
            text.lines().next().unwrap_or_default().to_owned()
        };
        let short = [("pages".to_owned(), "short".to_owned())].into();
        assert_eq!(first(short), "webshop/dev, pages=short, a sample of 24 of 200 tasks");
        assert_eq!(first(Chosen::new()), "webshop/dev, a sample of 24 of 200 tasks");
    }

    #[test]
    fn the_median_run_gives_the_interval() {
        let mut row = Row::new("flat");
        (row.seeds, row.success, row.n) = (vec![1, 2, 3], vec![0.9, 1.0, 0.95], vec![140; 3]);
        row.mean_steps = 24.0;
        row.finish();
        assert_eq!((row.median, row.mean_steps), (0.95, 8.0));
        assert_eq!(row.interval, wilson(133, 140));
        let table = markdown(&[row]);
        let last = table.lines().last().unwrap();
        assert!(
            last.starts_with("| flat | 1: 90.0, 2: 100.0, 3: 95.0 | 95.0 % | [90.0, 97.6] | 140 | 8.00 |"),
            "{last}"
        );
    }
}
