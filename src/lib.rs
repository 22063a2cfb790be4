//! Scores text for dehumanizing language against people on account of religion, caste, age,
//! disability, serious disease, national origin, race, ethnicity, gender or sexual orientation.
//!
//! A transformer classifier runs on your own machine; nothing leaves it.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # #[cfg(feature = "shipped")] {
//! use dignity::{Category, Classifier, Decision};
//!
//! let classifier = Classifier::shipped()?;
//! let scores = classifier.score(&["The old mill reopens on Sunday.", ""])?;
//! assert_eq!(classifier.policy().verdict(&scores[0]).decision, Decision::Allow);
//! assert!(scores[0].category(Category::Religion) < 0.5);
//! assert!(scores[1].unscored.is_some());
//! # }
//! # Ok(()) }
//! ```
//!
//! [`Classifier::score`] takes a slice, [`Classifier::stream`] an iterator of any length. What comes
//! out is [`Scores`]: calibrated probabilities. A [`Policy`] makes a decision of them.
//! [`Classifier::explain`] tells which words a text's scores rest on.
//!
//! # Features
//!
//! - `shipped` (default): the model that ships, as part of the library.
//! - `cli` (default): what the `dignity` command needs.
//! - `server`: `dignity serve`, which answers over HTTP; the library is the same with it.
//! - `cuda`, `metal`: GPUs through candle.

mod batch;
mod classifier;
#[cfg(feature = "cli")]
pub mod cli;
mod digest;
mod engine;
pub mod evaluate;
mod explain;
#[cfg(feature = "cli")]
mod files;
mod kernels;
mod model;
mod policy;
mod repeats;
mod scores;
#[cfg(feature = "server")]
mod server;
mod taxonomy;
mod text;

#[doc(hidden)]
pub use kernels::{instruction_set, multiplication_limits};
#[cfg(feature = "shipped")]
pub use model::ShippedModel;
pub use {
    classifier::{Classifier, ClassifierBuilder, Error, Stream, Tokenized},
    digest::{Digest, ParseDigestError},
    engine::{
        Device, EngineError, EngineKind, ParseDeviceError, ParseEngineKindError,
        ParsePrecisionError, Precision,
    },
    explain::{ExplainOptions, Explanation, WordAttribution},
    kernels::InstructionSetError,
    model::{
        ConfigError, DEFAULT_POLICY, FILES as MODEL_FILES, ManifestError, ModelError, ModelSource,
        WeightsError,
    },
    policy::{Decision, Level, Policy, PolicyData, PolicyError, Tuning, Verdict},
    scores::{Probabilities, Scores, TextView, Unscored, WindowScores},
    taxonomy::{Category, Way},
    text::{NormalizedView, TokenizerError},
};
