//! Random values of every wire type.

mod marks;

use natter_ids::{ClientId, ConversationId, DeviceId, InviteId, Position, Seq, SessionId, UserId};
use natter_protocol::{
    Arrangement, ArrangementDraft, ArrangementView, Audience, BlockPage, BlockView, Change, ClientFrame,
    ConversationPage, ConversationView, DevicePage, DeviceView, Entry, ErrorBody, ErrorCode, Event, Forwarded,
    GroupPatch, GroupSettings, Hello, HistoryPage, InvitePage, InviteView, Limits, MarkPage, MarkView, MarkedView,
    MarksView, MemberPage, MemberView, MessageState, OverviewCursor, OverviewItem, OverviewPage, OverviewPosition,
    Past, PresenceView, PrivacyView, ReactionView, ReactorPage, ReactorView, ReceiptPage, Request, Role, ServerFrame,
    SettingsDraft, SettingsView, ShowRequests, Strangers, Who,
};
use proptest::{collection::vec, option, prelude::*, sample::select};

use self::marks::{mark_frame, mark_request, overview_frame};

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
    select(vec![Role::Owner, Role::Admin, Role::Member])
}

fn forwarded() -> impl Strategy<Value = Forwarded> {
    option::of(user()).prop_map(|sender| Forwarded { sender })
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        [user(), user()].prop_map(|peers| Change::DirectOpened { peers }),
        (text(), vec(user(), 0..4)).prop_map(|(name, members)| Change::GroupCreated { name, members }),
        (text(), option::of(seq()), option::of(forwarded()), vec(user(), 0..3))
            .prop_map(|(text, reply_to, forwarded, mentions)| Change::Message { text, reply_to, forwarded, mentions }),
        user().prop_map(|user| Change::MemberAdded { user }),
        user().prop_map(|user| Change::MemberRemoved { user }),
        Just(Change::MemberLeft {}),
        group_change(),
        message_change(),
    ]
}

fn invite() -> impl Strategy<Value = InviteId> {
    "[A-Za-z0-9_-]{22}".prop_map(|text| InviteId::new(text).unwrap())
}

fn patch() -> impl Strategy<Value = GroupPatch> {
    let who = || option::of(select(vec![Who::Everybody, Who::Admins]));
    let past = option::of(select(vec![Past::SinceJoined, Past::All]));
    (option::of(text()), option::of(text()), option::of(text()), who(), who(), past).prop_map(
        |(name, description, avatar, write, add, past)| GroupPatch { name, description, avatar, write, add, past },
    )
}

fn group_change() -> impl Strategy<Value = Change> {
    let bounds = || (option::of(any::<u64>()), option::of(any::<u32>()));
    prop_oneof![
        invite().prop_map(|invite| Change::MemberJoined { invite }),
        user().prop_map(|user| Change::MemberBanned { user }),
        user().prop_map(|user| Change::MemberUnbanned { user }),
        (user(), role()).prop_map(|(user, role)| Change::RoleChanged { user, role }),
        patch().prop_map(|patch| Change::GroupChanged { patch }),
        (invite(), bounds()).prop_map(|(invite, (expires_at, uses_max))| Change::InviteCreated {
            invite,
            expires_at,
            uses_max
        }),
        (invite(), bounds(), any::<u32>()).prop_map(|(invite, (expires_at, uses_max), uses)| Change::InviteUsed {
            invite,
            expires_at,
            uses_max,
            uses
        }),
        invite().prop_map(|invite| Change::InviteRevoked { invite }),
    ]
}

fn message_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (seq(), text(), vec(user(), 0..3)).prop_map(|(target, text, mentions)| Change::Edited {
            target,
            text,
            mentions
        }),
        seq().prop_map(|target| Change::Deleted { target }),
        (seq(), text(), any::<bool>()).prop_map(|(target, emoji, on)| Change::Reacted { target, emoji, on }),
        seq().prop_map(|target| Change::Pinned { target }),
        seq().prop_map(|target| Change::Unpinned { target }),
        any::<u32>().prop_map(|seconds| Change::TimerSet { seconds }),
        text().prop_map(|was| Change::Erased { was }),
    ]
}

