//! The `dignity` command.
//!
//! Exit status: 0 when every row of the input has its row in the output (bad rows are marked there),
//! 1 when the run failed, 2 when the command line is wrong. A reader that closes the pipe early is
//! no failure.

mod evaluate;
mod explain;
#[cfg(feature = "hub")]
mod hub;
mod labelled;
mod models;
mod options;
mod policy;
mod score;
#[cfg(feature = "server")]
mod serve;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use crate::{
    classifier::Error,
    evaluate::TuneError,
    files::{FileError, Input},
    model::{ModelError, RolesError},
    policy::PolicyError,
};

/// Scores text for dehumanizing language by protected category, on this machine.
#[derive(Parser)]
#[command(name = "dignity", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Score(Box<score::Arguments>),
    Explain(Box<explain::Arguments>),
    Evaluate(Box<evaluate::Arguments>),
    Policy(policy::Arguments),
    Models(models::Arguments),
    #[cfg(feature = "server")]
    Serve(Box<serve::Arguments>),
}

/// Runs the command with the process's arguments.
pub fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Score(arguments) => score::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Evaluate(arguments) => evaluate::run(&arguments),
        Command::Policy(arguments) => policy::run(&arguments),
        Command::Models(arguments) => models::run(&arguments),
        #[cfg(feature = "server")]
        Command::Serve(arguments) => serve::run(arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(CliError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            report(format_args!("dignity: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error(transparent)]
    Classifier(#[from] Error),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{}: {source}", path.display())]
    Policy { path: PathBuf, source: PolicyError },
    #[error("--policy takes one policy here; `dignity score` takes several")]
    OnePolicy,
    #[error("two policies are called {name:?}; rows tell them apart by name")]
    SamePolicy { name: String },
    #[error("no policy is called {wanted:?}; the model has {}, and a FILE is read", names.join(", "))]
    UnknownPolicy { wanted: String, names: Vec<String> },
    #[error(transparent)]
    Decide(PolicyError),
    #[error("{}: {source}", path.display())]
    Roles { path: PathBuf, source: RolesError },
    #[error(
        "the model has no label for dehumanization; give one of its labels that role (--roles FILE)"
    )]
    NoDehumanization,
    #[error(
        "the model has no policy with thresholds for dehumanization; name one (--policy FILE), or \
         make one (dignity policy tune)"
    )]
    NoPolicy,
    #[error("{input}: no row has labels and a text that can be scored")]
    NothingLabelled { input: Input },
    #[error("no {level} threshold: {source}")]
    Tune { level: &'static str, source: TuneError },
    #[error(transparent)]
    WritePolicy(PolicyError),
    #[error("{}: cannot be written: {source}", path.display())]
    Create { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Target(#[from] score::TargetError),
    #[error(transparent)]
    Work(#[from] score::WorkError),
    #[error("standard input cannot be read as text: {0}")]
    Stdin(#[source] io::Error),
    #[error("the output cannot be written: {0}")]
    Write(#[from] io::Error),
    #[cfg(feature = "server")]
    #[error(transparent)]
    Settings(#[from] serve::SettingsError),
    #[cfg(feature = "server")]
    #[error(transparent)]
    Server(#[from] crate::server::ServerError),
    #[error("{0} (--strict: nothing more was scored)")]
    Strict(String),
}

/// Writes a line to standard error; that nobody can read it is no reason to fail.
fn report(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}
