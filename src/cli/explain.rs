//! `dignity explain`: which words one text's scores rest on.

use std::{
    fmt,
    io::{self, IsTerminal, Read, Write},
    num::NonZeroUsize,
    ops::Range,
};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use clap::{CommandFactory, error::ErrorKind};
use enum_map::EnumMap;
use serde::{Serialize, Serializer};

use super::{
    CliError,
    options::{RunOptions, require_dehumanization},
};
use crate::{
    classifier::Classifier,
    explain::{ExplainOptions, Explanation, WordAttribution},
    files::Outcome,
    policy::Policy,
    scores::{TextView, six_decimals},
    taxonomy::{Category, Way},
};

/// Words below this many nats are noise and have no colour.
const NOTICEABLE: f32 = 0.25;
const STRONG: Style = AnsiColor::Red.on_default().bold();
const MIDDLING: Style = AnsiColor::Yellow.on_default();

/// Explain the scores of one text by its words.
///
/// Every word is left out in turn; a word's number is how far the log-odds of the score fall without
/// it. Numbers of disguised words are those of what they read as. Of a long text the windows that
/// score highest are explained.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The text [default: standard input, as one text]
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    /// List this many words, the strongest first
    #[arg(long, value_name = "N", default_value_t = 10, conflicts_with = "json")]
    top: usize,

    /// Explain at most this many windows of a long text
    #[arg(long, value_name = "N", default_value = "4")]
    max_windows: NonZeroUsize,

    /// Colour the words that the score rests on
    #[arg(long, value_name = "WHEN", default_value_t)]
    color: Color,

    #[command(flatten)]
    run: RunOptions,
}

/// When to print colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Color {
    /// On a terminal, unless the environment (`NO_COLOR`, `CLICOLOR`) says otherwise.
    #[default]
    Auto,
    Always,
    Never,
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        })
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<(), CliError> {
    let text = match &arguments.text {
        Some(text) => text.clone(),
        None if io::stdin().is_terminal() => super::Arguments::command()
            .error(ErrorKind::MissingRequiredArgument, "nothing to explain: give --text or a pipe")
            .exit(),
        None => {
            let mut text = String::new();
            io::stdin().lock().read_to_string(&mut text).map_err(CliError::Stdin)?;
            text
        }
    };
    let (classifier, policy) = arguments.run.start()?;
    require_dehumanization(&classifier)?;
    let options = ExplainOptions { max_windows: arguments.max_windows.get() };
    let explanation = classifier.explain(&text, &options)?;
    if arguments.json {
        print_json(&classifier, policy.as_ref(), &text, &explanation)
    } else {
        // JSON has no colours to lose; a stream that strips them would be in its way.
        let choice = match arguments.color {
            Color::Auto => AutoStream::choice(&io::stdout()),
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        };
        let mut out = AutoStream::new(io::stdout(), choice).lock();
        Ok(print(&mut out, policy.as_ref(), &text, &explanation, arguments.top)?)
    }
}

fn print(
    out: &mut impl Write,
    policy: Option<&Policy>,
    text: &str,
    explanation: &Explanation,
    top: usize,
) -> io::Result<()> {
    let Explanation { scores, words, windows, view } = explanation;
    if let Some(reason) = scores.unscored {
        return writeln!(out, "not scored: {reason}");
    }
    let mut at = 0;
    for word in words {
        let style = style(word, words);
        write!(out, "{}", Visible(&text[at..word.bytes.start]))?;
        write!(out, "{style}{}{style:#}", Visible(&text[word.bytes.clone()]))?;
        at = word.bytes.end;
    }
    writeln!(out, "{}\n", Visible(&text[at..]))?;

    if let Some(policy) = policy {
        write!(out, "verdict: {}, ", policy.verdict(scores).decision)?;
    }
    writeln!(out, "dehumanization {:.3}", scores.dehumanization())?;
    if *view == TextView::Normalized {
        writeln!(out, "explained as its normalized view reads")?;
    }
    let all = scores.windows.iter().filter(|window| window.view == *view).count();
    if windows.len() < all {
        writeln!(out, "explained in {} of {all} windows, where scores are highest", windows.len())?;
    }
    // The likeliest of each, which a reader asks about first.
    let highest = |a: f32, b: f32| a.total_cmp(&b);
    let categories = Category::ALL.into_iter();
    let category = categories.max_by(|a, b| highest(scores.category(*a), scores.category(*b)));
    let way = Way::ALL.into_iter().max_by(|a, b| highest(scores.way(*a), scores.way(*b)));
    let (Some(category), Some(way)) = (category, way) else { return Ok(()) };
    let width = |name: &str| name.len().max(6);
    let (first, second, third) = ("dehumanization", category.name(), way.name());
    writeln!(out, "\n{first}  {second:>6}  {third:>6}  word (log-odds that it adds)")?;
    let mut strongest: Vec<&WordAttribution> = words.iter().collect();
    strongest.sort_by(|a, b| b.dehumanization.total_cmp(&a.dehumanization));
    for word in strongest.into_iter().take(top) {
        let style = style(word, words);
        writeln!(
            out,
            "{:>+a$.2}  {:>+b$.2}  {:>+c$.2}  {style}{}{style:#}",
            word.dehumanization,
            word.categories[category],
            word.ways[way],
            Visible(&text[word.bytes.clone()]),
            a = width(first),
            b = width(second),
            c = width(third),
        )?;
    }
    Ok(())
}

