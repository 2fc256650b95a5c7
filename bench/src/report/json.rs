//! Everything that was measured, for programs.

use super::ratios::Ratio;
use super::summary::Times;
use crate::run::{Cell, Results};
use anyhow::Result;
use serde_json::{Value, json};

pub(crate) fn render(results: &Results, ratios: &[Ratio]) -> Result<String> {
    let document = json!({
        "unit": "nanoseconds",
        "machine": results.machine,
        "missing": results.missing,
        "programs": results.programs,
        "ratios": ratios.iter().map(|ratio| json!({
            "figure": ratio.figure,
            "asked": ratio.asked.to_string(),
            "seen": ratio.seen,
            "verdict": ratio.verdict(),
        })).collect::<Vec<_>>(),
        "cells": results.cells.iter().map(cell).collect::<Vec<_>>(),
    });
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

fn cell(cell: &Cell) -> Value {
    let latency: Vec<_> = cell
        .latency
        .iter()
        .map(|(condition, outcome)| {
            json!({
                "load": condition,
                "to_kernel": Times::of(&outcome.to_kernel),
                "to_program": Times::of(&outcome.to_program),
                "expected": outcome.expected,
                "lost": outcome.lost,
                "duplicates": outcome.duplicates,
                "opened": outcome.opened,
                "usage": outcome.usage,
                "in_kernel": outcome.in_kernel,
                "sender_latest": outcome.sender_latest,
            })
        })
        .collect();
    json!({
        "system": cell.system,
        "scenario": cell.scenario,
        "turn": cell.repeat + 1,
        "srtp": cell.profile,
        "latency": latency,
        "cost": cell.cost,
        "rate": cell.rate,
        "calibration": cell.calibration,
    })
}
