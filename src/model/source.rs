//! Where a model comes from.

use std::{
    borrow::Cow,
    fmt, fs, io,
    path::{Path, PathBuf},
};

#[cfg(feature = "hub")]
use super::HubOptions;
use super::{
    HubError, HubModel, ModelError, ParseHubModelError,
    checkpoint::{self, SAFETENSORS, WeightFile},
};

/// The files that make up a model of dignity's, beside its policies.
pub const FILES: [&str; 4] = ["config.json", "dignity.json", "model.safetensors", "tokenizer.json"];

/// The folder of a model's policies, each in a file `NAME.toml`.
const POLICIES: &str = "policies";

/// A model that is part of the library.
#[cfg(feature = "shipped")]
#[derive(Clone, Copy)]
pub struct ShippedModel {
    name: &'static str,
    files: &'static [(&'static str, &'static [u8])],
}

#[cfg(feature = "shipped")]
impl ShippedModel {
    /// Every model that ships, the default first.
    pub const ALL: [Self; 1] = [Self {
        name: "dignity-small-en",
        files: &[
            ("config.json", include_bytes!("../../models/dignity-small-en/config.json")),
            ("dignity.json", include_bytes!("../../models/dignity-small-en/dignity.json")),
            (
                "model.safetensors",
                include_bytes!("../../models/dignity-small-en/model.safetensors"),
            ),
            (
                "policies/balanced.toml",
                include_bytes!("../../models/dignity-small-en/policies/balanced.toml"),
            ),
            (
                "policies/high-precision.toml",
                include_bytes!("../../models/dignity-small-en/policies/high-precision.toml"),
            ),
            (
                "policies/high-recall.toml",
                include_bytes!("../../models/dignity-small-en/policies/high-recall.toml"),
            ),
            ("tokenizer.json", include_bytes!("../../models/dignity-small-en/tokenizer.json")),
        ],
    }];

    /// The model's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The model's files: path in the model directory and content.
    pub fn files(&self) -> &[(&'static str, &'static [u8])] {
        self.files
    }
}

#[cfg(feature = "shipped")]
impl fmt::Debug for ShippedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ShippedModel").field(&self.name).finish()
    }
}

/// Where to load a model from.
///
/// A string is the name of a model that ships, or `hub:` and a [`HubModel`], or else the path of a
/// model directory: one of dignity's, which holds [`FILES`] and the folder `policies`, or a sequence classifier as Hugging
/// Face transformers saves it, with `config.json`, `tokenizer.json`, and weights in
/// `model.safetensors` (or several by `model.safetensors.index.json`, or `pytorch_model.bin`).
/// `roles.toml` beside them gives its labels [`Roles`](crate::Roles).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ModelSource {
    /// A model that is part of the library.
    #[cfg(feature = "shipped")]
    Shipped(ShippedModel),
    /// A model directory.
    Directory(PathBuf),
    /// A model of the Hugging Face Hub, fetched when it is loaded; see [`HubModel`].
    Hub(HubModel),
    /// A string that begins with `hub:` and names no model; loading it is this error.
    InvalidHub(ParseHubModelError),
}

impl ModelSource {
    /// A model directory.
    pub fn directory(path: impl Into<PathBuf>) -> Self {
        Self::Directory(path.into())
    }

    /// The model that is taken where none is named: the first that ships, if any does.
    pub(crate) fn default_shipped() -> Option<Self> {
        #[cfg(feature = "shipped")]
        let shipped = Some(Self::Shipped(ShippedModel::ALL[0]));
        #[cfg(not(feature = "shipped"))]
        let shipped = None;
        shipped
    }

    /// The model as it lies on this machine: what is of the hub is fetched, with these options or else
    /// those of the environment. The only place from which loading a model reaches the network.
    #[cfg(feature = "hub")]
    pub(crate) fn fetched(self, options: Option<HubOptions>) -> Result<Self, ModelError> {
        let Self::Hub(model) = self else { return Ok(self) };
        let options = options.map_or_else(HubOptions::from_env, Ok)?;
        Ok(model.fetch(&options, &mut ())?.into())
    }