/// The style of a word among those of its text.
fn style(word: &WordAttribution, words: &[WordAttribution]) -> Style {
    let most = words.iter().map(|word| word.dehumanization).fold(0.0, f32::max);
    match word.dehumanization {
        part if part < NOTICEABLE => Style::new(),
        part if part >= most / 2.0 => STRONG,
        part if part >= most / 5.0 => MIDDLING,
        _ => Style::new(),
    }
}

/// A text with its control characters made harmless to a terminal.
struct Visible<'a>(&'a str);

impl fmt::Display for Visible<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|char| match char {
            '\n' | '\t' => write!(f, "{char}"),
            _ if char.is_control() => write!(f, "{}", char::REPLACEMENT_CHARACTER),
            _ => write!(f, "{char}"),
        })
    }
}

/// What `--json` prints.
#[derive(Serialize)]
struct Explained<'a> {
    text: &'a str,
    /// The normalized view, where the text has one.
    view: Option<&'a str>,
    dignity: &'a Outcome,
    /// Which form of the text the rest is about.
    explained: TextView,
    windows: Vec<Bytes>,
    words: Vec<Word<'a>>,
}

#[derive(Serialize)]
struct Bytes {
    start: usize,
    end: usize,
}

#[derive(Serialize)]
struct Word<'a> {
    word: &'a str,
    #[serde(flatten)]
    bytes: Bytes,
    #[serde(serialize_with = "rounded")]
    dehumanization: f32,
    #[serde(serialize_with = "rounded")]
    hate: f32,
    categories: EnumMap<Category, f64>,
    ways: EnumMap<Way, f64>,
}

fn rounded<S: Serializer>(number: &f32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(six_decimals(*number))
}

impl From<&Range<usize>> for Bytes {
    fn from(range: &Range<usize>) -> Self {
        Self { start: range.start, end: range.end }
    }
}

fn print_json(
    classifier: &Classifier,
    policy: Option<&Policy>,
    text: &str,
    explanation: &Explanation,
) -> Result<(), CliError> {
    let Explanation { scores, words, windows, view } = explanation;
    let outcome = match scores.unscored {
        Some(reason) => Outcome::Failed(reason.to_string()),
        None => Outcome::Scored(scores.clone(), policy.map(|policy| policy.verdict(scores))),
    };
    let normalized = classifier.normalized_view(text);
    let word = |word: &WordAttribution| Word {
        word: &text[word.bytes.clone()],
        bytes: (&word.bytes).into(),
        dehumanization: word.dehumanization,
        hate: word.hate,
        categories: word.categories.map(|_, part| six_decimals(part)),
        ways: word.ways.map(|_, part| six_decimals(part)),
    };
    let explained = Explained {
        text,
        view: normalized.as_ref().map(|view| view.text()),
        dignity: &outcome,
        explained: *view,
        windows: windows.iter().map(Bytes::from).collect(),
        words: words.iter().map(word).collect(),
    };
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, &explained).map_err(io::Error::from)?;
    writeln!(out)?;
    Ok(())
}
