//! Plateaus of learning curves, and how far each method has to go to come near the highest one.

use serde::Serialize;

use super::curve::{AXES, Axis, Method, Moment};
use crate::statistics::mean;

/// Number of probes at the end of training whose mean is a curve's plateau.
const LAST: usize = 5;

/// Points within which these probes lie in a run that has settled.
const WITHIN: f64 = 2.0;

/// Slack of comparisons, in points: shares of tasks are not exact in binary.
const SLACK: f64 = 1e-9;

/// Fraction of the highest plateau that counts as near it.
const NEAR: f64 = 0.75;

/// Where a method's runs first come near the highest plateau of all methods.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reach {
    /// Quantity on the axis.
    pub axis: &'static str,
    /// Median over the runs, of which those that never come near are the last; none if the median run never does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median: Option<f64>,
    /// First run to come near it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub least: Option<f64>,
    /// Last run to come near it, if all do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most: Option<f64>,
}

/// End of the learning curves of a method.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plateau {
    /// Success at the last five probes, mean over them and the runs, in percent.
    pub height: f64,
    /// Runs whose last five probes lie within two points.
    pub settled: usize,
    /// Success that counts as near the highest plateau, in percent; the same for all methods.
    pub near: f64,
    /// Runs that come near it.
    pub reached: usize,
    /// Where, along every axis.
    pub reach: Vec<Reach>,
}

/// Success at the last probes of a curve, in percent. Its first moment is the initial policy, its last one the final evaluation, of more
/// tasks.
fn last(moments: &[Moment]) -> Vec<f64> {
    let probes = moments.get(1..moments.len().saturating_sub(1)).unwrap_or_default();
    probes[probes.len().saturating_sub(LAST)..].iter().map(|moment| 100.0 * moment.success).collect()
}

/// Returns the plateau of each method; none with fewer than five probes in a run, or where nothing was solved.
pub(super) fn plateaus(methods: &[Method]) -> Vec<Option<Plateau>> {
    let ends: Vec<Vec<Vec<f64>>> = methods
        .iter()
        .map(|method| method.curves.iter().map(|curve| last(&curve.moments)).collect())
        .collect();
    if ends.iter().flatten().any(|end| end.len() < LAST) {
        return vec![None; methods.len()];
    }
    let height = |ends: &Vec<Vec<f64>>| mean(&ends.iter().map(|end| mean(end)).collect::<Vec<_>>());
    let near = NEAR * ends.iter().map(height).fold(0.0, f64::max);
    if near == 0.0 {
        return vec![None; methods.len()];
    }
    let of = |(method, ends): (&Method, &Vec<Vec<f64>>)| {
        let spread = |end: &Vec<f64>| {
            let high = end.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            high - end.iter().copied().fold(f64::INFINITY, f64::min)
        };
        let firsts: Vec<Option<&Moment>> = method
            .curves
            .iter()
            .map(|curve| {
                let probes = &curve.moments[..curve.moments.len() - 1];
                probes.iter().find(|moment| 100.0 * moment.success >= near - SLACK)
            })
            .collect();
        let reach = |&(axis_name, axis): &(&'static str, Axis)| {
            let mut places: Vec<f64> = firsts.iter().map(|first| first.map_or(f64::INFINITY, axis)).collect();
            places.sort_by(f64::total_cmp);
            let count = places.len();
            let median = (places[(count - 1) / 2] + places[count / 2]) / 2.0;
            let some = |place: f64| place.is_finite().then_some(place);
            Reach {
                axis: axis_name,
                median: some(median),
                least: some(places[0]),
                most: some(places[count - 1]),
            }
        };
        Some(Plateau {
            height: height(ends),
            settled: ends.iter().filter(|end| spread(end) <= WITHIN + SLACK).count(),
            near,
            reached: firsts.iter().flatten().count(),
            reach: AXES.iter().map(reach).collect(),
        })
    };
    methods.iter().zip(&ends).map(of).collect()
}

