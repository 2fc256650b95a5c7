//! What a run leaves behind: tables, JSON, histograms and plots.

mod hgrm;
mod json;
pub(crate) mod machine;
pub(crate) mod plot;
mod ratios;
mod summary;
pub(crate) mod table;
mod tables;

use crate::options::Options;
use crate::run::Results;
use anyhow::{Context, Result};
use std::path::Path;

/// Writes everything, and shows the tables.
pub(crate) fn write(options: &Options, results: &Results) -> Result<()> {
    let out = &options.out;
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let summary = summary::summarise(results);
    for latency in &summary.latencies {
        hgrm::write(
            &out.join(format!("{}.hgrm", latency.file_name())),
            &latency.to_kernel,
        )?;
    }
    plot::write_all(out, &summary.latencies)?;
    save(
        out,
        "results.json",
        &json::render(results, &ratios::ratios(results, &summary))?,
    )?;
    save(
        out,
        "results.md",
        &tables::render(results, &summary, table::Form::Markdown),
    )?;
    let text = tables::render(results, &summary, table::Form::Text);
    save(out, "results.txt", &text)?;
    println!("{text}\nin {}", out.display());
    Ok(())
}

/// Writes a file of the results.
pub(crate) fn save(out: &Path, name: &str, text: &str) -> Result<()> {
    let path = out.join(name);
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}
