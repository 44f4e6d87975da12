//! An example of every frame, as values of the Rust types: what does not compile is no example.
//!
//! They tell one story: alice and bob talk, and alice has a group with both of them.

use natter_ids::{ClientId, ConversationId, DeviceId, InviteCode, Position, SessionId, UserId};
use natter_protocol::{
    Arrangement, ArrangementDraft, ArrangementView, Audience, BlockPage, BlockView, Change, ClientFrame,
    ConversationPage, ConversationView, DevicePage, DeviceView, Entry, ErrorBody, ErrorCode, Event, Forwarded,
    GroupPatch, GroupSettings, Hello, HistoryPage, InvitePage, InviteView, Limits, MarkPage, MarkView, MarkedView,
    MarksView, MemberPage, MemberView, MessageState, OverviewCursor, OverviewItem, OverviewPage, OverviewPosition,
    Past, PresenceView, PrivacyView, ReactionView, ReactorPage, ReactorView, ReceiptPage, Request, Role, ServerFrame,
    SettingsDraft, SettingsView, ShowRequests, Strangers, Who,
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
    let change = Change::message("Shall we?");
    event(direct(), 1205, 1198, Entry { client_id: Some(client_id()), ..entry("alice", change) })
}

/// One event of each kind.
pub(crate) fn events() -> Vec<Event> {
    let members = vec![user("alice"), user("bob")];
    let answer = Change::Message {
        text: "@carol, yes".to_owned(),
        reply_to: Some(2044),
        forwarded: None,
        mentions: vec![user("carol")],
    };
    let forwarded = Change::Message {
        text: "Shall we?".to_owned(),
        reply_to: None,
        forwarded: Some(Forwarded { sender: Some(user("bob")) }),
        mentions: Vec::new(),
    };
    vec![
        said(),
        event(direct(), 1191, 0, entry("alice", Change::DirectOpened { peers: [user("alice"), user("bob")] })),
        event(group(), 2001, 0, entry("alice", Change::GroupCreated { name: "Hiking".to_owned(), members })),
        event(group(), 2040, 2033, entry("alice", Change::MemberAdded { user: user("carol") })),
        event(group(), 2051, 2040, entry("alice", Change::MemberRemoved { user: user("bob") })),
        event(group(), 2077, 2051, entry("carol", Change::MemberLeft {})),
        event(group(), 2081, 2077, entry("alice", invite_created())),
        event(group(), 2083, 2081, entry("dave", invite_used())),
        event(group(), 2084, 2083, entry("dave", Change::MemberJoined { invite: invite().id() })),
        event(group(), 2090, 2084, entry("alice", Change::RoleChanged { user: user("dave"), role: Role::Admin })),
        event(group(), 2092, 2090, entry("alice", Change::GroupChanged { patch: patch() })),
        event(group(), 2095, 2092, entry("alice", Change::MemberBanned { user: user("mallory") })),
        event(group(), 2097, 2095, entry("alice", Change::MemberUnbanned { user: user("mallory") })),
        event(group(), 2099, 2097, entry("alice", Change::InviteRevoked { invite: invite().id() })),
        event(group(), 2063, 2051, Entry { client_id: Some(client_id()), ..entry("alice", answer) }),
        event(group(), 2074, 2063, Entry { client_id: Some(client_id()), ..entry("alice", forwarded) }),
        changed(1212, 1205, Change::Edited { target: 1205, text: "Shall we go?".to_owned(), mentions: Vec::new() }),
        changed(1219, 1212, Change::Reacted { target: 1198, emoji: "🥾".to_owned(), on: true }),
        changed(1224, 1219, Change::Pinned { target: 1205 }),
        changed(1230, 1224, Change::Unpinned { target: 1205 }),
        changed(1241, 1230, Change::Deleted { target: 1205 }),
        changed(1246, 1241, Change::TimerSet { seconds: 86_400 }),
        changed(1205, 1198, Change::Erased { was: "message".to_owned() }),
    ]
}

