//! The plots of a summary, as inline SVG.

use maud::{Markup, html};

use super::{BINS, Chosen};
use crate::evaluate::plot::{frame, hundredths};

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 200.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 14.0;

/// How many texts have which probability. The scale is logarithmic, since nearly all texts of an
/// archive are harmless and the others are what one looks for.
pub(super) fn distribution(counts: &[u64; BINS]) -> Markup {
    let most = counts.iter().copied().max().unwrap_or(0);
    let decades = (most.max(1) as f64).log10().ceil().max(1.0) as u32;
    let top = f64::from(decades);
    // One text has a bar, too: a bin's height begins half a decade below one.
    let height = |n: f64| hundredths((n.log10() + 0.5) / (top + 0.5) * HEIGHT);
    let width = WIDTH / BINS as f64;
    let content = html! {
        @for decade in 0..=decades {
            @let n = 10_u64.pow(decade);
            @let y = hundredths(TOP + HEIGHT - height(n as f64));
            line.grid x1=(LEFT) x2=(LEFT + WIDTH) y1=(y) y2=(y) {}
            text.tick x=(LEFT - 8.0) y=(y + 4.0) text-anchor="end" { (n) }
        }
        @for tick in 0..=5 {
            @let share = f64::from(tick) / 5.0;
            text.tick x=(LEFT + share * WIDTH) y=(TOP + HEIGHT + 17.0) text-anchor="middle" { (share) }
        }
        text.axis x=(LEFT + WIDTH / 2.0) y=(TOP + HEIGHT + 37.0) text-anchor="middle" {
            "probability of dehumanization"
        }
        @for (bin, &n) in counts.iter().enumerate().filter(|(_, n)| **n > 0) {
            @let height = height(n as f64);
            rect.front x=(hundredths(LEFT + width * bin as f64 + 1.0)) width=(hundredths(width - 2.0))
                y=(hundredths(TOP + HEIGHT - height)) height=(height) {
                title { (n) " texts" }
            }
        }
    };
    let description = "A bar for each twentieth of the probabilities, as high as the logarithm of the \
                       number of texts in it. The table has the numbers.";
    frame(
        "distribution",
        "Distribution of scores",
        description,
        LEFT + WIDTH + 16.0,
        TOP + HEIGHT + 44.0,
        content,
    )
}

/// A bar for each name: flagged texts in front, reviewed ones after them.
pub(super) fn chosen(id: &str, title: &str, rows: &[(&str, Chosen)]) -> Markup {
    const ROW: f64 = 24.0;
    let most = rows.iter().map(|(_, chosen)| chosen.flag + chosen.review).max().unwrap_or(0).max(1);
    let longest = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let names = longest as f64 * 7.0 + 14.0;
    let length = |n: u64| hundredths(n as f64 / most as f64 * WIDTH);
    let content = html! {
        @for (at, (name, Chosen { review, flag })) in rows.iter().enumerate() {
            @let y = ROW * at as f64 + 6.0;
            text.label x=(names - 8.0) y=(y + 13.0) text-anchor="end" { (name) }
            rect.front x=(names) y=(y) width=(length(*flag)) height="16" {}
            rect.behind x=(names + length(*flag)) y=(y) width=(length(*review)) height="16" {}
            text.tick x=(hundredths(names + length(*flag) + length(*review) + 6.0)) y=(y + 12.0) {
                (flag) " + " (review)
            }
        }
    };
    let description = "For each, how many texts are flagged, and after them in a fainter colour how \
                       many are put to review. The table has the numbers.";
    frame(id, title, description, names + WIDTH + 110.0, ROW * rows.len() as f64 + 10.0, content)
}
