//! A report as plain text.

use std::io::{self, Write};

use super::{
    DecisionFigures, Document, Figure, LabelFigures, RankingFigures, SliceFigures,
    bootstrap::MINIMUM,
};

/// Writes the report as tables of at most 100 columns.
pub(crate) fn write_table(out: &mut impl Write, document: &Document) -> io::Result<()> {
    let mut padded = Vec::new();
    write_padded(&mut padded, document)?;
    for line in String::from_utf8_lossy(&padded).lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn write_padded(out: &mut impl Write, document: &Document) -> io::Result<()> {
    let Document { report, data, .. } = document;
    writeln!(
        out,
        "{}: {} texts, {} dehumanize; {} bad rows",
        data.name, report.n, report.positives, data.bad_rows
    )?;
    writeln!(
        out,
        "95% intervals from {} resamples; - is a figure that would rest on fewer than {MINIMUM}",
        report.bootstrap.resamples
    )?;

    ranking(out, "dehumanization", &report.dehumanization)?;
    ranking(out, "dehumanization, among hate", &report.dehumanization_among_hate)?;
    ranking(out, "hate", &report.hate)?;
    writeln!(out, "\ncalibration of dehumanization")?;
    line(out, "expected calibration error", &report.reliability.expected_calibration_error)?;
    decision(out, "flag", &report.flag)?;
    decision(out, "review or flag", &report.review)?;

    labels(out, "category", report.categories.iter().map(|(c, figures)| (c.name(), figures)))?;
    labels(out, "way", report.ways.iter().map(|(way, figures)| (way.name(), figures)))?;

    writeln!(
        out,
        "\n{:<24} {:>6} {:>6}  {:<21} {:<21} {:<21}",
        "mentioned group", "n", "dehum.", "subgroup AUC", "BPSN AUC", "BNSP AUC"
    )?;
    for group in &report.groups {
        writeln!(
            out,
            "  {:<22} {:>6} {:>6}  {:<21} {:<21} {:<21}",
            group.group.name(),
            group.n,
            group.positives,
            full(&group.subgroup_auc),
            full(&group.bpsn_auc),
            full(&group.bnsp_auc),
        )?;
    }
    slices(out, "function", &report.by_function)?;
    slices(out, "category (field)", &report.by_category)
}

fn ranking(out: &mut impl Write, title: &str, figures: &RankingFigures) -> io::Result<()> {
    writeln!(out, "\n{title}: {} texts, {} positive", figures.n, figures.positives)?;
    line(out, "average precision", &figures.average_precision)?;
    line(out, "ROC AUC", &figures.roc_auc)
}

fn decision(out: &mut impl Write, title: &str, figures: &DecisionFigures) -> io::Result<()> {
    let chosen = figures.confusion.chosen();
    writeln!(out, "\n{title} at {}: {chosen} texts", figures.threshold)?;
    line(out, "precision", &figures.precision)?;
    line(out, "recall", &figures.recall)?;
    line(out, "F1", &figures.f1)?;
    line(out, "false-positive rate", &figures.false_positive_rate)
}

fn line(out: &mut impl Write, name: &str, figure: &Figure) -> io::Result<()> {
    writeln!(out, "  {name:<28} {:<21} of {}", full(figure), figure.n)
}

fn labels<'a>(
    out: &mut impl Write,
    title: &str,
    rows: impl Iterator<Item = (&'static str, &'a LabelFigures)>,
) -> io::Result<()> {
    writeln!(
        out,
        "\n{title:<25} {:>5}  {:<21} {:>6} {:>10} {:>6} {:>6} {:>8} {:>8}",
        "n", "ROC AUC", "AP", "threshold", "prec.", "recall", "flagged", "reviewed"
    )?;
    for (name, figures) in rows {
        writeln!(
            out,
            "  {name:<23} {:>5}  {:<21} {:>6} {:>10} {:>6} {:>6} {:>8} {:>8}",
            figures.ranking.positives,
            full(&figures.ranking.roc_auc),
            short(&figures.ranking.average_precision),
            figures.named.threshold,
            short(&figures.named.precision),
            short(&figures.named.recall),
            short(&figures.flagged),
            short(&figures.reviewed),
        )?;
    }
    Ok(())
}

fn slices(out: &mut impl Write, title: &str, rows: &[SliceFigures]) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let width = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0).clamp(22, 48);
    writeln!(
        out,
        "\n{title:<width$}   {:>5} {:>6} {:>7}  {:<21} {:>6} {:>12} {:>8}",
        "n", "dehum.", "flagged", "right (flag)", "recall", "false alarms", "reviewed"
    )?;
    for row in rows {
        writeln!(
            out,
            "  {:<width$} {:>5} {:>6} {:>7}  {:<21} {:>6} {:>12} {:>8}",
            row.name,
            row.n,
            row.positives,
            row.flag.confusion.chosen(),
            full(&row.flag.accuracy),
            short(&row.flag.recall),
            short(&row.flag.false_positive_rate),
            row.review.confusion.chosen(),
        )?;
    }
    Ok(())
}

/// `0.912 (0.880-0.941)`, or less where there is no interval or no figure.
fn full(figure: &Figure) -> String {
    match (figure.value, figure.interval) {
        (Some(value), Some(interval)) => {
            format!("{value:.3} ({:.3}-{:.3})", interval.low, interval.high)
        }
        _ => short(figure),
    }
}

/// `0.912`, or `-`.
fn short(figure: &Figure) -> String {
    figure.value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}