fn group_request() -> impl Strategy<Value = Request> {
    let of = || (conversation(), user());
    let id = || option::of(client_id());
    prop_oneof![
        (conversation(), id(), patch()).prop_map(|(conversation, client_id, patch)| Request::ChangeGroup {
            conversation,
            client_id,
            patch
        }),
        (of(), id(), role()).prop_map(|((conversation, user), client_id, role)| Request::ChangeRole {
            conversation,
            client_id,
            user,
            role
        }),
        (of(), id()).prop_map(|((conversation, user), client_id)| Request::BanMember { conversation, client_id, user }),
        (of(), id()).prop_map(|((conversation, user), client_id)| Request::UnbanMember {
            conversation,
            client_id,
            user
        }),
        (conversation(), option::of(text()), option::of(any::<u64>()), option::of(any::<u32>())).prop_map(
            |(conversation, secret, expires_at, uses_max)| Request::CreateInvite {
                conversation,
                secret,
                expires_at,
                uses_max
            }
        ),
        (conversation(), invite()).prop_map(|(conversation, invite)| Request::RevokeInvite { conversation, invite }),
        conversation().prop_map(|conversation| Request::Invites { conversation }),
        text().prop_map(|code| Request::Join { code }),
    ]
}

fn state() -> impl Strategy<Value = MessageState> {
    let reaction = (text(), any::<u32>(), any::<bool>());
    let reaction = reaction.prop_map(|(emoji, count, mine)| ReactionView { emoji, count, mine });
    let time = || option::of(any::<u64>());
    (seq(), time(), time(), vec(reaction, 0..3), any::<bool>()).prop_map(
        |(seq, edited_at, expires_at, reactions, pinned)| MessageState {
            seq,
            edited_at,
            expires_at,
            reactions,
            pinned,
        },
    )
}

