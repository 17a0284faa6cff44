//! Learning curves of online algorithms that start from the same policy, over environment steps, iterations,
//! generated tokens and minutes (docs/spec/algorithms.md 9.2).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;
use serde_json::{Value, json};

use crate::config::Config;
use crate::directory::RunDir;
use crate::error::{Result, bail};
use crate::plot::{self, Line, Panel, Point};
use crate::results::{self, Results};
use crate::statistics::{self, Difference, Scope, mean};
use crate::table::percent;
use crate::{envs, evaluated};

mod curve;
mod plateau;

use curve::{AXES, Axis, Curve, Method, Moment};
pub use plateau::{Plateau, Reach};

/// Learning curves of the online agents of several runs.
#[derive(Debug)]
pub struct Curves {
    methods: Vec<Method>,
    summaries: Vec<Summary>,
}

/// Mean height of the curves of a method along an axis, up to the end of the shortest curve of all methods.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Height {
    /// Quantity on the axis.
    pub axis: &'static str,
    /// Place up to which the height is taken.
    pub end: f64,
    /// Mean over the runs, in percent.
    pub mean: f64,
    /// 95 % t interval over the runs; none for one run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
}

/// Results of a method over its runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Agent.
    pub agent: String,
    /// Run seeds.
    pub seeds: Vec<u64>,
    /// Success rate before training, mean over the runs.
    pub start: f64,
    /// Success rate after training, per run.
    pub success: Vec<f64>,
    /// Success rate after training, mean over the runs.
    pub mean: f64,
    /// 95 % interval of `mean`.
    pub interval: [f64; 2],
    /// What `interval` generalises to.
    pub scope: Scope,
    /// Tasks of the last evaluation that all runs played.
    pub tasks: usize,
    /// Mean return after training.
    pub score: f64,
    /// Fraction of the replies that could not be parsed, mean over the runs.
    pub unparsable_share: Option<f64>,
    /// Mean heights along every axis.
    pub heights: Vec<Height>,
    /// Environment steps, mean over the runs. The same holds for the next three.
    pub env_steps: f64,
    /// Iterations.
    pub iterations: f64,
    /// Generated tokens.
    pub tokens: f64,
    /// Training minutes.
    pub minutes: f64,
    /// End of the curves; none with fewer than five probes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plateau: Option<Plateau>,
    /// Difference of `mean` to the method that the others are compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gain: Option<Difference>,
}

impl Curves {
    /// Reads the metrics and evaluations of runs; success is compared with that of the method `over`.
    ///
    /// # Errors
    /// If a run cannot be read or is not trained to the end, two runs have the same seed, no agent is trained online, or none has the
    /// name `over`.
    pub fn read(runs: &[PathBuf], over: Option<&str>) -> Result<Self> {
        let methods = read(runs)?;
        if methods.is_empty() {
            bail!("no agent of these runs learns by playing");
        }
        if let Some(over) = over.filter(|over| !methods.iter().any(|method| method.agent == **over)) {
            let known: Vec<&str> = methods.iter().map(|method| method.agent.as_str()).collect();
            bail!("no agent `{over}` of these runs learns by playing; these do: {}", known.join(", "));
        }
        let summaries = summaries(&methods, over);
        Ok(Self { methods, summaries })
    }

    /// Renders a Markdown table with one line per agent, a line about its intervals, and a table of the plateaus.
    pub fn markdown(&self) -> String {
        markdown(&self.methods, &self.summaries)
    }

    /// Returns the numbers of the table as JSON.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(&json!({ "methods": self.summaries }))? + "\n")
    }

    /// Draws success and return over all axes, as SVG.
    ///
    /// # Errors
    /// If the plot cannot be drawn.
    pub fn plot(&self) -> Result<String> {
        plot::draw(&panels(&self.methods))
    }
}

