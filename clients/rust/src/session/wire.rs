//! A WebSocket as a session uses it: read and written from one task, neither waiting for the other.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::{
    Error as WsError, Message, Utf8Bytes,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use crate::connect::Socket;

/// Bytes written before the gateway has to take them.
const BATCH_BYTES_MAX: usize = 64 << 10;

/// What came from the gateway.
#[derive(Debug)]
pub(crate) enum Incoming {
    Text(Utf8Bytes),
    /// Something that only shows that the gateway is there.
    Sign,
    /// The gateway closed the session with this code.
    Closed(u16),
    /// The connection broke.
    Lost(String),
    /// The gateway took what was written, so there is room again.
    Room,
}

#[derive(Debug)]
pub(crate) struct Wire {
    socket: Socket,
    /// Bytes written and not flushed.
    batch: usize,
    unflushed: bool,
    /// Since when the gateway takes nothing.
    stuck: Option<Instant>,
    /// Nothing can be written any more. The gateway's last words may still be read.
    broken: Option<String>,
}

impl Wire {
    pub fn new(socket: Socket) -> Self {
        Self { socket, batch: 0, unflushed: false, stuck: None, broken: None }
    }

    /// Whether to write more now.
    pub fn has_room(&self) -> bool {
        self.batch < BATCH_BYTES_MAX && self.stuck.is_none() && self.broken.is_none()
    }

    /// Since when the gateway takes nothing.
    pub fn stuck_since(&self) -> Option<Instant> {
        self.stuck
    }

    /// Writes a frame. Several together are sent at once by the next [`Wire::poll`].
    pub fn push(&mut self, text: Utf8Bytes) {
        self.batch += text.len();
        self.put(Message::Text(text));
    }

    fn put(&mut self, message: Message) {
        if self.broken.is_some() {
            return;
        }
        self.unflushed = true;
        // The library takes every message into its buffer, which `has_room` bounds.
        if let Err(error) = Pin::new(&mut self.socket).start_send(message) {
            self.broken = Some(error.to_string());
        }
    }

    /// Sends what was written, and reads when asked to. Cancel safe.
    pub fn poll(&mut self, cx: &mut Context<'_>, read: bool) -> Poll<Incoming> {
        if self.unflushed && self.broken.is_none() {
            let had_room = self.has_room();
            match Pin::new(&mut self.socket).poll_flush(cx) {
                Poll::Ready(Ok(())) => {
                    (self.batch, self.unflushed, self.stuck) = (0, false, None);
                    if !had_room {
                        return Poll::Ready(Incoming::Room);
                    }
                }
                Poll::Ready(Err(error)) => {
                    self.broken = Some(error.to_string());
                    self.stuck = None;
                }
                Poll::Pending => {
                    self.stuck.get_or_insert_with(Instant::now);
                }
            }
        }
        if read { self.poll_read(cx) } else { Poll::Pending }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Incoming> {
        Poll::Ready(match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
            Some(Ok(Message::Text(text))) => Incoming::Text(text),
            Some(Ok(Message::Close(Some(frame)))) => Incoming::Closed(frame.code.into()),
            Some(Ok(Message::Close(None))) => Incoming::Lost("closed without a code".to_owned()),
            Some(Ok(Message::Ping(_))) => {
                // The library has queued the answer; the next flush takes it along.
                self.unflushed = true;
                Incoming::Sign
            }
            Some(Ok(Message::Pong(_) | Message::Binary(_) | Message::Frame(_))) => Incoming::Sign,
            Some(Err(error)) => Incoming::Lost(self.broken.take().unwrap_or_else(|| error.to_string())),
            None => Incoming::Lost(self.broken.take().unwrap_or_else(|| WsError::ConnectionClosed.to_string())),
        })
    }

    /// The next thing from the gateway.
    pub async fn next(&mut self) -> Incoming {
        poll_fn(|cx| self.poll(cx, true)).await
    }

    /// What can be read without waiting.
    pub fn read_now(&mut self) -> Option<Incoming> {
        poll_fn(|cx| self.poll_read(cx)).now_or_never()
    }

    /// Cuts the connection, with a goodbye as far as that can be written at once.
    pub fn cut(mut self) {
        self.put(goodbye());
        let _ = poll_fn(|cx| Pin::new(&mut self.socket).poll_flush(cx)).now_or_never();
    }

    /// Says goodbye, and waits a while for the gateway's own.
    pub async fn leave(mut self, limit: Duration) {
        let leave = async {
            self.socket.send(goodbye()).await?;
            while let Some(message) = self.socket.next().await {
                if message?.is_close() {
                    break;
                }
            }
            Ok::<(), WsError>(())
        };
        // A gateway that does not answer finds the connection closed.
        let _ = timeout(limit, leave).await;
    }
}

fn goodbye() -> Message {
    Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::from_static("") }))
}