/// A change of alice's in the direct conversation.
fn changed(seq: u64, prev: u64, change: Change) -> Event {
    event(direct(), seq, prev, Entry { client_id: Some(client_id()), ..entry("alice", change) })
}

/// Requests that change messages.
fn changes() -> Vec<Request> {
    let (client_id, target) = (client_id(), 1205);
    let conversation = direct;
    vec![
        Request::Forward { conversation: group(), client_id, from: conversation(), target, hide_sender: false },
        Request::Edit {
            conversation: conversation(),
            client_id,
            target,
            text: "Shall we go?".to_owned(),
            mentions: Vec::new(),
        },
        Request::Delete { conversation: conversation(), client_id, target },
        Request::React { conversation: conversation(), client_id, target: 1198, emoji: "🥾".to_owned(), on: true },
        Request::Pin { conversation: conversation(), client_id, target },
        Request::Unpin { conversation: conversation(), client_id, target },
        Request::SetTimer { conversation: conversation(), client_id, seconds: 86_400 },
        Request::Pinned { conversation: conversation(), before: None, limit: None },
    ]
}

#[allow(clippy::expect_used, reason = "constants; a test makes every example")]
pub(crate) fn invite() -> InviteCode {
    InviteCode::parse(&format!("{}.7b0c6c0e4f0e4b6f9d0c3a52a6e1f1d2", group())).expect("a legal code")
}

fn invite_created() -> Change {
    Change::InviteCreated { invite: invite().id(), expires_at: Some(TIME + 86_400_000), uses_max: Some(10) }
}

fn invite_used() -> Change {
    Change::InviteUsed { invite: invite().id(), expires_at: Some(TIME + 86_400_000), uses_max: Some(10), uses: 1 }
}

pub(crate) fn patch() -> GroupPatch {
    let description = Some("Where we walk".to_owned());
    GroupPatch { description, write: Some(Who::Admins), past: Some(Past::All), ..GroupPatch::default() }
}

pub(crate) fn invite_page() -> InvitePage {
    InvitePage { invites: vec![invite_view(false)] }
}

pub(crate) fn invite_view(told: bool) -> InviteView {
    InviteView {
        conversation: group(),
        invite: invite().id(),
        code: told.then(|| invite().to_string()),
        expires_at: Some(TIME + 86_400_000),
        uses_max: Some(10),
        uses: u32::from(!told),
    }
}

pub(crate) fn direct_view() -> ConversationView {
    let (name, peer, role) = (None, Some(user("bob")), Role::Member);
    ConversationView {
        conversation: direct(),
        name,
        peer,
        group: None,
        timer_seconds: Some(604_800),
        role,
        last_seq: 1205,
    }
}

pub(crate) fn group_view() -> ConversationView {
    let mut settings = GroupSettings::default();
    settings.apply(&patch());
    ConversationView {
        conversation: group(),
        name: Some("Hiking".to_owned()),
        peer: None,
        group: Some(settings),
        timer_seconds: None,
        role: Role::Owner,
        last_seq: 2040,
    }
}

pub(crate) fn conversation_page() -> ConversationPage {
    ConversationPage { conversations: vec![direct_view(), group_view()], more: false }
}

pub(crate) fn member_page() -> MemberPage {
    let member = |name, role| MemberView { user: user(name), role };
    let members = vec![member("alice", Role::Owner), member("bob", Role::Member)];
    MemberPage { conversation: group(), members, more: false }
}

pub(crate) fn history_page() -> HistoryPage {
    let reactions = vec![ReactionView { emoji: "🥾".to_owned(), count: 1, mine: false }];
    let state = MessageState { seq: 1205, edited_at: Some(TIME + 30_000), expires_at: None, reactions, pinned: false };
    HistoryPage { events: vec![said()], states: vec![state], more: true }
}

pub(crate) fn presence_views() -> Vec<PresenceView> {
    vec![
        PresenceView { user: user("bob"), online: true, away: false, last_seen: None },
        PresenceView { user: user("carol"), online: false, away: false, last_seen: Some(TIME - 90_000) },
    ]
}

pub(crate) fn marked() -> MarkedView {
    MarkedView { conversation: direct(), delivered: 1205, read: 1205 }
}

