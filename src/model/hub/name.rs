//! How a model of the hub is named.

use std::{fmt, str::FromStr};

/// The revision that is taken where none is named.
const DEFAULT_REVISION: &str = "main";
/// The hub's own limit on a repository's name.
const MAX_NAME: usize = 96;

/// A model of the Hugging Face Hub at a revision, written `owner/name@revision`.
///
/// The revision is a branch, a tag or a commit hash, and `main` where none is written. Old models have a
/// name without an owner. A [`ModelSource`](crate::ModelSource) is such a model where its name begins
/// with `hub:`.
///
/// ```
/// let model: dignity::HubModel = "owner/name@v1.2".parse()?;
/// assert_eq!((model.id(), model.revision()), ("owner/name", "v1.2"));
/// assert_eq!("name".parse::<dignity::HubModel>()?.to_string(), "name@main");
/// # Ok::<(), dignity::ParseHubModelError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HubModel {
    id: String,
    revision: String,
}

impl HubModel {
    /// The repository: `owner/name`, or `name`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The branch, tag or commit hash.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// The model at a commit of its repository.
    #[cfg(feature = "hub")]
    pub(super) fn at(&self, commit: &str) -> Self {
        Self { id: self.id.clone(), revision: commit.to_owned() }
    }
}

impl fmt::Display for HubModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.id, self.revision)
    }
}

/// The text names no model of the hub.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} names no model of the hub: {fault}; write owner/name or owner/name@revision")]
pub struct ParseHubModelError {
    name: String,
    fault: &'static str,
}

impl FromStr for HubModel {
    type Err = ParseHubModelError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let (id, revision) = name.split_once('@').unwrap_or((name, DEFAULT_REVISION));
        match fault_of_id(id).or_else(|| fault_of_revision(revision)) {
            None => Ok(Self { id: id.to_owned(), revision: revision.to_owned() }),
            Some(fault) => Err(ParseHubModelError { name: name.to_owned(), fault }),
        }
    }
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// The hub's own rules for names. They also keep a name inside the cache's folder.
fn fault_of_id(id: &str) -> Option<&'static str> {
    let parts: Vec<_> = id.split('/').collect();
    let edge = |part: &str| part.starts_with(['-', '.']) || part.ends_with(['-', '.']);
    if parts.len() > 2 {
        Some("it has more than one slash")
    } else if parts.iter().any(|part| part.is_empty()) {
        Some("the owner or the name is empty")
    } else if !id.chars().all(|c| is_plain(c) || c == '/') {
        Some("the hub's names are made of letters, digits, - _ and .")
    } else if id.contains("--") || id.contains("..") {
        Some("the hub's names contain neither -- nor ..")
    } else if parts.into_iter().any(edge) {
        Some("the hub's names neither begin nor end with - or .")
    } else if id.len() > MAX_NAME {
        Some("the hub's names have at most 96 characters")
    } else {
        None
    }
}

/// Stricter than git's rules, so that a revision is a safe path in the cache and in a URL.
fn fault_of_revision(revision: &str) -> Option<&'static str> {
    if revision.is_empty() {
        Some("the revision is empty")
    } else if !revision.chars().all(|c| is_plain(c) || matches!(c, '/' | '+')) {
        Some("a revision is made of letters, digits, - _ . + and /")
    } else if revision.split('/').any(|part| part.is_empty() || part.starts_with('.')) {
        Some("no part of a revision is empty or begins with a dot")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        for (name, written) in [
            ("owner/name", "owner/name@main"),
            ("name", "name@main"),
            ("o-w_n.er/n.a-m_e@refs/pr/1", "o-w_n.er/n.a-m_e@refs/pr/1"),
            ("a/b@v1.0+build", "a/b@v1.0+build"),
        ] {
            let model: HubModel = name.parse().unwrap();
            assert_eq!(model.to_string(), written);
            assert_eq!(written.parse(), Ok(model));
        }
    }

    #[test]
    fn other_names_are_refused() {
        let long = "n".repeat(97);
        for bad in [
            "",
            " ",
            "a b",
            "a/b c",
            "/",
            "a/",
            "/b",
            "a/b/c",
            "..",
            "../b",
            "a/..",
            "a..b/c",
            "a--b/c",
            "-a/b",
            "a/b.",
            "a\\b",
            "a/b?",
            "a/b#c",
            "ä/b",
            "a/b@",
            "a/b@ ",
            "a/b@..",
            "a/b@../../c",
            "a/b@x//y",
            "a/b@/x",
            "a/b@x/",
            "a/b@.x",
            "a/b@x@y",
            "a/b@x\\y",
            "a:b",
            &long,
        ] {
            let error = bad.parse::<HubModel>().unwrap_err();
            assert!(error.to_string().contains("owner/name"), "{error}");
        }
    }
}
