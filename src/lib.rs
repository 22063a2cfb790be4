//! Scores text for dehumanizing language against people on account of religion, caste, age,
//! disability, serious disease, national origin, race, ethnicity, gender or sexual orientation.
//!
//! A transformer classifier runs on your own machine; no text leaves it.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # #[cfg(feature = "shipped")] {
//! use dignity::{Category, Classifier, Decision};
//!
//! let classifier = Classifier::shipped()?;
//! let scores = classifier.score(&["The old mill reopens on Sunday.", ""])?;
//! let policy = classifier.policy().expect("the model that ships has policies");
//! assert_eq!(policy.verdict(&scores[0]).decision, Decision::Allow);
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
//! - `zstd`: the command reads and writes files compressed with zstd; needs a C compiler when building.
//! - `parquet`: the command reads and writes Parquet; includes `zstd`.
//! - `hub`: models of the Hugging Face Hub, named `hub:owner/name`; see [`HubModel`]. Nothing else opens
//!   a network connection, and this only where such a model is named.
//! - `server`: `dignity serve`, which answers over HTTP; the library is the same with it.
//! - `full`: all of the above.
//! - `cuda`, `metal`: GPUs through candle; `flash-attn`: attention on NVIDIA GPUs without padding.

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
#[cfg(feature = "cli")]
mod summary;
mod taxonomy;
mod text;

#[doc(hidden)]
pub use kernels::{MultiplicationLimits, instruction_set, multiplication_limits};
#[cfg(feature = "shipped")]
pub use model::ShippedModel;
#[cfg(feature = "hub")]
pub use model::{DownloadProgress, HubOptions, HubSnapshot};
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
        ConfigError, DEFAULT_POLICY, FILES as MODEL_FILES, HubError, HubModel, Label, Labels,
        ManifestError, ModelError, ModelSource, OutputActivation, ParseHubModelError, Roles,
        RolesError, WeightIndexError, WeightsError,
    },
    policy::{Decision, Level, Policy, PolicyData, PolicyError, Tuning, Verdict},
    scores::{Probabilities, Scores, TextView, Unscored, WindowScores},
    taxonomy::{Category, ParseRoleError, Role, Way},
    text::{NormalizedView, TokenizerError},
};
