//! A WebSocket whose outbound queue is counted in bytes.
//!
//! Reading and writing share one poll, because the session's task owns both: whatever waits is
//! written first, then a frame is read. Nothing here waits for the client.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures_util::{Sink, SinkExt, Stream};
use natter_protocol::{CloseCode, ServerFrame};
use natter_runtime::Wire;
use natter_telemetry::metrics;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Bytes, Error as WsError, Message, Utf8Bytes,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode as RawCloseCode},
    },
};

use crate::observe::OnItsWay;

/// Read from the kernel at once; allocated per connection. The buffer keeps its size through
/// many frames only from 1 KiB on (`bytes` forgets smaller ones); a longer frame gets its own.
const READ_BYTES: usize = 1024;
/// Collected before the kernel is asked to take them.
const WRITE_BYTES: usize = 16 * 1024;
/// How long a client may take to answer a close before the connection is cut.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// What a client sent.
#[derive(Debug)]
pub(crate) enum Incoming {
    Text(Utf8Bytes),
    /// A binary frame: there are none in this protocol.
    Binary,
    /// A ping, a pong: the client lives.
    Sign,
    TooLarge,
    /// Closed by the client, or broken.
    Gone,
}

struct Queued {
    message: Message,
    /// Came without being asked for.
    live: bool,
    event: OnItsWay,
}

/// The socket of one session.
pub(crate) struct Socket {
    stream: WebSocketStream<Wire>,
    queue: VecDeque<Queued>,
    queued_bytes: usize,
    live_bytes: usize,
    /// Something was handed to the library and may not have reached the kernel.
    unflushed: bool,
    /// When the client last took something, or nothing waited.
    took_at: Instant,
}

impl Socket {
    pub(crate) async fn new(wire: Wire, already_read: Vec<u8>, frame_bytes_max: u32) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(WRITE_BYTES)
            .max_message_size(Some(frame_bytes_max as usize))
            .max_frame_size(Some(frame_bytes_max as usize));
        let stream = WebSocketStream::from_partially_read(wire, already_read, Role::Server, Some(config)).await;
        Self {
            stream,
            queue: VecDeque::new(),
            queued_bytes: 0,
            live_bytes: 0,
            unflushed: false,
            took_at: Instant::now(),
        }
    }

    /// Queues a frame.
    pub(crate) fn push(&mut self, frame: &ServerFrame) {
        match serde_json::to_string(frame) {
            Ok(text) => self.push_text(text, OnItsWay::default()),
            Err(error) => tracing::error!(%error, "a frame could not be written"),
        }
    }

    /// Queues an event or answer that this session has asked for, when there was room for it.
    pub(crate) fn push_text(&mut self, text: String, event: OnItsWay) {
        self.queue(text.into(), false, event);
    }

    /// Queues an event that happens now, whether there is room or not.
    pub(crate) fn push_live(&mut self, text: String, event: OnItsWay) {
        self.queue(text.into(), true, event);
    }

    pub(crate) fn push_ping(&mut self) {
        self.queue.push_back(Queued { message: Message::Ping(Bytes::new()), live: false, event: OnItsWay::default() });
    }

    fn queue(&mut self, text: Utf8Bytes, live: bool, event: OnItsWay) {
        self.queued_bytes += text.len();
        metrics::CONNECTION_QUEUE.add(signed(text.len()));
        self.live_bytes += if live { text.len() } else { 0 };
        self.queue.push_back(Queued { message: Message::Text(text), live, event });
    }

    /// Bytes that wait for the client.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// Bytes of events among them that came without being asked for.
    pub(crate) fn live_bytes(&self) -> usize {
        self.live_bytes
    }

    /// Since when the client has taken nothing of what waits; `None` when nothing waits.
    pub(crate) fn stuck_since(&self) -> Option<Instant> {
        (self.unflushed || !self.queue.is_empty()).then_some(self.took_at)
    }

    /// Writes what waits, then reads a frame unless told not to. Cancel safe.
    pub(crate) fn poll_incoming(&mut self, cx: &mut Context<'_>, read: bool) -> Poll<Incoming> {
        if let Err(error) = self.poll_write(cx) {
            tracing::debug!(%error, "a client could not be written to");
            return Poll::Ready(Incoming::Gone);
        }
        if !read {
            return Poll::Pending;
        }
        let Poll::Ready(next) = Pin::new(&mut self.stream).poll_next(cx) else { return Poll::Pending };
        Poll::Ready(match next {
            Some(Ok(Message::Text(text))) => Incoming::Text(text),
            Some(Ok(Message::Binary(_))) => Incoming::Binary,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {
                // The library has queued the answer to a ping; the next write takes it along.
                self.unflushed = true;
                Incoming::Sign
            }
            Some(Err(WsError::Capacity(_))) => Incoming::TooLarge,
            Some(Ok(Message::Close(_) | Message::Frame(_)) | Err(_)) | None => Incoming::Gone,
        })
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<(), WsError> {
        if self.stuck_since().is_none() {
            self.took_at = Instant::now();
            return Ok(());
        }
        while !self.queue.is_empty() {
            match Pin::new(&mut self.stream).poll_ready(cx) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => return Ok(()),
            }
            let Some(Queued { message, live, event }) = self.queue.pop_front() else { break };
            if let Message::Text(text) = &message {
                self.queued_bytes -= text.len();
                metrics::CONNECTION_QUEUE.add(-signed(text.len()));
                self.live_bytes -= if live { text.len() } else { 0 };
            }
            Pin::new(&mut self.stream).start_send(message)?;
            event.written();
            self.took_at = Instant::now();
            self.unflushed = true;
        }
        if let Poll::Ready(flushed) = Pin::new(&mut self.stream).poll_flush(cx) {
            flushed?;
            self.unflushed = false;
            self.took_at = Instant::now();
        }
        Ok(())
    }

    /// Drops what waits for the client.
    pub(crate) fn forget(&mut self) {
        self.queue.clear();
        metrics::CONNECTION_QUEUE.add(-signed(self.queued_bytes));
        (self.queued_bytes, self.live_bytes) = (0, 0);
    }

    /// Says goodbye, waits a little for the client's own, and cuts the connection. What is queued
    /// goes first, unless the client has stopped reading.
    pub(crate) async fn close(mut self, code: CloseCode) {
        let frame =
            CloseFrame { code: RawCloseCode::from(code.number()), reason: Utf8Bytes::from_static(code.reason()) };
        let goodbye = async {
            if code != CloseCode::SlowConsumer {
                for Queued { message, .. } in self.queue.drain(..) {
                    self.stream.feed(message).await?;
                }
            }
            self.stream.send(Message::Close(Some(frame))).await?;
            while let Some(Ok(_)) = std::future::poll_fn(|cx| Pin::new(&mut self.stream).poll_next(cx)).await {}
            Ok::<(), WsError>(())
        };
        // Whoever does not take it is cut off: they resume all the same.
        let _ = tokio::time::timeout(CLOSE_WAIT, goodbye).await;
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        metrics::CONNECTION_QUEUE.add(-signed(self.queued_bytes));
    }
}

/// A length is far below where it would not fit.
fn signed(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
