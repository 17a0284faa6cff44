//! Learning curves of online algorithms that start from the same policy, over environment steps, iterations,
//! generated tokens and minutes (docs/spec/algorithms.md 9.2).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;
use stepladder_rollout::evaluation::wilson;

use crate::config::Config;
use crate::directory::RunDir;
use crate::error::{Result, bail};
use crate::plot::{self, Line, Panel, Point};
use crate::table::percent;
use crate::{envs, evaluated};

/// Evaluation at one point of training.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Moment {
    env_steps: f64,
    iterations: f64,
    tokens: f64,
    minutes: f64,
    success: f64,
    score: f64,
}

/// Learning curve of one agent in one run.
#[derive(Debug, Clone, PartialEq)]
struct Curve {
    seed: u64,
    /// Evaluations of the initial policy, of the probes, and of the trained policy.
    moments: Vec<Moment>,
    /// Episodes of the final evaluation.
    n: u64,
    /// Split of the final evaluation, with the options of its environment and the subset that was played; none for a whole split
    /// without options.
    played: Option<String>,
    /// Fraction of the replies of the final evaluation that could not be parsed; `None` if it does not record it.
    unparsable: Option<f64>,
    minutes: f64,
}

/// One agent in all runs.
#[derive(Debug)]
struct Method {
    agent: String,
    curves: Vec<Curve>,
}

/// Quantity on the horizontal axis of a curve.
type Axis = fn(&Moment) -> f64;
const AXES: [(&str, Axis); 4] = [
    ("environment steps", |moment| moment.env_steps),
    ("iterations", |moment| moment.iterations),
    ("generated tokens", |moment| moment.tokens),
    ("minutes", |moment| moment.minutes),
];

/// Learning curves of the online agents of several runs.
#[derive(Debug)]
pub struct Curves(Vec<Method>);

impl Curves {
    /// Reads the metrics and evaluations of runs.
    ///
    /// # Errors
    /// If a run cannot be read or is not trained to the end, two runs have the same seed, or no agent is trained online.
    pub fn read(runs: &[PathBuf]) -> Result<Self> {
        let methods = read(runs)?;
        if methods.is_empty() {
            bail!("no agent of these runs learns by playing");
        }
        Ok(Self(methods))
    }

    /// Renders a Markdown table with one line per agent.
    pub fn markdown(&self) -> String {
        markdown(&self.0)
    }

