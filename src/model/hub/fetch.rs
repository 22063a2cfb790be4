//! A model of the hub, fetched into the cache: which files, from where, and when without the network.

use std::{
    collections::BTreeSet,
    fmt, fs,
    path::{Path, PathBuf},
};

use super::{
    DownloadProgress, HubError, HubModel, HubOptions,
    cache::{Cache, is_commit},
    client::{ATTEMPTS, Client},
    download::Download,
};
use crate::model::{
    ModelSource,
    checkpoint::{INDEX, PICKLE, SAFETENSORS, is_file_name, shards},
};

/// Without these there is no model.
const REQUIRED: [&str; 2] = ["config.json", "tokenizer.json"];
/// These are fetched where the repository has them, as are policies.
const OPTIONAL: [&str; 3] = ["dignity.json", "roles.toml", "tokenizer_config.json"];

/// A model of the hub as it lies in the cache.
#[derive(Clone, Debug)]
pub struct HubSnapshot {
    model: HubModel,
    directory: PathBuf,
    unreachable: Option<String>,
}

impl HubSnapshot {
    /// The directory of the model's files.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The hash of the commit that the model's revision is, or was when the hub was last asked.
    pub fn commit(&self) -> &str {
        self.model.revision()
    }

    /// Why the hub could not be asked, where the cache stood in for it.
    pub fn unreachable(&self) -> Option<&str> {
        self.unreachable.as_deref()
    }
}

/// `owner/name@commit`.
impl fmt::Display for HubSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.model.fmt(f)
    }
}

impl From<HubSnapshot> for ModelSource {
    fn from(snapshot: HubSnapshot) -> Self {
        Self::Directory(snapshot.directory)
    }
}

impl HubModel {
    /// Brings the model's files into the cache, as far as they are not there, and tells where they are.
    ///
    /// The hub is asked once which commit the revision is and which files it has. Needed without
    /// exception are `config.json`, `tokenizer.json` and weights: `model.safetensors`, or else
    /// `model.safetensors.index.json` with all files that it names, or else `pytorch_model.bin`. With
    /// them come `dignity.json`, `roles.toml`, `tokenizer_config.json` and `policies/*.toml`, where
    /// there are any. Sizes are verified, and digests where the hub tells them. No connection is made
    /// when the revision is a commit that was fetched before, nor when offline.
    ///
    /// # Errors
    /// When the hub refuses or lacks the model, a file is not what the hub told, or the cache cannot be
    /// written; when offline and a file is not in the cache. Where the hub cannot be reached and the
    /// cache has the model, that is no error; see [`HubSnapshot::unreachable`].
    pub fn fetch(
        &self,
        options: &HubOptions,
        progress: &mut dyn DownloadProgress,
    ) -> Result<HubSnapshot, HubError> {
        let cache = Cache::new(&options.cache, self);
        if is_commit(self.revision()) && cache.is_whole(self.revision()) {
            return Ok(self.snapshot(&cache, self.revision(), None));
        }
        let cached = self.cached(&cache, options);
        if options.offline {
            return cached.map(|commit| self.snapshot(&cache, &commit, None));
        }
        let client = Client::new(self, options)?;
        // Where the cache can stand in, nobody need wait.
        let attempts = if cached.is_ok() { 1 } else { ATTEMPTS };
        let (commit, listed) = match (client.info(attempts), cached) {
            (Err(error), Ok(commit)) if error.is_unreachable() => {
                return Ok(self.snapshot(&cache, &commit, Some(error.to_string())));
            }
            (info, _) => info?,
        };
        let missing = |file: &str| HubError::NoFile { model: self.clone(), file: file.to_owned() };
        let files = self.gather(&listed, &missing, |file| {
            if let Some(path) = cache.file(&commit, file) {
                return Ok(path);
            }
            let metadata = client.metadata(&commit, file)?;
            let blob = cache.blob(&metadata.etag);
            let _lock = cache.lock(&metadata.etag)?;
            // It may be there for another commit, or have come while this waited for the lock.
            if fs::metadata(&blob).map_or(true, |found| found.len() != metadata.size) {
                let incomplete = cache.incomplete(&metadata.etag)?;
                let (client, commit, metadata) = (&client, &commit[..], &metadata);
                Download { client, commit, file, metadata }.run(&incomplete, progress)?;
                fs::rename(&incomplete, &blob).map_err(HubError::cache(&blob))?;
            }
            cache.link(&commit, file, &metadata.etag)
        })?;
        let _lock = cache.lock(&commit)?;
        cache.set_whole(&commit, &files)?;
        // Last, so that a revision is never a commit whose files are not all here.
        cache.set_commit(&commit)?;
        Ok(self.snapshot(&cache, &commit, None))
    }

    fn snapshot(&self, cache: &Cache, commit: &str, unreachable: Option<String>) -> HubSnapshot {
        HubSnapshot { model: self.at(commit), directory: cache.snapshot(commit), unreachable }
    }

    /// The commit whose files in the cache make up the model.
    fn cached(&self, cache: &Cache, options: &HubOptions) -> Result<String, HubError> {
        let missing = |file: &str| HubError::Offline {
            model: self.clone(),
            file: file.to_owned(),
            cache: options.cache.clone(),
        };
        let commit = cache.commit().ok_or_else(|| missing(REQUIRED[0]))?;
        let here = cache.files(&commit);
        let path = |file: &str| cache.file(&commit, file).ok_or_else(|| missing(file));
        self.gather(&here, &missing, path)?;
        Ok(commit)
    }

    /// Gets every file that belongs to the model out of those that there are, and names them.
    fn gather(
        &self,
        there_are: &[String],
        missing: &dyn Fn(&str) -> HubError,
        mut get: impl FnMut(&str) -> Result<PathBuf, HubError>,
    ) -> Result<Vec<String>, HubError> {
        let is_there = |file: &str| there_are.iter().any(|there| there == file);
        // What is lacking is told before anything large is fetched.
        if let Some(file) = REQUIRED.into_iter().find(|file| !is_there(file)) {
            return Err(missing(file));
        }
        let mut files: Vec<String> = REQUIRED.map(str::to_owned).to_vec();
        files.extend(OPTIONAL.into_iter().filter(|file| is_there(file)).map(str::to_owned));
        files.extend(there_are.iter().filter(|file| is_policy(file)).cloned());
        if is_there(SAFETENSORS) {
            files.push(SAFETENSORS.to_owned());
        } else if is_there(INDEX) {
            let shards = self.shards(&get(INDEX)?)?;
            if let Some(shard) = shards.iter().find(|shard| !is_there(shard)) {
                return Err(missing(shard));
            }
            files.push(INDEX.to_owned());
            files.extend(shards);
        } else if is_there(PICKLE) {
            files.push(PICKLE.to_owned());
        } else {
            return Err(missing(SAFETENSORS));
        }
        files.iter().try_for_each(|file| get(file).map(drop))?;
        Ok(files)
    }

    /// The files that an index of the weights names.
    fn shards(&self, index: &Path) -> Result<BTreeSet<String>, HubError> {
        let bytes = fs::read(index).map_err(HubError::cache(index))?;
        shards(&bytes).map_err(|source| HubError::Index { model: self.clone(), source })
    }
}

fn is_policy(file: &str) -> bool {
    file.strip_prefix("policies/").is_some_and(|name| name.ends_with(".toml") && is_file_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_files_of_their_folder() {
        assert!(is_policy("policies/my policy.toml"));
        for other in ["policies/../x.toml", "policies/a/b.toml", "policies/a.json", "a.toml"] {
            assert!(!is_policy(other), "{other:?}");
        }
    }
}
