//! `natter chat` of a device without a position, at a gateway that says things at the worst moment.

use std::path::Path;

use futures_util::{SinkExt, StreamExt};
use natter_ids::{ConversationId, Position, Seq, SessionId, UserId};
use natter_protocol::{
    Change, ClientFrame, CloseCode, ConversationPage, ConversationView, Entry, Event, HistoryPage, Limits, Request,
    RequestId, Role, SUBPROTOCOL, ServerFrame, decode_client_frame,
};
use tokio::{
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

use crate::{
    chat::messages,
    process::{LIMIT, Natter},
};

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn talk() -> ConversationId {
    ConversationId::direct(&user("alice"), &user("bob"))
}

fn said(seq: Seq) -> Event {
    let change = Change::message(format!("message {seq}"));
    let entry = Entry { sender: user("bob"), client_id: None, time: 1_700_000_000_000, change };
    Event { conversation: talk(), seq, prev: seq - 1, entry }
}

struct Gateway {
    socket: WebSocketStream<TcpStream>,
}

impl Gateway {
    /// Takes a session, up to its welcome.
    async fn begin(listener: &TcpListener) -> Self {
        let (tcp, _) = timeout(LIMIT, listener.accept()).await.unwrap().unwrap();
        #[allow(clippy::result_large_err, reason = "the library's type")]
        let speak = |_: &Upgrade, mut response: Response| -> Result<Response, ErrorResponse> {
            let headers = response.headers_mut();
            headers.insert("sec-websocket-protocol", HeaderValue::from_static(SUBPROTOCOL));
            Ok(response)
        };
        let mut gateway = Self { socket: accept_hdr_async(tcp, speak).await.unwrap() };
        let ClientFrame::Hello(hello) = gateway.frame().await else { panic!("no hello") };
        assert_eq!(hello.position, None);
        let (session, user, limits) = (SessionId::random(), user("alice"), Limits::default());
        let (server_time, ping_interval_ms, token_expires_at) = (1_700_000_000_000, 60_000, u64::MAX);
        let welcome = ServerFrame::Welcome { session, user, server_time, ping_interval_ms, token_expires_at, limits };
        gateway.send(&welcome).await;
        gateway
    }

    async fn send(&mut self, frame: &ServerFrame) {
        self.socket.send(Message::text(serde_json::to_string(frame).unwrap())).await.unwrap();
    }

    async fn event(&mut self, seq: Seq) {
        self.send(&ServerFrame::Event { position: Position::from_seqs([seq]), event: said(seq) }).await;
    }

    async fn frame(&mut self) -> ClientFrame {
        loop {
            let message = timeout(LIMIT, self.socket.next()).await.expect("a frame").unwrap().unwrap();
            if let Message::Text(text) = message {
                return decode_client_frame(&text).unwrap();
            }
        }
    }

    /// Answers what a chat asks beside history, until it asks for that: with which bounds.
    async fn asks_history(&mut self) -> (RequestId, Option<Seq>) {
        loop {
            let ClientFrame::Request { id, request, .. } = self.frame().await else { continue };
            let answer = match request {
                Request::History { after, .. } => return (id, after),
                Request::OpenDirect { .. } => {
                    let (peer, name, group, role) = (Some(user("bob")), None, None, Role::Member);
                    let conversation = ConversationView {
                        conversation: talk(),
                        name,
                        peer,
                        group,
                        timer_seconds: None,
                        role,
                        last_seq: 2,
                    };
                    ServerFrame::Conversation { id, conversation }
                }
                Request::Conversations { .. } => {
                    ServerFrame::Conversations { id, page: ConversationPage { conversations: Vec::new(), more: false } }
                }
                Request::WatchPresence { .. } => ServerFrame::Presence { id, users: Vec::new() },
                _ => ServerFrame::Done { id },
            };
            self.send(&answer).await;
        }
    }

    async fn history(&mut self, id: RequestId, seqs: &[Seq]) {
        let events = seqs.iter().map(|seq| said(*seq)).collect();
        self.send(&ServerFrame::History { id, page: HistoryPage { events, states: Vec::new(), more: false } }).await;
    }
}

/// A chat that talks with bob, and its session.
async fn alice(data_dir: &Path, listener: &TcpListener) -> (Natter, Gateway) {
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let arguments = ["chat", "--as", "alice", "--data-dir", data_dir.to_str().unwrap(), "--to", "bob"];
    let alice = Natter::start(&[&arguments[..], &["--gateway", &url, "--token", "token"]].concat());
    (alice, Gateway::begin(listener).await)
}

/// The history is read, then something is said, then the session has caught up; and something more comes
/// before that can be read.
#[tokio::test]
async fn what_is_said_while_a_device_begins_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (alice, mut gateway) = alice(folder.path(), &listener).await;
    let (asked, after) = gateway.asks_history().await;
    assert_eq!(after, None);
    gateway.history(asked, &[1, 2]).await;
    // Message 3 is said here.
    gateway.send(&ServerFrame::CaughtUp { position: Position::from_seqs([3]) }).await;
    let (asked, after) = gateway.asks_history().await;
    assert_eq!(after, Some(2));
    gateway.event(4).await;
    // The archive is behind, and asked again.
    gateway.history(asked, &[]).await;
    let (newest, after) = gateway.asks_history().await;
    assert_eq!(after, None);
    gateway.history(newest, &[2]).await;
    let (asked, after) = gateway.asks_history().await;
    assert_eq!(after, Some(2));
    gateway.history(asked, &[3]).await;
    alice.says("message 4").await;
    let shown = |to: Seq| (1..=to).map(|seq| format!("bob: message {seq}")).collect::<Vec<_>>();
    assert_eq!(messages(&alice), shown(4));

    // From here on events follow each other.
    gateway.event(5).await;
    alice.says("message 5").await;
    assert_eq!(messages(&alice), shown(5));
}

/// Natter was restored from a backup in which message 2 is missing; the next one takes its number.
#[tokio::test]
async fn what_holds_after_a_restore_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (alice, mut gateway) = alice(folder.path(), &listener).await;
    let (asked, _) = gateway.asks_history().await;
    gateway.history(asked, &[1, 2]).await;
    gateway.send(&ServerFrame::CaughtUp { position: Position::from_seqs([2]) }).await;
    for (after, answer) in [(Some(2), &[][..]), (None, &[2])] {
        let (asked, of) = gateway.asks_history().await;
        assert_eq!(of, after);
        gateway.history(asked, answer).await;
    }
    let code = CloseCode::InvalidPosition;
    let frame = CloseFrame { code: code.number().into(), reason: code.reason().into() };
    gateway.socket.send(Message::Close(Some(frame))).await.unwrap();

    let mut gateway = Gateway::begin(&listener).await;
    alice.says("restored from a backup").await;
    gateway.send(&ServerFrame::CaughtUp { position: Position::from_seqs([1]) }).await;
    gateway.event(2).await;
    for (after, answer) in [(Some(2), &[][..]), (None, &[1])] {
        let (asked, of) = gateway.asks_history().await;
        assert_eq!(of, after);
        gateway.history(asked, answer).await;
    }
    gateway.event(3).await;
    alice.says("message 3").await;
    let shown: Vec<_> = [1, 2, 2, 3].iter().map(|seq| format!("bob: message {seq}")).collect();
    assert_eq!(messages(&alice), shown);
}