    /// Draws success and return over all axes, as SVG.
    ///
    /// # Errors
    /// If the plot cannot be drawn.
    pub fn plot(&self) -> Result<String> {
        plot::draw(&panels(&self.0))
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

fn json(path: &Path) -> Result<Value> {
    Ok(serde_json::from_str(&fs_err::read_to_string(path)?).with_context(|| path.display().to_string())?)
}

fn curve(run: &RunDir, config: &Config, agent: &str, seed: u64) -> Result<Curve> {
    let file = format!("{}-{}.json", config.env.id, config.eval.split);
    let number = |value: &Value, name: &str| {
        value[name].as_f64().with_context(|| format!("{agent} of {}: no number `{name}`", run.root.display()))
    };
    let mut moments = Vec::new();
    let mut iterations = 0.0;
    let lines = fs_err::read_to_string(run.agent(agent).join("metrics.jsonl"))?;
    for line in lines.lines() {
        let value: Value = serde_json::from_str(line)?;
        iterations = value["iteration"].as_f64().unwrap_or(iterations);
        if value.get("probe/success").is_some() {
            moments.push(Moment {
                env_steps: number(&value, "env_steps")?,
                iterations,
                minutes: number(&value, "seconds")? / 60.0,
                tokens: number(&value, "generated_tokens")?,
                success: number(&value, "probe/success")?,
                score: number(&value, "probe/score")?,
            });
        }
    }
    let trained = json(&run.agent(agent).join("trained.json"))?;
    let target = format!("{}/{}", config.env.id, config.eval.split);
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
    Ok(Curve { seed, moments, n, played, unparsable, minutes })
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

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Returns the largest x that all curves reach.
fn common(methods: &[Method], axis: Axis) -> f64 {
    let ends = methods.iter().flat_map(|method| &method.curves);
    ends.filter_map(|curve| curve.moments.last()).map(axis).fold(f64::INFINITY, f64::min)
}

/// Renders one line per method. Mean heights extend to the end of the shortest curve.
fn markdown(methods: &[Method]) -> String {
    let success: Axis = |moment| moment.success;
    let ends = AXES.map(|(_, axis)| common(methods, axis));
    let mut text = format!(
        "| method | start | success by seed | mean | 95 % interval (all games) | return | unparsable | mean height to {:.0} k env steps | \
         to {:.0} iterations | to {:.2} M tokens | to {:.1} minutes | k env steps | iterations | M tokens | minutes |\n|{}\n",
        ends[0] / 1e3,
        ends[1],
        ends[2] / 1e6,
        ends[3],
        "---|".repeat(15),
    );
    for Method { agent, curves } in methods {
        let last = |value: Axis| -> Vec<f64> {
            curves.iter().filter_map(|curve| curve.moments.last()).map(value).collect()
        };
        let games: u64 = curves.iter().map(|curve| curve.n).sum();
        let won: f64 =
            curves.iter().zip(last(success)).map(|(curve, success)| success * curve.n as f64).sum();
        let [low, high] = wilson(won.round() as usize, games as usize);
        let seeds: Vec<String> = curves
            .iter()
            .zip(last(success))
            .map(|(curve, success)| format!("{}: {:.1}", curve.seed, 100.0 * success))
            .collect();
        let starts: Vec<f64> = curves.iter().filter_map(|curve| curve.moments.first()).map(success).collect();
        let areas: Vec<String> = AXES
            .iter()
            .zip(ends)
            .map(|((_, axis), end)| {
                let of_seeds: Vec<f64> =
                    curves.iter().map(|curve| 100.0 * area(&curve.moments, *axis, success, end)).collect();
                let low = of_seeds.iter().copied().fold(f64::INFINITY, f64::min);
                let high = of_seeds.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                format!("{:.1} [{low:.1}, {high:.1}]", mean(&of_seeds))
            })
            .collect();
        let unparsable: Option<Vec<f64>> = curves.iter().map(|curve| curve.unparsable).collect();
        let minutes: Vec<f64> = curves.iter().map(|curve| curve.minutes).collect();
        text.push_str(&format!(
            "| {agent} | {:.1} | {} | {:.1} % | [{:.1}, {:.1}] | {:.2} | {} | {} | {:.0} | {:.0} | {:.2} | {:.1} |\n",
            100.0 * mean(&starts),
            seeds.join(", "),
            100.0 * won / games.max(1) as f64,
            100.0 * low,
            100.0 * high,
            mean(&last(|moment| moment.score)),
            unparsable.map_or("-".to_owned(), |shares| percent(mean(&shares))),
            areas.join(" | "),
            mean(&last(|moment| moment.env_steps)) / 1e3,
            mean(&last(|moment| moment.iterations)),
            mean(&last(|moment| moment.tokens)) / 1e6,
            mean(&minutes),
        ));
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
    fn the_table_has_all_seeds_and_pools_their_games() {
        let methods = [method("himac", [1.0, 0.8]), method("grpo", [0.5, 0.5])];
        let table = markdown(&methods);
        let [low, high] = wilson(180, 200);
        let area = "53.8 [51.2, 56.2]";
        let expected = format!(
            "| himac | 25.0 | 1: 100.0, 2: 80.0 | 90.0 % | [{:.1}, {:.1}] | 1.80 | 37.5 % | {area} | {area} | {area} | {area} | 2 | 20 | 0.02 | 3.0 |",
            100.0 * low,
            100.0 * high
        );
        assert_eq!(table.lines().nth(2), Some(expected.as_str()), "{table}");
        // One run does not record it.
        assert!(table.lines().nth(3).unwrap().contains("] | 1.00 | - | "), "{table}");
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
}
