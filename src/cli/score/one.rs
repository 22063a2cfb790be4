//! One text, as a table.

use std::{
    io::{self, Write},
    ops::Range,
};

use crate::{
    classifier::Classifier,
    cli::CliError,
    policy::Policy,
    scores::{Scores, TextView},
    taxonomy::{Category, Way},
};

/// Prints the scores of one text as a table.
pub(super) fn score_text(
    classifier: &Classifier,
    policy: &Policy,
    text: &str,
) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    for scores in classifier.score(&[text])? {
        match scores.unscored {
            Some(reason) => writeln!(out, "not scored: {reason}")?,
            None => write_table(&mut out, &scores, policy)?,
        }
    }
    Ok(())
}

fn write_table(out: &mut impl Write, scores: &Scores, policy: &Policy) -> io::Result<()> {
    let verdict = policy.verdict(scores);
    let because: Vec<_> = verdict.because.iter().map(|category| category.name()).collect();
    let reason = if because.is_empty() { "" } else { ", because of " };
    writeln!(out, "verdict: {}{reason}{}", verdict.decision, because.join(", "))?;
    let mut row = |indent: &str, name: &str, probability: f32| {
        let bar = "#".repeat((probability * 20.0).round() as usize);
        let line =
            format!("{indent}{name:<width$} {probability:.3} {bar}", width = 26 - indent.len());
        writeln!(out, "{}", line.trim_end())
    };
    row("", "dehumanization", scores.dehumanization())?;
    for category in Category::ALL {
        row("  ", category.name(), scores.category(category))?;
    }
    for way in Way::ALL {
        row("  ", way.name(), scores.way(way))?;
    }
    row("", "hate", scores.hate())?;
    if scores.windows.len() > 1 {
        writeln!(out, "windows (bytes of the text)")?;
        for window in &scores.windows {
            let probability = window.probabilities.dehumanization;
            let view = match window.view {
                TextView::Raw => "",
                TextView::Normalized => " (normalized view)",
            };
            let Range { start, end } = window.bytes;
            writeln!(out, "  {start}..{end}: {probability:.3}{view}")?;
        }
    }
    Ok(())
}
