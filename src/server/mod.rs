//! `dignity serve`: the classifier over HTTP. It listens; it sends nothing anywhere.
//!
//! A request passes [`log`], [`service::name_request`], [`fault::render`] and [`keys`], is read by
//! [`body`], and reaches the file of its API's shape, which asks the one [`service::Service`]. That
//! hands its texts to the thread of [`scoring`], where requests of all connections share rounds.

mod api;
mod audit;
mod body;
mod comments;
mod explaining;
mod fault;
mod job;
mod keys;
mod listen;
mod log;
mod metrics;
mod moderations;
mod page;
mod policies;
mod predict;
mod routes;
mod score;
mod scoring;
mod service;
mod status;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

pub(crate) use {
    keys::Keys,
    listen::{ListenError, TlsFiles},
    log::start as start_log,
    policies::Policies,
    scoring::ScoringLimits,
    service::Limits,
};

use self::{
    audit::Audit,
    listen::{Listening, listen},
    metrics::Metrics,
    service::Service,
};
use crate::classifier::Classifier;

/// Why the service could not start, or ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerError {
    #[error("cannot listen on {address}: {source}")]
    Bind { address: SocketAddr, source: io::Error },
    #[error("the audit file {} cannot be opened: {source}", path.display())]
    Audit { path: PathBuf, source: io::Error },
    #[error("the threads could not be started: {0}")]
    Threads(#[source] io::Error),
    #[error(transparent)]
    Listen(#[from] ListenError),
}

/// What a service is started with.
pub(crate) struct Options<R> {
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<TlsFiles>,
    pub(crate) keys: Keys,
    pub(crate) limits: Limits,
    pub(crate) shutdown_timeout: Duration,
    pub(crate) audit: Option<PathBuf>,
    pub(crate) policies: Policies,
    /// Reads the policies again.
    pub(crate) reread: R,
}

/// Serves until a signal ends it. `listening` is told the address once connections are taken.
///
/// # Errors
/// When the service cannot start, or cannot take connections any more.
pub(crate) fn serve<R, E>(
    classifier: Classifier,
    options: Options<R>,
    listening: impl FnOnce(SocketAddr),
) -> Result<(), ServerError>
where
    R: Fn(&Classifier) -> Result<Policies, E> + Send + Sync + 'static,
    E: std::fmt::Display,
{
    let Options { address, tls, keys, limits, shutdown_timeout, audit, policies, reread } = options;
    let bind = |source| ServerError::Bind { address, source };
    let listener = TcpListener::bind(address).map_err(bind)?;
    let bound = listener.local_addr().map_err(bind)?;

    let metrics = Arc::new(Metrics::new(&classifier));
    let audit = audit.map(|path| {
        Audit::start(path.clone(), metrics.clone())
            .map_err(|source| ServerError::Audit { path, source })
    });
    let classifier = Arc::new(classifier);
    let service = Service::start(classifier, policies, keys, limits, metrics, audit.transpose()?)
        .map_err(ServerError::Threads)?;
    let service = Arc::new(service);

    let reloaded = service.clone();
    let reload = Box::new(move || {
        let read = reread(reloaded.classifier());
        reloaded.metrics().reload(read.is_ok());
        match read {
            Ok(policies) => {
                reloaded.replace_policies(policies);
                tracing::info!("policies were read again");
            }
            Err(error) => tracing::error!(%error, "policies stay as they were"),
        }
    });

    // Little is done on these threads: scoring has its own.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(ServerError::Threads)?;
    let ended = runtime.block_on(async {
        let router = routes::router(service.clone());
        let read_timeout = limits.read_timeout;
        let how = Listening { listener, tls, read_timeout, shutdown_timeout, reload };
        listening(bound);
        listen(router, service, how).await
    });
    // Everything that holds the service ends with the runtime; its threads end with it.
    drop(runtime);
    Ok(ended?)
}
