//! Table, plot and JSON form of a study.

use serde::Serialize;

use super::measure::Cell;
use super::{Measure, Study};
use crate::error::Result;
use crate::plot::{self, Line, Panel, Point};
use crate::results::{by_seed, caption, gain_cell};
use crate::statistics::{self, Difference};
use crate::table::percent;

/// Results of all arms of a study that are finished.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Label of the horizontal axis.
    #[serde(skip)]
    axis: String,
    /// What the cells are of.
    #[serde(skip)]
    measure: Measure,
    /// Results, in the order of the arms.
    pub cells: Vec<Cell>,
    /// Differences of the cells to those of the baseline at the same place on the axis, on the same tasks, in the order of the
    /// cells. Holm's adjustment is over those of one environment and split.
    pub gains: Vec<Option<Difference>>,
}

impl Report {
    /// Compares the cells of a study.
    pub fn new(study: &Study, cells: Vec<Cell>) -> Self {
        let gain = |cell: &Cell| {
            let baseline = study.baseline.as_ref().filter(|baseline| **baseline != cell.line)?;
            let same = |other: &&Cell| {
                other.line == *baseline
                    && other.x == cell.x
                    && other.heading() == cell.heading()
                    && other.tasks == cell.tasks
            };
            let other = cells.iter().find(same)?;
            cell.results.minus(&other.results)
        };
        let gains = cells.iter().map(gain).collect();
        let mut report =
            Self { axis: study.axis.clone().unwrap_or_default(), measure: study.measure(), cells, gains };
        for heading in report.headings() {
            let of_table = report.cells.iter().zip(&mut report.gains);
            statistics::adjust(
                of_table.filter(|(cell, _)| cell.heading() == heading).filter_map(|(_, gain)| gain.as_mut()),
            );
        }
        report
    }

    /// Renders one Markdown table per environment and split.
    pub fn markdown(&self, baseline: Option<&str>) -> String {
        let mut text = String::new();
        for heading in self.headings() {
            let compared = self.gains.iter().any(Option::is_some);
            let gain_head = match baseline.filter(|_| compared) {
                Some(baseline) => format!(" points over {baseline} |"),
                None => String::new(),
            };
            text.push_str(&format!(
                "{heading}\n\n| arm | agent | {} by seed | mean | 95 % interval |{gain_head} n | steps | \
                 prompt tokens/step | after step 10 | new tokens/step | s/step | unparsable | training minutes | training Mtokens |\n",
                self.measure.name()
            ));
            let columns = if gain_head.is_empty() { 14 } else { 15 };
            text.push_str(&format!("|{}\n", "---|".repeat(columns)));
            let own: Vec<(&Cell, &Option<Difference>)> =
                self.cells.iter().zip(&self.gains).filter(|(cell, _)| cell.heading() == heading).collect();
            for (cell, gain) in &own {
                text.push_str(&row(cell, gain.as_ref(), !gain_head.is_empty()));
            }
            let names: Vec<String> =
                own.iter().map(|(cell, _)| format!("{} {}", cell.arm, cell.agent)).collect();
            let kinds: Vec<(&str, statistics::Scope, usize, usize)> = names
                .iter()
                .zip(&own)
                .map(|(name, (cell, _))| (name.as_str(), cell.scope, cell.by_seed.len(), cell.n))
                .collect();
            let gains =
                if gain_head.is_empty() { 0 } else { own.iter().filter(|(_, gain)| gain.is_some()).count() };
            text.push_str(&format!("\n{}\n", caption(&kinds, gains)));
        }
        text
    }

    /// Draws the measure, prompt tokens and time over the axis, one line per label and agent, as SVG: the results on the split of the
    /// first cell. Returns `None` if no cell has a place on the axis.
    ///
    /// # Errors
    /// If the plot cannot be drawn.
    pub fn plot(&self) -> Result<Option<String>> {
        let Some(first) = self.cells.iter().find(|cell| cell.x.is_some()) else { return Ok(None) };
        let cells: Vec<&Cell> =
            self.cells.iter().filter(|cell| cell.x.is_some() && cell.heading() == first.heading()).collect();
        let mut lines: Vec<&str> = Vec::new();
        for cell in &cells {
            if !lines.contains(&cell.line.as_str()) {
                lines.push(&cell.line);
            }
        }
        type Read = fn(&Cell) -> Option<f64>;
        let measures: [(&str, Read); 4] = [
            (
                match self.measure {
                    Measure::Success => "success, %",
                    Measure::Score => "score, % of its range",
                },
                |cell| Some(100.0 * cell.mean),
            ),
            ("prompt tokens per step", |cell| Some(cell.prompt_tokens)),
            ("prompt tokens per step after the tenth", |cell| cell.late_prompt_tokens),
            ("seconds per step", |cell| Some(cell.seconds_per_step).filter(|seconds| seconds.is_finite())),
        ];
        let panel = |(number, (title, measure)): (usize, (&str, Read))| Panel {
            title: title.to_owned(),
            x: self.axis.clone(),
            lines: lines
                .iter()
                .map(|line| {
                    let mut points: Vec<Point> = cells
                        .iter()
                        .filter(|cell| cell.line == **line)
                        .filter_map(|cell| {
                            let interval = (number == 0).then(|| cell.interval.map(|bound| 100.0 * bound));
                            Some(Point { x: cell.x?, y: measure(cell)?, interval })
                        })
                        .collect();
                    points.sort_by(|a, b| a.x.total_cmp(&b.x));
                    Line { name: (*line).to_owned(), points }
                })
                .filter(|line| !line.points.is_empty())
                .collect(),
        };
        let panels: Vec<Panel> = measures.into_iter().enumerate().map(panel).collect();
        plot::draw(&panels).map(Some)
    }

    /// Returns the JSON form.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Returns environments and splits with their options, in the order of the cells.
    fn headings(&self) -> Vec<String> {
        let mut headings: Vec<String> = Vec::new();
        for heading in self.cells.iter().map(Cell::heading) {
            if !headings.contains(&heading) {
                headings.push(heading);
            }
        }
        headings
    }
}

fn row(cell: &Cell, gain: Option<&Difference>, compared: bool) -> String {
    let gain = if compared { gain_cell(gain) } else { String::new() };
    let or_dash =
        |value: Option<f64>, digits: usize| value.map_or("-".to_owned(), |value| format!("{value:.digits$}"));
    let unit = if cell.measure == Measure::Success { " %" } else { "" };
    let [low, high] = cell.interval.map(|bound| 100.0 * bound);
    format!(
        "| {} | {} | {} | {:.1}{unit} | [{low:.1}, {high:.1}] |{gain} {} | {:.1} | {:.0} | {} | {:.1} | {} | {} | {:.1} | {:.2} |\n",
        cell.arm,
        cell.agent,
        by_seed(&cell.seeds, cell.by_seed.iter().map(|value| 100.0 * value)),
        100.0 * cell.mean,
        cell.n,
        cell.steps,
        cell.prompt_tokens,
        or_dash(cell.late_prompt_tokens, 0),
        cell.new_tokens,
        or_dash(Some(cell.seconds_per_step).filter(|seconds| seconds.is_finite()), 3),
        percent(cell.unparsable_share),
        cell.training_minutes,
        cell.training_mtokens,
    )
}