fn read(runs: &[PathBuf]) -> Result<Vec<Method>> {
    let mut methods: Vec<Method> = Vec::new();
    for path in runs {
        let (run, config, info) = RunDir::open(path)?;
        for (agent, _) in config.agents.iter().filter(|(_, configured)| configured.algo.is_online()) {
            if !run.agent(agent).join("trained.json").exists() {
                bail!("{agent} is not trained to the end yet: stepladder train --resume {}", path.display());
            }
            let curve = curve(&run, &config, agent, info.seed)?;
            let method = match methods.iter_mut().find(|method| method.agent == *agent) {
                Some(method) => method,
                None => {
                    methods.push(Method { agent: agent.clone(), curves: Vec::new() });
                    let last = methods.len() - 1;
                    &mut methods[last]
                }
            };
            if method.curves.iter().any(|known| known.seed == curve.seed) {
                bail!(
                    "{}: another of these runs has seed {} too; compare each seed once",
                    path.display(),
                    curve.seed
                );
            }
            method.curves.push(curve);
        }
    }
    Ok(methods)
}

fn read_json(path: &Path) -> Result<Value> {
    Ok(serde_json::from_str(&fs_err::read_to_string(path)?).with_context(|| path.display().to_string())?)
}

fn curve(run: &RunDir, config: &Config, agent: &str, seed: u64) -> Result<Curve> {
    let file = format!("{}-{}.json", config.env.id, config.eval.split);
    let number = |value: &Value, name: &str| {
        value[name].as_f64().with_context(|| format!("{agent} of {}: no number `{name}`", run.root.display()))
    };
    let mut moments = Vec::new();
    // A probe has no line of its own for them: it follows the line of its iteration.
    let (mut iterations, mut seconds) = (0.0, 0.0);
    let lines = fs_err::read_to_string(run.agent(agent).join("metrics.jsonl"))?;
    for line in lines.lines() {
        let value: Value = serde_json::from_str(line)?;
        iterations = value["iteration"].as_f64().unwrap_or(iterations);
        seconds = value["seconds"].as_f64().unwrap_or(seconds);
        if value.get("probe/success").is_some() {
            moments.push(Moment {
                env_steps: number(&value, "env_steps")?,
                iterations,
                minutes: seconds / 60.0,
                tokens: number(&value, "generated_tokens")?,
                success: number(&value, "probe/success")?,
                score: number(&value, "probe/score")?,
            });
        }
    }
    let trained = read_json(&run.agent(agent).join("trained.json"))?;
    let target = config.own_target();
    let last = evaluated::read(&run.agent(agent).join(&file), &target, agent)?;
    let minutes = number(&trained, "seconds")? / 60.0;
    moments.push(Moment {
        env_steps: number(&trained, "env_steps")?,
        iterations,
        tokens: number(&trained, "generated")?,
        minutes,
        success: number(&last, "success")?,
        score: number(&last, "score")?,
    });
    let n = number(&last, "n")? as u64;
    let place = format!("{target}{}", envs::suffix(&evaluated::options(&last)));
    let subset = last["subset"].as_str().map(|text| format!("{place}: {text}"));
    let played = subset.or_else(|| (place != target).then_some(place));
    let unparsable = last["unparsable_share"].as_f64();
    let episodes = run.agent(agent).join(evaluated::stem(&target, false) + ".jsonl.zst");
    let won = episodes.exists().then(|| results::read(&episodes, None)).transpose()?;
    Ok(Curve { seed, moments, n, played, won, unparsable, minutes })
}

/// Returns the value of a curve at x: linear between its points, constant after the last.
fn at(moments: &[Moment], axis: Axis, value: Axis, x: f64) -> f64 {
    let after = moments.iter().position(|moment| axis(moment) >= x);
    match after {
        None => moments.last().map_or(f64::NAN, value),
        Some(0) => value(&moments[0]),
        Some(next) => {
            let (a, b) = (&moments[next - 1], &moments[next]);
            let fraction = (x - axis(a)) / (axis(b) - axis(a));
            value(a) + fraction * (value(b) - value(a))
        }
    }
}

/// Returns the mean height of a curve up to x.
fn area(moments: &[Moment], axis: Axis, value: Axis, end: f64) -> f64 {
    let mut xs: Vec<f64> = moments.iter().map(axis).filter(|&x| x < end).collect();
    xs.push(end);
    let strip = |pair: &[f64]| {
        let height = at(moments, axis, value, pair[0]) + at(moments, axis, value, pair[1]);
        (pair[1] - pair[0]) * height / 2.0
    };
    xs.windows(2).map(strip).sum::<f64>() / end
}

