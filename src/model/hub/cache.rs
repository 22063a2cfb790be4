//! The cache of models, as all tools of the hub lay it out: `models--OWNER--NAME/` with `blobs/ETAG`,
//! `snapshots/COMMIT/FILE` that link to them, and `refs/REVISION` that hold commits.
//!
//! A file more is dignity's own: `.dignity/COMMIT` lists the files of a snapshot that it fetched whole.
//! Other tools fetch what they need, and a snapshot does not tell what was left out.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use hf_hub::{CacheRepo, Repo, RepoType};

use super::{HubError, HubModel};

/// The part of the cache that is about one model.
pub(super) struct Cache {
    repository: CacheRepo,
    revision: String,
    folder: PathBuf,
    locks: PathBuf,
}

impl Cache {
    pub(super) fn new(directory: &Path, model: &HubModel) -> Self {
        let repo = Repo::with_revision(
            model.id().to_owned(),
            RepoType::Model,
            model.revision().to_owned(),
        );
        let name = repo.folder_name();
        Self {
            folder: directory.join(&name),
            locks: directory.join(".locks").join(name),
            repository: hf_hub::Cache::new(directory.to_owned()).repo(repo),
            revision: model.revision().to_owned(),
        }
    }

    /// The commit that the revision is, as far as the cache knows.
    pub(super) fn commit(&self) -> Option<String> {
        if is_commit(&self.revision) {
            return Some(self.revision.clone());
        }
        let commit = fs::read_to_string(self.folder.join("refs").join(&self.revision)).ok()?;
        Some(commit.trim().to_owned()).filter(|commit| is_commit(commit))
    }

    /// Notes which commit the revision is.
    pub(super) fn set_commit(&self, commit: &str) -> Result<(), HubError> {
        if self.revision == commit {
            return Ok(());
        }
        let path = self.folder.join("refs").join(&self.revision);
        self.repository.create_ref(commit).map_err(HubError::cache(path))
    }

    /// The directory of a commit's files.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.repository.pointer_path(commit)
    }

    /// A file of a commit, if it is here.
    pub(super) fn file(&self, commit: &str, file: &str) -> Option<PathBuf> {
        Some(self.snapshot(commit).join(file)).filter(|path| path.is_file())
    }

    /// The files of a commit that are here, in the folders that a model may have.
    pub(super) fn files(&self, commit: &str) -> Vec<String> {
        let snapshot = self.snapshot(commit);
        let list = |folder: &str, prefix: &str| -> Vec<String> {
            let entries = fs::read_dir(snapshot.join(folder)).into_iter().flatten().flatten();
            let files = entries.filter(|entry| entry.path().is_file());
            files.map(|file| format!("{prefix}{}", file.file_name().display())).collect()
        };
        [list("", ""), list("policies", "policies/")].concat()
    }

    /// Whether dignity fetched this commit, and all of its files are still here.
    pub(super) fn is_whole(&self, commit: &str) -> bool {
        fs::read_to_string(self.list(commit)).is_ok_and(|list| {
            !list.is_empty() && list.lines().all(|file| self.file(commit, file).is_some())
        })
    }

    /// Notes that these are the files of the commit. The commit's lock is to be held.
    pub(super) fn set_whole(&self, commit: &str, files: &[String]) -> Result<(), HubError> {
        let path = self.list(commit);
        let text: String = files.iter().flat_map(|file| [file, "\n"]).collect();
        if fs::read_to_string(&path).is_ok_and(|found| found == text) {
            return Ok(());
        }
        create_parent(&path)?;
        // Half a list would leave files out.
        let new = path.with_extension("incomplete");
        fs::write(&new, text).and_then(|()| fs::rename(&new, &path)).map_err(HubError::cache(path))
    }

    fn list(&self, commit: &str) -> PathBuf {
        self.folder.join(".dignity").join(commit)
    }

    /// Where the content with this ETag is, or will be.
    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.repository.blob_path(etag)
    }

    /// Where the content with this ETag grows until it is whole.
    pub(super) fn incomplete(&self, etag: &str) -> Result<PathBuf, HubError> {
        let path = self.blob(&format!("{etag}.incomplete"));
        create_parent(&path)?;
        Ok(path)
    }

    /// Keeps other processes from what has this ETag, or from this commit, until the file is dropped.
    pub(super) fn lock(&self, name: &str) -> Result<File, HubError> {
        let path = self.locks.join(format!("{name}.lock"));
        create_parent(&path)?;
        let file = File::create(&path).map_err(HubError::cache(&path))?;
        match file.lock() {
            // A file system without locks: then as if nobody else were there.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(file),
            locked => locked.map(|()| file).map_err(HubError::cache(path)),
        }
    }

    /// Gives the content with this ETag its name in a commit. The lock is to be held, so that a link is
    /// never seen half made.
    pub(super) fn link(&self, commit: &str, file: &str, etag: &str) -> Result<PathBuf, HubError> {
        let path = self.snapshot(commit).join(file);
        if path.is_file() {
            return Ok(path);
        }
        create_parent(&path)?;
        // A link whose content was deleted.
        if fs::symlink_metadata(&path).is_ok() {
            fs::remove_file(&path).map_err(HubError::cache(&path))?;
        }
        // Out of `snapshots/COMMIT` and the file's own folders.
        let up = 2 + file.matches('/').count();
        let target: PathBuf = [&"../".repeat(up), "blobs", etag].iter().collect();
        let blob = self.blob(etag);
        symlink(&target, &path)
            .or_else(|_| fs::hard_link(&blob, &path))
            .or_else(|_| fs::copy(&blob, &path).map(drop))
            .map_err(HubError::cache(&path))?;
        Ok(path)
    }
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(not(unix))]
fn symlink(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn create_parent(path: &Path) -> Result<(), HubError> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(HubError::cache(parent))
}

/// Whether a text is a full commit hash, in the one way that the hub writes it.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
