//! The plot of the horizon study: four panels over the number of goals, one line per agent.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

use super::Cell;

/// Colours that people with colour blindness can tell apart (Okabe and Ito 2008).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// What a panel shows of a cell: the value, and an interval where there is one.
struct Panel {
    title: &'static str,
    value: fn(&Cell) -> f64,
    interval: Option<fn(&Cell) -> [f64; 2]>,
}

const PANELS: [Panel; 4] = [
    Panel {
        title: "success, %",
        value: |cell| 100.0 * cell.success,
        interval: Some(|cell| [100.0 * cell.interval[0], 100.0 * cell.interval[1]]),
    },
    Panel { title: "tokens per step, every prompt read whole", value: |cell| cell.tokens, interval: None },
    Panel { title: "tokens per step, kept cache", value: |cell| cell.tokens_cached, interval: None },
    Panel { title: "milliseconds per step", value: |cell| cell.milliseconds, interval: None },
];

/// Draws all panels to an SVG file.
pub(super) fn draw(cells: &[Cell], path: &Path) -> Result<()> {
    let root = SVGBackend::new(path, (960, 720)).into_drawing_area();
    let broken = |error: &dyn std::fmt::Display| anyhow!("{}: {error}", path.display());
    root.fill(&WHITE).map_err(|error| broken(&error))?;
    for (area, panel) in root.split_evenly((2, 2)).iter().zip(&PANELS) {
        draw_panel(area, panel, cells).map_err(|error| broken(&error))?;
    }
    root.present().map_err(|error| broken(&error))
}

fn draw_panel(area: &Area<'_>, panel: &Panel, cells: &[Cell]) -> Result<(), Box<dyn std::error::Error>> {
    let goals = cells.iter().map(|cell| cell.goals);
    let (first, last) = (goals.clone().min().unwrap_or(1), goals.max().unwrap_or(1));
    let top = cells.iter().map(panel.value).fold(1.0, f64::max);
    let x = f64::from(first) - 0.3..f64::from(last) + 0.3;
    let mut chart = ChartBuilder::on(area)
        .caption(panel.title, ("sans-serif", 16))
        .margin(8)
        .x_label_area_size(34)
        .y_label_area_size(48)
        .build_cartesian_2d(x, 0.0..top * 1.05)?;
    chart
        .configure_mesh()
        .x_desc("goals of the task")
        .x_labels(9)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .light_line_style(WHITE)
        .draw()?;
    let mut agents: Vec<&str> = cells.iter().map(|cell| cell.agent.as_str()).collect();
    agents.dedup();
    for (agent, colour) in agents.into_iter().zip(COLOURS.iter().cycle()) {
        let own = || cells.iter().filter(|cell| cell.agent == agent);
        let points = own().map(|cell| (f64::from(cell.goals), (panel.value)(cell)));
        chart
            .draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))?
            .label(agent)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
        chart.draw_series(points.map(|point| Circle::new(point, 3, colour.filled())))?;
        if let Some(interval) = panel.interval {
            chart.draw_series(own().map(|cell| {
                let ([low, high], x) = (interval(cell), f64::from(cell.goals));
                PathElement::new([(x, low), (x, high)], colour.stroke_width(1))
            }))?;
        }
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .position(SeriesLabelPosition::LowerLeft)
        .draw()?;
    Ok(())
}
