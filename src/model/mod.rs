//! A model directory, read and checked: configuration, labels and calibration, tokenizer, weights,
//! policies.

mod calibration;
mod config;
mod hub;
mod manifest;
mod policies;
mod source;
mod weights;

use std::borrow::Cow;

pub(crate) use calibration::Calibration;
pub(crate) use config::{BertConfig, HiddenAct};
#[cfg(feature = "hub")]
pub use hub::{DownloadProgress, HubOptions, HubSnapshot};
pub use hub::{HubError, HubModel, ParseHubModelError};
pub(crate) use manifest::{Manifest, Pooling};
pub use policies::DEFAULT_POLICY;
pub(crate) use policies::Policies;
#[cfg(feature = "shipped")]
pub use source::ShippedModel;
pub use source::{FILES, ModelSource};
pub(crate) use weights::Weights;
pub use {config::ConfigError, manifest::ManifestError, weights::WeightsError};

use crate::{
    digest::Digest,
    policy::PolicyError,
    text::{Tokenizer, TokenizerError, WindowLimits, WindowLimitsError},
};

/// A model's files, parsed and found to fit one another.
pub(crate) struct Model {
    pub(crate) manifest: Manifest,
    /// Of `dignity.json`, which holds the digests of the other files: it names the model exactly.
    pub(crate) digest: Digest,
    pub(crate) config: BertConfig,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) window_limits: WindowLimits,
    pub(crate) policies: Policies,
    safetensors: Cow<'static, [u8]>,
}

impl Model {
    /// Reads and checks the model at `source`.
    pub(crate) fn load(source: &ModelSource) -> Result<Self, ModelError> {
        let manifest_bytes = source.read("dignity.json")?;
        let manifest = Manifest::from_json(&manifest_bytes)?;
        let read = |file: &'static str| {
            let bytes = source.read(file)?;
            match manifest.digest(file) {
                Some(listed) if listed == Digest::of(&bytes) => Ok(bytes),
                Some(listed) => Err(ModelError::Digest { file, listed, found: Digest::of(&bytes) }),
                None => Err(ModelError::NoDigest { file }),
            }
        };
        let config = BertConfig::from_json(&read("config.json")?)?;
        let tokenizer = Tokenizer::from_bytes(&read("tokenizer.json")?)?;
        if tokenizer.vocabulary_size() > config.vocab_size {
            return Err(ModelError::Vocabulary {
                tokenizer: tokenizer.vocabulary_size(),
                model: config.vocab_size,
            });
        }
        if manifest.max_window_tokens > config.max_position_embeddings {
            return Err(ModelError::WindowTooLong {
                window: manifest.max_window_tokens,
                positions: config.max_position_embeddings,
            });
        }
        let content = manifest.max_window_tokens.saturating_sub(tokenizer.special_tokens());
        let window_limits = WindowLimits::new(content, manifest.window_overlap_tokens)?;
        let policies = Policies::read(source)?;
        Ok(Self {
            digest: Digest::of(&manifest_bytes),
            safetensors: read("model.safetensors")?,
            manifest,
            config,
            tokenizer,
            window_limits,
            policies,
        })
    }

    /// The weights, as stored.
    pub(crate) fn weights(&self) -> Result<Weights<'_>, WeightsError> {
        Weights::parse(&self.safetensors)
    }
}

