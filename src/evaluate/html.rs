//! A report as one HTML file that needs no other.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    DecisionFigures, Document, Figure, LabelFigures, MINIMUM, RankingFigures, SliceFigures,
    plot::{self, Bar},
};

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1b1f24; --faint: #5b6570; --line: #d5dbe1; --paper: #fff;
  --front: #0b66c3; --behind: #a9cdf0; --mark: #b3400a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ebee; --faint: #a3adb8; --line: #3a424b;
  --paper: #14181c; --front: #6db3f8; --behind: #24507c; --mark: #ff9d6b; } }
body { background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif;
  margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
.pair { display: flex; flex-wrap: wrap; gap: 2rem; align-items: flex-start; }
.pair > svg { flex: 1 1 22rem; max-width: 34rem; } .pair > .table { flex: 1 1 26rem; }
.bars > svg { max-width: 44rem; } .table { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--faint); padding-bottom: .3rem; }
th, td { text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
thead th { border-bottom: 2px solid var(--line); } tbody th { font-weight: 500; }
.interval-text, .few { color: var(--faint); white-space: nowrap; }
code { overflow-wrap: anywhere; }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; } svg .tick { fill: var(--faint); }
.grid { stroke: var(--line); } .reference { stroke: var(--faint); stroke-dasharray: 4 4; }
.curve { fill: none; stroke: var(--front); stroke-width: 2; } .mark { fill: var(--mark); }
.count, .behind { fill: var(--behind); } .front { fill: var(--front); }
.interval { stroke: var(--ink); stroke-width: 1.5; }
";

/// The report as a page: no scripts, nothing from elsewhere, no text of the data.
pub(crate) fn html(document: &Document) -> String {
    let Document { report, data, model, .. } = document;
    let title = format!("{} on {}", model.name, data.name);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { (title) }
                    (provenance(document))
                    p {
                        "Figures are shares from 0 to 1, with 95% intervals from "
                        (report.bootstrap.resamples) " bootstrap resamples (seed "
                        (report.bootstrap.seed) ") and the number of texts they rest on. Figures \
                         that would rest on fewer than " (MINIMUM) " are left out."
                    }
                    h2 { "Dehumanization" }
                    (overall(document))
                    h2 { "Precision, recall and the policy's thresholds" }
                    div.pair {
                        (plot::precision_recall(report))
                        (decisions(&report.flag, &report.review))
                    }
                    h2 { "Calibration" }
                    div.pair { (plot::reliability(report)) (bins(document)) }
                    h2 { "By category" }
                    (labels("category", report.categories.iter().map(|(c, f)| (c.name(), f)), "the policy names the category as a cause"))
                    h2 { "By way of dehumanizing" }
                    (labels("way", report.ways.iter().map(|(w, f)| (w.name(), f)), "the way is more probable than not (a policy has no thresholds for ways)"))
                    h2 { "By group mentioned" }
                    (groups(document))
                    (slices("function", "By function", &report.by_function))
                    (slices("division", "By the field category", &report.by_category))
                }
            }
        }
    };
    page.into_string()
}

fn provenance(document: &Document) -> Markup {
    let Document { dignity, date, model, policy, data, .. } = document;
    let rows = [
        ("dignity", (*dignity).to_owned(), None),
        ("model", format!("{} {}", model.name, model.version), Some(model.digest)),
        ("policy", format!("{} {}", policy.name, policy.version), Some(policy.digest)),
        (
            "data",
            format!(
                "{}: {} texts, {} dehumanize; {} bad rows left out",
                data.name, data.rows, data.positives, data.bad_rows
            ),
            Some(data.digest),
        ),
        ("date", date.clone(), None),
    ];
    html! {
        div.table { table {
            caption { "What this report was made with" }
            tbody {
                @for (name, value, digest) in rows {
                    tr {
                        th scope="row" { (name) }
                        td { (value) @if let Some(digest) = digest { br; code { (digest) } } }
                    }
                }
            }
        } }
    }
}

fn head(names: &[&str]) -> Markup {
    html! { thead { tr { @for name in names { th scope="col" { (name) } } } } }
}

/// A figure with its interval, and its count where that is not in a column of its own.
fn cell(figure: &Figure, counted: bool) -> Markup {
    html! {
        td {
            @if let Some(value) = figure.value {
                (format!("{value:.3}"))
                @if let Some(interval) = figure.interval {
                    " " span.interval-text { (format!("{:.3}–{:.3}", interval.low, interval.high)) }
                }
                @if counted { " " span.interval-text { "of " (figure.n) } }
            } @else {
                span.few { "too few (" (figure.n) ")" }
            }
        }
    }
}

fn overall(document: &Document) -> Markup {
    let report = &document.report;
    let row = |name: &str, figures: &RankingFigures| {
        html! {
            tr {
                th scope="row" { (name) }
                td { (figures.n) }
                td { (figures.positives) }
                (cell(&figures.average_precision, false))
                (cell(&figures.roc_auc, false))
            }
        }
    };
    html! {
        div.table { table {
            caption { "How well scores put positives first" }
            (head(&["score", "texts", "positive", "average precision", "ROC AUC"]))
            tbody {
                (row("dehumanization", &report.dehumanization))
                (row("dehumanization, among hateful texts", &report.dehumanization_among_hate))
                (row("hate", &report.hate))
            }
        } }
    }
}

