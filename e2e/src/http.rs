//! The HTTP API, and WebSocket handshakes seen as HTTP.

use std::{sync::Arc, time::Duration};

use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request,
    body::Bytes,
    client::conn::http1,
    header::{self, HeaderMap},
};
use hyper_util::rt::TokioIo;
use natter_ids::{ClientId, ConversationId, DeviceId, Position};
use natter_protocol::{
    AcceptedView, BacklogPage, DevicePage, ErrorBody, HistoryPage, PresencePage, ServerFrame, TicketGrant,
};
use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring::default_provider,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(30);
/// The nonce of RFC 6455, section 1.3; the gateway does not care which.
const WEBSOCKET_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// An HTTP client of one gateway; a new connection for each request.
#[derive(Clone)]
pub struct Http {
    address: String,
    headers: Vec<(String, String)>,
    trust: Option<TlsConnector>,
}

/// An HTTP answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

impl Reply {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as what a good answer holds, or the refusal.
    ///
    /// # Errors
    /// The refusal, when the status is one.
    ///
    /// # Panics
    /// When the body is neither.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ErrorBody> {
        let unreadable = |error| panic!("status {}, {error}: {}", self.status, self.body);
        if self.status < 300 {
            return Ok(serde_json::from_str(&self.body).unwrap_or_else(unreadable));
        }
        let error: ErrorBody = serde_json::from_str(&self.body).unwrap_or_else(|error| {
            panic!("status {} without a refusal in its body, {error}: {}", self.status, self.body)
        });
        assert_eq!(self.status, error.code.http_status(), "the status of {error}");
        let wait = error.retry_after_ms.map(|ms| ms.div_ceil(1000).to_string());
        assert_eq!(self.header("retry-after"), wait.as_deref(), "Retry-After of {error}");
        Err(error)
    }
}

impl Http {
    /// A client without a token.
    pub fn new(address: String) -> Self {
        Self { address, headers: Vec::new(), trust: None }
    }

    /// The same over TLS, with a server whose certificate leads to this one, as PEM.
    ///
    /// # Panics
    /// When it is no certificate.
    #[must_use]
    pub fn trusting(mut self, ca: Option<&str>) -> Self {
        self.trust = ca.map(connector);
        self
    }

    /// The certificate that the server shows now.
    ///
    /// # Panics
    /// When it shows none that is trusted.
    pub async fn certificate(&self) -> Vec<u8> {
        let trust = self.trust.as_ref().expect("a client over TLS");
        let stream = greet(&self.address, trust).await.expect("a handshake");
        let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        shown.expect("a certificate").to_vec()
    }

    /// The same with a token in the `Authorization` header.
    #[must_use]
    pub fn with_token(self, token: impl AsRef<str>) -> Self {
        self.with("authorization", &format!("Bearer {}", token.as_ref()))
    }

    /// The same with one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// `GET` of a path with its query.
    ///
    /// # Panics
    /// When no answer comes.
    pub async fn get(&self, path: &str) -> Reply {
        self.request(Method::GET, path, None).await
    }

    /// `POST` of JSON, or of nothing.
    ///
    /// # Panics
    /// When no answer comes.
    pub async fn post(&self, path: &str, json: Option<&str>) -> Reply {
        self.request(Method::POST, path, json).await
    }