/// Why a model could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A file of the model could not be read.
    #[error("the model's {file} could not be read from {place}: {source}")]
    Read {
        /// The file's name in the model directory.
        file: &'static str,
        /// The directory.
        place: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is not the one that `dignity.json` was made for.
    #[error(
        "the model's {file} has digest {found} where dignity.json lists {listed}; \
         restore the file, or make dignity.json anew"
    )]
    Digest {
        /// The file's name.
        file: &'static str,
        /// Its digest in `dignity.json`.
        listed: Digest,
        /// Its digest as it is.
        found: Digest,
    },
    /// `dignity.json` does not list a file's digest.
    #[error("dignity.json lists no digest for {file}; add it under \"files\"")]
    NoDigest {
        /// The file's name.
        file: &'static str,
    },
    /// `dignity.json` is at fault.
    #[error("dignity.json: {0}")]
    Manifest(#[from] ManifestError),
    /// `config.json` is at fault.
    #[error("config.json: {0}")]
    Config(#[from] ConfigError),
    /// `tokenizer.json` is at fault.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// A policy is at fault.
    #[error("policies/{name}.toml: {source}")]
    Policy {
        /// The file's name, without its extension.
        name: String,
        /// The fault.
        source: PolicyError,
    },
    /// A policy goes by another name than its file.
    #[error("policies/{file}.toml holds the policy {name:?}; give both the same name")]
    PolicyName {
        /// The file's name, without its extension.
        file: String,
        /// The policy's name.
        name: String,
    },
    /// The default policy is missing.
    #[error("the model has no policies/{DEFAULT_POLICY}.toml, which is its default policy")]
    NoDefaultPolicy,
    /// The tokenizer knows tokens that the model has no embedding for.
    #[error(
        "tokenizer.json has {tokenizer} tokens, config.json's vocab_size is {model}; \
         they are of different models"
    )]
    Vocabulary {
        /// Tokens in `tokenizer.json`.
        tokenizer: usize,
        /// `vocab_size` in `config.json`.
        model: usize,
    },
    /// Windows are longer than the model has positions for.
    #[error(
        "dignity.json's max_window_tokens is {window}, config.json's max_position_embeddings \
         only {positions}"
    )]
    WindowTooLong {
        /// `max_window_tokens` in `dignity.json`.
        window: usize,
        /// `max_position_embeddings` in `config.json`.
        positions: usize,
    },
    /// The windows' length and overlap do not go together.
    #[error("dignity.json: {0}")]
    WindowLimits(#[from] WindowLimitsError),
    /// The model of the hub could not be had.
    #[error(transparent)]
    Hub(#[from] HubError),
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// A copy of the tiny model with one file changed, digests left as they were.
    fn changed(file: &str, change: impl Fn(String) -> String) -> ModelError {
        let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny-bert");
        let copy = tempfile::tempdir().unwrap();
        fs::create_dir(copy.path().join("policies")).unwrap();
        for name in FILES.into_iter().chain(["policies/balanced.toml"]) {
            fs::copy(tiny.join(name), copy.path().join(name)).unwrap();
        }
        let text = fs::read_to_string(tiny.join(file)).unwrap();
        let new = change(text.clone());
        assert_ne!(text, new, "the change must change something");
        fs::write(copy.path().join(file), new).unwrap();
        match Model::load(&ModelSource::directory(copy.path())) {
            Ok(_) => panic!("a changed {file} was accepted"),
            Err(error) => error,
        }
    }

    #[test]
    fn a_changed_file_is_noticed() {
        let error = changed("config.json", |text| text + " ");
        assert!(matches!(error, ModelError::Digest { file: "config.json", .. }), "{error}");
    }

    #[test]
    fn windows_that_the_model_cannot_hold_are_refused() {
        let error = changed("dignity.json", |text| {
            text.replace("\"max_window_tokens\": 16", "\"max_window_tokens\": 1000")
        });
        assert!(matches!(error, ModelError::WindowTooLong { window: 1000, .. }), "{error}");
        let error = changed("dignity.json", |text| {
            text.replace("\"window_overlap_tokens\": 4", "\"window_overlap_tokens\": 14")
        });
        assert!(matches!(error, ModelError::WindowLimits(_)), "{error}");
    }

    #[test]
    fn policies_go_by_the_names_of_their_files() {
        let error = changed("policies/balanced.toml", |text| text.replace("balanced", "strict"));
        assert!(error.to_string().contains("holds the policy \"strict\""), "{error}");
        let error = changed("policies/balanced.toml", |text| text.replace("0.8", "8"));
        assert!(error.to_string().contains("policies/balanced.toml: the policy's flag"), "{error}");
    }

    #[test]
    fn a_missing_directory_is_named() {
        let Err(error) = Model::load(&ModelSource::from("no/such/model")) else {
            panic!("nothing is there to load");
        };
        assert!(error.to_string().contains("no/such/model"), "{error}");
    }
}
