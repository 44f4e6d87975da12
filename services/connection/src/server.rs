//! The listener: admits connections, speaks HTTP with them, and drains them at the end.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::Request};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use natter_auth::Verifier;
use natter_bus::Bus;
use natter_protocol::{ErrorBody, ErrorCode};
use natter_runtime::{OnEnd, Scope, Tls, Wire};
use natter_telemetry::metrics;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use crate::{
    Config,
    admission::{Admission, Admitted},
    devices::Devices,
    doubt::Doubt,
    group_settings::GroupSettingsKnown,
    hindsight::Hindsight,
    http_api,
    live::Current,
    marks::Marks,
    members::Members,
    pace::Pace,
    presence::Reporter,
    rates,
    watches::Watches,
};

/// How long the listener rests when the process cannot take another connection.
const ACCEPT_REST: Duration = Duration::from_millis(50);
/// Refused connections that are told why at once; more are just closed.
const REFUSALS_AT_ONCE: usize = 256;
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// What every session and request of a gateway uses.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) bus: Bus,
    /// What may change while it runs.
    pub(crate) live: Current,
    pub(crate) reporter: Reporter,
    pub(crate) members: Members,
    pub(crate) group_settings: GroupSettingsKnown,
    pub(crate) hindsight: Hindsight,
    pub(crate) watches: Watches,
    pub(crate) marks: Marks,
    pub(crate) devices: Devices,
    pub(crate) doubts: watch::Receiver<Doubt>,
    /// Turns to read missed events.
    pub(crate) resumes: Semaphore,
    /// Cancelled when the gateway stops.
    pub(crate) drain: CancellationToken,
    pub(crate) pace: Pace,
    pub(crate) scope: Scope,
    pub(crate) admission: Admission,
    refusals: Arc<Semaphore>,
    sessions: AtomicUsize,
}

/// What the gateway needs besides its configuration.
pub(crate) struct Parts {
    pub(crate) bus: Bus,
    pub(crate) verifier: Verifier,
    pub(crate) reporter: Reporter,
    pub(crate) watches: Watches,
    pub(crate) devices: Devices,
    pub(crate) doubts: watch::Receiver<Doubt>,
    pub(crate) marks: Marks,
}

impl Shared {
    pub(crate) fn new(config: Config, parts: Parts, scope: &Scope) -> Self {
        let Parts { bus, verifier, reporter, watches, devices, doubts, marks } = parts;
        Self {
            members: Members::new(bus.clone()),
            group_settings: GroupSettingsKnown::new(bus.clone()),
            hindsight: Hindsight::new(bus.clone()),
            live: Current::new(&config, verifier),
            resumes: Semaphore::new(config.resumes_at_once as usize),
            drain: scope.cancel_token(),
            pace: Pace::new(config.drain_per_sec),
            scope: scope.clone(),
            admission: Admission::new(&config),
            refusals: Arc::new(Semaphore::new(REFUSALS_AT_ONCE)),
            sessions: AtomicUsize::new(0),
            config,
            bus,
            reporter,
            watches,
            devices,
            doubts,
            marks,
        }
    }

    /// How many sessions there are.
    pub(crate) fn sessions(&self) -> usize {
        self.sessions.load(Ordering::Relaxed)
    }

    /// Counts a session until the guard is dropped.
    pub(crate) fn count_session(self: &Arc<Self>) -> Counted {
        self.sessions.fetch_add(1, Ordering::Relaxed);
        metrics::CONNECTION_SESSIONS.add(1);
        Counted(Arc::clone(self))
    }
}

/// A session that is counted.
pub(crate) struct Counted(Arc<Shared>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.sessions.fetch_sub(1, Ordering::Relaxed);
        metrics::CONNECTION_SESSIONS.add(-1);
    }
}

/// A connection's place, until its session takes it along.
#[derive(Clone)]
pub(crate) struct Place(Arc<Mutex<Option<Admitted>>>);

impl Place {
    pub(crate) fn take(&self) -> Option<Admitted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// A valid token was shown.
    pub(crate) fn authenticated(&self) {
        if let Some(admitted) = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            admitted.authenticated();
        }
    }
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

