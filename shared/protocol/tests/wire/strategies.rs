//! Random values of every wire type.

use natter_ids::{ClientId, ConversationId, DeviceId, Position, Seq, SessionId, UserId};
use natter_protocol::{
    Audience, BlockPage, BlockView, Change, ClientFrame, ConversationPage, ConversationView, DevicePage, DeviceView,
    Entry, ErrorBody, ErrorCode, Event, Hello, HistoryPage, Limits, MemberPage, MemberView, PresenceView, PrivacyView,
    Request, Role, ServerFrame,
};
use proptest::{collection::vec, option, prelude::*, sample::select};

/// Any text, control characters and all.
pub fn text() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..40).prop_map(String::from_iter)
}

pub fn user() -> impl Strategy<Value = UserId> {
    "[^\\p{Cc}]{1,32}".prop_map(|text| UserId::new(text).unwrap())
}

fn device() -> impl Strategy<Value = DeviceId> {
    "[A-Za-z0-9_-]{1,64}".prop_map(|text| DeviceId::new(text).unwrap())
}

pub fn conversation() -> impl Strategy<Value = ConversationId> {
    "[dg][A-Za-z0-9_-]{22}".prop_map(|text| ConversationId::parse(&text).unwrap())
}

fn client_id() -> impl Strategy<Value = ClientId> {
    (0_u64..1 << 48).prop_map(ClientId::at)
}

pub fn seq() -> impl Strategy<Value = Seq> {
    0..=i64::MAX as u64
}

pub fn position() -> impl Strategy<Value = Position> {
    vec(seq(), 1..64).prop_map(Position::from_seqs)
}

fn role() -> impl Strategy<Value = Role> {
    select(vec![Role::Owner, Role::Member])
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        [user(), user()].prop_map(|peers| Change::DirectOpened { peers }),
        (text(), vec(user(), 0..4)).prop_map(|(name, members)| Change::GroupCreated { name, members }),
        text().prop_map(|text| Change::Message { text }),
        user().prop_map(|user| Change::MemberAdded { user }),
        user().prop_map(|user| Change::MemberRemoved { user }),
        Just(Change::MemberLeft {}),
    ]
}

pub fn entry() -> impl Strategy<Value = Entry> {
    (user(), option::of(client_id()), any::<u64>(), change()).prop_map(|(sender, client_id, time, change)| Entry {
        sender,
        client_id,
        time,
        change,
    })
}

pub fn event() -> impl Strategy<Value = Event> {
    (conversation(), seq(), seq(), entry()).prop_map(|(conversation, seq, prev, entry)| Event {
        conversation,
        seq,
        prev,
        entry,
    })
}

fn request() -> impl Strategy<Value = Request> {
    let limit = || option::of(any::<u32>());
    let group = || (conversation(), user());
    prop_oneof![
        (conversation(), client_id(), text()).prop_map(|(conversation, client_id, text)| Request::Send {
            conversation,
            client_id,
            text
        }),
        user().prop_map(|user| Request::OpenDirect { user }),
        (client_id(), text(), vec(user(), 0..4)).prop_map(|(client_id, name, members)| Request::CreateGroup {
            client_id,
            name,
            members
        }),
        group().prop_map(|(conversation, user)| Request::AddMember { conversation, user }),
        group().prop_map(|(conversation, user)| Request::RemoveMember { conversation, user }),
        conversation().prop_map(|conversation| Request::Leave { conversation }),
        (option::of(conversation()), limit()).prop_map(|(after, limit)| Request::Conversations { after, limit }),
        (conversation(), option::of(user()), limit()).prop_map(|(conversation, after, limit)| Request::Members {
            conversation,
            after,
            limit
        }),
        (conversation(), option::of(seq()), option::of(seq()), limit())
            .prop_map(|(conversation, before, after, limit)| Request::History { conversation, before, after, limit }),
        vec(user(), 0..4).prop_map(|users| Request::Presence { users }),
        vec(user(), 0..4).prop_map(|users| Request::WatchPresence { users }),
        any::<bool>().prop_map(|away| Request::SetAway { away }),
        Just(Request::Blocks),
        user().prop_map(|user| Request::Block { user }),
        user().prop_map(|user| Request::Unblock { user }),
        Just(Request::Privacy),
        privacy().prop_map(|privacy| Request::SetPrivacy { privacy }),
        Just(Request::Devices),
        device().prop_map(|device| Request::RevokeDevice { device }),
        text().prop_map(|token| Request::RefreshToken { token }),
    ]
}

