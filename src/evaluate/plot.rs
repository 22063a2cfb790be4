//! The plots of a report, as inline SVG.

use maud::{Markup, html};

use super::{Figure, Report};

/// The side of a square plot in user units, and the room around it for axes.
const SIDE: f64 = 300.0;
const LEFT: f64 = 52.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 44.0;

/// A plot with the title and the description that a screen reader tells.
pub(crate) fn frame(
    id: &str,
    title: &str,
    description: &str,
    width: f64,
    height: f64,
    content: Markup,
) -> Markup {
    let (title_id, description_id) = (format!("{id}-title"), format!("{id}-desc"));
    html! {
        svg role="img" aria-labelledby=(format!("{title_id} {description_id}"))
            viewBox=(format!("0 0 {width} {height}")) {
            title id=(title_id) { (title) }
            desc id=(description_id) { (description) }
            (content)
        }
    }
}

/// A square with axes from 0 to 1, and what is drawn in it.
fn square(id: &str, title: &str, description: &str, x: &str, y: &str, content: Markup) -> Markup {
    let (width, height) = (LEFT + SIDE + 16.0, TOP + SIDE + BOTTOM);
    let content = html! {
            @for tick in 0..=5 {
                @let share = f64::from(tick) / 5.0;
                line.grid x1=(LEFT) x2=(LEFT + SIDE) y1=(at_y(share)) y2=(at_y(share)) {}
                line.grid x1=(at_x(share)) x2=(at_x(share)) y1=(TOP) y2=(TOP + SIDE) {}
                text.tick x=(LEFT - 8.0) y=(at_y(share) + 4.0) text-anchor="end" { (share) }
                text.tick x=(at_x(share)) y=(TOP + SIDE + 17.0) text-anchor="middle" { (share) }
            }
            text.axis x=(LEFT + SIDE / 2.0) y=(TOP + SIDE + 37.0) text-anchor="middle" { (x) }
            text.axis x="14" y=(TOP + SIDE / 2.0) text-anchor="middle"
                transform=(format!("rotate(-90 14 {})", TOP + SIDE / 2.0)) { (y) }
            (content)
    };
    frame(id, title, description, width, height, content)
}

fn at_x(share: f64) -> f64 {
    hundredths(LEFT + share * SIDE)
}

fn at_y(share: f64) -> f64 {
    hundredths(TOP + (1.0 - share) * SIDE)
}

pub(crate) fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Precision against recall, the policy's thresholds marked.
pub(super) fn precision_recall(report: &Report) -> Markup {
    let points: Vec<_> = report
        .precision_recall
        .iter()
        .map(|point| format!("{},{}", at_x(point.recall), at_y(point.precision)))
        .collect();
    let prevalence = report.positives as f64 / report.n.max(1) as f64;
    let marks = [("flag", &report.flag), ("review", &report.review)];
    let marks: Vec<_> = marks
        .into_iter()
        .filter_map(|(name, decision)| {
            let confusion = decision.confusion;
            Some((name, decision.threshold, confusion.precision()?, confusion.recall()?))
        })
        .collect();
    let described: Vec<_> = marks
        .iter()
        .map(|(name, threshold, precision, recall)| {
            format!("{name} at {threshold}: precision {precision:.3}, recall {recall:.3}")
        })
        .collect();
    let description = format!(
        "Precision falls as recall rises. {}. Choosing at random gives precision {prevalence:.3}.",
        described.join("; ")
    );
    let content = html! {
        line.reference x1=(at_x(0.0)) x2=(at_x(1.0)) y1=(at_y(prevalence)) y2=(at_y(prevalence)) {}
        polyline.curve points=(points.join(" ")) {}
        @for (name, threshold, precision, recall) in &marks {
            circle.mark cx=(at_x(*recall)) cy=(at_y(*precision)) r="5" {}
            @let right = *recall < 0.6;
            text.label x=(at_x(*recall) + if right { 9.0 } else { -9.0 })
                y=(at_y(*precision) - if right { 7.0 } else { -16.0 })
                text-anchor=(if right { "start" } else { "end" }) { (name) " " (threshold) }
        }
    };
    square("pr", "Precision-recall curve", &description, "recall", "precision", content)
}

