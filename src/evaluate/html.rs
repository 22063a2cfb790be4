//! A report as one HTML file that needs no other.

use maud::{Markup, html};

use super::{
    DecisionFigures, Document, Figure, LabelFigures, MINIMUM, RankingFigures, SliceFigures,
    page::{head, made_with, page},
    plot::{self, Bar},
};

/// The report as a page: no scripts, nothing from elsewhere, no text of the data.
pub(crate) fn html(document: &Document) -> String {
    let Document { report, data, model, .. } = document;
    let title = format!("{} on {}", model.name, data.name);
    let body = html! {
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
    };
    page(&title, &body)
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
    made_with(&rows)
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