fn decisions(flag: &DecisionFigures, review: &DecisionFigures) -> Markup {
    html! {
        div.table { table {
            caption { "What the policy's decisions do" }
            (head(&["", "flag", "review or flag"]))
            tbody {
                tr { th scope="row" { "threshold" } td { (flag.threshold) } td { (review.threshold) } }
                tr {
                    th scope="row" { "texts chosen" }
                    td { (flag.confusion.chosen()) } td { (review.confusion.chosen()) }
                }
                tr { th scope="row" { "precision" } (cell(&flag.precision, true)) (cell(&review.precision, true)) }
                tr { th scope="row" { "recall" } (cell(&flag.recall, true)) (cell(&review.recall, true)) }
                tr { th scope="row" { "F1" } (cell(&flag.f1, false)) (cell(&review.f1, false)) }
                tr {
                    th scope="row" { "false-positive rate" }
                    (cell(&flag.false_positive_rate, true)) (cell(&review.false_positive_rate, true))
                }
            }
        } }
    }
}

fn bins(document: &Document) -> Markup {
    let reliability = &document.report.reliability;
    let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |v| format!("{v:.3}"));
    html! {
        div.table { table {
            caption {
                "Expected calibration error "
                (number(reliability.expected_calibration_error.value)) ", 15 bins of equal width"
            }
            (head(&["probabilities", "texts", "mean probability", "share dehumanizing"]))
            tbody {
                @for bin in &reliability.bins {
                    tr {
                        th scope="row" { (format!("{:.3}–{:.3}", bin.from, bin.to)) }
                        td { (bin.n) }
                        td { (number(bin.mean_probability)) }
                        td { (number(bin.positive_share)) }
                    }
                }
            }
        } }
    }
}

fn labels<'a>(
    title: &str,
    rows: impl Iterator<Item = (&'static str, &'a LabelFigures)>,
    named: &str,
) -> Markup {
    let rows: Vec<_> = rows.collect();
    let bars: Vec<_> = rows
        .iter()
        .map(|(name, figures)| Bar {
            name,
            front: &figures.flagged,
            behind: Some(&figures.reviewed),
        })
        .collect();
    let description = format!(
        "For each {title}, the share of its dehumanizing texts that the policy flags, and behind it \
         in a fainter colour the share that it reviews or flags. The table has the numbers."
    );
    html! {
        div.bars { (plot::bars(title, &format!("Recall by {title}"), &description, &bars)) }
        div.table { table {
            caption {
                "Precision and recall of the label are those at the threshold, where " (named)
                "; flagged and reviewed are shares of the texts that have the label"
            }
            (head(&[title, "positive", "ROC AUC", "average precision", "threshold", "precision", "recall", "flagged", "reviewed"]))
            tbody {
                @for (name, figures) in &rows {
                    tr {
                        th scope="row" { (name) }
                        td { (figures.ranking.positives) }
                        (cell(&figures.ranking.roc_auc, false))
                        (cell(&figures.ranking.average_precision, false))
                        td { (figures.named.threshold) }
                        (cell(&figures.named.precision, true))
                        (cell(&figures.named.recall, false))
                        (cell(&figures.flagged, false))
                        (cell(&figures.reviewed, false))
                    }
                }
            }
        } }
    }
}

fn groups(document: &Document) -> Markup {
    html! {
        div.table { table {
            caption {
                "Subgroup AUC: among texts that mention the group. BPSN: dehumanizing texts that do \
                 not mention it against harmless ones that do; low where a mention raises the score. \
                 BNSP: the other way round. After Borkan et al. 2019."
            }
            (head(&["group", "texts", "dehumanizing", "subgroup AUC", "BPSN AUC", "BNSP AUC"]))
            tbody {
                @for group in &document.report.groups {
                    tr {
                        th scope="row" { (group.group.name()) }
                        td { (group.n) }
                        td { (group.positives) }
                        (cell(&group.subgroup_auc, false))
                        (cell(&group.bpsn_auc, false))
                        (cell(&group.bnsp_auc, false))
                    }
                }
            }
        } }
    }
}

fn slices(id: &str, title: &str, rows: &[SliceFigures]) -> Markup {
    let bars: Vec<_> = rows
        .iter()
        .map(|row| Bar { name: &row.name, front: &row.flag.accuracy, behind: None })
        .collect();
    let description = "The share of texts that are flagged where they should be and not flagged \
                       where they should not. The table has the numbers.";
    html! {
        @if !rows.is_empty() {
            h2 { (title) }
            div.bars { (plot::bars(id, "Right decisions to flag", description, &bars)) }
            div.table { table {
                caption { "Decisions against labels" }
                (head(&["name", "texts", "dehumanizing", "flagged", "right", "recall", "false alarms", "reviewed or flagged"]))
                tbody {
                    @for row in rows {
                        tr {
                            th scope="row" { (row.name) }
                            td { (row.n) }
                            td { (row.positives) }
                            td { (row.flag.confusion.chosen()) }
                            (cell(&row.flag.accuracy, false))
                            (cell(&row.flag.recall, false))
                            (cell(&row.flag.false_positive_rate, false))
                            td { (row.review.confusion.chosen()) }
                        }
                    }
                }
            } }
        }
    }
}
