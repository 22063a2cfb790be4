//! Listening: sockets, TLS, signals, and an orderly end.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::Router;
use axum_server::{Handle, tls_rustls::RustlsConfig};

use super::service::Service;

/// A certificate chain and its key, in PEM.
#[derive(Clone, Debug)]
pub(crate) struct TlsFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// Something that is done when the process is told to read its files again.
pub(super) type Reload = Box<dyn Fn() + Send + Sync>;

/// How to listen.
pub(super) struct Listening {
    pub(super) listener: TcpListener,
    pub(super) tls: Option<TlsFiles>,
    /// For the head of a request.
    pub(super) read_timeout: Duration,
    /// For the requests that are taken when the end is asked for.
    pub(super) shutdown_timeout: Duration,
    pub(super) reload: Reload,
}

/// Why TLS cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("the certificate {} and its key {} cannot be used: {source}", certificate.display(), key.display())]
pub(crate) struct TlsError {
    certificate: PathBuf,
    key: PathBuf,
    source: io::Error,
}

impl TlsFiles {
    async fn read(&self) -> Result<RustlsConfig, TlsError> {
        let certificate: &Path = &self.certificate;
        RustlsConfig::from_pem_file(certificate, &self.key)
            .await
            .map_err(|source| self.fault(source))
    }

    fn fault(&self, source: io::Error) -> TlsError {
        TlsError { certificate: self.certificate.clone(), key: self.key.clone(), source }
    }
}

/// Why listening ended badly, or did not begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Answers until a signal asks for the end and all that was taken is answered.
pub(super) async fn listen(
    router: Router,
    service: Arc<Service>,
    listening: Listening,
) -> Result<(), ListenError> {
    let Listening { listener, tls, read_timeout, shutdown_timeout, reload } = listening;
    let handle = Handle::new();
    let tls = match tls {
        Some(files) => {
            // Set once for the process; a second time changes nothing.
            let _ = rustls::crypto::ring::default_provider().install_default();
            Some((files.read().await?, files))
        }
        None => None,
    };
    let signals = tokio::spawn(signals(
        handle.clone(),
        service.clone(),
        tls.clone(),
        reload,
        shutdown_timeout,
    )?);
    let mut server = axum_server::from_tcp(listener)?
        .handle(handle)
        .first_request_timeout(read_timeout)
        .accept_error_handler(|_, error| tracing::debug!(%error, "a connection was not accepted"));
    server.http_builder().http1().header_read_timeout(read_timeout);
    let ended = match tls {
        Some((config, _)) => {
            let tls = |_| axum_server::tls_rustls::RustlsAcceptor::new(config);
            server.map(tls).serve(router.into_make_service()).await
        }
        None => server.serve(router.into_make_service()).await,
    };
    signals.abort();
    Ok(ended?)
}

/// The first request to end lets what was taken finish, the second does not.
#[cfg(unix)]
fn signals(
    handle: Handle<SocketAddr>,
    service: Arc<Service>,
    tls: Option<(RustlsConfig, TlsFiles)>,
    reload: Reload,
    patience: Duration,
) -> io::Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        let mut ending = false;
        loop {
            tokio::select! {
                _ = hang_up.recv() => {
                    reload();
                    if let Some((config, files)) = &tls {
                        let read = config.reload_from_pem_file(&files.certificate, &files.key).await;
                        if let Err(error) = read.map_err(|source| files.fault(source)) {
                            tracing::error!(%error, "the certificate stays as it was");
                        }
                    }
                    if let Some(audit) = service.audit()
                        && let Err(error) = audit.reopen().await
                    {
                        tracing::error!(%error, "the audit file stays as it was");
                    }
                    continue;
                }
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if ending {
                tracing::warn!("ending at once");
                handle.shutdown();
            } else {
                end(&handle, &service, patience);
            }
            ending = true;
        }
    })
}

#[cfg(not(unix))]
fn signals(
    handle: Handle<SocketAddr>,
    service: Arc<Service>,
    _: Option<(RustlsConfig, TlsFiles)>,
    _: Reload,
    patience: Duration,
) -> io::Result<impl Future<Output = ()> + Send> {
    Ok(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            end(&handle, &service, patience);
        }
    })
}

fn end(handle: &Handle<SocketAddr>, service: &Service, patience: Duration) {
    tracing::info!(waiting = service.waiting(), "ending when what was taken is answered");
    service.drain();
    handle.graceful_shutdown(Some(patience));
}
