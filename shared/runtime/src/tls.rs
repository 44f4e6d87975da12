//! TLS of this process's listeners. Certificates are files that somebody renews: they are looked at
//! again and again, and taken without a restart.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use rustls::{
    ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::either::Either;

use crate::{OnEnd, Scope};

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(5);
/// How long a handshake of [`TlsListener`] may take, and how many may be under way.
const HANDSHAKE: Duration = Duration::from_secs(5);
const HANDSHAKES: usize = 64;

/// A connection, with TLS or without.
pub type Wire = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// Why a certificate cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path} cannot be used: {reason}")]
pub struct TlsError {
    /// Which file.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// Where the certificate and its key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those that lead from it to a root, as PEM.
    pub cert: PathBuf,
    /// Its key, as PEM.
    pub key: PathBuf,
}

impl TlsFiles {
    /// Both or none: what `…tls_cert_file` and `…tls_key_file` of a listener say.
    pub fn of(cert: Option<&PathBuf>, key: Option<&PathBuf>) -> Option<Self> {
        Some(Self { cert: cert?.clone(), key: key?.clone() })
    }

    fn read(&self) -> Result<Loaded, TlsError> {
        let fault = |path: &PathBuf, reason: &dyn std::fmt::Display| TlsError {
            path: path.display().to_string(),
            reason: reason.to_string(),
        };
        let cert = std::fs::read(&self.cert).map_err(|error| fault(&self.cert, &error))?;
        let key = std::fs::read(&self.key).map_err(|error| fault(&self.key, &error))?;
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&cert)
            .collect::<Result<_, _>>()
            .map_err(|error| fault(&self.cert, &error))?;
        if chain.is_empty() {
            return Err(fault(&self.cert, &"it holds no certificate in PEM form"));
        }
        let private = PrivateKeyDer::from_pem_slice(&key).map_err(|error| fault(&self.key, &error))?;
        // Also finds out whether they belong together.
        let certified = CertifiedKey::from_der(chain, private, &default_provider())
            .map_err(|error| fault(&self.key, &format!("it does not fit {}: {error}", self.cert.display())))?;
        Ok(Loaded { certified: Arc::new(certified), cert, key })
    }
}

struct Loaded {
    certified: Arc<CertifiedKey>,
    cert: Vec<u8>,
    key: Vec<u8>,
}

/// Shows whichever certificate was read last.
struct Newest(RwLock<Arc<CertifiedKey>>);

impl std::fmt::Debug for Newest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Newest")
    }
}

impl ResolvesServerCert for Newest {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Greets connections with TLS. Cheap to clone.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

impl Tls {
    /// Reads the files, and goes on looking at them until the scope ends. A renewed certificate is
    /// shown to new connections; one that cannot be used is told, and the one before is kept.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn start(files: TlsFiles, scope: &Scope) -> Result<Self, TlsError> {
        let mut shown = files.read()?;
        let newest = Arc::new(Newest(RwLock::new(Arc::clone(&shown.certified))));
        let resolver: Arc<dyn ResolvesServerCert> = newest.clone();
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError { path: files.cert.display().to_string(), reason: error.to_string() })?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let cancel = scope.cancel_token();
        scope.spawn("tls-files", OnEnd::StopProcess, async move {
            let mut complained = None;
            while cancel.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
                let again = files.clone();
                let Ok(read) = tokio::task::spawn_blocking(move || again.read()).await else { continue };
                match read {
                    Ok(read) if read.cert != shown.cert || read.key != shown.key => {
                        *newest.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&read.certified);
                        tracing::info!(file = %files.cert.display(), "a renewed certificate is in use");
                        (shown, complained) = (read, None);
                    }
                    Ok(_) => complained = None,
                    // While somebody writes the files, they may not fit each other: said once.
                    Err(error) => {
                        if complained.replace(error.clone()).as_ref() != Some(&error) {
                            tracing::warn!(%error, "the certificate cannot be read; the one before stays in use");
                        }
                    }
                }
            }
        });
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// The handshake. The caller bounds its time.
    ///
    /// # Errors
    /// The client speaks no TLS, does not trust the certificate, or went away.
    pub async fn accept(&self, tcp: TcpStream) -> std::io::Result<Wire> {
        Ok(Wire::Right(Box::new(self.0.accept(tcp).await?)))
    }
}

/// A listener whose connections speak TLS. A handshake that takes long holds up no other.
pub struct TlsListener {
    tcp: TcpListener,
    tls: Tls,
    handshakes: JoinSet<Option<(Wire, SocketAddr)>>,
}

impl TlsListener {
    /// Listens where `tcp` does.
    pub fn new(tcp: TcpListener, tls: Tls) -> Self {
        Self { tcp, tls, handshakes: JoinSet::new() }
    }
}

impl axum::serve::Listener for TlsListener {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        loop {
            tokio::select! {
                Some(done) = self.handshakes.join_next() => if let Ok(Some(greeted)) = done {
                    return greeted;
                },
                accepted = self.tcp.accept(), if self.handshakes.len() < HANDSHAKES => match accepted {
                    Ok((tcp, address)) => {
                        let tls = self.tls.clone();
                        self.handshakes.spawn(async move {
                            let greeted = tokio::time::timeout(HANDSHAKE, tls.accept(tcp)).await;
                            greeted.ok()?.ok().map(|wire| (wire, address))
                        });
                    }
                    // Mostly: too many open files.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                },
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}
