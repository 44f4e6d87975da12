//! One session without any automatism, for tests of gateways.

mod options;
mod received;

use std::{future::poll_fn, pin::Pin, time::Duration};

use futures_util::{Sink, SinkExt, StreamExt};
use natter_ids::{DeviceId, Position};
use natter_protocol::{ClientFrame, Hello, ServerFrame};
use tokio::{io::AsyncWriteExt, time::timeout};
use tokio_tungstenite::tungstenite::{
    Error as WsError, Message,
    http::header,
    protocol::{
        CloseFrame,
        frame::{
            Frame,
            coding::{Control, Data, OpCode},
        },
    },
};

pub use options::RawOptions;
pub use received::{RawError, Received};

use crate::{
    connect::{Dial, Socket},
    decode_server_frame,
};

/// One WebSocket to a gateway. Nothing is sent, repeated or read by itself, but the answers to
/// pings and closes that the WebSocket protocol asks for (RFC 6455, section 5.5), which go with
/// the next read or write.
#[derive(Debug)]
pub struct RawConnection {
    socket: Socket,
    subprotocol: Option<String>,
    timeout: Duration,
}

impl RawConnection {
    /// Opens a WebSocket, and says nothing.
    ///
    /// # Errors
    /// [`RawError::Connect`], with the [`RawError::refusal`] of the gateway, or [`RawError::Timeout`].
    pub async fn connect(options: &RawOptions) -> Result<Self, RawError> {
        let dial = Dial {
            url: &options.url,
            token: options.token.as_deref(),
            subprotocols: options.subprotocols.as_deref(),
            headers: &options.headers,
            receive_buffer: options.receive_buffer,
            #[cfg(feature = "tls")]
            trust: options.trust.as_ref(),
        };
        let opened = timeout(options.timeout, Box::pin(dial.open())).await;
        let (socket, response) = opened.map_err(|_| RawError::Timeout)??;
        let subprotocol = response.headers().get(header::SEC_WEBSOCKET_PROTOCOL);
        let subprotocol = subprotocol.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        Ok(Self { socket, subprotocol, timeout: options.timeout })
    }

    /// The subprotocol that the gateway chose.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// Says `hello`, and returns the first frame that answers it: `welcome`, or a refusal.
    ///
    /// # Errors
    /// As [`RawConnection::send`] and [`RawConnection::frame`].
    pub async fn hello(&mut self, device: DeviceId, position: Option<Position>) -> Result<ServerFrame, RawError> {
        self.send(&ClientFrame::Hello(Hello { device, name: None, position, token: None })).await?;
        self.frame(self.timeout).await
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// [`RawError::Broken`], or [`RawError::Timeout`] when the gateway does not take it.
    pub async fn send(&mut self, frame: &ClientFrame) -> Result<(), RawError> {
        let json = serde_json::to_string(frame).map_err(|error| RawError::Broken(error.to_string()))?;
        self.send_text(json).await
    }

    /// Sends a text frame.
    ///
    /// # Errors
    /// As [`RawConnection::send`].
    pub async fn send_text(&mut self, text: impl Into<String>) -> Result<(), RawError> {
        self.write(Message::text(text.into())).await
    }

    /// Sends a binary frame.
    ///
    /// # Errors
    /// As [`RawConnection::send`].
    pub async fn send_binary(&mut self, bytes: impl Into<Vec<u8>>) -> Result<(), RawError> {
        self.write(Message::binary(bytes.into())).await
    }

    /// Sends a frame of any kind, whole or not: 0 to 15 is the opcode (RFC 6455, section 5.2),
    /// `last` its FIN bit. It is masked as it has to be.
    ///
    /// # Errors
    /// As [`RawConnection::send`].
    pub async fn send_raw(&mut self, opcode: u8, last: bool, payload: impl Into<Vec<u8>>) -> Result<(), RawError> {
        self.write(Message::Frame(Frame::message(payload.into(), opcode_of(opcode), last))).await
    }

    /// Sends bytes as they are, where a frame should be.
    ///
    /// # Errors
    /// As [`RawConnection::send`].
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), RawError> {
        self.flush().await?;
        let stream = self.socket.get_mut();
        let write = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        Ok(timeout(self.timeout, write).await.map_err(|_| RawError::Timeout)??)
    }