pub(crate) fn bobs_marks() -> MarksView {
    MarksView { conversation: direct(), marks: vec![MarkView { user: user("bob"), delivered: 1205, read: 1191 }] }
}

fn marks_position() -> Position {
    Position::from_seqs([310_u64, 12, 0, 87])
}

pub(crate) fn mark_page() -> MarkPage {
    MarkPage { conversations: vec![bobs_marks()], position: Position::from_seqs([312_u64, 12, 0, 88]), more: false }
}

pub(crate) fn receipt_page() -> ReceiptPage {
    let mark = |name, delivered, read| MarkView { user: user(name), delivered, read };
    let marks = vec![mark("bob", 2040, 2040), mark("carol", 2040, 0)];
    ReceiptPage { conversation: group(), seq: 2040, members: 2, delivered: 2, read: 1, marks, more: false }
}

pub(crate) fn reactor_page() -> ReactorPage {
    let reactor = |name, emoji: &[&str]| ReactorView {
        user: user(name),
        emoji: emoji.iter().map(|it| (*it).to_owned()).collect(),
    };
    let reactors = vec![reactor("bob", &["👍", "🥾"]), reactor("carol", &["👍"])];
    ReactorPage { conversation: group(), target: 2040, reactors, more: false }
}

fn overview_position() -> OverviewPosition {
    OverviewPosition { entries: position(), marks: marks_position() }
}

pub(crate) fn overview_page() -> OverviewPage {
    let item = OverviewItem {
        view: direct_view(),
        active_at: TIME,
        last: Some(said()),
        cut: false,
        unread: 3,
        mentions: 1,
        delivered: 1205,
        read: 1191,
        marks: bobs_marks().marks,
        arrangement: Arrangement { muted_until: None, pinned: true, archived: false, request: false },
    };
    let next = OverviewCursor { pinned: true, active_at: TIME, conversation: direct(), position: overview_position() };
    OverviewPage { conversations: vec![item], gone: Vec::new(), position: overview_position(), next: Some(next) }
}

pub(crate) fn arranged() -> ArrangementView {
    let arrangement =
        Arrangement { muted_until: Some(TIME + 3_600_000), pinned: false, archived: false, request: false };
    ArrangementView { conversation: group(), arrangement }
}

pub(crate) fn settings() -> SettingsView {
    SettingsView { read_receipts: false, strangers: Strangers::Request }
}

