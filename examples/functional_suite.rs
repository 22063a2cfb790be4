//! Prints the functional test suite as JSON lines, so that any tool can score it.
//!
//! ```text
//! cargo run --example functional_suite                        every case
//! cargo run --example functional_suite -- --obfuscated leet   the explicit cases, hidden
//! cargo run --example functional_suite -- --hurried typos      every case, typed in a hurry
//! cargo run --example functional_suite -- --planted           long texts with a case planted
//! cargo run --example functional_suite -- --january-2021      the post and its contrasts
//! ```
//!
//! What is printed contains offensive language. See `tests/functional/README.md`.

use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
};

use fastrand::Rng;
use hurried::Hurry;
use serde_json::{Value, json};
use suite::{Case, Kind};

#[allow(
    dead_code,
    clippy::panic,
    reason = "shared with the tests, which use more of it and panic where a file of theirs is wrong"
)]
#[path = "../tests/functional/suite.rs"]
mod suite;

#[path = "../tests/functional/hurried.rs"]
mod hurried;

const USAGE: &str = "usage: functional_suite [--obfuscated leet|spacing|zero_width|homoglyphs|\
                     stretched] [--hurried typos|bare|chat|emoji] [--planted] [--january-2021]";

fn row(case: &Case) -> Value {
    let ways: Vec<_> = case.ways.iter().map(|way| suite::letter(*way)).collect();
    json!({
        "id": case.id,
        "text": case.text,
        "dehum": u8::from(case.dehumanizing),
        "ways": ways,
        "groups": case.codes,
        "hate": case.hate.map(u8::from),
        "function": case.function,
        "category": case.category,
        "group": case.group,
    })
}

fn obfuscated(kind: Kind) -> Vec<Value> {
    let mut rng = Rng::with_seed(5);
    suite::cases()
        .into_iter()
        .filter(Case::is_explicit)
        .map(|case| {
            let id = format!("{}-{kind}", case.id);
            let text = suite::obfuscated(&case.text, kind, &mut rng);
            row(&Case { id, text, ..case })
        })
        .collect()
}

fn hurried(hurry: Hurry) -> Vec<Value> {
    let mut rng = Rng::with_seed(5);
    suite::cases()
        .into_iter()
        .map(|case| {
            let id = format!("{}-{hurry}", case.id);
            let text = hurried::hurried(&case.text, hurry, &mut rng);
            row(&Case { id, text, ..case })
        })
        .collect()
}

fn planted() -> Vec<Value> {
    (0..4)
        .flat_map(|page| suite::PLACES.map(|place| (page, place)))
        .map(|(page, place)| {
            let (text, bytes) = suite::planted(3_000, place, page);
            let id = format!("planted-{page}-{place}");
            json!({
                "id": id, "text": text, "dehum": 1, "hate": 1, "function": "planted",
                "start": bytes.start, "end": bytes.end,
            })
        })
        .collect()
}

fn rows(arguments: &[String]) -> Option<Vec<Value>> {
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => Some(suite::cases().iter().map(row).collect()),
        ["--obfuscated", name] => {
            let kind = Kind::ALL.into_iter().find(|kind| kind.to_string() == name)?;
            Some(obfuscated(kind))
        }
        ["--hurried", name] => {
            let hurry = Hurry::ALL.into_iter().find(|hurry| hurry.to_string() == name)?;
            Some(hurried(hurry))
        }
        ["--planted"] => Some(planted()),
        ["--january-2021"] => Some(suite::january_2021().iter().map(row).collect()),
        _ => None,
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let Some(rows) = rows(&arguments) else {
        eprintln!("{USAGE}");
        return Ok(ExitCode::from(2));
    };
    let mut out = io::stdout().lock();
    for row in rows {
        writeln!(out, "{row}")?;
    }
    Ok(ExitCode::SUCCESS)
}
