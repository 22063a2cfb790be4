//! `dignity policy`: shows, checks and makes policies.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::{ArgGroup, Subcommand};

use super::{
    CliError,
    labelled::{Measured, measure},
    options::{
        ModelOption, RunOptions, choose_policy, policy_file, report_mismatch,
        require_dehumanization,
    },
    report,
};
use crate::{
    evaluate::{Bootstrap, Choice, DecisionFigures, FEW, Figure, Wish, choose, decision_figures},
    files::{Input, write_whole},
    policy::{Level, Policy, PolicyData, Tuning},
    taxonomy::Category,
};

/// Show, check and make policies: the thresholds that turn scores into decisions.
#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Show(Show),
    Check(Check),
    Tune(Box<Tune>),
}

/// Show a policy's thresholds and how they were chosen.
#[derive(clap::Args)]
struct Show {
    /// One of the model's policies by name, or a policy file
    #[arg(value_name = "NAME|FILE", default_value = crate::model::DEFAULT_POLICY)]
    policy: String,

    #[command(flatten)]
    model: ModelOption,
}

/// Check that a policy file is valid, and made for the model.
#[derive(clap::Args)]
struct Check {
    /// The policy file
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    model: ModelOption,
}

/// Choose thresholds on a labelled file (as of `dignity evaluate`) and write a policy.
///
/// Thresholds have three decimals; of those that make the same decisions on the file, the middle one
/// is taken. The figures told are those on the file the thresholds were chosen on, and so a little
/// too good. The thresholds at which categories are named stay those of --policy.
#[derive(clap::Args)]
#[command(group = ArgGroup::new("wish").required(true))]
struct Tune {
    /// The labelled file; - is standard input
    #[arg(value_name = "FILE")]
    file: Input,

    /// The field that holds the text
    #[arg(long, value_name = "NAME", default_value = "text")]
    text_field: String,

    /// Flag with at least this precision, and the most recall
    #[arg(long, value_name = "SHARE", group = "wish")]
    precision: Option<f64>,

    /// Flag with at least this recall, at the highest threshold
    #[arg(long, value_name = "SHARE", group = "wish")]
    recall: Option<f64>,

    /// Flag with at most this false-positive rate, and the most recall
    #[arg(long, value_name = "SHARE", group = "wish")]
    false_positive_rate: Option<f64>,

    /// Flag with the highest F1
    #[arg(long, group = "wish")]
    f1: bool,

    /// Flag with the highest balanced accuracy: misses and false alarms weigh alike
    #[arg(long, group = "wish")]
    balanced_accuracy: bool,

    /// Review with at least this recall; where that would be above the flag threshold, nothing is
    /// left to review
    #[arg(long, value_name = "SHARE", default_value_t = 0.9)]
    review_recall: f64,

    /// How many rows the flag threshold must choose at least; fewer than 50 show little
    #[arg(long, value_name = "N", default_value_t = FEW)]
    least: usize,

    /// Approach a wish that cannot be kept, in place of an error
    #[arg(long)]
    nearest: bool,

    /// The new policy's name; a model's policy goes by the name of its file
    #[arg(long, value_name = "NAME", default_value = "tuned")]
    name: String,

    /// Write the policy to this file [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Resamples for the 95% intervals; 0 for none
    #[arg(long, value_name = "N", default_value_t = Bootstrap::default().resamples)]
    bootstrap: usize,

    #[command(flatten)]
    run: RunOptions,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), CliError> {
    match &arguments.command {
        Command::Show(show) => show.run(),
        Command::Check(check) => check.run(),
        Command::Tune(tune) => tune.run(),
    }
}

impl Show {
    fn run(&self) -> Result<(), CliError> {
        let model = self.model.load()?;
        let policy = choose_policy(Some(&self.policy), model.policies.iter())?;
        let mut out = io::stdout().lock();
        write_policy(&mut out, &policy)?;
        let names: Vec<_> = model.policies.iter().map(Policy::name).collect();
        if !names.is_empty() {
            writeln!(out, "\n{} has the policies {}", model.name, names.join(", "))?;
        }
        report_mismatch(&policy, &model.name, model.digest);
        Ok(())
    }
}

fn write_policy(out: &mut impl Write, policy: &Policy) -> io::Result<()> {
    writeln!(out, "{} {} {}", policy.name(), policy.version(), policy.digest())?;
    match policy.model_digest() {
        Some(digest) => writeln!(out, "for {} {digest}", policy.model())?,
        None => writeln!(out, "for {}", policy.model())?,
    }
    if let Some(PolicyData { name, digest, rows, positives, bad_rows }) = policy.data() {
        writeln!(
            out,
            "on {name} ({rows} texts, {positives} dehumanize, {bad_rows} bad rows) {digest}"
        )?;
    }
    for (name, level) in [("flag", policy.flag()), ("review", policy.review())] {
        writeln!(out, "\n{name} at {level}")?;
        if !level.chosen.is_empty() {
            writeln!(out, "  {}", level.chosen)?;
        }
    }
    writeln!(out, "\na category is named as a cause at")?;
    for category in Category::ALL {
        writeln!(out, "  {category:<19} {}", policy.because(category))?;
    }
    if !policy.because_chosen().is_empty() {
        writeln!(out, "  {}", policy.because_chosen())?;
    }
    Ok(())
}

