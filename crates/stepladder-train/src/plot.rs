//! Plots of lines in panels, one line per agent.

use anyhow::anyhow;
use plotters::coord::Shift;
use plotters::prelude::*;

/// Colours that remain distinct with colour blindness (Okabe and Ito 2008).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];

use crate::error::Result;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A point of a line, with an optional interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    /// Horizontal coordinate.
    pub(crate) x: f64,
    /// Vertical coordinate.
    pub(crate) y: f64,
    /// Ends of the error bar.
    pub(crate) interval: Option<[f64; 2]>,
}

/// A line of a panel.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    /// Name in the legend.
    pub(crate) name: String,
    /// Points from left to right.
    pub(crate) points: Vec<Point>,
}

/// Lines over one measure.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Panel {
    /// Title: the measure.
    pub(crate) title: String,
    /// Label of the horizontal axis.
    pub(crate) x: String,
    /// Lines, one per agent.
    pub(crate) lines: Vec<Line>,
}

/// Draws panels, two in a row, as SVG.
///
/// # Errors
/// If the drawing library refuses them.
pub(crate) fn draw(panels: &[Panel]) -> Result<String> {
    let mut text = String::new();
    paint(panels, &mut text).map_err(|error| anyhow!("the plot cannot be drawn: {error}"))?;
    Ok(text)
}

fn paint(panels: &[Panel], text: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let rows = panels.len().div_ceil(2);
    let root = SVGBackend::with_string(text, (960, 360 * rows as u32)).into_drawing_area();
    root.fill(&WHITE)?;
    for (area, panel) in root.split_evenly((rows, 2)).iter().zip(panels) {
        draw_panel(area, panel)?;
    }
    root.present()?;
    Ok(())
}

/// Returns the range of the values with a margin; 0 to 1 without values.
fn range(values: impl Iterator<Item = f64> + Clone, margin: f64) -> std::ops::Range<f64> {
    let low = values.clone().fold(f64::INFINITY, f64::min);
    let high = values.fold(f64::NEG_INFINITY, f64::max);
    if low > high {
        return 0.0..1.0;
    }
    let width = (high - low).max(1e-9);
    low - margin * width..high + margin * width
}

fn draw_panel(area: &Area<'_>, panel: &Panel) -> Result<(), Box<dyn std::error::Error>> {
    let points = || panel.lines.iter().flat_map(|line| &line.points);
    let x = range(points().map(|point| point.x), 0.04);
    let seen = points().flat_map(|point| {
        let [low, high] = point.interval.unwrap_or([point.y; 2]);
        [low, high]
    });
    // Without negative values the axis begins at 0.
    let y = range(seen, 0.05);
    let from = if points().all(|point| point.y >= 0.0) { 0.0 } else { y.start };
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, ("sans-serif", 16))
        .margin(8)
        .x_label_area_size(34)
        .y_label_area_size(48)
        .build_cartesian_2d(x, from..y.end.max(from + 1e-9))?;
    chart.configure_mesh().x_desc(panel.x.as_str()).x_labels(9).light_line_style(WHITE).draw()?;
    for (line, colour) in panel.lines.iter().zip(COLOURS.iter().cycle()) {
        let points = line.points.iter().map(|point| (point.x, point.y));
        chart
            .draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))?
            .label(&line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
        chart.draw_series(points.map(|point| Circle::new(point, 3, colour.filled())))?;
        let whiskers = line.points.iter().filter_map(|point| Some((point.x, point.interval?)));
        chart.draw_series(
            whiskers.map(|(x, [low, high])| PathElement::new([(x, low), (x, high)], colour.stroke_width(1))),
        )?;
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .position(SeriesLabelPosition::LowerLeft)
        .draw()?;
    Ok(())
}