    /// Any request.
    ///
    /// # Panics
    /// When no answer comes.
    pub async fn request(&self, method: Method, path: &str, json: Option<&str>) -> Reply {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, &self.address);
        if json.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let body = Full::new(Bytes::from(json.unwrap_or_default().to_owned()));
        let request = request.body(body).expect("a request");
        let reply = timeout(LIMIT, exchange(&self.address, self.trust.as_ref(), request)).await;
        let reply = reply.unwrap_or_else(|_| panic!("{path} was not answered in {LIMIT:?}"));
        reply.unwrap_or_else(|error| panic!("{path}: {error:#}"))
    }

    /// The handshake of a WebSocket that offers these subprotocols; the connection is dropped
    /// once it is answered.
    ///
    /// # Panics
    /// When no answer comes.
    pub async fn handshake(&self, subprotocols: &[&str]) -> Reply {
        let mut http = self
            .clone()
            .with("connection", "Upgrade")
            .with("upgrade", "websocket")
            .with("sec-websocket-version", "13")
            .with("sec-websocket-key", WEBSOCKET_KEY);
        if !subprotocols.is_empty() {
            http = http.with("sec-websocket-protocol", &subprotocols.join(", "));
        }
        http.get("/v1/ws").await
    }

    /// What a device missed after a position; without one, where the present is.
    ///
    /// # Errors
    /// The refusal.
    pub async fn backlog(&self, position: Option<&Position>, limit: u32) -> Result<BacklogPage, ErrorBody> {
        let position = position.map(|position| format!("position={position}&")).unwrap_or_default();
        self.get(&format!("/v1/backlog?{position}limit={limit}")).await.read()
    }

    /// A page of history; `bounds` is the rest of the query, such as `before=7&limit=2`.
    ///
    /// # Errors
    /// The refusal.
    pub async fn history(&self, of: &ConversationId, bounds: &str) -> Result<HistoryPage, ErrorBody> {
        self.get(&format!("/v1/conversations/{of}/history?{bounds}")).await.read()
    }

    /// Says something.
    ///
    /// # Errors
    /// The refusal.
    pub async fn say(&self, to: &ConversationId, id: ClientId, text: &str) -> Result<AcceptedView, ErrorBody> {
        let draft = serde_json::json!({ "client_id": id, "text": text }).to_string();
        self.post(&format!("/v1/conversations/{to}/messages"), Some(&draft)).await.read()
    }

    /// Who of the users is online.
    ///
    /// # Errors
    /// The refusal.
    pub async fn presence(&self, users: &[&str]) -> Result<PresencePage, ErrorBody> {
        let query: Vec<_> = users.iter().map(|user| format!("user={}", escaped(user))).collect();
        self.get(&format!("/v1/presence?{}", query.join("&"))).await.read()
    }

    /// Any request of the protocol, posted.
    ///
    /// # Errors
    /// The refusal.
    pub async fn ask(&self, request: &str) -> Result<ServerFrame, ErrorBody> {
        self.post("/v1/requests", Some(request)).await.read()
    }

    /// The user's devices.
    ///
    /// # Errors
    /// The refusal.
    pub async fn devices(&self) -> Result<DevicePage, ErrorBody> {
        self.get("/v1/devices").await.read()
    }

    /// Signs a device out; returns those that are left.
    ///
    /// # Errors
    /// The refusal.
    pub async fn revoke_device(&self, device: &DeviceId) -> Result<DevicePage, ErrorBody> {
        self.request(Method::DELETE, &format!("/v1/devices/{device}"), None).await.read()
    }

    /// A ticket to connect with.
    ///
    /// # Errors
    /// The refusal.
    pub async fn ticket(&self) -> Result<TicketGrant, ErrorBody> {
        self.post("/v1/tickets", None).await.read()
    }
}

/// TLS that trusts one certificate alone.
fn connector(ca: &str) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca.as_bytes()) {
        roots.add(certificate.expect("a certificate")).expect("a root");
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions of TLS");
    TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

async fn greet(address: &str, trust: &TlsConnector) -> anyhow::Result<TlsStream<TcpStream>> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host).to_owned();
    Ok(trust.connect(ServerName::try_from(host)?, TcpStream::connect(address).await?).await?)
}

async fn exchange(address: &str, trust: Option<&TlsConnector>, request: Request<Full<Bytes>>) -> anyhow::Result<Reply> {
    match trust {
        Some(trust) => ask(greet(address, trust).await?, request).await,
        None => ask(TcpStream::connect(address).await?, request).await,
    }
}

async fn ask(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> anyhow::Result<Reply> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let answer = async {
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        let body = String::from_utf8_lossy(&body).into_owned();
        anyhow::Ok(Reply { status: parts.status.as_u16(), headers: parts.headers, body })
    };
    let driven = async {
        // The answer tells whatever went wrong.
        let _ = connection.await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        answer = answer => answer,
        () = driven => anyhow::bail!("the connection ended"),
    }
}

/// Percent-encodes a value of a query (RFC 3986, section 2.1).
fn escaped(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
