//! The curves of cost over the size of the catalog, as an SVG.

use std::path::Path;

use plotters::prelude::*;

use crate::Point;
use crate::measure::Result;

/// Colours that people who see no red or green can distinguish.
const COLOURS: [RGBColor; 4] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
];

fn duration(seconds: &f64) -> String {
    match *seconds {
        seconds if seconds >= 1.0 => format!("{seconds:.0} s"),
        seconds if seconds >= 0.999e-3 => format!("{:.0} ms", seconds * 1e3),
        seconds => format!("{:.0} µs", seconds * 1e6),
    }
}

/// Writes the curves; both axes grow by factors.
pub(crate) fn write(points: &[Point], file: &Path) -> Result<()> {
    let mut series: Vec<&'static str> = Vec::new();
    for point in points {
        if !series.contains(&point.series) {
            series.push(point.series);
        }
    }
    let seconds = points.iter().map(|point| point.seconds);
    let least = seconds.clone().fold(f64::INFINITY, f64::min);
    let most = seconds.fold(0.0, f64::max);
    if series.is_empty() || least <= 0.0 {
        return Err(
            "there is nothing to plot: run lookup, iterations, gc-plan, record-by-size".into(),
        );
    }
    let (bottom, top) = (
        // A little less, so that the lowest line has its number.
        0.99 * 10_f64.powf(least.log10().floor()),
        10_f64.powf(most.log10().ceil()),
    );
    let root = SVGBackend::new(file, (820, 460)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(
            "Cost of one call against the size of the catalog",
            ("sans-serif", 18),
        )
        .margin(14)
        .margin_right(170)
        .x_label_area_size(46)
        .y_label_area_size(64)
        .build_cartesian_2d((8e3_f64..1.25e7).log_scale(), (bottom..top).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(WHITE.mix(0.0))
        .bold_line_style(BLACK.mix(0.12))
        .x_desc("artifacts in the catalog")
        .y_desc("median time")
        .x_labels(4)
        .x_label_formatter(&|rows| format!("{}", Thousands(*rows)))
        .y_label_formatter(&duration)
        .label_style(("sans-serif", 13))
        .axis_desc_style(("sans-serif", 14))
        .draw()?;
    for (name, colour) in series.iter().zip(COLOURS.iter().cycle()) {
        let line: Vec<(f64, f64)> = points
            .iter()
            .filter(|point| point.series == *name)
            .map(|point| (point.rows as f64, point.seconds))
            .collect();
        chart.draw_series(LineSeries::new(
            line.iter().copied(),
            colour.stroke_width(2),
        ))?;
        let dots = line.iter().map(|at| Circle::new(*at, 4, colour.filled()));
        chart.draw_series(dots)?;
        // The name is at the end of its curve, so that no legend is needed.
        if let Some(end) = line.last() {
            let style = ("sans-serif", 14).into_font().color(colour);
            chart.draw_series([
                EmptyElement::at(*end) + Text::new((*name).to_owned(), (9, -7), style)
            ])?;
        }
    }
    root.present()?;
    Ok(())
}

/// A number with commas.
struct Thousands(f64);

impl std::fmt::Display for Thousands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = format!("{:.0}", self.0);
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}
