//! One device's connection.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use futures_util::{FutureExt, SinkExt, StreamExt};
use natter_auth::{MintRequest, Secret, mint};
use natter_ids::{ClientId, ConversationId, Position};
use natter_protocol::{SUBPROTOCOL, ServerFrame};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, Utf8Bytes, client::IntoClientRequest, http::HeaderValue, protocol::WebSocketConfig},
};

use super::process::SECRET;

/// How long a step of the handshake may take.
const STEP: Duration = Duration::from_secs(60);
/// Source addresses that connections are spread over, so that neither the rate per address nor
/// the ports of one address are a limit.
const SOURCES: u32 = 20;

/// A session of one user's device.
#[derive(Debug)]
pub(crate) struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// Connects and says hello. `number` chooses the source address.
    pub(crate) async fn open(url: &str, user: &str, number: u32, position: Option<&Position>) -> Result<Self> {
        let opening = Box::pin(Self::open_now(url, user, number, position));
        timeout(STEP, opening).await.context("no answer in time")?.with_context(|| format!("{user} cannot connect"))
    }

    async fn open_now(url: &str, user: &str, number: u32, position: Option<&Position>) -> Result<Self> {
        let mut request = url.into_client_request()?;
        let address: SocketAddr = request.uri().authority().context("no address")?.as_str().parse()?;
        let token =
            MintRequest { subject: user.to_owned(), ttl: Duration::from_secs(3_600), issuer: None, audience: None };
        let token = mint(&Secret::new(SECRET), &token)?;
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", HeaderValue::from_static(SUBPROTOCOL));
        headers.insert("authorization", HeaderValue::try_from(format!("Bearer {token}"))?);
        let tcp = TcpSocket::new_v4()?;
        let source = Ipv4Addr::new(127, 0, 0, 2 + u8::try_from(number % SOURCES)?);
        tcp.bind((source, 0).into())?;
        let tcp = tcp.connect(address).await?;
        tcp.set_nodelay(true)?;
        let config = WebSocketConfig::default().read_buffer_size(4 << 10).write_buffer_size(4 << 10);
        let (socket, _) = client_async_with_config(request, tcp, Some(config)).await?;
        let mut socket = Self(socket);
        let mut hello = serde_json::json!({"type": "hello", "device": "bench"});
        if let Some(position) = position {
            hello["position"] = position.to_string().into();
        }
        socket.send(hello.to_string()).await?;
        Ok(socket)
    }

    /// Puts a frame on the wire.
    pub(crate) async fn send(&mut self, frame: String) -> Result<()> {
        Ok(self.0.send(Message::text(frame)).await?)
    }

    /// Keeps a frame until the next [`Socket::flush`].
    pub(crate) async fn feed(&mut self, frame: String) -> Result<()> {
        Ok(self.0.feed(Message::text(frame)).await?)
    }

    /// Puts what was kept on the wire.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        Ok(self.0.flush().await?)
    }

    /// The next text frame; pings are answered. Cancel safe.
    pub(crate) async fn next(&mut self) -> Result<Utf8Bytes> {
        loop {
            match self.0.next().await.context("the gateway hung up")?? {
                Message::Text(text) => return Ok(text),
                Message::Close(close) => bail!("the gateway closed the session: {close:?}"),
                // The answer to a ping goes out with the next flush.
                Message::Ping(_) => self.flush().await?,
                _ => {}
            }
        }
    }

    /// A text frame, if one has arrived.
    pub(crate) fn ready(&mut self) -> Option<Result<Utf8Bytes>> {
        self.next().now_or_never()
    }

    /// Waits until everything missed has come; returns where the device is.
    pub(crate) async fn caught_up(&mut self) -> Result<Position> {
        let wanted = |frame| if let ServerFrame::CaughtUp { position } = frame { Some(position) } else { None };
        self.wait_for("caught_up", wanted).await
    }

    /// Opens the direct conversation with a user.
    pub(crate) async fn open_direct(&mut self, peer: &str) -> Result<ConversationId> {
        self.send(serde_json::json!({"type": "open_direct", "id": 1, "user": peer}).to_string()).await?;
        let wanted = |frame| match frame {
            ServerFrame::Conversation { conversation, .. } => Some(conversation.conversation),
            _ => None,
        };
        self.wait_for("conversation", wanted).await
    }

    /// Creates a group of this user alone.
    pub(crate) async fn create_group(&mut self, client_id: ClientId, name: &str) -> Result<ConversationId> {
        let create =
            serde_json::json!({"type": "create_group", "id": 1, "client_id": client_id, "name": name, "members": []});
        self.send(create.to_string()).await?;
        let wanted = |frame| match frame {
            ServerFrame::Conversation { conversation, .. } => Some(conversation.conversation),
            _ => None,
        };
        self.wait_for("conversation", wanted).await
    }

    /// Waits for a frame; an error is one.
    pub(crate) async fn wait_for<T>(&mut self, what: &str, wanted: impl Fn(ServerFrame) -> Option<T>) -> Result<T> {
        let wait = async {
            loop {
                let text = self.next().await?;
                let frame: ServerFrame =
                    serde_json::from_str(&text).with_context(|| format!("not a frame: {}", text.as_str()))?;
                match frame {
                    ServerFrame::Error { error, .. } => bail!("refused: {error}"),
                    frame => {
                        if let Some(found) = wanted(frame) {
                            return Ok(found);
                        }
                    }
                }
            }
        };
        timeout(STEP, wait).await.with_context(|| format!("no `{what}` in time"))?
    }

    /// Takes leave.
    pub(crate) async fn close(mut self) -> Result<()> {
        let leave = async {
            self.0.close(None).await?;
            while let Some(Ok(_)) = self.0.next().await {}
            anyhow::Ok(())
        };
        timeout(STEP, leave).await.context("the gateway does not hang up")?
    }
}
