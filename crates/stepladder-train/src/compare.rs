//! Comparison of several runs in one table.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;

use crate::config::Config;
use crate::directory::RunDir;
use crate::envs::{self, Chosen};
use crate::error::{Result, bail};
use crate::results::{self, ByTask};
use crate::statistics::{self, Difference};
use crate::{evaluated, table};

mod aspect;
mod markdown;
mod row;
mod subgoals;

pub use aspect::Aspect;
use aspect::Profile;
pub use row::{Class, Gain, Row};

/// Evaluations of the agents of several runs on one split.
#[derive(Debug)]
pub struct Comparison {
    /// Environment and split, as `ENV/SPLIT`.
    pub target: String,
    /// One row per agent.
    pub rows: Vec<Row>,
    /// What the runs differ in, where that was allowed.
    pub notes: Vec<String>,
}

impl Comparison {
    /// Adds success by the number of sub-goals of the expert to each row. The expert's solutions are those that the runs kept when they
    /// were evaluated.
    ///
    /// # Errors
    /// If no run kept solutions of these tasks, they cannot be read, or the runs kept no episodes.
    pub fn add_subgoals(&mut self, runs: &[PathBuf]) -> Result<()> {
        subgoals::add(&mut self.rows, &self.target, runs)
    }

    /// Renders a heading, a Markdown table, a line about its intervals, and the table of [`Comparison::add_subgoals`] if it was added.
    pub fn markdown(&self) -> String {
        let options = self.rows.first().map(|row| envs::suffix(&row.options)).unwrap_or_default();
        let target = format!("{}{options}", self.target);
        let text = markdown::render(&target, &self.rows, &self.notes);
        match self.rows.iter().any(|row| !row.by_subgoals.is_empty()) {
            true => text + "\n" + &subgoals::markdown(&self.rows),
            false => text,
        }
    }
}

/// Reads the evaluations of the runs on `target`. All results are means over the runs. Gains are measured against the agent named
/// `over`, or against the agents that the others started from if it is `None`. Where runs differ in an aspect that is `allowed` to, the
/// agents concerned have rows of their own, named after the difference.
///
/// # Errors
/// If a run or an evaluation cannot be read, two runs have the same seed, two runs configure an agent differently, two evaluations are of
/// different options of the environment, or runs differ in tasks, splits or budgets that are not allowed to.
pub fn compare(runs: &[PathBuf], target: &str, over: Option<&str>, allowed: &[Aspect]) -> Result<Comparison> {
    let mut reading = Reading {
        target,
        over,
        allowed,
        rows: Vec::new(),
        options: None,
        first: None,
        tasks: None,
        notes: Vec::new(),
    };
    let mut opened = Vec::new();
    for path in runs {
        let (run, config, info) = RunDir::open(path)?;
        opened.push((path, run, config, info.seed));
    }
    if let (Some(over), Some((_, run, config, _))) = (over, opened.first())
        && !opened.iter().any(|(_, _, config, _)| config.agents.contains_key(over))
    {
        run.check_agent(config, over)?;
    }
    if !opened.iter().any(|(_, run, ..)| is_played(run, target)) {
        return Ok(Comparison { target: target.to_owned(), rows: Vec::new(), notes: Vec::new() });
    }
    for (path, run, config, seed) in &opened {
        reading.add(path, run, config, *seed)?;
    }
    let Reading { mut rows, notes, .. } = reading;
    rows.iter_mut().for_each(Row::finish);
    set_gains(&mut rows);
    Ok(Comparison { target: target.to_owned(), rows, notes })
}

/// Whether an agent of a run was evaluated on `target` (`ENV/SPLIT`).
pub fn is_played(run: &RunDir, target: &str) -> bool {
    let names = [false, true].map(|constrained| evaluated::stem(target, constrained) + ".json");
    let entries = fs_err::read_dir(&run.root).into_iter().flatten().filter_map(std::result::Result::ok);
    entries.map(|entry| entry.path()).any(|agent| names.iter().any(|name| agent.join(name).exists()))
}

