//! An example of every frame, as values of the Rust types: what does not compile is no example.
//!
//! They tell one story: alice and bob talk, and alice has a group with both of them.

use natter_ids::{ClientId, ConversationId, DeviceId, Position, SessionId, UserId};
use natter_protocol::{
    Audience, BlockPage, BlockView, Change, ClientFrame, ConversationPage, ConversationView, DevicePage, DeviceView,
    Entry, ErrorBody, ErrorCode, Event, Hello, HistoryPage, Limits, MemberPage, MemberView, PresenceView, PrivacyView,
    Request, Role, ServerFrame,
};

/// When the story happens, in milliseconds since 1970 UTC.
pub(crate) const TIME: u64 = 1_789_000_000_000;

#[allow(clippy::expect_used, reason = "constants; a test makes every example")]
pub(crate) fn user(name: &str) -> UserId {
    UserId::new(name).expect("a legal user id")
}

#[allow(clippy::expect_used, reason = "constants; a test makes every example")]
pub(crate) fn client_id() -> ClientId {
    ClientId::parse("01a0882b-6200-7c3e-9d41-5b1f0e2a7c88").expect("a legal client id")
}

#[allow(clippy::expect_used, reason = "constants; a test makes every example")]
pub(crate) fn device(name: &str) -> DeviceId {
    DeviceId::new(name).expect("a legal device id")
}

#[allow(clippy::expect_used, reason = "constants; a test makes every example")]
fn session() -> SessionId {
    SessionId::new("3f9c1f3a5d0b4c6e8a7d2b1c0e9f8a7b").expect("a legal session id")
}

pub(crate) fn direct() -> ConversationId {
    ConversationId::direct(&user("alice"), &user("bob"))
}

pub(crate) fn group() -> ConversationId {
    ConversationId::group(&user("alice"), client_id())
}

pub(crate) fn position() -> Position {
    Position::from_seqs([1205_u64, 998, 1023, 1110])
}

fn entry(sender: &str, change: Change) -> Entry {
    Entry { sender: user(sender), client_id: None, time: TIME, change }
}

fn event(conversation: ConversationId, seq: u64, prev: u64, entry: Entry) -> Event {
    Event { conversation, seq, prev, entry }
}

/// A message of alice's, as everybody receives it.
pub(crate) fn said() -> Event {
    let change = Change::Message { text: "Shall we?".to_owned() };
    event(direct(), 1205, 1198, Entry { client_id: Some(client_id()), ..entry("alice", change) })
}

/// One event of each kind.
pub(crate) fn events() -> Vec<Event> {
    let members = vec![user("alice"), user("bob")];
    vec![
        said(),
        event(direct(), 1191, 0, entry("alice", Change::DirectOpened { peers: [user("alice"), user("bob")] })),
        event(group(), 2001, 0, entry("alice", Change::GroupCreated { name: "Hiking".to_owned(), members })),
        event(group(), 2040, 2033, entry("alice", Change::MemberAdded { user: user("carol") })),
        event(group(), 2051, 2040, entry("alice", Change::MemberRemoved { user: user("bob") })),
        event(group(), 2077, 2051, entry("carol", Change::MemberLeft {})),
    ]
}

pub(crate) fn direct_view() -> ConversationView {
    ConversationView { conversation: direct(), name: None, peer: Some(user("bob")), role: Role::Member, last_seq: 1205 }
}

pub(crate) fn conversation_page() -> ConversationPage {
    let name = Some("Hiking".to_owned());
    let group = ConversationView { conversation: group(), name, peer: None, role: Role::Owner, last_seq: 2040 };
    ConversationPage { conversations: vec![direct_view(), group], more: false }
}

pub(crate) fn member_page() -> MemberPage {
    let member = |name, role| MemberView { user: user(name), role };
    let members = vec![member("alice", Role::Owner), member("bob", Role::Member)];
    MemberPage { conversation: group(), members, more: false }
}

pub(crate) fn history_page() -> HistoryPage {
    HistoryPage { events: vec![said()], more: true }
}

pub(crate) fn presence_views() -> Vec<PresenceView> {
    vec![
        PresenceView { user: user("bob"), online: true, away: false, last_seen: None },
        PresenceView { user: user("carol"), online: false, away: false, last_seen: Some(TIME - 90_000) },
    ]
}

pub(crate) fn block_page() -> BlockPage {
    let conversation = ConversationId::direct(&user("alice"), &user("mallory"));
    BlockPage { blocks: vec![BlockView { user: user("mallory"), conversation, after: 1103, since: TIME }] }
}

