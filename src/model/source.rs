//! Where a model comes from.

use std::{
    borrow::Cow,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use super::{
    ModelError,
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
/// A string is the name of a model that ships, or else the path of a model directory: one of
/// dignity's, which holds [`FILES`] and the folder `policies`, or a sequence classifier as Hugging
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

    /// The content of one of the model's files.
    pub(crate) fn read(&self, file: &str) -> Result<Cow<'static, [u8]>, ModelError> {
        let content = match self {
            #[cfg(feature = "shipped")]
            Self::Shipped(model) => {
                let found = model.files.iter().find(|(name, _)| *name == file);
                found.map(|(_, bytes)| Cow::Borrowed(*bytes)).ok_or(io::ErrorKind::NotFound.into())
            }
            Self::Directory(path) => fs::read(path.join(file)).map(Cow::Owned),
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
            #[cfg(feature = "shipped")]
            Self::Shipped(_) => Ok(vec![(SAFETENSORS.to_owned(), self.read(SAFETENSORS)?)]),
            Self::Directory(path) => checkpoint::read(path),
        }
    }

    fn exists(&self) -> bool {
        match self {
            #[cfg(feature = "shipped")]
            Self::Shipped(_) => true,
            Self::Directory(path) => path.is_dir(),
        }
    }

    /// The last part of the path or the name.
    pub(super) fn name(&self) -> String {
        match self {
            #[cfg(feature = "shipped")]
            Self::Shipped(model) => model.name.to_owned(),
            Self::Directory(path) => {
                let path = path.canonicalize().unwrap_or_else(|_| path.clone());
                path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
            }
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
        }
    }
}

impl fmt::Display for ModelSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(feature = "shipped")]
            Self::Shipped(model) => f.write_str(model.name),
            Self::Directory(path) => path.display().fmt(f),
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
        Self::directory(name_or_path)
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
