//! Why a model of the hub could not be had.

use std::{error::Error, io, path::PathBuf};

use super::{HubModel, ParseHubModelError};
use crate::{digest::Digest, model::checkpoint::WeightIndexError};

/// Why a model of the hub could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// The library was built without the feature `hub`.
    #[error(
        "this build has no support for models of the hub; rebuild with `--features hub`, or download \
         the files of {model} into a directory and name that"
    )]
    NoSupport {
        /// The model.
        model: HubModel,
    },
    /// The name is not one of a model of the hub.
    #[error(transparent)]
    Name(#[from] ParseHubModelError),
    /// There is no home directory to find the cache in.
    #[error("there is no home directory to keep models in; set HF_HOME to a directory")]
    NoHome,
    /// The hub's address is not one.
    #[error("{endpoint:?} is not the address of a hub (HF_ENDPOINT); write https://HOST")]
    Endpoint {
        /// The address.
        endpoint: String,
    },
    /// The hub has no such repository, or does not show it.
    #[error(
        "{endpoint} has no model {}; check the name, and if the model is private set HF_TOKEN",
        model.id()
    )]
    NoRepository {
        /// The model.
        model: HubModel,
        /// The hub's address.
        endpoint: String,
    },
    /// The repository has no such revision.
    #[error("the model {} has no revision {:?} on the hub", model.id(), model.revision())]
    NoRevision {
        /// The model.
        model: HubModel,
    },
    /// The repository lacks a file.
    #[error("{model} has no {file} on the hub; dignity cannot load such a model")]
    NoFile {
        /// The model.
        model: HubModel,
        /// The file.
        file: String,
    },
    /// Offline, and a file is not in the cache.
    #[error(
        "offline mode is on (HF_HUB_OFFLINE), and {file} of {model} is not in the cache at {}; \
         fetch the model once with the network on",
        cache.display()
    )]
    Offline {
        /// The model.
        model: HubModel,
        /// The file.
        file: String,
        /// The cache's directory.
        cache: PathBuf,
    },
    /// The hub wants to know who asks.
    #[error("the hub refuses {model} without a valid token; set HF_TOKEN to one of yours (401)")]
    Unauthorized {
        /// The model.
        model: HubModel,
    },
    /// The model's authors ask for consent first.
    #[error(
        "{model} is gated: accept its licence on its page on the hub, and set HF_TOKEN to a token of \
         the account that did"
    )]
    Gated {
        /// The model.
        model: HubModel,
    },
    /// The token does not give access.
    #[error("the hub forbids {model} to this token (403); set HF_TOKEN to one that may read it")]
    Forbidden {
        /// The model.
        model: HubModel,
    },
    /// Too many requests.
    #[error(
        "the hub takes no more requests for now (429); wait, or set HF_TOKEN for a higher limit"
    )]
    TooManyRequests,
    /// The server failed.
    #[error("{url}: the server failed with status {status}; try again later")]
    Server {
        /// The address.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// A status that has no meaning in the hub's protocol.
    #[error("{url}: the server answered with status {status}")]
    Status {
        /// The address.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// An answer that is not of the hub's protocol.
    #[error("{url}: the answer is not one of a hub: {fault}")]
    Answer {
        /// The address.
        url: String,
        /// What is wrong with it.
        fault: String,
    },
    /// The server could not be reached.
    #[error("{url} cannot be reached: {source}")]
    Connection {
        /// The address.
        url: String,
        /// What the network said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The connection was lost in the middle of a file.
    #[error(
        "the connection was lost after {received} of the {size} bytes of {file}; \
         run again to go on from there"
    )]
    Cut {
        /// The file.
        file: String,
        /// Bytes that are here.
        received: u64,
        /// Bytes of the whole file.
        size: u64,
        /// What the network said, if anything.
        source: Option<io::Error>,
    },
    /// A file has another size than the hub told.
    #[error("{file} has {found} bytes where the hub told {expected}; it was not kept")]
    Size {
        /// The file.
        file: String,
        /// The size that the hub told.
        expected: u64,
        /// The size that the server sends.
        found: u64,
    },
    /// A file has another digest than the hub told.
    #[error("{file} has digest {found} where the hub told {expected}; it was not kept")]
    Digest {
        /// The file.
        file: String,
        /// The digest that the hub told.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// The index of the weights cannot be used.
    #[error("{model}: {source}")]
    Index {
        /// The model.
        model: HubModel,
        /// What is wrong with it.
        source: WeightIndexError,
    },
    /// The cache cannot be read or written.
    #[error("the cache of models fails at {}: {source}", path.display())]
    Cache {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

#[cfg(feature = "hub")]
impl HubError {
    /// Whether another try may succeed.
    pub(super) fn is_transient(&self) -> bool {
        matches!(self, Self::Connection { .. } | Self::Server { .. } | Self::Cut { .. })
    }

    /// Whether the hub could not answer, so that the cache must do.
    pub(super) fn is_unreachable(&self) -> bool {
        self.is_transient() || matches!(self, Self::TooManyRequests)
    }

    pub(super) fn cache(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Cache { path, source }
    }
}
