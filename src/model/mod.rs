//! A model directory, read and checked: configuration, labels and calibration, tokenizer, weights,
//! policies.

mod calibration;
mod checkpoint;
mod config;
mod hub;
mod labels;
mod manifest;
mod policies;
mod roles;
mod source;
mod weights;

use std::borrow::Cow;

use serde::Deserialize;

pub(crate) use calibration::Calibration;
pub use checkpoint::WeightIndexError;
pub(crate) use config::{
    BertConfig, Config, DebertaConfig, Encoder, Head as HeadConfig, HiddenAct, LayerAttention,
    ModernBertConfig, OutputNames, Pooling, RelativePositions,
};
#[cfg(feature = "hub")]
pub use hub::{DownloadProgress, HubOptions, HubSnapshot};
pub use hub::{HubError, HubModel, ParseHubModelError};
pub use labels::{Label, Labels, OutputActivation};
use manifest::Manifest;
pub use policies::DEFAULT_POLICY;
pub(crate) use policies::Policies;
pub use roles::{Roles, RolesError};
#[cfg(feature = "shipped")]
pub use source::ShippedModel;
pub use source::{FILES, ModelSource};
pub(crate) use weights::{Dimension, Weights};
pub use {config::ConfigError, manifest::ManifestError, weights::WeightsError};

use crate::{
    digest::Digest,
    policy::PolicyError,
    text::{Tokenizer, TokenizerError, WindowLimits, WindowLimitsError},
};

/// The longest window of a model of another maker, special tokens included: what most classifiers
/// were trained on, whatever their positions allow.
const MAX_WINDOW_TOKENS: usize = 512;
/// How many tokens of content neighbouring windows of such a model share, of windows that long.
const WINDOW_OVERLAP_TOKENS: usize = 64;

/// A model's files, parsed and found to fit one another.
pub(crate) struct Model {
    pub(crate) name: String,
    /// As its maker counts; empty where the model does not tell.
    pub(crate) version: String,
    /// Of all files that scores rest on: it names the model exactly.
    pub(crate) digest: Digest,
    pub(crate) config: Config,
    pub(crate) labels: Labels,
    pub(crate) tokenizer: Tokenizer,
    /// Of `tokenizer.json`.
    pub(crate) tokenizer_digest: Digest,
    pub(crate) window_limits: WindowLimits,
    pub(crate) policies: Policies,
    /// Each a file of safetensors.
    weights: Vec<Cow<'static, [u8]>>,
}

/// `tokenizer_config.json`, as far as it matters here.
#[derive(Default, Deserialize)]
struct TokenizerConfig {
    /// Some have a number beyond all integers here, which means that there is no limit.
    #[serde(default)]
    model_max_length: Option<f64>,
}

impl Model {
    /// Reads and checks the model at `source`: one of dignity's, which has a `dignity.json`, or one
    /// that transformers saved, whose labels have the given roles or else those of `roles.toml`.
    pub(crate) fn load(source: &ModelSource, roles: Option<&Roles>) -> Result<Self, ModelError> {
        match source.read_if_there("dignity.json")? {
            Some(_) if roles.is_some() => Err(ModelError::RolesGiven),
            Some(manifest) => Self::load_own(source, &manifest),
            None => Self::load_foreign(source, roles),
        }
    }

    fn load_own(source: &ModelSource, manifest_json: &[u8]) -> Result<Self, ModelError> {
        let manifest = Manifest::from_json(manifest_json)?;
        let check = |file: &str, bytes: &[u8]| match manifest.digest(file) {
            Some(listed) if listed == Digest::of(bytes) => Ok(()),
            Some(listed) => {
                Err(ModelError::Digest { file: file.to_owned(), listed, found: Digest::of(bytes) })
            }
            None => Err(ModelError::NoDigest { file: file.to_owned() }),
        };
        let read = |file: &str| {
            let bytes = source.read(file)?;
            check(file, &bytes).map(|()| bytes)
        };
        let config = Config::with_linear_head(&read("config.json")?, manifest.pooling)?;
        let tokenizer_json = read("tokenizer.json")?;
        let tokenizer = tokenizer(&tokenizer_json, &config)?;
        if manifest.max_window_tokens > config.encoder.max_tokens() {
            return Err(ModelError::WindowTooLong {
                window: manifest.max_window_tokens,
                positions: config.encoder.max_tokens(),
            });
        }
        let content = manifest.max_window_tokens.saturating_sub(tokenizer.special_tokens());
        let policies = Policies::read(source, &manifest.labels)?;
        if policies.default().is_none() {
            return Err(ModelError::NoDefaultPolicy);
        }
        let weights = source.weights()?;
        for (file, bytes) in &weights {
            check(file, bytes)?;
        }
        Ok(Self {
            name: manifest.name,
            version: manifest.version,
            digest: Digest::of(manifest_json),
            config,
            labels: manifest.labels,
            tokenizer,
            tokenizer_digest: Digest::of(&tokenizer_json),
            window_limits: WindowLimits::new(content, manifest.window_overlap_tokens)?,
            policies,
            weights: weights.into_iter().map(|(_, bytes)| bytes).collect(),
        })
    }

