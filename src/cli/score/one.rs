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
    taxonomy::{Category, Role, Way},
};

/// Prints the scores of one text as a table.
pub(super) fn score_text(
    classifier: &Classifier,
    policy: Option<&Policy>,
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

fn write_table(out: &mut impl Write, scores: &Scores, policy: Option<&Policy>) -> io::Result<()> {
    if let Some(verdict) = policy.map(|policy| policy.verdict(scores)) {
        let because: Vec<_> = verdict.because.iter().map(|category| category.name()).collect();
        let reason = if because.is_empty() { "" } else { ", because of " };
        writeln!(out, "verdict: {}{reason}{}", verdict.decision, because.join(", "))?;
    }
    let mut row = |indent: &str, name: &str, probability: f32| {
        let bar = "#".repeat((probability * 20.0).round() as usize);
        let line =
            format!("{indent}{name:<width$} {probability:.3} {bar}", width = 26 - indent.len());
        writeln!(out, "{}", line.trim_end())
    };
    let categories = Category::ALL.map(|category| (Role::Category(category), category.name()));
    let ways = Way::ALL.map(|way| (Role::Way(way), way.name()));
    let overall = [(Role::Dehumanization, "dehumanization")];
    let rows = overall.into_iter().chain(categories).chain(ways).chain([(Role::Hate, "hate")]);
    for (role, name) in rows.filter(|&(role, _)| scores.labels().has(role)) {
        let part = matches!(role, Role::Category(_) | Role::Way(_));
        row(if part { "  " } else { "" }, name, scores.probabilities.of(role))?;
    }
    for (name, &probability) in scores.labels().names().zip(&scores.probabilities.labels) {
        row("", name, probability)?;
    }
    if scores.windows.len() > 1 {
        writeln!(out, "windows (bytes of the text)")?;
        for window in &scores.windows {
            let view = match window.view {
                TextView::Raw => "",
                TextView::Normalized => " (normalized view)",
            };
            let probabilities = &window.probabilities;
            let own = probabilities.labels.iter().map(|p| format!("{p:.3}"));
            let shown = match scores.labels().has(Role::Dehumanization) {
                true => format!("{:.3}", probabilities.dehumanization),
                false => own.collect::<Vec<_>>().join(" "),
            };
            let Range { start, end } = window.bytes;
            writeln!(out, "  {start}..{end}: {shown}{view}")?;
        }
    }
    Ok(())
}