/// The share of positives against the probability, with the number of texts in each bin.
pub(super) fn reliability(report: &Report) -> Markup {
    let bins = &report.reliability.bins;
    let most = bins.iter().map(|bin| bin.n).max().unwrap_or(0).max(1) as f64;
    let description = "A point for each bin of probabilities: on the diagonal, the share of \
                       dehumanizing texts is what the probability says. Bars below show how many \
                       texts each bin holds.";
    let content = html! {
        line.reference x1=(at_x(0.0)) y1=(at_y(0.0)) x2=(at_x(1.0)) y2=(at_y(1.0)) {}
        @for bin in bins {
            // At most a quarter of the plot's height.
            @let height = hundredths(bin.n as f64 / most * SIDE / 4.0);
            rect.count x=(at_x(bin.from) + 1.0) width=(hundredths((bin.to - bin.from) * SIDE - 2.0))
                y=(hundredths(TOP + SIDE - height)) height=(height) {
                title { (bin.n) " texts" }
            }
        }
        @for bin in bins {
            @if let (Some(probability), Some(share)) = (bin.mean_probability, bin.positive_share) {
                circle.mark cx=(at_x(probability)) cy=(at_y(share)) r="4" {
                    title { (bin.n) " texts: probability " (format!("{probability:.3}"))
                        ", dehumanizing " (format!("{share:.3}")) }
                }
            }
        }
    };
    square(
        "reliability",
        "Reliability diagram",
        description,
        "probability",
        "share dehumanizing",
        content,
    )
}

/// A row of a bar chart: its name, the figure drawn, and one drawn faintly behind it.
pub(super) struct Bar<'a> {
    pub(super) name: &'a str,
    pub(super) front: &'a Figure,
    pub(super) behind: Option<&'a Figure>,
}

/// Horizontal bars from 0 to 1, with their intervals.
pub(super) fn bars(id: &str, title: &str, description: &str, bars: &[Bar<'_>]) -> Markup {
    const ROW: f64 = 24.0;
    const NAMES: f64 = 210.0;
    let longest = bars.iter().map(|bar| bar.name.chars().count()).max().unwrap_or(0);
    let names = (longest as f64 * 7.0 + 14.0).clamp(60.0, 2.0 * NAMES);
    let (width, height) = (names + SIDE + 60.0, ROW * bars.len() as f64 + 30.0);
    let x = |share: f64| hundredths(names + share * SIDE);
    let content = html! {
            @for tick in 0..=5 {
                @let share = f64::from(tick) / 5.0;
                line.grid x1=(x(share)) x2=(x(share)) y1="4" y2=(height - 24.0) {}
                text.tick x=(x(share)) y=(height - 8.0) text-anchor="middle" { (share) }
            }
            @for (at, bar) in bars.iter().enumerate() {
                @let y = ROW * at as f64 + 6.0;
                text.label x=(names - 8.0) y=(y + 13.0) text-anchor="end" { (bar.name) }
                @if let Some(value) = bar.behind.and_then(|figure| figure.value) {
                    rect.behind x=(names) y=(y) width=(hundredths(value * SIDE)) height="16" {}
                }
                @if let Some(value) = bar.front.value {
                    rect.front x=(names) y=(y + 3.0) width=(hundredths(value * SIDE)) height="10" {}
                    @if let Some(interval) = bar.front.interval {
                        line.interval x1=(x(interval.low)) x2=(x(interval.high))
                            y1=(y + 8.0) y2=(y + 8.0) {}
                    }
                    text.tick x=(x(1.0) + 8.0) y=(y + 12.0) { (format!("{value:.3}")) }
                } @else {
                    text.tick x=(names + 6.0) y=(y + 12.0) { "too few (" (bar.front.n) ")" }
                }
            }
    };
    frame(id, title, description, width, height, content)
}