    /// The content of one of the model's files.
    pub(crate) fn read(&self, file: &str) -> Result<Cow<'static, [u8]>, ModelError> {
        let content = match self {
            #[cfg(feature = "shipped")]
            Self::Shipped(model) => {
                let found = model.files.iter().find(|(name, _)| *name == file);
                found.map(|(_, bytes)| Cow::Borrowed(*bytes)).ok_or(io::ErrorKind::NotFound.into())
            }
            Self::Directory(path) => fs::read(path.join(file)).map(Cow::Owned),
            // With support for the hub it was fetched before.
            Self::Hub(model) => return Err(HubError::NoSupport { model: model.clone() }.into()),
            Self::InvalidHub(error) => return Err(HubError::from(error.clone()).into()),
        };
        content.map_err(|source| ModelError::Read {
            file: file.to_owned(),
            place: self.to_string(),
            source,
        })
    }

    /// The content of one of the model's files, if it is there.
    pub(super) fn read_if_there(
        &self,
        file: &str,
    ) -> Result<Option<Cow<'static, [u8]>>, ModelError> {
        match self.read(file) {
            Ok(content) => Ok(Some(content)),
            // A directory that is missing is no directory without this file.
            Err(ModelError::Read { source, .. })
                if source.kind() == io::ErrorKind::NotFound && self.exists() =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The model's weights.
    pub(super) fn weights(&self) -> Result<Vec<WeightFile>, ModelError> {
        match self {
            Self::Directory(path) => checkpoint::read(path),
            _ => Ok(vec![(SAFETENSORS.to_owned(), self.read(SAFETENSORS)?)]),
        }
    }

    fn exists(&self) -> bool {
        match self {
            Self::Directory(path) => path.is_dir(),
            _ => true,
        }
    }

    /// The last part of the path or the name; of a snapshot in the hub's cache, its repository's.
    pub(super) fn name(&self) -> String {
        let Self::Directory(path) = self else { return self.to_string() };
        let path = path.canonicalize().unwrap_or_else(|_| path.clone());
        let repository = path.ancestors().nth(2).and_then(Path::file_name);
        let repository = repository.and_then(|name| name.to_str()?.strip_prefix("models--"));
        match repository.and_then(|name| name.rsplit("--").next()) {
            Some(name) => name.to_owned(),
            None => path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
        }
    }

    /// The names and texts of the model's policies, in order of name.
    pub(crate) fn policies(&self) -> Result<Vec<(String, String)>, ModelError> {
        match self {
            #[cfg(feature = "shipped")]
            Self::Shipped(model) => Ok(model
                .files
                .iter()
                .filter_map(|(path, bytes)| {
                    let name = path.strip_prefix(POLICIES)?.strip_prefix('/')?;
                    let text = String::from_utf8_lossy(bytes).into_owned();
                    Some((name.strip_suffix(".toml")?.to_owned(), text))
                })
                .collect()),
            Self::Directory(path) => match read_policies(&path.join(POLICIES)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
                policies => policies.map_err(|source| ModelError::Read {
                    file: POLICIES.to_owned(),
                    place: self.to_string(),
                    source,
                }),
            },
            // Found out when the first file was read.
            Self::Hub(_) | Self::InvalidHub(_) => Ok(Vec::new()),
        }
    }
}

impl fmt::Display for ModelSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(feature = "shipped")]
            Self::Shipped(model) => f.write_str(model.name),
            Self::Directory(path) => path.display().fmt(f),
            Self::Hub(model) => write!(f, "hub:{model}"),
            Self::InvalidHub(error) => error.fmt(f),
        }
    }
}

fn read_policies(folder: &Path) -> io::Result<Vec<(String, String)>> {
    let mut policies = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml")
            && let Some(name) = path.file_stem().and_then(|name| name.to_str())
        {
            policies.push((name.to_owned(), fs::read_to_string(&path)?));
        }
    }
    policies.sort();
    Ok(policies)
}

impl From<&str> for ModelSource {
    fn from(name_or_path: &str) -> Self {
        #[cfg(feature = "shipped")]
        if let Some(model) = ShippedModel::ALL.into_iter().find(|m| m.name == name_or_path) {
            return Self::Shipped(model);
        }
        match name_or_path.strip_prefix("hub:").map(str::parse) {
            Some(Ok(model)) => Self::Hub(model),
            Some(Err(error)) => Self::InvalidHub(error),
            None => Self::directory(name_or_path),
        }
    }
}

impl From<String> for ModelSource {
    fn from(name_or_path: String) -> Self {
        Self::from(name_or_path.as_str())
    }
}

impl From<&Path> for ModelSource {
    fn from(path: &Path) -> Self {
        Self::directory(path)
    }
}

impl From<PathBuf> for ModelSource {
    fn from(path: PathBuf) -> Self {
        Self::directory(path)
    }
}

#[cfg(all(test, not(feature = "hub")))]
mod tests {
    use super::*;

    #[test]
    fn without_support_for_the_hub_its_models_are_refused_with_advice() {
        let error = ModelSource::from("hub:owner/name").read("dignity.json").unwrap_err();
        assert!(matches!(error, ModelError::Hub(HubError::NoSupport { .. })), "{error}");
        assert!(error.to_string().contains("--features hub"), "{error}");
        let error = ModelSource::from("hub:no name").read("dignity.json").unwrap_err();
        assert!(error.to_string().contains("\"no name\" names no model"), "{error}");
    }
}
