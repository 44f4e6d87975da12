//! A gateway that does what a test tells it.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use natter_ids::{ConversationId, Position, Seq, SessionId, UserId};
use natter_protocol::{
    Change, ClientFrame, CloseCode, Entry, Event, Hello, Limits, Request, RequestId, SUBPROTOCOL, ServerFrame,
    decode_client_frame,
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request as Upgrade, Response},
        http::HeaderValue,
        protocol::CloseFrame,
    },
};

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("no {what} within {PATIENCE:?}"))
}

pub(crate) fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

pub(crate) fn conversation(with: &str) -> ConversationId {
    ConversationId::direct(&user("alice"), &user(with))
}

/// A position of one partition.
pub(crate) fn at(seq: Seq) -> Position {
    Position::from_seqs([seq])
}

pub(crate) fn event(with: &str, seq: Seq, prev: Seq) -> Event {
    let change = Change::message(format!("{with} {seq}"));
    let entry = Entry { sender: user(with), client_id: None, time: 0, change };
    Event { conversation: conversation(with), seq, prev, entry }
}

pub(crate) struct FakeGateway {
    listener: TcpListener,
    pub url: String,
}

impl FakeGateway {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        Self { listener, url }
    }

    pub async fn tcp(&self) -> TcpStream {
        soon("connection", self.listener.accept()).await.unwrap().0
    }

    /// Takes a connection, up to and without `hello`.
    pub async fn upgrade(&self) -> FakeSession {
        let tcp = self.tcp().await;
        let mut token = None;
        #[allow(clippy::result_large_err, reason = "the library's type")]
        let look = |request: &Upgrade, mut response: Response| -> Result<Response, ErrorResponse> {
            let header = request.headers().get("authorization");
            token = header.map(|value| value.to_str().unwrap().to_owned());
            let headers = response.headers_mut();
            headers.insert("sec-websocket-protocol", HeaderValue::from_static(SUBPROTOCOL));
            Ok(response)
        };
        let socket = soon("upgrade", accept_hdr_async(tcp, look)).await.unwrap();
        FakeSession { socket, token: token.unwrap_or_default() }
    }

    /// Takes a connection and reads `hello`.
    pub async fn greet(&self) -> (FakeSession, Hello) {
        let mut session = self.upgrade().await;
        match session.frame().await {
            ClientFrame::Hello(hello) => (session, hello),
            other => panic!("{other:?} is no hello"),
        }
    }

    /// Takes a connection, reads `hello` and welcomes.
    pub async fn session(&self) -> (FakeSession, Hello) {
        let (mut session, hello) = self.greet().await;
        session.welcome(60_000, Limits::default()).await;
        (session, hello)
    }

    /// Takes a connection and refuses it.
    pub async fn refuse(&self, status: &str, headers: &str, body: &str) {
        let mut tcp = self.tcp().await;
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let byte = soon("request", tcp.read_u8()).await.unwrap();
            request.push(byte);
        }
        let length = body.len();
        let answer = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
        tcp.write_all(answer.as_bytes()).await.unwrap();
        tcp.shutdown().await.unwrap();
    }
}

pub(crate) struct FakeSession {
    pub socket: WebSocketStream<TcpStream>,
    /// The `Authorization` header.
    pub token: String,
}

impl FakeSession {
    pub async fn welcome(&mut self, ping_interval_ms: u32, limits: Limits) {
        let (session, user) = (SessionId::random(), user("alice"));
        let (server_time, token_expires_at) = (0, u64::MAX);
        let welcome = ServerFrame::Welcome { session, user, server_time, ping_interval_ms, token_expires_at, limits };
        self.send(&welcome).await;
    }

    pub async fn send(&mut self, frame: &ServerFrame) {
        self.send_text(serde_json::to_string(frame).unwrap()).await;
    }

    pub async fn send_text(&mut self, text: String) {
        soon("writing", self.socket.send(Message::text(text))).await.unwrap();
    }

    /// An event, whose number is also the position.
    pub async fn event(&mut self, with: &str, seq: Seq, prev: Seq) {
        self.send(&ServerFrame::Event { position: at(seq), event: event(with, seq, prev) }).await;
    }

    pub async fn caught_up(&mut self, seq: Seq) {
        self.send(&ServerFrame::CaughtUp { position: at(seq) }).await;
    }

    /// Accepts a message.
    pub async fn accept(&mut self, id: RequestId, request: &Request, seq: Seq) {
        let Request::Send { conversation, client_id, .. } = request else { panic!("{request:?} is no message") };
        let (conversation, client_id) = (conversation.clone(), Some(*client_id));
        self.send(&ServerFrame::Accepted { id, conversation, client_id, seq, time: 0 }).await;
    }

    pub async fn refuse(&mut self, id: RequestId, code: &str) {
        self.send_text(json!({"type": "error", "id": id, "code": code, "message": "No."}).to_string()).await;
    }

    pub async fn message(&mut self) -> Message {
        soon("frame", self.socket.next()).await.expect("the end of the connection").unwrap()
    }

    pub async fn frame(&mut self) -> ClientFrame {
        loop {
            match self.message().await {
                Message::Text(text) => return decode_client_frame(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?} is no frame"),
            }
        }
    }

    /// The next request; pings are passed over.
    pub async fn request(&mut self) -> (RequestId, Request) {
        loop {
            match self.frame().await {
                ClientFrame::Request { id, request, .. } => return (id, request),
                ClientFrame::Ping { .. } | ClientFrame::Typing { .. } => {}
                ClientFrame::Hello(hello) => panic!("a second {hello:?}"),
            }
        }
    }

    /// Closes the session, and waits for the client's answer.
    pub async fn close(mut self, code: CloseCode) {
        let frame = CloseFrame { code: code.number().into(), reason: code.reason().into() };
        soon("close", self.socket.send(Message::Close(Some(frame)))).await.unwrap();
        self.end().await;
    }

    /// Reads to the end of the connection; returns what was closed with.
    pub async fn end(&mut self) -> Option<u16> {
        let mut code = None;
        while let Some(Ok(message)) = soon("end", self.socket.next()).await {
            if let Message::Close(Some(frame)) = message {
                code = Some(frame.code.into());
            }
        }
        code
    }
}