pub fn client_frame() -> impl Strategy<Value = ClientFrame> {
    prop_oneof![
        1 => (device(), option::of(text()), option::of(position()), option::of(text()))
            .prop_map(|(device, name, position, token)| ClientFrame::Hello(Hello { device, name, position, token })),
        1 => any::<u64>().prop_map(|id| ClientFrame::Ping { id }),
        1 => (conversation(), any::<bool>())
            .prop_map(|(conversation, stopped)| ClientFrame::Typing { conversation, stopped }),
        8 => (any::<u64>(), option::of(text()), request())
            .prop_map(|(id, traceparent, request)| ClientFrame::Request { id, traceparent, request }),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    any::<[u32; 9]>().prop_map(|[message, frame, members, name, page, presence, devices, blocks, device_name]| Limits {
        message_bytes_max: message,
        frame_bytes_max: frame,
        group_members_max: members,
        group_name_bytes_max: name,
        page_items_max: page,
        presence_users_max: presence,
        devices_max: devices,
        blocks_max: blocks,
        device_name_bytes_max: device_name,
    })
}

fn conversation_view() -> impl Strategy<Value = ConversationView> {
    (conversation(), option::of(text()), option::of(user()), role(), seq()).prop_map(
        |(conversation, name, peer, role, last_seq)| ConversationView { conversation, name, peer, role, last_seq },
    )
}

fn presence() -> impl Strategy<Value = PresenceView> {
    (user(), any::<bool>(), option::of(any::<u64>())).prop_map(|(user, online, last_seen)| PresenceView {
        user,
        online,
        away: false,
        last_seen,
    })
}

fn blocks() -> impl Strategy<Value = BlockPage> {
    let view = (user(), conversation(), seq(), any::<u64>()).prop_map(|(user, conversation, after, since)| BlockView {
        user,
        conversation,
        after,
        since,
    });
    vec(view, 0..3).prop_map(|blocks| BlockPage { blocks })
}

fn privacy() -> impl Strategy<Value = PrivacyView> {
    select(vec![Audience::Contacts, Audience::Nobody]).prop_map(|presence| PrivacyView { presence })
}

fn devices() -> impl Strategy<Value = DevicePage> {
    let view = (device(), option::of(text()), any::<(u64, u64)>(), any::<(bool, bool)>()).prop_map(
        |(device, name, (first_seen, last_seen), (connected, current))| DeviceView {
            device,
            name,
            first_seen,
            last_seen,
            connected,
            current,
        },
    );
    vec(view, 0..3).prop_map(|devices| DevicePage { devices })
}

fn error() -> impl Strategy<Value = ErrorBody> {
    (select(ErrorCode::ALL), text(), option::of(any::<u32>()), option::of(text()))
        .prop_map(|(code, message, retry_after_ms, limit)| ErrorBody { code, message, retry_after_ms, limit })
}

fn welcome() -> impl Strategy<Value = ServerFrame> {
    ("[a-f0-9]{32}", user(), any::<u64>(), any::<u32>(), any::<u64>(), limits()).prop_map(
        |(session, user, server_time, ping_interval_ms, token_expires_at, limits)| ServerFrame::Welcome {
            session: SessionId::new(session).unwrap(),
            user,
            server_time,
            ping_interval_ms,
            token_expires_at,
            limits,
        },
    )
}

fn page() -> impl Strategy<Value = ServerFrame> {
    let members = vec((user(), role()).prop_map(|(user, role)| MemberView { user, role }), 0..4);
    prop_oneof![
        (any::<u64>(), vec(conversation_view(), 0..3), any::<bool>()).prop_map(|(id, conversations, more)| {
            ServerFrame::Conversations { id, page: ConversationPage { conversations, more } }
        }),
        (any::<u64>(), conversation(), members, any::<bool>()).prop_map(|(id, conversation, members, more)| {
            ServerFrame::Members { id, page: MemberPage { conversation, members, more } }
        }),
        (any::<u64>(), vec(event(), 0..3), any::<bool>())
            .prop_map(|(id, events, more)| ServerFrame::History { id, page: HistoryPage { events, more } }),
    ]
}

pub fn server_frame() -> impl Strategy<Value = ServerFrame> {
    prop_oneof![
        welcome(),
        position().prop_map(|position| ServerFrame::CaughtUp { position }),
        text().prop_map(|waiting_for| ServerFrame::ResumeDelayed { waiting_for }),
        (position(), event()).prop_map(|(position, event)| ServerFrame::Event { position, event }),
        (any::<u64>(), conversation(), option::of(client_id()), seq(), any::<u64>()).prop_map(
            |(id, conversation, client_id, seq, time)| ServerFrame::Accepted { id, conversation, client_id, seq, time }
        ),
        (any::<u64>(), conversation_view())
            .prop_map(|(id, conversation)| ServerFrame::Conversation { id, conversation }),
        page(),
        (any::<u64>(), vec(presence(), 0..3)).prop_map(|(id, users)| ServerFrame::Presence { id, users }),
        presence().prop_map(|presence| ServerFrame::PresenceChanged { presence }),
        (any::<u64>(), blocks()).prop_map(|(id, page)| ServerFrame::Blocks { id, page }),
        (user(), conversation(), seq()).prop_map(|(user, conversation, after)| ServerFrame::Unblocked {
            user,
            conversation,
            after
        }),
        (any::<u64>(), privacy()).prop_map(|(id, privacy)| ServerFrame::Privacy { id, privacy }),
        any::<u64>().prop_map(|id| ServerFrame::Done { id }),
        (any::<u64>(), devices()).prop_map(|(id, page)| ServerFrame::Devices { id, page }),
        (conversation(), user(), any::<u32>()).prop_map(|(conversation, user, expires_in_ms)| ServerFrame::Typing {
            conversation,
            user,
            expires_in_ms,
        }),
        any::<u64>().prop_map(|expires_at| ServerFrame::TokenExpiring { expires_at }),
        any::<(u64, u64)>().prop_map(|(id, expires_at)| ServerFrame::Refreshed { id, expires_at }),
        any::<u64>().prop_map(|id| ServerFrame::Pong { id }),
        any::<u32>().prop_map(|reconnect_after_ms| ServerFrame::GoingAway { reconnect_after_ms }),
        (option::of(any::<u64>()), error()).prop_map(|(id, error)| ServerFrame::Error { id, error }),
    ]
}
