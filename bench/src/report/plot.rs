//! Latency by percentile, one line for each system: what happens rarely is on the right.

use super::summary::Latency;
use crate::run::Condition;
use crate::scenario::Scenario;
use crate::system::System;
use anyhow::{Context, Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::{
    BLACK, BitMapBackend, ChartBuilder, Color, DrawingArea, DrawingBackend, FontStyle, IntoDrawingArea,
    IntoLogRange, LineSeries, PathElement, RGBColor, SVGBackend, WHITE,
};
use plotters::style::register_font;
use std::collections::BTreeMap;
use std::path::Path;

/// Of a plot, in pixels.
pub(crate) const SIZE: (u32, u32) = (960, 560);
/// Debian's `fonts-dejavu-core`.
pub(crate) const FONT: &str = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf";
/// Points of a line for each factor of ten.
const TICKS: u32 = 40;
/// Percentiles with fewer packets beyond them than this are chance.
const BEYOND: f64 = 3.0;

/// One plot for each scenario and condition, as SVG and PNG.
pub(crate) fn write_all(out: &Path, latencies: &[Latency]) -> Result<()> {
    let font = std::fs::read(FONT)
        .with_context(|| format!("{FONT}: plots need Debian's package fonts-dejavu-core"))?;
    register_font("sans-serif", FontStyle::Normal, font.leak()).map_err(|_| anyhow!("{FONT} is no font"))?;
    let mut plots: BTreeMap<(Scenario, Condition), Vec<&Latency>> = BTreeMap::new();
    for latency in latencies {
        plots
            .entry((latency.scenario, latency.condition))
            .or_default()
            .push(latency);
    }
    for ((scenario, condition), lines) in plots {
        let Scenario {
            rooms,
            publishers,
            legs,
            payload,
        } = scenario;
        let name = format!(
            "latency-{rooms}x{publishers}x{legs}-{payload}-{}",
            condition.name()
        );
        let title = format!("One-way latency, {scenario}, {}", condition.name());
        let svg = out.join(format!("{name}.svg"));
        draw(&SVGBackend::new(&svg, SIZE).into_drawing_area(), &title, &lines)?;
        let png = out.join(format!("{name}.png"));
        draw(
            &BitMapBackend::new(&png, SIZE).into_drawing_area(),
            &title,
            &lines,
        )?;
    }
    Ok(())
}

fn draw<B: DrawingBackend>(area: &DrawingArea<B, Shift>, title: &str, lines: &[&Latency]) -> Result<()>
where
    B::ErrorType: 'static,
{
    let points: Vec<_> = lines.iter().map(|line| points(line)).collect();
    let all = || points.iter().flatten();
    let right = all().map(|(nines, _)| *nines).fold(1.0, f64::max);
    let top = all().map(|(_, micros)| *micros).fold(10.0, f64::max) * 1.2;
    let bottom = all().map(|(_, micros)| *micros).fold(top, f64::min).max(0.5) / 1.2;
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..right, (bottom..top).log_scale())?;
    chart
        .configure_mesh()
        .x_labels(right.floor() as usize + 1)
        .y_label_formatter(&|micros| format!("{micros:.0}"))
        .x_label_formatter(&|nines| percentile(*nines))
        .x_desc("percentile")
        .y_desc("µs")
        .draw()?;
    for (line, points) in lines.iter().zip(points) {
        let colour = colour(line.system);
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
            .label(line.system.name())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(plotters::prelude::SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .draw()?;
    area.present()?;
    Ok(())
}

/// `(nines, microseconds)`: 1 is the 90th percentile, 2 the 99th, 3 the 99.9th.
fn points(latency: &Latency) -> Vec<(f64, f64)> {
    let count = latency.to_kernel.len() as f64;
    let last = (count / BEYOND).log10().max(0.5);
    let steps = (last * f64::from(TICKS)) as u32;
    (0..=steps)
        .map(|step| {
            let nines = f64::from(step) / f64::from(TICKS);
            let nanos = latency.to_kernel.value_at_quantile(1.0 - 10f64.powf(-nines));
            (nines, (nanos as f64 / 1e3).max(0.1))
        })
        .collect()
}

fn percentile(nines: f64) -> String {
    let percent = 100.0 * (1.0 - 10f64.powf(-nines));
    let digits = (nines.floor() as usize).saturating_sub(1).max(1);
    format!("{percent:.digits$}")
}

const fn colour(system: System) -> RGBColor {
    match system {
        System::Kernel => RGBColor(0x1b, 0x7f, 0x3b),
        System::Userspace => RGBColor(0x1f, 0x5f, 0xbf),
        System::Floor => RGBColor(0x80, 0x80, 0x80),
        System::Janus => RGBColor(0xc0, 0x39, 0x2b),
    }
}
