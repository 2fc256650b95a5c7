//! Tables, JSON and a plot of what mixes cost.

use super::{COMPARED, Measured, Options, System};
use crate::report::plot::{FONT, SIZE};
use crate::report::table::{Form, Table};
use crate::report::{machine, save};
use anyhow::{Context, Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::{
    BitMapBackend, ChartBuilder, DrawingArea, DrawingBackend, FontStyle, IntoDrawingArea, IntoSegmentedCoord,
    RGBColor, Rectangle, SVGBackend, SegmentValue, WHITE,
};
use plotters::style::{Color, register_font};
use std::path::Path;

/// What is asked: of the cheaper of the others.
const CPU: f64 = 0.6;
/// And of the better of them, in dB.
const QUALITY: f64 = 0.5;

pub(super) fn write(out: &Path, options: &Options, results: &[Measured], missing: &[String]) -> Result<()> {
    let json = serde_json::json!({
        "seconds": options.seconds,
        "bitrate": options.bitrate,
        "machine": machine::Hardware::describe()?,
        "results": results,
        "missing": missing,
    });
    save(out, "results.json", &serde_json::to_string_pretty(&json)?)?;
    save(out, "results.md", &render(results, missing, Form::Markdown))?;
    let text = render(results, missing, Form::Text);
    save(out, "results.txt", &text)?;
    plot(out, results)?;
    println!("{text}\nin {}", out.display());
    Ok(())
}

fn render(results: &[Measured], missing: &[String], form: Form) -> String {
    let mut all = Table::new(&[
        "mixer",
        "hosts",
        "turn",
        "CPU s/s",
        "MiB",
        "kbit/s",
        "pictures",
        "PSNR dB",
        "SSIM",
        "latency p50 ms",
        "p99 ms",
        "speed",
    ]);
    let fastest = results
        .iter()
        .map(|one| one.calibration)
        .fold(f64::INFINITY, f64::min);
    for one in results {
        let (made, due) = one.pictures;
        let quality =
            |value: Option<f64>, digits| value.map_or("-".to_owned(), |value| format!("{value:.digits$}"));
        all.row([
            one.system.name().to_owned(),
            one.hosts.to_string(),
            (one.turn + 1).to_string(),
            format!("{:.3}", one.cpu),
            format!("{:.0}", one.memory),
            format!("{:.0}", one.bitrate / 1e3),
            format!("{made} of {due}"),
            quality(one.quality.map(|quality| quality.psnr), 2),
            quality(one.quality.map(|quality| quality.ssim), 4),
            quality(percentile(&one.latency, 0.5), 1),
            quality(percentile(&one.latency, 0.99), 1),
            format!("{:.2}", one.calibration / fastest),
        ]);
    }
    let mut asked = Table::new(&["what is asked", "limit", "seen", ""]);
    for (what, limit, seen, is_met) in ratios(results) {
        asked.row([
            what,
            limit,
            seen,
            if is_met { "met" } else { "not met" }.to_owned(),
        ]);
    }
    let mut text = all.render(form) + "\n" + &asked.render(form);
    for line in missing {
        text += &format!("\nnot measured: {line}");
    }
    text
}

/// Least processor time and best quality over the turns of one mixer.
fn best(results: &[Measured], system: System) -> Option<(f64, f64)> {
    let turns = results
        .iter()
        .filter(|one| one.system == system && one.hosts == COMPARED);
    let quality = turns
        .clone()
        .filter_map(|one| one.quality)
        .map(|quality| quality.psnr)
        .max_by(f64::total_cmp)?;
    Some((turns.map(|one| one.cpu).min_by(f64::total_cmp)?, quality))
}

fn ratios(results: &[Measured]) -> Vec<(String, String, String, bool)> {
    let others = [System::Ffmpeg, System::Gstreamer].map(|system| best(results, system));
    let others: Vec<(f64, f64)> = others.into_iter().flatten().collect();
    let cheapest = others.iter().map(|(cpu, _)| *cpu).min_by(f64::total_cmp);
    let finest = others.iter().map(|(_, quality)| *quality).max_by(f64::total_cmp);
    let (Some((cpu, quality)), Some(cheapest), Some(finest)) =
        (best(results, System::Lianmai), cheapest, finest)
    else {
        return Vec::new();
    };
    let (ratio, less) = (cpu / cheapest, finest - quality);
    vec![
        (
            format!("CPU of {COMPARED} hosts / the cheaper of the others"),
            format!("at most {CPU}"),
            format!("{ratio:.2}"),
            ratio <= CPU,
        ),
        (
            "dB below the better of the others".to_owned(),
            format!("at most {QUALITY}"),
            format!("{less:.2}"),
            less <= QUALITY,
        ),
    ]
}

/// Of sorted values.
fn percentile(values: &[f64], part: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    Some(values[(last as f64 * part).round() as usize])
}

/// Processor time by mixer, as SVG and PNG.
fn plot(out: &Path, results: &[Measured]) -> Result<()> {
    let font = std::fs::read(FONT)
        .with_context(|| format!("{FONT}: plots need Debian's package fonts-dejavu-core"))?;
    register_font("sans-serif", FontStyle::Normal, font.leak()).map_err(|_| anyhow!("{FONT} is no font"))?;
    let mut bars: Vec<(String, f64, RGBColor)> = Vec::new();
    for one in results {
        let name = format!("{} {}", one.system.name(), one.hosts);
        match bars.iter_mut().find(|(known, _, _)| *known == name) {
            Some((_, cpu, _)) => *cpu = cpu.min(one.cpu),
            None => bars.push((name, one.cpu, colour(one.system))),
        }
    }
    let (svg, png) = (out.join("cpu.svg"), out.join("cpu.png"));
    draw(&SVGBackend::new(&svg, SIZE).into_drawing_area(), &bars)?;
    draw(&BitMapBackend::new(&png, SIZE).into_drawing_area(), &bars)
}

fn draw<B: DrawingBackend>(area: &DrawingArea<B, Shift>, bars: &[(String, f64, RGBColor)]) -> Result<()>
where
    B::ErrorType: 'static,
{
    let top = bars.iter().map(|(_, cpu, _)| *cpu).fold(0.1, f64::max) * 1.1;
    area.fill(&WHITE)?;
    let places = 0..bars.len().saturating_sub(1);
    let mut chart = ChartBuilder::on(area)
        .caption(
            "Processor time of a mix to 1280x720 at 30/s, by mixer and hosts",
            ("sans-serif", 20),
        )
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(places.into_segmented(), 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_label_formatter(&|place| match place {
            SegmentValue::CenterOf(place) => bars
                .get(*place)
                .map_or(String::new(), |(name, _, _)| name.clone()),
            _ => String::new(),
        })
        .y_desc("seconds for a second")
        .draw()?;
    chart.draw_series(bars.iter().enumerate().map(|(place, (_, cpu, colour))| {
        let mut bar = Rectangle::new(
            [
                (SegmentValue::Exact(place), 0.0),
                (SegmentValue::Exact(place + 1), *cpu),
            ],
            colour.filled(),
        );
        bar.set_margin(0, 0, 12, 12);
        bar
    }))?;
    area.present()?;
    Ok(())
}

const fn colour(system: System) -> RGBColor {
    match system {
        System::Lianmai => RGBColor(0x1b, 0x7f, 0x3b),
        System::Ffmpeg => RGBColor(0xc0, 0x39, 0x2b),
        System::Gstreamer => RGBColor(0x1f, 0x5f, 0xbf),
    }
}

#[cfg(test)]
mod tests {
    use super::{percentile, ratios};
    use crate::mixer::quality::Quality;
    use crate::mixer::{Measured, System};

    fn measured(system: System, cpu: f64, psnr: f64) -> Measured {
        Measured {
            system,
            hosts: 4,
            turn: 0,
            cpu,
            memory: 0.0,
            bitrate: 0.0,
            pictures: (600, 600),
            quality: Some(Quality { psnr, ssim: 0.9 }),
            latency: Vec::new(),
            calibration: 1.0,
        }
    }

    #[test]
    fn we_are_held_against_the_cheaper_and_against_the_better_of_the_others() {
        let results = [
            measured(System::Lianmai, 0.5, 38.0),
            measured(System::Ffmpeg, 0.8, 39.0),
            measured(System::Gstreamer, 1.2, 38.2),
        ];
        let seen: Vec<(String, bool)> = ratios(&results)
            .into_iter()
            .map(|(_, _, seen, met)| (seen, met))
            .collect();
        assert_eq!(seen, [("0.62".to_owned(), false), ("1.00".to_owned(), false)]);
        assert!(ratios(&results[..1]).is_empty(), "nothing to be held against");
    }

    #[test]
    fn percentiles_are_of_what_there_is() {
        assert_eq!(percentile(&[], 0.5), None);
        assert_eq!(percentile(&[1.0, 2.0, 9.0], 0.99), Some(9.0));
    }
}