pub(crate) fn device_page() -> DevicePage {
    let phone = DeviceView {
        device: device("alice-phone"),
        name: Some("Alice's phone".to_owned()),
        first_seen: TIME - 86_400_000,
        last_seen: TIME,
        connected: true,
        current: true,
    };
    let laptop = DeviceView {
        device: device("laptop"),
        name: None,
        last_seen: TIME - 3_600_000,
        connected: false,
        current: false,
        ..phone.clone()
    };
    DevicePage { devices: vec![phone, laptop] }
}

pub(crate) fn refusal() -> ErrorBody {
    ErrorBody::new(ErrorCode::RateLimited).limit("user_requests_per_sec").retry_after_ms(40)
}

/// At least one example of each frame that clients send.
pub fn client_examples() -> Vec<ClientFrame> {
    let request = |id, request| ClientFrame::Request { id, traceparent: None, request };
    let users = || vec![user("bob"), user("carol")];
    vec![
        ClientFrame::Hello(Hello {
            device: device("alice-phone"),
            name: Some("Alice's phone".to_owned()),
            position: Some(position()),
            token: None,
        }),
        ClientFrame::Ping { id: 1 },
        ClientFrame::Typing { conversation: direct(), stopped: false },
        request(2, Request::Send { conversation: direct(), client_id: client_id(), text: "Shall we?".to_owned() }),
        request(3, Request::OpenDirect { user: user("bob") }),
        request(
            4,
            Request::CreateGroup { client_id: client_id(), name: "Hiking".to_owned(), members: vec![user("bob")] },
        ),
        request(5, Request::AddMember { conversation: group(), user: user("carol") }),
        request(6, Request::RemoveMember { conversation: group(), user: user("bob") }),
        request(7, Request::Leave { conversation: group() }),
        request(8, Request::Conversations { after: None, limit: Some(50) }),
        request(9, Request::Members { conversation: group(), after: None, limit: None }),
        request(10, Request::History { conversation: direct(), before: Some(1206), after: None, limit: Some(50) }),
        request(11, Request::Presence { users: users() }),
        request(12, Request::WatchPresence { users: users() }),
        request(16, Request::SetAway { away: true }),
        request(19, Request::Blocks),
        request(20, Request::Block { user: user("mallory") }),
        request(21, Request::Unblock { user: user("mallory") }),
        request(17, Request::Privacy),
        request(18, Request::SetPrivacy { privacy: PrivacyView { presence: Audience::Nobody } }),
        request(14, Request::Devices),
        request(15, Request::RevokeDevice { device: device("old-laptop") }),
        request(13, Request::RefreshToken { token: "eyJhbGciOi…".to_owned() }),
    ]
}

/// At least one example of each frame that gateways send.
pub fn server_examples() -> Vec<ServerFrame> {
    let (conversation, seq, time) = (direct(), 1205, TIME);
    let mut frames = vec![
        ServerFrame::Welcome {
            session: session(),
            user: user("alice"),
            server_time: TIME,
            ping_interval_ms: 25_000,
            token_expires_at: TIME + 3_600_000,
            limits: Limits::default(),
        },
        ServerFrame::CaughtUp { position: position() },
        ServerFrame::ResumeDelayed { waiting_for: "storage".to_owned() },
        ServerFrame::Accepted { id: 2, conversation, client_id: Some(client_id()), seq, time },
        ServerFrame::Conversation { id: 3, conversation: direct_view() },
        ServerFrame::Conversations { id: 8, page: conversation_page() },
        ServerFrame::Members { id: 9, page: member_page() },
        ServerFrame::History { id: 10, page: history_page() },
        ServerFrame::Presence { id: 11, users: presence_views() },
        ServerFrame::PresenceChanged {
            presence: PresenceView { user: user("bob"), online: false, away: false, last_seen: Some(TIME) },
        },
        ServerFrame::Blocks { id: 20, page: block_page() },
        ServerFrame::Unblocked {
            user: user("mallory"),
            conversation: ConversationId::direct(&user("alice"), &user("mallory")),
            after: 1103,
        },
        ServerFrame::Privacy { id: 17, privacy: PrivacyView { presence: Audience::Contacts } },
        ServerFrame::Done { id: 16 },
        ServerFrame::Devices { id: 14, page: device_page() },
        ServerFrame::Typing { conversation: direct(), user: user("bob"), expires_in_ms: 6_000 },
        ServerFrame::TokenExpiring { expires_at: TIME + 60_000 },
        ServerFrame::Refreshed { id: 13, expires_at: TIME + 3_600_000 },
        ServerFrame::Pong { id: 1 },
        ServerFrame::GoingAway { reconnect_after_ms: 1_740 },
        ServerFrame::Error { id: Some(2), error: refusal() },
    ];
    frames.extend(events().into_iter().map(|event| ServerFrame::Event { position: position(), event }));
    frames
}
