//! Where a model comes from.

use std::{
    borrow::Cow,
    fs,
    path::{Path, PathBuf},
};

use super::ModelError;

/// The files that make up a model.
pub const FILES: [&str; 5] =
    ["config.json", "dignity.json", "model.safetensors", "policy.toml", "tokenizer.json"];

/// A model that is part of the library.
#[cfg(feature = "shipped")]
#[derive(Clone, Copy)]
pub struct ShippedModel {
    name: &'static str,
    files: [(&'static str, &'static [u8]); FILES.len()],
}

#[cfg(feature = "shipped")]
impl ShippedModel {
    /// Every model that ships, the default first.
    pub const ALL: [Self; 1] = [Self {
        name: "dignity-small-en",
        files: [
            ("config.json", include_bytes!("../../models/dignity-small-en/config.json")),
            ("dignity.json", include_bytes!("../../models/dignity-small-en/dignity.json")),
            (
                "model.safetensors",
                include_bytes!("../../models/dignity-small-en/model.safetensors"),
            ),
            ("policy.toml", include_bytes!("../../models/dignity-small-en/policy.toml")),
            ("tokenizer.json", include_bytes!("../../models/dignity-small-en/tokenizer.json")),
        ],
    }];

    /// The model's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The model's files: name and content.
    pub fn files(&self) -> &[(&'static str, &'static [u8])] {
        &self.files
    }
}

#[cfg(feature = "shipped")]
impl std::fmt::Debug for ShippedModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ShippedModel").field(&self.name).finish()
    }
}

/// Where to load a model from.
///
/// A string is the name of a model that ships, or else the path of a model directory.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ModelSource {
    /// A model that is part of the library.
    #[cfg(feature = "shipped")]
    Shipped(ShippedModel),
    /// A directory that holds [`FILES`].
    Directory(PathBuf),
}

impl ModelSource {
    /// A directory that holds [`FILES`].
    pub fn directory(path: impl Into<PathBuf>) -> Self {
        Self::Directory(path.into())
    }

    /// The content of one of the model's files.
    pub(crate) fn read(&self, file: &'static str) -> Result<Cow<'static, [u8]>, ModelError> {
        let (place, content) = match self {
            #[cfg(feature = "shipped")]
            Self::Shipped(model) => {
                let found = model.files.iter().find(|(name, _)| *name == file);
                let content = found.map(|(_, bytes)| Cow::Borrowed(*bytes));
                (model.name.to_owned(), content.ok_or(std::io::ErrorKind::NotFound.into()))
            }
            Self::Directory(path) => {
                (path.display().to_string(), fs::read(path.join(file)).map(Cow::Owned))
            }
        };
        content.map_err(|source| ModelError::Read { file, place, source })
    }
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