/// Computes the gains of all rows, with Holm's adjustment over them.
fn set_gains(rows: &mut [Row]) {
    let mut gains: Vec<(usize, String, Vec<f64>, Difference)> = Vec::new();
    for (place, row) in rows.iter().enumerate() {
        let base = row.bases.iter().find_map(|base| rows.iter().find(|other| other.agent == *base));
        if let Some((base, gain)) = base.and_then(|base| Some((base, row.minus(base)?))) {
            gains.push((place, base.agent.clone(), row.by_seed(base), gain));
        }
    }
    statistics::adjust(gains.iter_mut().map(|gain| &mut gain.3));
    for (place, base, by_seed, gain) in gains {
        rows[place].set_gain(base, &by_seed, &gain);
    }
}

/// Rows while runs are read one after another.
struct Reading<'a> {
    target: &'a str,
    over: Option<&'a str>,
    allowed: &'a [Aspect],
    rows: Vec<Row>,
    options: Option<Chosen>,
    /// Path and profile of the first run.
    first: Option<(PathBuf, Profile)>,
    /// Run and tasks of the first evaluation.
    tasks: Option<(PathBuf, BTreeSet<String>)>,
    notes: Vec<String>,
}

impl Reading<'_> {
    fn add(&mut self, path: &Path, run: &RunDir, config: &Config, seed: u64) -> Result<()> {
        let target = self.target;
        if !is_played(run, target) {
            let known = config.targets().join(", ");
            let problem =
                format!("{}: no agent was evaluated on {target}; the run plays {known}", path.display());
            return self.differ(Aspect::Splits, problem, "left out");
        }
        let profile = Profile::of(config);
        let mut labels: Vec<(Option<String>, String)> = Vec::new();
        if let Some((first, of_first)) = &self.first {
            let first = first.display().to_string();
            for found in profile.differences(of_first) {
                let who = found.agent.as_ref().map(|agent| format!("agents.{agent}.")).unwrap_or_default();
                let problem =
                    format!("{}: {who}{}, but {} in {first}", path.display(), found.here, found.there);
                self.differ(found.aspect, problem, "shown as rows of their own")?;
                labels.push((found.agent, found.here));
            }
        } else {
            self.first = Some((path.to_owned(), profile));
        }
        for (agent, constrained) in config.agents.keys().flat_map(|agent| [(agent, false), (agent, true)]) {
            let file = run.agent(agent).join(evaluated::stem(target, constrained) + ".json");
            if file.exists() {
                self.evaluation((path, run, config, seed), (agent, constrained), &file, &labels)?;
            }
        }
        Ok(())
    }

    /// Notes a difference that is allowed; refuses any other.
    fn differ(&mut self, aspect: Aspect, problem: String, then: &str) -> Result<()> {
        if !self.allowed.contains(&aspect) {
            bail!("{problem}; runs with other {aspect} are compared with --allow-different {aspect} only");
        }
        self.notes.push(format!("{problem} ({then})"));
        Ok(())
    }

    fn evaluation(
        &mut self,
        (path, run, config, seed): (&Path, &RunDir, &Config, u64),
        (agent, constrained): (&String, bool),
        file: &Path,
        labels: &[(Option<String>, String)],
    ) -> Result<()> {
        let evaluation = evaluated::read(file, self.target, agent)?;
        let own = evaluated::options(&evaluation);
        if *self.options.get_or_insert_with(|| own.clone()) != own {
            bail!(
                "{}: {agent} played {} with other options of the environment than in the first run",
                path.display(),
                self.target
            );
        }
        let range: Option<(f64, f64)> = serde_json::from_value(evaluation["score_range"].clone())?;
        let episodes = file.with_extension("jsonl.zst");
        let by_task = |range| episodes.exists().then(|| results::read(&episodes, range)).transpose();
        let (won, score) = (by_task(None)?, range.map(|range| by_task(Some(range))).transpose()?.flatten());
        if let Some(won) = &won {
            self.same_tasks(path, agent, won)?;
        }
        let concerns = |of: &Option<String>, who: &str| of.as_deref().is_none_or(|of| of == who);
        let shown = |name: &str| {
            let plain = if constrained { table::constrained(name) } else { name.to_owned() };
            let parts: Vec<&str> =
                labels.iter().filter(|(of, _)| concerns(of, name)).map(|(_, label)| label.as_str()).collect();
            let labelled =
                if parts.is_empty() { plain.clone() } else { format!("{plain} ({})", parts.join(", ")) };
            [labelled, plain]
        };
        let [name, _] = shown(agent);
        let configured = &config.agents[agent];
        let row = self.row(&name);
        if row.configured.get_or_insert_with(|| configured.clone()) != configured {
            bail!("{}: {agent} is configured differently than in the first run", path.display());
        }
        if row.seeds.contains(&seed) {
            bail!("{}: another of these runs has seed {seed} too; compare each seed once", path.display());
        }
        row.options = own;
        row.seeds.push(seed);
        row.success.push(number(&evaluation, "success", file)?);
        row.range = range;
        if range.is_some() {
            row.score.push(100.0 * number(&evaluation, "score", file)?);
        }
        if let Some(won) = won {
            row.played(seed, won, score);
        }
        let base = self.over.or(configured.from.as_deref());
        let row = self.row(&name);
        if let Some(base) = base {
            // An agent that differs from the first run is compared with the agent of its name there.
            row.bases = shown(base).into_iter().filter(|base| *base != name).collect();
        }
        row.n.push(number(&evaluation, "n", file)? as u64);
        row.subsets.extend(evaluation["subset"].as_str().map(str::to_owned));
        row.add_costs(&evaluation, file)?;
        let target = self.target;
        // Evaluations of older versions lack the number of tasks in the split; they played its first tasks.
        let limited = target == config.own_target() && config.eval.episodes > 0;
        let row = self.row(&name);
        if limited && evaluation.get("split_tasks").is_none() {
            row.subsets.insert(format!("the first {} tasks", evaluation["n"]));
        }
        let cost = evaluated::cost(run, config, agent)?;
        row.training_minutes += cost.minutes;
        row.training_mtokens += cost.mtokens;
        row.capped.extend(cost.capped.then_some(seed));
        Ok(())
    }

    fn row(&mut self, name: &str) -> &mut Row {
        let place = self.rows.iter().position(|row| row.agent == name).unwrap_or_else(|| {
            self.rows.push(Row::new(name, self.target));
            self.rows.len() - 1
        });
        &mut self.rows[place]
    }

    /// Checks that an evaluation played the tasks of the first one.
    fn same_tasks(&mut self, path: &Path, agent: &str, won: &ByTask) -> Result<()> {
        let Some((first, tasks)) = &self.tasks else {
            self.tasks = Some((path.to_owned(), won.keys().cloned().collect()));
            return Ok(());
        };
        if won.keys().eq(tasks) {
            return Ok(());
        }
        let common = won.keys().filter(|task| tasks.contains(*task)).count();
        let problem = format!(
            "{}: {agent} played {} tasks of {}, {common} of them among the {} in {}",
            path.display(),
            won.len(),
            self.target,
            tasks.len(),
            first.display()
        );
        self.differ(Aspect::Tasks, problem, "gains are on common tasks")
    }
}

fn number(value: &Value, key: &str, path: &Path) -> Result<f64> {
    Ok(value[key].as_f64().with_context(|| format!("{}: no number `{key}`", path.display()))?)
}

impl Row {
    /// Adds steps, tokens and shares of an evaluation to the sums.
    fn add_costs(&mut self, evaluation: &Value, file: &Path) -> Result<()> {
        self.mean_steps += number(evaluation, "mean_steps", file)?;
        let roles = evaluation["tokens_per_step"].as_object().into_iter().flatten();
        self.tokens_per_step += roles
            .map(|(_, role)| role["prompt"].as_f64().unwrap_or(0.0) + role["new"].as_f64().unwrap_or(0.0))
            .sum::<f64>();
        for (sum, key) in [
            (&mut self.unparsable_share, "unparsable_share"),
            (&mut self.invalid_share, "invalid_share"),
            (&mut self.shortened_share, "shortened_share"),
        ] {
            *sum = sum.zip(evaluation[key].as_f64()).map(|(sum, share)| sum + share);
        }
        Ok(())
    }
}