/// Returns the largest x that all curves reach.
fn common(methods: &[Method], axis: Axis) -> f64 {
    let ends = methods.iter().flat_map(|method| &method.curves);
    ends.filter_map(|curve| curve.moments.last()).map(axis).fold(f64::INFINITY, f64::min)
}

/// Success of a method after training: task by task, or from the rates where a run kept no episodes.
fn results_of(method: &Method) -> Results {
    let mut results = Results::default();
    for curve in &method.curves {
        if let Some(won) = &curve.won {
            results.add(Some(curve.seed), won.clone());
        }
    }
    results
}

/// Summarises every method. Mean heights extend to the end of the shortest curve.
fn summaries(methods: &[Method], over: Option<&str>) -> Vec<Summary> {
    let success: Axis = |moment| moment.success;
    let base = methods.iter().find(|method| Some(method.agent.as_str()) == over).map(results_of);
    let of = |(method, plateau): (&Method, Option<Plateau>)| {
        let curves = &method.curves;
        let last = |value: Axis| -> Vec<f64> {
            curves.iter().filter_map(|curve| curve.moments.last()).map(value).collect()
        };
        let results = results_of(method);
        let whole = results.estimate().filter(|_| results.seeds() == curves.len());
        let estimate = whole.unwrap_or_else(|| results::of_rates(&last(success), curves[0].n));
        let height = |&(axis_name, axis): &(&'static str, Axis)| {
            let end = common(methods, axis);
            let of_seeds: Vec<f64> =
                curves.iter().map(|curve| 100.0 * area(&curve.moments, axis, success, end)).collect();
            let interval = statistics::of_runs(&of_seeds).map(|estimate| estimate.interval);
            Height { axis: axis_name, end, mean: mean(&of_seeds), interval }
        };
        let starts: Vec<f64> = curves.iter().filter_map(|curve| curve.moments.first()).map(success).collect();
        let unparsable: Option<Vec<f64>> = curves.iter().map(|curve| curve.unparsable).collect();
        let is_base = Some(method.agent.as_str()) == over;
        Summary {
            agent: method.agent.clone(),
            seeds: curves.iter().map(|curve| curve.seed).collect(),
            start: mean(&starts),
            success: last(success),
            mean: estimate.mean,
            interval: estimate.interval,
            scope: estimate.scope,
            tasks: match results.tasks().len() {
                0 => curves[0].n as usize,
                tasks => tasks,
            },
            score: mean(&last(|moment| moment.score)),
            unparsable_share: unparsable.map(|shares| mean(&shares)),
            heights: AXES.iter().map(height).collect(),
            env_steps: mean(&last(|moment| moment.env_steps)),
            iterations: mean(&last(|moment| moment.iterations)),
            tokens: mean(&last(|moment| moment.tokens)),
            minutes: mean(&curves.iter().map(|curve| curve.minutes).collect::<Vec<_>>()),
            plateau,
            gain: base.as_ref().filter(|_| !is_base).and_then(|base| results.minus(base)),
        }
    };
    let mut summaries: Vec<Summary> = methods.iter().zip(plateau::plateaus(methods)).map(of).collect();
    statistics::adjust(summaries.iter_mut().filter_map(|summary| summary.gain.as_mut()));
    summaries
}

