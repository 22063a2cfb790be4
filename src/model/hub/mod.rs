//! Models of the Hugging Face Hub: their names, and with the feature `hub` fetching them into the cache
//! that other tools of the hub use as well.
//!
//! Of the crate hf-hub come the cache's layout and the hub's addresses; requests are made here, since
//! its own neither verify what they download nor keep the token from other hosts.

#[cfg(feature = "hub")]
mod cache;
#[cfg(feature = "hub")]
mod client;
#[cfg(feature = "hub")]
mod download;
mod error;
#[cfg(feature = "hub")]
mod fetch;
mod name;
#[cfg(feature = "hub")]
mod options;

#[cfg(feature = "hub")]
pub use {download::DownloadProgress, fetch::HubSnapshot, options::HubOptions};
pub use {
    error::HubError,
    name::{HubModel, ParseHubModelError},
};