/// Requests that change messages.
fn change_request() -> impl Strategy<Value = Request> {
    let of = || (conversation(), client_id(), seq());
    prop_oneof![
        (of(), text(), vec(user(), 0..3)).prop_map(|((conversation, client_id, target), text, mentions)| {
            Request::Edit { conversation, client_id, target, text, mentions }
        }),
        (of(), conversation(), any::<bool>()).prop_map(|((conversation, client_id, target), from, hide_sender)| {
            Request::Forward { conversation, client_id, from, target, hide_sender }
        }),
        of().prop_map(|(conversation, client_id, target)| Request::Delete { conversation, client_id, target }),
        (of(), text(), any::<bool>()).prop_map(|((conversation, client_id, target), emoji, on)| Request::React {
            conversation,
            client_id,
            target,
            emoji,
            on
        }),
        of().prop_map(|(conversation, client_id, target)| Request::Pin { conversation, client_id, target }),
        of().prop_map(|(conversation, client_id, target)| Request::Unpin { conversation, client_id, target }),
        (conversation(), client_id(), any::<u32>()).prop_map(|(conversation, client_id, seconds)| Request::SetTimer {
            conversation,
            client_id,
            seconds
        }),
        (conversation(), option::of(seq()), option::of(any::<u32>()))
            .prop_map(|(conversation, before, limit)| Request::Pinned { conversation, before, limit }),
        (conversation(), seq(), option::of(text()), option::of(user()), option::of(any::<u32>())).prop_map(
            |(conversation, target, emoji, after, limit)| Request::Reactors {
                conversation,
                target,
                emoji,
                after,
                limit
            }
        ),
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
        (conversation(), client_id(), text(), option::of(seq()), vec(user(), 0..3)).prop_map(
            |(conversation, client_id, text, reply_to, mentions)| Request::Send {
                conversation,
                client_id,
                text,
                reply_to,
                mentions
            }
        ),
        user().prop_map(|user| Request::OpenDirect { user }),
        (client_id(), text(), vec(user(), 0..4)).prop_map(|(client_id, name, members)| Request::CreateGroup {
            client_id,
            name,
            members
        }),
        (group(), option::of(client_id())).prop_map(|((conversation, user), client_id)| Request::AddMember {
            conversation,
            client_id,
            user
        }),
        (group(), option::of(client_id())).prop_map(|((conversation, user), client_id)| Request::RemoveMember {
            conversation,
            client_id,
            user
        }),
        (conversation(), option::of(client_id()))
            .prop_map(|(conversation, client_id)| Request::Leave { conversation, client_id }),
        (option::of(conversation()), limit()).prop_map(|(after, limit)| Request::Conversations { after, limit }),
        (conversation(), option::of(user()), limit()).prop_map(|(conversation, after, limit)| Request::Members {
            conversation,
            after,
            limit
        }),
        (conversation(), option::of(seq()), option::of(seq()), limit(), any::<bool>()).prop_map(
            |(conversation, before, after, limit, edits)| Request::History {
                conversation,
                before,
                after,
                limit,
                edits
            }
        ),
        change_request(),
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
        group_request(),
        mark_request(),
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
    any::<[u32; 13]>().prop_map(|values| {
        let [message, frame, members, name, page, overview, presence, about, avatar, invites, ..] = values;
        let [.., devices, blocks, device_name] = values;
        Limits {
            message_bytes_max: message,
            frame_bytes_max: frame,
            group_members_max: members,
            group_begun_members_max: members,
            group_name_bytes_max: name,
            group_description_bytes_max: about,
            group_avatar_bytes_max: avatar,
            group_invites_max: invites,
            page_items_max: page,
            overview_items_max: overview,
            presence_users_max: presence,
            devices_max: devices,
            blocks_max: blocks,
            device_name_bytes_max: device_name,
        }
    })
}

fn conversation_view() -> impl Strategy<Value = ConversationView> {
    let group = option::of(patch().prop_map(|patch| {
        let mut settings = GroupSettings::default();
        settings.apply(&patch);
        settings
    }));
    (conversation(), option::of(text()), option::of(user()), group, option::of(any::<u32>()), role(), seq()).prop_map(
        |(conversation, name, peer, group, timer_seconds, role, last_seq)| ConversationView {
            conversation,
            name,
            peer,
            group,
            timer_seconds,
            role,
            last_seq,
        },
    )
}

fn invite_view() -> impl Strategy<Value = InviteView> {
    let bounds = (option::of(any::<u64>()), option::of(any::<u32>()), any::<u32>());
    (conversation(), invite(), option::of(text()), bounds).prop_map(
        |(conversation, invite, code, (expires_at, uses_max, uses))| InviteView {
            conversation,
            invite,
            code,
            expires_at,
            uses_max,
            uses,
        },
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
        (any::<u64>(), invite_view()).prop_map(|(id, invite)| ServerFrame::Invite { id, invite }),
        (any::<u64>(), vec(invite_view(), 0..3))
            .prop_map(|(id, invites)| ServerFrame::Invites { id, page: InvitePage { invites } }),
        (any::<u64>(), vec(event(), 0..3), vec(state(), 0..3), any::<bool>()).prop_map(|(id, events, states, more)| {
            ServerFrame::History { id, page: HistoryPage { events, states, more } }
        }),
        (any::<u64>(), conversation(), seq(), vec((user(), vec(text(), 0..3)), 0..3), any::<bool>()).prop_map(
            |(id, conversation, target, reactors, more)| {
                let reactors = reactors.into_iter().map(|(user, emoji)| ReactorView { user, emoji }).collect();
                ServerFrame::Reactors { id, page: ReactorPage { conversation, target, reactors, more } }
            }
        ),
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
        mark_frame(),
        overview_frame(),
        any::<u32>().prop_map(|reconnect_after_ms| ServerFrame::GoingAway { reconnect_after_ms }),
        (option::of(any::<u64>()), error()).prop_map(|(id, error)| ServerFrame::Error { id, error }),
    ]
}