pub(crate) fn settings_draft() -> SettingsDraft {
    SettingsDraft { read_receipts: Some(false), strangers: Some(Strangers::Request) }
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

/// A request that is posted, and its answer.
pub(crate) fn posted() -> [serde_json::Value; 2] {
    let request =
        serde_json::json!({ "type": "change_role", "conversation": group(), "user": "dave", "role": "admin" });
    let answer = ServerFrame::Accepted { id: 0, conversation: group(), client_id: None, seq: 2090, time: TIME };
    [request, serde_json::to_value(answer).unwrap_or_default()]
}

/// At least one example of each frame that clients send.
pub fn client_examples() -> Vec<ClientFrame> {
    let request = |id, request| ClientFrame::Request { id, traceparent: None, request };
    let users = || vec![user("bob"), user("carol")];
    let mut frames = vec![
        ClientFrame::Hello(Hello {
            device: device("alice-phone"),
            name: Some("Alice's phone".to_owned()),
            position: Some(position()),
            token: None,
        }),
        ClientFrame::Ping { id: 1 },
        ClientFrame::Typing { conversation: direct(), stopped: false },
        request(2, Request::send(direct(), client_id(), "Shall we?")),
        request(3, Request::OpenDirect { user: user("bob") }),
        request(
            4,
            Request::CreateGroup { client_id: client_id(), name: "Hiking".to_owned(), members: vec![user("bob")] },
        ),
        request(5, Request::AddMember { conversation: group(), client_id: Some(client_id()), user: user("carol") }),
        request(6, Request::RemoveMember { conversation: group(), client_id: Some(client_id()), user: user("bob") }),
        request(7, Request::Leave { conversation: group(), client_id: Some(client_id()) }),
        request(8, Request::Conversations { after: None, limit: Some(50) }),
        request(9, Request::Members { conversation: group(), after: None, limit: None }),
        request(
            10,
            Request::History { conversation: direct(), before: Some(1206), after: None, limit: Some(50), edits: false },
        ),
        request(11, Request::Presence { users: users() }),
        request(12, Request::WatchPresence { users: users() }),
        request(14, Request::Mark { conversation: direct(), delivered: None, read: Some(1205) }),
        request(15, Request::Marks { since: Some(marks_position()), limit: None }),
        request(16, Request::Receipts { conversation: group(), seq: 2040, after: None, limit: None }),
        request(17, Request::Reactors { conversation: group(), target: 2040, emoji: None, after: None, limit: None }),
        request(18, Request::Overview { since: None, after: None, limit: Some(50), requests: ShowRequests::Without }),
        request(
            19,
            Request::Arrange {
                conversation: group(),
                draft: ArrangementDraft {
                    muted_until: Some(TIME + 3_600_000),
                    pinned: None,
                    archived: Some(false),
                    accepted: None,
                },
            },
        ),
        request(17, Request::ChangeSettings { draft: settings_draft() }),
        request(16, Request::SetAway { away: true }),
        request(19, Request::Blocks),
        request(20, Request::Block { user: user("mallory") }),
        request(21, Request::Unblock { user: user("mallory") }),
        request(17, Request::Privacy),
        request(18, Request::SetPrivacy { privacy: PrivacyView { presence: Audience::Nobody } }),
        request(14, Request::Devices),
        request(15, Request::RevokeDevice { device: device("old-laptop") }),
        request(13, Request::RefreshToken { token: "eyJhbGciOi…".to_owned() }),
    ];
    frames.extend((14..).zip(of_groups()).map(|(id, change)| request(id, change)));
    frames.extend((22..).zip(changes()).map(|(id, change)| request(id, change)));
    frames
}

/// What is asked of groups, besides who is in them.
fn of_groups() -> Vec<Request> {
    let (conversation, client_id) = (group(), Some(client_id()));
    vec![
        Request::ChangeGroup { conversation: conversation.clone(), client_id, patch: patch() },
        Request::ChangeRole { conversation: conversation.clone(), client_id, user: user("dave"), role: Role::Admin },
        Request::BanMember { conversation: conversation.clone(), client_id, user: user("mallory") },
        Request::UnbanMember { conversation: conversation.clone(), client_id, user: user("mallory") },
        Request::CreateInvite {
            conversation: conversation.clone(),
            secret: Some(invite().secret().to_owned()),
            expires_at: Some(TIME + 86_400_000),
            uses_max: Some(10),
        },
        Request::RevokeInvite { conversation: conversation.clone(), invite: invite().id() },
        Request::Invites { conversation: conversation.clone() },
        Request::Join { code: invite().to_string() },
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
        ServerFrame::Invite { id: 18, invite: invite_view(true) },
        ServerFrame::Invites { id: 20, page: invite_page() },
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
        ServerFrame::Marked { id: 14, marked: marked() },
        ServerFrame::Marks { id: 15, page: mark_page() },
        ServerFrame::MarksChanged { marks: bobs_marks() },
        ServerFrame::Receipts { id: 16, page: receipt_page() },
        ServerFrame::Reactors { id: 17, page: reactor_page() },
        ServerFrame::Overview { id: 18, page: overview_page() },
        ServerFrame::Arranged { id: 19, arranged: arranged() },
        ServerFrame::ArrangementChanged { arranged: arranged() },
        ServerFrame::Settings { id: 17, settings: settings() },
        ServerFrame::SettingsChanged { settings: settings() },
        ServerFrame::Pong { id: 1 },
        ServerFrame::GoingAway { reconnect_after_ms: 1_740 },
        ServerFrame::Error { id: Some(2), error: refusal() },
    ];
    frames.extend(events().into_iter().map(|event| ServerFrame::Event { position: position(), event }));
    frames
}
