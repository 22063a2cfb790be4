//! A summary as one HTML file that needs no other.

use indexmap::IndexMap;
use maud::{Markup, html};

use super::{BINS, Chosen, Decisions, Document, Figures, Provenance, Summary, plot};
use crate::evaluate::{
    WAY_THRESHOLD,
    page::{head, made_with, page},
};

/// The summary as a page: no scripts, nothing from elsewhere, texts masked.
pub(crate) fn html(document: &Document<'_>) -> String {
    let Document { figures, summary, inputs, .. } = document;
    let title = match inputs {
        1 => "Scores of 1 file".to_owned(),
        many => format!("Scores of {many} files"),
    };
    let ways = format!(
        "How many texts that are flagged or put to review have a probability of at least \
         {WAY_THRESHOLD} for the way; a text may have several"
    );
    let body = html! {
        h1 { (title) }
        (provenance(document))
        h2 { "Decisions" }
        (decisions(figures, document.run))
        h2 { "Distribution of scores" }
        div.pair { (plot::distribution(&figures.distribution)) (bins(&figures.distribution)) }
        h2 { "By category" }
        (chosen("category", "How often the policy names the category as a cause; it may name several", &figures.categories))
        h2 { "By way of dehumanizing" }
        (chosen("way", &ways, &figures.ways))
        h2 { "The highest scores" }
        (examples(summary))
    };
    page(&title, &body)
}

fn provenance(document: &Document<'_>) -> Markup {
    let Provenance { dignity, model, engine, precision, device, policies, shard } = document.run;
    let mut rows = vec![
        ("dignity", (*dignity).to_owned(), None),
        ("model", format!("{} {}", model.name, model.version), Some(model.digest)),
        ("computed by", format!("{engine} in {precision} on {device}"), None),
    ];
    for policy in policies {
        rows.push(("policy", format!("{} {}", policy.name, policy.version), Some(policy.digest)));
    }
    if let Some(shard) = shard {
        rows.push(("shard", shard.clone(), None));
    }
    rows.push(("date", document.date.clone(), None));
    made_with(&rows)
}

fn decisions(figures: &Figures, run: &Provenance) -> Markup {
    let share = |n: u64| format!("{:.2}%", 100.0 * n as f64 / figures.scored.max(1) as f64);
    let cells = |decisions: &Decisions| {
        html! {
            @for n in [decisions.flag, decisions.review, decisions.allow] {
                td { (n) " " span.interval-text { (share(n)) } }
            }
        }
    };
    let first = run.policies.first().map_or("", |policy| &policy.name);
    html! {
        p {
            (figures.rows) " rows: " (figures.scored) " scored, " (figures.bad)
            " bad (they say in their place what is wrong with them)."
        }
        div.table { table {
            caption { "What the policy decides; shares are of the rows that were scored" }
            (head(&["policy", "flag", "review", "allow"]))
            tbody {
                @if figures.policies.is_empty() {
                    tr { th scope="row" { (first) } (cells(&figures.decisions)) }
                }
                @for (name, decisions) in &figures.policies {
                    tr { th scope="row" { (name) } (cells(decisions)) }
                }
            }
        } }
    }
}

fn bins(counts: &[u64; BINS]) -> Markup {
    let edge = |bin: usize| bin as f64 / BINS as f64;
    html! {
        div.table { table {
            caption { "How many texts have which probability of dehumanization" }
            (head(&["probability", "texts"]))
            tbody {
                @for (bin, n) in counts.iter().enumerate() {
                    tr {
                        th scope="row" { (format!("{:.2}–{:.2}", edge(bin), edge(bin + 1))) }
                        td { (n) }
                    }
                }
            }
        } }
    }
}

fn chosen(title: &str, caption: &str, rows: &IndexMap<String, Chosen>) -> Markup {
    let bars: Vec<_> = rows.iter().map(|(name, chosen)| (name.as_str(), *chosen)).collect();
    html! {
        div.bars { (plot::chosen(title, &format!("Texts by {title}"), &bars)) }
        div.table { table {
            caption { (caption) }
            (head(&[title, "flag", "review"]))
            tbody {
                @for (name, chosen) in rows {
                    tr { th scope="row" { (name) } td { (chosen.flag) } td { (chosen.review) } }
                }
            }
        } }
    }
}

fn examples(summary: &Summary) -> Markup {
    html! {
        @if summary.examples.is_empty() {
            p { "No text was flagged or put to review." }
        } @else {
            p {
                "Masked: of every word but the commonest that hold a sentence together (the, are, they), \
                 the first letter is left, and of words of one or two letters none. Of a long text the \
                 window with the highest score is shown, of several that look alike the first. File \
                 and line tell where the text stands."
            }
            div.table { table {
                caption { "The texts with the highest probability of dehumanization" }
                (head(&["probability", "decision", "because", "place", "text"]))
                tbody {
                    @for example in &summary.examples {
                        tr {
                            th scope="row" { (format!("{:.3}", example.probability)) }
                            td { (example.decision) }
                            td { (example.because.iter().map(|c| c.name()).collect::<Vec<_>>().join(", ")) }
                            td { (example.place) }
                            td { (example.masked) }
                        }
                    }
                }
            } }
        }
    }
}