pub(crate) fn start(listener: TcpListener, tls: Option<Tls>, shared: Arc<Shared>, scope: &Scope) {
    let tidied = Arc::clone(&shared);
    scope.spawn("connection-tidy", OnEnd::StopProcess, async move {
        let mut tick = tokio::time::interval(rates::TIDY);
        while tidied.drain.run_until_cancelled(tick.tick()).await.is_some() {
            tidied.live.get().rates.tidy();
        }
    });
    // The listener is closed first when the gateway stops; sessions end one by one.
    scope.spawn("connection-accept", OnEnd::StopProcess, accept(listener, tls, shared));
}

async fn accept(listener: TcpListener, tls: Option<Tls>, shared: Arc<Shared>) {
    let router = http_api::router(Arc::clone(&shared));
    loop {
        let accepted = match shared.drain.run_until_cancelled(listener.accept()).await {
            None => return,
            Some(accepted) => accepted,
        };
        let (tcp, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Mostly: too many open files. Those that are open go on.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_REST).await;
                continue;
            }
        };
        let admitted = match shared.config.address_header {
            Some(_) => shared.admission.admit(),
            None => shared.live.get().rates.connect(address.ip()).and_then(|()| shared.admission.admit()),
        };
        match admitted {
            Ok(admitted) => {
                let place = Place(Arc::new(Mutex::new(Some(admitted))));
                let (router, peer, shared) = (router.clone(), Peer(address.ip()), Arc::clone(&shared));
                let scope = shared.scope.clone();
                scope.spawn("connection-http", OnEnd::Log, serve_http(tcp, tls.clone(), router, place, peer, shared));
            }
            Err(error) => refuse(&shared, tcp, tls.clone(), &error),
        }
    }
}

/// The connection, once TLS is agreed on where that is spoken.
async fn greet(tcp: TcpStream, tls: Option<Tls>) -> std::io::Result<Wire> {
    match tls {
        Some(tls) => tls.accept(tcp).await,
        None => Ok(Wire::Left(tcp)),
    }
}

/// Speaks HTTP until the connection ends or becomes a WebSocket.
async fn serve_http(tcp: TcpStream, tls: Option<Tls>, router: Router, place: Place, peer: Peer, shared: Arc<Shared>) {
    // Small frames are answered before more is written: waiting to fill a packet only delays them.
    if tcp.set_nodelay(true).is_err() {
        return;
    }
    let greeted = shared.drain.run_until_cancelled(timeout(shared.config.handshake_timeout(), greet(tcp, tls))).await;
    let wire = match greeted {
        Some(Ok(Ok(wire))) => wire,
        Some(Ok(Err(error))) => return tracing::debug!(%error, "no TLS with a client"),
        Some(Err(_)) | None => return,
    };
    let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut request: Request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(place.clone());
        request.extensions_mut().insert(peer);
        router.clone().call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(shared.config.handshake_timeout())
        .max_buf_size(shared.config.handshake_bytes_max as usize)
        .serve_connection(TokioIo::new(wire), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shared.drain.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an HTTP connection ended early");
    }
}

/// Tells a connection that there is no room for why, without understanding what it wants.
fn refuse(shared: &Arc<Shared>, tcp: TcpStream, tls: Option<Tls>, error: &ErrorBody) {
    let Ok(permit) = Arc::clone(&shared.refusals).try_acquire_owned() else { return };
    let body = serde_json::to_string(error).unwrap_or_default();
    let status = if error.code == ErrorCode::RateLimited { "429 Too Many Requests" } else { "503 Service Unavailable" };
    let seconds = error.retry_after_ms.unwrap_or_default().div_ceil(1000);
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nretry-after: {seconds}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    shared.scope.spawn("connection-refusal", OnEnd::Log, async move {
        let told = async {
            let (mut tcp, mut rest) = (greet(tcp, tls).await?, [0; 1024]);
            // Many HTTP clients take an answer that comes before they have asked for a fault.
            if tcp.read(&mut rest).await? == 0 {
                return Ok(());
            }
            tcp.write_all(answer.as_bytes()).await?;
            tcp.shutdown().await?;
            // Closing with unread bytes would reset the connection before the answer is read.
            while tcp.read(&mut rest).await? > 0 {}
            Ok::<(), std::io::Error>(())
        };
        let _ = timeout(REFUSAL_TIME, told).await;
        drop(permit);
    });
}
