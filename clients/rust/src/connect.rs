//! Opening a WebSocket to a gateway.

use natter_protocol::{ErrorBody, SUBPROTOCOL};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Error as WsError,
        client::IntoClientRequest,
        handshake::client::{Request, Response},
        http::{HeaderName, HeaderValue, Uri, header},
        protocol::WebSocketConfig,
    },
};

#[cfg(not(feature = "tls"))]
use tokio_tungstenite::tungstenite::error::UrlError;

use crate::stream::Stream;

pub(crate) type Socket = WebSocketStream<Stream>;

/// The path that gateways serve WebSockets on.
const PATH: &str = "/v1/ws";

/// Largest frame taken from a gateway, in bytes; a page of history is the largest there is.
const INCOMING_BYTES_MAX: usize = 256 << 20;

/// A gateway answered the upgrade with something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The refusal as Natter states it, when the body holds one.
    pub error: Option<ErrorBody>,
    /// The `Retry-After` header, in seconds.
    pub retry_after_secs: Option<u64>,
}

/// A connection could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address or a header cannot be used.
    #[error("`{0}` is no address of a gateway")]
    Address(String),
    /// The gateway refused the upgrade.
    #[error("refused with HTTP status {}", .0.status)]
    Refused(Box<Refusal>),
    /// No connection, or no WebSocket.
    #[error("{0}")]
    Failed(String),
}

/// What an upgrade request carries.
#[derive(Debug, Default)]
pub(crate) struct Dial<'a> {
    pub url: &'a str,
    pub token: Option<&'a str>,
    /// Instead of `natter.v1` alone.
    pub subprotocols: Option<&'a [String]>,
    pub headers: &'a [(String, String)],
    /// Size of the kernel's receive buffer, in bytes.
    pub receive_buffer: Option<u32>,
    /// How a `wss://` gateway is checked; as browsers do when absent.
    #[cfg(feature = "tls")]
    pub trust: Option<&'a crate::trust::Trust>,
}

impl Dial<'_> {
    /// Opens the WebSocket; with the gateway's answer to the upgrade.
    pub async fn open(&self) -> Result<(Socket, Response), ConnectError> {
        let request = self.request()?;
        let tcp = self.tcp(request.uri()).await.map_err(|error| ConnectError::Failed(error.to_string()))?;
        // Small requests are answered before the next one is sent: waiting to fill a packet only delays them.
        tcp.set_nodelay(true).map_err(|error| ConnectError::Failed(error.to_string()))?;
        self.upgrade(request, tcp).await.map_err(refused)
    }

    async fn upgrade(&self, request: Request, tcp: TcpStream) -> Result<(Socket, Response), WsError> {
        if request.uri().scheme_str() == Some("wss") {
            // Boxed: a client that speaks no TLS keeps no room for it.
            #[cfg(feature = "tls")]
            return Box::pin(over_tls(request, tcp, self.trust.cloned())).await;
            // Going on in the clear would give the token away.
            #[cfg(not(feature = "tls"))]
            return Err(WsError::Url(UrlError::TlsFeatureNotEnabled));
        }
        client_async_with_config(request, Stream::Plain(tcp), Some(config())).await
    }

    fn request(&self) -> Result<Request, ConnectError> {
        let invalid = || ConnectError::Address(self.url.to_owned());
        let uri: Uri = self.url.parse().map_err(|_| invalid())?;
        let url = match uri.path() {
            "" | "/" => format!("{}{PATH}", self.url.trim_end_matches('/')),
            _ => self.url.to_owned(),
        };
        let mut request = url.into_client_request().map_err(|_| invalid())?;
        let headers = request.headers_mut();
        let subprotocols = self.subprotocols.map_or_else(|| SUBPROTOCOL.to_owned(), |list| list.join(", "));
        if !subprotocols.is_empty() {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::try_from(subprotocols).map_err(|_| invalid())?);
        }
        if let Some(token) = self.token {
            let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| invalid())?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        for (name, value) in self.headers {
            let name = HeaderName::try_from(name).map_err(|_| invalid())?;
            headers.insert(name, HeaderValue::try_from(value).map_err(|_| invalid())?);
        }
        Ok(request)
    }

    async fn tcp(&self, uri: &Uri) -> std::io::Result<TcpStream> {
        let port = uri.port_u16().unwrap_or_else(|| if uri.scheme_str() == Some("wss") { 443 } else { 80 });
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let Some(size) = self.receive_buffer else { return TcpStream::connect((host, port)).await };
        let address = lookup_host((host, port)).await?.next();
        let address = address.ok_or_else(|| std::io::Error::other("the name has no address"))?;
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_recv_buffer_size(size)?;
        socket.connect(address).await
    }
}

fn config() -> WebSocketConfig {
    // The library's defaults allocate 128 KiB per connection at once.
    WebSocketConfig::default()
        .read_buffer_size(4 << 10)
        .write_buffer_size(16 << 10)
        .max_message_size(Some(INCOMING_BYTES_MAX))
        .max_frame_size(Some(INCOMING_BYTES_MAX))
}

#[cfg(feature = "tls")]
async fn over_tls(
    request: Request,
    tcp: TcpStream,
    trust: Option<crate::trust::Trust>,
) -> Result<(Socket, Response), WsError> {
    use rustls::pki_types::ServerName;
    let refused = |error: &dyn std::fmt::Display| WsError::Io(std::io::Error::other(error.to_string()));
    let trust = match trust {
        Some(trust) => trust,
        None => crate::trust::Trust::usual().map_err(|error| refused(&error))?,
    };
    let host = request.uri().host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(host).map_err(|error| refused(&error))?;
    let stream = tokio_rustls::TlsConnector::from(trust.0).connect(name, tcp).await?;
    client_async_with_config(request, Stream::Tls(Box::new(stream)), Some(config())).await
}

fn refused(error: WsError) -> ConnectError {
    let WsError::Http(response) = error else { return ConnectError::Failed(error.to_string()) };
    let body = response.body().as_deref().unwrap_or_default();
    let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    ConnectError::Refused(Box::new(Refusal {
        status: response.status().as_u16(),
        error: serde_json::from_slice(body).ok(),
        retry_after_secs: retry_after.and_then(|secs| secs.parse().ok()),
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_added_and_the_token_goes_into_the_header() {
        let dial = Dial { url: "ws://host:7/", token: Some("abc"), ..Dial::default() };
        let request = dial.request().unwrap();
        assert_eq!(request.uri().to_string(), "ws://host:7/v1/ws");
        assert_eq!(request.headers()["authorization"], "Bearer abc");
        assert_eq!(request.headers()["sec-websocket-protocol"], "natter.v1");
        assert!(!format!("{:?}", request.headers()).contains("abc"), "headers may be logged, tokens may not");
        let other = Dial { url: "ws://host:7/elsewhere", subprotocols: Some(&[]), ..Dial::default() };
        let request = other.request().unwrap();
        assert_eq!(request.uri().path(), "/elsewhere");
        assert!(!request.headers().contains_key("sec-websocket-protocol"));
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        for (url, token) in [("not a url", "x"), ("ws://host", "line\nbreak")] {
            let dial = Dial { url, token: Some(token), ..Dial::default() };
            assert!(matches!(dial.request(), Err(ConnectError::Address(_))), "{url}");
        }
    }
}