    /// Writes a text frame into the buffer: several go together with the next
    /// [`RawConnection::flush`]. The caller bounds how many.
    ///
    /// # Errors
    /// [`RawError::Broken`].
    pub fn feed_text(&mut self, text: impl Into<String>) -> Result<(), RawError> {
        Ok(Pin::new(&mut self.socket).start_send(Message::text(text.into()))?)
    }

    /// Sends what is in the buffer.
    ///
    /// # Errors
    /// As [`RawConnection::send`].
    pub async fn flush(&mut self) -> Result<(), RawError> {
        let flush = poll_fn(|cx| Pin::new(&mut self.socket).poll_flush(cx));
        Ok(timeout(self.timeout, flush).await.map_err(|_| RawError::Timeout)??)
    }

    /// Closes the session from this side; what the gateway still says can be read.
    ///
    /// # Errors
    /// As [`RawConnection::send`].
    pub async fn close(&mut self, code: u16, reason: &str) -> Result<(), RawError> {
        self.write(Message::Close(Some(CloseFrame { code: code.into(), reason: reason.into() }))).await
    }

    async fn write(&mut self, message: Message) -> Result<(), RawError> {
        Ok(timeout(self.timeout, self.socket.send(message)).await.map_err(|_| RawError::Timeout)??)
    }

    /// The next thing that the gateway sends, within `limit`. Cancel safe.
    ///
    /// # Errors
    /// [`RawError::Timeout`]; [`RawError::Broken`] at the end of the connection too.
    pub async fn receive(&mut self, limit: Duration) -> Result<Received, RawError> {
        loop {
            let message = timeout(limit, self.socket.next()).await.map_err(|_| RawError::Timeout)?;
            let Some(message) = message else { return Err(WsError::ConnectionClosed.into()) };
            return Ok(match message? {
                Message::Text(text) => Received::Text(text.as_str().to_owned()),
                Message::Binary(bytes) => Received::Binary(bytes.into()),
                Message::Ping(_) => Received::Ping,
                Message::Pong(_) => Received::Pong,
                Message::Close(frame) => Received::Closed {
                    code: frame.as_ref().map(|frame| frame.code.into()),
                    reason: frame.map(|frame| frame.reason.as_str().to_owned()).unwrap_or_default(),
                },
                Message::Frame(_) => continue,
            });
        }
    }

    /// The next frame of the protocol; pings and pongs of the WebSocket are passed over. Cancel safe.
    ///
    /// # Errors
    /// As [`RawConnection::receive`]; [`RawError::Closed`], [`RawError::Unreadable`].
    pub async fn frame(&mut self, limit: Duration) -> Result<ServerFrame, RawError> {
        loop {
            match self.receive(limit).await? {
                Received::Text(text) => return decode_server_frame(&text).map_err(|_| RawError::Unreadable(text)),
                Received::Binary(bytes) => return Err(RawError::Unreadable(format!("{} bytes, binary", bytes.len()))),
                Received::Ping | Received::Pong => {}
                Received::Closed { code, reason } => return Err(RawError::Closed { code, reason }),
            }
        }
    }

    /// Waits for the end, passes over everything before it, and returns close code and reason.
    ///
    /// # Errors
    /// [`RawError::Timeout`] when it does not come within `limit`; [`RawError::Broken`] when the
    /// connection ends without a close.
    pub async fn closed(&mut self, limit: Duration) -> Result<(Option<u16>, String), RawError> {
        let closed = async {
            loop {
                if let Received::Closed { code, reason } = self.receive(limit).await? {
                    return Ok((code, reason));
                }
            }
        };
        timeout(limit, closed).await.map_err(|_| RawError::Timeout)?
    }
}

fn opcode_of(number: u8) -> OpCode {
    match number & 15 {
        0 => OpCode::Data(Data::Continue),
        1 => OpCode::Data(Data::Text),
        2 => OpCode::Data(Data::Binary),
        8 => OpCode::Control(Control::Close),
        9 => OpCode::Control(Control::Ping),
        10 => OpCode::Control(Control::Pong),
        reserved @ 3..=7 => OpCode::Data(Data::Reserved(reserved)),
        reserved => OpCode::Control(Control::Reserved(reserved)),
    }
}

#[cfg(test)]
mod tests;