    fn load_foreign(source: &ModelSource, roles: Option<&Roles>) -> Result<Self, ModelError> {
        let config_json = source.read("config.json")?;
        let config = Config::from_json(&config_json)?;
        let tokenizer_json = source.read("tokenizer.json")?;
        let tokenizer = tokenizer(&tokenizer_json, &config)?;
        let limits = match source.read_if_there("tokenizer_config.json")? {
            Some(json) => serde_json::from_slice(&json).map_err(ModelError::TokenizerConfig)?,
            None => TokenizerConfig::default(),
        };
        let roles = match (roles, source.read_if_there("roles.toml")?) {
            (Some(roles), _) => roles.clone(),
            (None, Some(toml)) => Roles::from_toml(&String::from_utf8_lossy(&toml))?,
            (None, None) => Roles::default(),
        };
        let labels = Labels::of_names(config.labels.clone(), config.problem_type, &roles)?;
        let longest = limits.model_max_length.map_or(usize::MAX, |length| length as usize);
        let window = MAX_WINDOW_TOKENS.min(config.encoder.max_tokens()).min(longest);
        let content = window.saturating_sub(tokenizer.special_tokens());
        let overlap = WINDOW_OVERLAP_TOKENS.min(content / 4);
        let weights = source.weights()?;
        // The digest of a list of digests, as `sha256sum` prints it.
        let parts: [(&str, &[u8]); 3] = [
            ("config.json", &config_json),
            ("tokenizer.json", &tokenizer_json),
            ("roles.toml", roles.text().as_bytes()),
        ];
        let weight_parts = weights.iter().map(|(name, bytes)| (name.as_str(), &**bytes));
        let list: String = parts
            .into_iter()
            .chain(weight_parts)
            .map(|(name, bytes)| format!("{}  {name}\n", Digest::of(bytes)))
            .collect();
        Ok(Self {
            name: source.name(),
            version: String::new(),
            digest: Digest::of(list.as_bytes()),
            policies: Policies::read(source, &labels)?,
            config,
            labels,
            tokenizer,
            tokenizer_digest: Digest::of(&tokenizer_json),
            window_limits: WindowLimits::new(content, overlap)?,
            weights: weights.into_iter().map(|(_, bytes)| bytes).collect(),
        })
    }

    /// The weights, as stored.
    pub(crate) fn weights(&self) -> Result<Weights<'_>, WeightsError> {
        Weights::parse(&self.weights)
    }
}

fn tokenizer(json: &[u8], config: &Config) -> Result<Tokenizer, ModelError> {
    let tokenizer = Tokenizer::from_bytes(json)?;
    let (tokens, embeddings) = (tokenizer.vocabulary_size(), config.encoder.vocab_size());
    if tokens > embeddings {
        return Err(ModelError::Vocabulary { tokenizer: tokens, model: embeddings });
    }
    Ok(tokenizer)
}

/// Why a model could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A file of the model could not be read.
    #[error("the model's {file} could not be read from {place}: {source}")]
    Read {
        /// The file's name in the model directory.
        file: String,
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
        file: String,
        /// Its digest in `dignity.json`.
        listed: Digest,
        /// Its digest as it is.
        found: Digest,
    },
    /// `dignity.json` does not list a file's digest.
    #[error("dignity.json lists no digest for {file}; add it under \"files\"")]
    NoDigest {
        /// The file's name.
        file: String,
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
    /// `model.safetensors.index.json` is at fault.
    #[error(transparent)]
    WeightIndex(#[from] WeightIndexError),
    /// `pytorch_model.bin` is of a form that candle does not read without running it.
    #[error(
        "pytorch_model.bin could not be read: {0}; save the model as model.safetensors \
         (transformers: save_pretrained)"
    )]
    Pickle(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// `tokenizer_config.json` is at fault.
    #[error("tokenizer_config.json: {0}")]
    TokenizerConfig(#[source] serde_json::Error),
    /// `roles.toml`, or what was given in its place, is at fault.
    #[error("roles.toml: {0}")]
    Roles(#[from] RolesError),
    /// Roles were given for a model that has its own.
    #[error("roles are for models of other makers; dignity.json tells those of this one's labels")]
    RolesGiven,
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
    #[error("the model's windows: {0}")]
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
        match Model::load(&ModelSource::directory(copy.path()), None) {
            Ok(_) => panic!("a changed {file} was accepted"),
            Err(error) => error,
        }
    }

    #[test]
    fn a_changed_file_is_noticed() {
        let error = changed("config.json", |text| text + " ");
        assert!(matches!(error, ModelError::Digest { .. }), "{error}");
        assert!(error.to_string().contains("config.json has digest"), "{error}");
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
        let Err(error) = Model::load(&ModelSource::from("no/such/model"), None) else {
            panic!("nothing is there to load");
        };
        assert!(error.to_string().contains("no/such/model"), "{error}");
    }
}
