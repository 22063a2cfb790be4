//! What the pages of reports have in common: one HTML file that needs no other.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::digest::Digest;

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

/// A page: no scripts, nothing from elsewhere.
pub(crate) fn page(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { (body) } }
        }
    };
    page.into_string()
}

/// A table of what a report was made with: a name, a value, and the digest of what it names.
pub(crate) fn made_with(rows: &[(&str, String, Option<Digest>)]) -> Markup {
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

/// The head of a table.
pub(crate) fn head(names: &[&str]) -> Markup {
    html! { thead { tr { @for name in names { th scope="col" { (name) } } } } }
}