/// Renders one line per method.
fn markdown(methods: &[Method], summaries: &[Summary]) -> String {
    let gains = summaries.iter().filter(|summary| summary.gain.is_some()).count();
    let ends: Vec<f64> = AXES.iter().map(|(_, axis)| common(methods, *axis)).collect();
    let mut text = format!(
        "| method | start | success by seed | mean | 95 % interval |{} return | unparsable | mean height to {:.0} k env steps | \
         to {:.0} iterations | to {:.2} M tokens | to {:.1} minutes | k env steps | iterations | M tokens | minutes |\n|{}\n",
        if gains > 0 { " gain in points [95 %], p |" } else { "" },
        ends[0] / 1e3,
        ends[1],
        ends[2] / 1e6,
        ends[3],
        "---|".repeat(15 + usize::from(gains > 0)),
    );
    for summary in summaries {
        let seeds = results::by_seed(&summary.seeds, summary.success.iter().map(|success| 100.0 * success));
        let heights: Vec<String> = summary
            .heights
            .iter()
            .map(|Height { mean, interval, .. }| match interval {
                Some([low, high]) => format!("{mean:.1} [{low:.1}, {high:.1}]"),
                None => format!("{mean:.1}"),
            })
            .collect();
        let gain = if gains > 0 { results::gain_cell(summary.gain.as_ref()) } else { String::new() };
        text.push_str(&format!(
            "| {} | {:.1} | {} | {:.1} % | [{:.1}, {:.1}] |{gain} {:.2} | {} | {} | {:.0} | {:.0} | {:.2} | {:.1} |\n",
            summary.agent,
            100.0 * summary.start,
            seeds,
            100.0 * summary.mean,
            100.0 * summary.interval[0],
            100.0 * summary.interval[1],
            summary.score,
            summary.unparsable_share.map_or("-".to_owned(), percent),
            heights.join(" | "),
            summary.env_steps / 1e3,
            summary.iterations,
            summary.tokens / 1e6,
            summary.minutes,
        ));
    }
    let kinds: Vec<(&str, Scope, usize, usize)> = summaries
        .iter()
        .map(|summary| (summary.agent.as_str(), summary.scope, summary.seeds.len(), summary.tasks))
        .collect();
    text.push_str(&format!("\n{}", results::caption(&kinds, gains)));
    if summaries.iter().flat_map(|summary| &summary.heights).any(|height| height.interval.is_some()) {
        text.push_str("Intervals of mean heights: 95 %, over seeds only.\n");
    }
    let ends: Vec<_> = summaries
        .iter()
        .map(|summary| (summary.agent.as_str(), summary.seeds.len(), summary.plateau.as_ref()))
        .collect();
    let plateaus = plateau::markdown(&ends);
    if !plateaus.is_empty() {
        text.push_str(&format!("\n{plateaus}"));
    }
    let played: BTreeSet<&str> = methods
        .iter()
        .flat_map(|method| &method.curves)
        .filter_map(|curve| curve.played.as_deref())
        .collect();
    for played in played {
        text.push_str(&format!("\nLast evaluation of {played}.\n"));
    }
    text
}