/// Renders one line per method; nothing without plateaus.
pub(super) fn markdown(named: &[(&str, usize, Option<&Plateau>)]) -> String {
    let Some(near) = named.iter().find_map(|(.., plateau)| plateau.map(|plateau| plateau.near)) else {
        return String::new();
    };
    let mut text = format!(
        "| method | plateau: mean of the last {LAST} probes | runs whose last {LAST} lie within {WITHIN} points | runs at {near:.1} %, {:.0} % of the \
         highest plateau | k env steps to it: median [least, most] | iterations | M tokens | minutes |\n|{}\n",
        100.0 * NEAR,
        "---|".repeat(8),
    );
    for (agent, runs, plateau) in named {
        let Some(Plateau { height, settled, reached, reach, .. }) = plateau else { continue };
        let cell = |(reach, (unit, digits)): (&Reach, (f64, usize))| {
            let shown =
                |place: Option<f64>| place.map_or("-".to_owned(), |x| format!("{:.digits$}", x / unit));
            format!(" {} [{}, {}] |", shown(reach.median), shown(reach.least), shown(reach.most))
        };
        let units = [(1e3, 0), (1.0, 0), (1e6, 2), (1.0, 1)];
        let cells: String = reach.iter().zip(units).map(cell).collect();
        text.push_str(&format!(
            "| {agent} | {height:.1} % | {settled} of {runs} | {reached} of {runs} |{cells}\n"
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curves::curve::Curve;

    fn curve(seed: u64, successes: &[f64]) -> Curve {
        let moment = |(at, &success): (usize, &f64)| {
            let x = at as f64;
            Moment {
                env_steps: 1000.0 * x,
                iterations: x,
                tokens: 1e6 * x,
                minutes: x / 2.0,
                success,
                score: 0.0,
            }
        };
        let moments = successes.iter().enumerate().map(moment).collect();
        Curve { seed, moments, n: 100, played: None, won: None, unparsable: None, minutes: 3.0 }
    }

    fn method(agent: &str, curves: &[&[f64]]) -> Method {
        let curves = curves.iter().zip(1..).map(|(successes, seed)| curve(seed, successes)).collect();
        Method { agent: agent.to_owned(), curves }
    }

    #[test]
    fn the_highest_plateau_sets_what_is_near() {
        // The final evaluation, 0 here, belongs to no plateau.
        let fast = method(
            "fast",
            &[&[0.1, 0.7, 0.8, 0.8, 0.79, 0.81, 0.8, 0.0], &[0.1, 0.3, 0.6, 0.8, 0.8, 0.8, 0.8, 0.0]],
        );
        let slow = method(
            "slow",
            &[&[0.1, 0.2, 0.2, 0.3, 0.3, 0.3, 0.4, 0.0], &[0.1, 0.2, 0.4, 0.5, 0.6, 0.6, 0.6, 0.0]],
        );
        let found = plateaus(&[fast, slow]);
        let [Some(fast), Some(slow)] = &found[..] else { panic!("{found:?}") };
        assert!((fast.height - 78.0).abs() < 1e-9 && (slow.height - 42.0).abs() < 1e-9, "{found:?}");
        assert_eq!((fast.settled, slow.settled), (1, 0));
        assert!((fast.near - 58.5).abs() < 1e-9 && fast.near == slow.near);
        assert_eq!((fast.reached, slow.reached), (2, 1));
        let of = |plateau: &Plateau, axis: usize| {
            let Reach { median, least, most, .. } = plateau.reach[axis];
            (median, least, most)
        };
        assert_eq!(of(fast, 1), (Some(1.5), Some(1.0), Some(2.0)));
        assert_eq!(of(slow, 0), (None, Some(4000.0), None));
        let table = markdown(&[("fast", 2, Some(fast)), ("slow", 2, Some(slow))]);
        assert!(table.contains("runs at 58.5 %, 75 % of the highest plateau"), "{table}");
        assert!(table.contains("| fast | 78.0 % | 1 of 2 | 2 of 2 | 2 [1, 2] | 2 [1, 2] | 1.50 [1.00, 2.00] | 0.8 [0.5, 1.0] |"), "{table}");
        assert!(
            table.ends_with(
                "| slow | 42.0 % | 0 of 2 | 1 of 2 | - [4, -] | - [4, -] | - [4.00, -] | - [2.0, -] |\n"
            ),
            "{table}"
        );
    }

    #[test]
    fn few_probes_have_no_plateau() {
        let of = |successes: &[f64]| plateaus(&[method("one", &[successes])]).remove(0);
        // The initial policy is no probe.
        assert_eq!(of(&[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]), None);
        assert_eq!(of(&[0.0; 8]), None);
        assert_eq!(markdown(&[("one", 1, None)]), "");
        // 0.31 - 0.29 is more than 0.02 in binary.
        let exact = of(&[0.1, 0.29, 0.31, 0.3, 0.3, 0.3, 0.6]).unwrap();
        assert_eq!((exact.settled, exact.reached), (1, 1));
    }
}