impl Check {
    fn run(&self) -> Result<(), CliError> {
        let policy = policy_file(&self.file)?;
        let model = self.model.load()?;
        report_mismatch(&policy, &model.name, model.digest);
        writeln!(
            io::stdout(),
            "{}: a valid policy, {} {}: flag at {}, review at {}",
            self.file.display(),
            policy.name(),
            policy.version(),
            policy.flag(),
            policy.review(),
        )?;
        Ok(())
    }
}

impl Tune {
    fn run(&self) -> Result<(), CliError> {
        let (classifier, base) = self.run.start()?;
        require_dehumanization(&classifier)?;
        let Measured { rows, data } =
            measure(&classifier, &self.file, &self.text_field, self.run.quiet)?;
        let scored: Vec<_> = rows
            .iter()
            .map(|row| (row.probabilities.dehumanization, row.labels.dehumanization))
            .collect();
        let review_wish = Wish::Recall(self.review_recall);
        let flag = choose(&scored, self.wish(), self.least, self.nearest)
            .map_err(|source| CliError::Tune { level: "flag", source })?;
        let review = choose(&scored, review_wish, 1, false)
            .map_err(|source| CliError::Tune { level: "review", source })?;
        self.report_few("flag", self.wish(), &flag);
        self.report_few("review", review_wish, &review);

        let bootstrap = Bootstrap { resamples: self.bootstrap, ..Bootstrap::default() };
        let figures = |threshold: f32| {
            let decisions: Vec<_> =
                scored.iter().map(|&(score, truth)| (score >= threshold, truth)).collect();
            decision_figures(threshold, &decisions, &bootstrap)
        };
        let flag_figures = figures(flag.threshold);
        let flag_level = Level::at_dehumanization(
            flag.threshold,
            told(self.wish(), flag.kept, &data, &flag_figures),
        );
        let review_level = if review.threshold < flag.threshold {
            let figures = figures(review.threshold);
            Level::at_dehumanization(review.threshold, told(review_wish, true, &data, &figures))
        } else {
            let chosen = format!("as flag, which has {review_wish} already");
            Level::at_dehumanization(flag.threshold, chosen)
        };
        if !self.run.quiet {
            for (name, level) in [("flag", &flag_level), ("review", &review_level)] {
                report(format_args!("{name} at {level}: {}", level.chosen));
            }
        }
        let tuning = Tuning {
            name: self.name.clone(),
            version: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
            model: classifier.model_name().to_owned(),
            model_digest: classifier.model_digest(),
            data,
            flag: flag_level,
            review: review_level,
        };
        let text = match base {
            Some(base) => base.retuned(tuning),
            None => tuning.into_toml(),
        };
        let text = text.map_err(CliError::WritePolicy)?;
        match &self.out {
            Some(path) => write_whole(path, text.as_bytes())
                .map_err(|source| CliError::Create { path: path.clone(), source })?,
            None => io::stdout().write_all(text.as_bytes())?,
        }
        Ok(())
    }

    /// Exactly one is given; clap sees to it.
    fn wish(&self) -> Wish {
        let precision = self.precision.map(Wish::Precision);
        let recall = self.recall.map(Wish::Recall);
        let rate = self.false_positive_rate.map(Wish::FalsePositiveRate);
        let otherwise = if self.balanced_accuracy { Wish::BalancedAccuracy } else { Wish::F1 };
        precision.or(recall).or(rate).unwrap_or(otherwise)
    }

    fn report_few(&self, name: &str, wish: Wish, choice: &Choice) {
        let rows = wish.rests_on(&choice.confusion);
        // Of a false-positive rate these are the false alarms themselves, which are rare by wish.
        let few = if matches!(wish, Wish::FalsePositiveRate(_)) { FEW / 10 } else { FEW };
        if rows < few && !self.run.quiet {
            report(format_args!(
                "dignity: the {name} threshold rests on {rows} rows, which is few; \
                 on other texts it may do otherwise"
            ));
        }
    }
}

/// The wish and what came of it, as a policy records it.
fn told(wish: Wish, kept: bool, data: &PolicyData, figures: &DecisionFigures) -> String {
    let nearest = if kept { "" } else { " (out of reach, this is the nearest)" };
    let figure = |name: &str, figure: &Figure| match (figure.value, figure.interval) {
        (Some(value), Some(interval)) => {
            format!("{name} {value:.3} ({:.3} to {:.3})", interval.low, interval.high)
        }
        (Some(value), None) => format!("{name} {value:.3}"),
        (None, _) => format!("{name} not given (of {} texts)", figure.n),
    };
    format!(
        "{wish} on {}{nearest}: {} of {} texts reach it, {}, {}, {}",
        data.name,
        figures.confusion.chosen(),
        data.rows,
        figure("precision", &figures.precision),
        figure("recall", &figures.recall),
        figure("false-positive rate", &figures.false_positive_rate),
    )
}