/// Plots success and return over all axes: means over the runs, with the lowest and the highest run.
fn panels(methods: &[Method]) -> Vec<Panel> {
    let measures: [(&str, Axis); 2] =
        [("success, %", |moment| 100.0 * moment.success), ("return", |moment| moment.score)];
    let mut panels = Vec::new();
    for (title, value) in measures {
        for (x, axis) in AXES {
            let line = |method: &Method| {
                let first = &method.curves[0].moments;
                let points = first.iter().map(|moment| {
                    let x = axis(moment);
                    let heights: Vec<f64> =
                        method.curves.iter().map(|curve| at(&curve.moments, axis, value, x)).collect();
                    let low = heights.iter().copied().fold(f64::INFINITY, f64::min);
                    let high = heights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    Point { x, y: mean(&heights), interval: (heights.len() > 1).then_some([low, high]) }
                });
                Line { name: method.agent.clone(), points: points.collect() }
            };
            panels.push(Panel {
                title: title.to_owned(),
                x: x.to_owned(),
                lines: methods.iter().map(line).collect(),
            });
        }
    }
    panels
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepladder_rollout::evaluation::wilson;

    fn moment(env_steps: f64, success: f64) -> Moment {
        let (iterations, tokens) = (env_steps / 100.0, 10.0 * env_steps);
        Moment { env_steps, iterations, tokens, minutes: env_steps / 1000.0, success, score: 2.0 * success }
    }

    fn method(agent: &str, heights: [f64; 2]) -> Method {
        let curve = |seed, high| Curve {
            seed,
            moments: vec![moment(0.0, 0.25), moment(1000.0, 0.5), moment(2000.0, high)],
            n: 100,
            played: Some("sokoban/dev-6x6-1, pages=short: a sample of 100 of 1000 tasks".to_owned()),
            won: Some(
                (0..100)
                    .map(|task| (format!("{task:03}"), f64::from(u8::from(f64::from(task) < 100.0 * high))))
                    .collect(),
            ),
            unparsable: (seed == 1 || agent != "grpo").then_some(0.25 * seed as f64),
            minutes: 3.0,
        };
        Method { agent: agent.to_owned(), curves: vec![curve(1, heights[0]), curve(2, heights[1])] }
    }

    #[test]
    fn curves_are_straight_between_their_moments() {
        let moments = &method("himac", [1.0, 0.8]).curves[0].moments;
        let (axis, success): (Axis, Axis) = (AXES[0].1, |moment| moment.success);
        assert_eq!(at(moments, axis, success, 0.0), 0.25);
        assert_eq!(at(moments, axis, success, 500.0), 0.375);
        assert_eq!(at(moments, axis, success, 9000.0), 1.0);
        assert_eq!(area(moments, axis, success, 1000.0), 0.375);
        assert_eq!(area(moments, axis, success, 2000.0), (0.375 + 0.75) / 2.0);
        // Along tokens the same curve is ten times as long.
        assert_eq!(area(moments, AXES[2].1, success, 20_000.0), area(moments, axis, success, 2000.0));
    }

    #[test]
    fn the_table_has_all_seeds_with_intervals_over_seeds_and_tasks() {
        let methods = [method("himac", [1.0, 0.8]), method("grpo", [0.5, 0.5])];
        let summaries = summaries(&methods, Some("grpo"));
        let himac = &summaries[0];
        assert!(
            (himac.mean - 0.9).abs() < 1e-12 && himac.scope == Scope::SeedsAndTasks && himac.tasks == 100
        );
        // Two seeds that differ by 20 points say little.
        assert!(himac.interval[0] < 0.3 && himac.interval[1] > 0.98, "{himac:?}");
        let gain = himac.gain.unwrap();
        assert!((gain.difference - 0.4).abs() < 1e-12 && gain.p > 0.05 && gain.p_holm == gain.p, "{gain:?}");
        assert!(summaries[1].gain.is_none());
        // Heights 51.25 and 56.25: 53.75 ± 12.7 * 2.5.
        assert!(himac.heights.iter().all(|height| height.mean == 53.75), "{himac:?}");
        let [low, high] = himac.heights[0].interval.unwrap();
        assert!((low - 21.984).abs() < 0.01 && (high - 85.516).abs() < 0.01, "{low} {high}");
        let table = markdown(&methods, &summaries);
        let columns: Vec<usize> = table.lines().take(4).map(|line| line.matches('|').count()).collect();
        assert_eq!(columns, [17; 4], "{table}");
        assert!(
            table.lines().nth(2).unwrap().starts_with("| himac | 25.0 | 1: 100.0, 2: 80.0 | 90.0 % | ["),
            "{table}"
        );
        // One run does not record it.
        assert!(table.lines().nth(3).unwrap().contains("] | - | 1.00 | - | "), "{table}");
        assert!(
            table.contains("\nIntervals: 95 %, over seeds and tasks (2 seeds, 100 tasks). Gains: "),
            "{table}"
        );
        assert!(
            table.ends_with(
                "\nLast evaluation of sokoban/dev-6x6-1, pages=short: a sample of 100 of 1000 tasks.\n"
            ),
            "{table}"
        );
        let panels = panels(&methods);
        assert_eq!(panels.len(), 8);
        assert_eq!(panels[0].lines[0].points[2], Point { x: 2000.0, y: 90.0, interval: Some([80.0, 100.0]) });
    }

    #[test]
    fn runs_without_episodes_have_an_interval_over_seeds() {
        let mut methods = [method("himac", [1.0, 0.8])];
        methods[0].curves.iter_mut().for_each(|curve| curve.won = None);
        let [summary] = &summaries(&methods, None)[..] else { panic!("one method") };
        assert!(summary.scope == Scope::Seeds && summary.gain.is_none(), "{summary:?}");
        assert!(summary.interval[1] <= 1.0 && summary.tasks == 100);
        methods[0].curves.truncate(1);
        assert_eq!(summaries(&methods, None)[0].interval, wilson(100, 100));
    }
}
