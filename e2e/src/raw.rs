//! One session seen from the outside, frame by frame, as tests tell its story.

use natter_client::{RawConnection, RawError, RawOptions};
use natter_ids::{DeviceId, Position};
use natter_protocol::{ClientFrame, ErrorBody, Request, RequestId, ServerFrame};

use crate::{Service, device::PATIENCE, people::token_for};

/// A refusal, and the request that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedFrame {
    /// Of the request, when it could be read.
    pub id: Option<RequestId>,
    /// The refusal.
    pub error: ErrorBody,
}

/// A connection to a gateway. Methods panic where a test would.
pub struct Raw {
    connection: RawConnection,
    next_id: RequestId,
}

impl Raw {
    /// Opens a connection with a good token of a user, and says nothing.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn open(gateway: &Service, name: &str) -> Self {
        Self::open_with(RawOptions::new(gateway.url()).token(token_for(name))).await
    }

    /// Opens a connection, and says nothing.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn open_with(options: RawOptions) -> Self {
        let connection = RawConnection::connect(&options).await;
        let connection = connection.unwrap_or_else(|error| panic!("{options:?}: {error}"));
        Self { connection, next_id: 1 << 32 }
    }

    /// Says `hello` as a device of its own, and waits until everything missed has come.
    ///
    /// # Panics
    /// When the session does not begin, or something was missed.
    pub async fn begin(&mut self, position: Option<Position>) -> Position {
        let begun = self.connection.hello(DeviceId::random(), position).await;
        assert!(matches!(begun, Ok(ServerFrame::Welcome { .. })), "instead of `welcome`: {begun:?}");
        self.caught_up().await
    }

    /// Waits for `caught_up`.
    ///
    /// # Panics
    /// When an event or a refusal comes before, or it does not come.
    pub async fn caught_up(&mut self) -> Position {
        loop {
            match self.frame().await {
                ServerFrame::CaughtUp { position } => return position,
                ServerFrame::Welcome { .. } | ServerFrame::ResumeDelayed { .. } => {}
                // How far others have come is told at any time.
                ServerFrame::MarksChanged { .. } => {}
                other => panic!("instead of `caught_up`: {other:?}"),
            }
        }
    }

    /// Sends a text frame.
    ///
    /// # Panics
    /// When it cannot be written.
    pub async fn send(&mut self, text: &str) {
        self.connection.send_text(text).await.expect("the gateway takes a frame");
    }

    /// Sends a binary frame.
    ///
    /// # Panics
    /// When it cannot be written.
    pub async fn send_binary(&mut self, bytes: &[u8]) {
        self.connection.send_binary(bytes).await.expect("the gateway takes a frame");
    }

    /// The connection itself.
    pub fn connection(&mut self) -> &mut RawConnection {
        &mut self.connection
    }

    /// The next frame.
    ///
    /// # Panics
    /// When none comes.
    pub async fn frame(&mut self) -> ServerFrame {
        self.connection.frame(PATIENCE).await.unwrap_or_else(|error| panic!("instead of a frame: {error}"))
    }

    /// The next frame, or the code that the session was closed with.
    ///
    /// # Errors
    /// The close code.
    ///
    /// # Panics
    /// When the connection breaks.
    pub async fn frame_or_close(&mut self) -> Result<ServerFrame, u16> {
        match self.connection.frame(PATIENCE).await {
            Ok(frame) => Ok(frame),
            Err(RawError::Closed { code: Some(code), .. }) => Err(code),
            Err(error) => panic!("instead of a frame or a close: {error}"),
        }
    }

    /// The first frame that `wanted` takes; those before it are passed over.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn find<T>(&mut self, mut wanted: impl FnMut(ServerFrame) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(self.frame().await) {
                return found;
            }
        }
    }

    /// The next refusal.
    ///
    /// # Panics
    /// When another frame comes.
    pub async fn refusal(&mut self) -> RefusedFrame {
        match self.frame().await {
            ServerFrame::Error { id, error } => RefusedFrame { id, error },
            other => panic!("instead of a refusal: {other:?}"),
        }
    }

    /// Makes a request and returns what answers it; frames before it are passed over.
    ///
    /// # Errors
    /// The refusal.
    ///
    /// # Panics
    /// When no answer comes.
    pub async fn ask(&mut self, request: Request) -> Result<ServerFrame, ErrorBody> {
        let id = self.next_id;
        self.next_id += 1;
        self.connection
            .send(&ClientFrame::Request { id, traceparent: None, request })
            .await
            .expect("the gateway takes a frame");
        loop {
            match self.frame().await {
                ServerFrame::Error { id: Some(of), error } if of == id => return Err(error),
                frame if frame.answers() == Some(id) => return Ok(frame),
                _ => {}
            }
        }
    }

    /// Sends a `ping` of the protocol and waits for its `pong`: the session lives.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn ping_pong(&mut self) {
        let id = self.next_id;
        self.next_id += 1;
        self.connection.send(&ClientFrame::Ping { id }).await.expect("the gateway takes a frame");
        self.find(|frame| (frame == ServerFrame::Pong { id }).then_some(())).await;
    }

    /// Waits until the gateway has closed the session, passing over frames before, and returns
    /// the code.
    ///
    /// # Panics
    /// When it is not closed, or without a code.
    pub async fn closed(&mut self) -> u16 {
        let closed = self.connection.closed(PATIENCE).await;
        let (code, _) = closed.unwrap_or_else(|error| panic!("instead of a close: {error}"));
        code.expect("a close code")
    }
}
