//! Golden texts of the frames that gateways send.

use natter_ids::{DeviceId, SessionId};
use natter_protocol::{
    Arrangement, ArrangementView, Audience, BlockPage, BlockView, ConversationPage, ConversationView, DevicePage,
    DeviceView, ErrorBody, ErrorCode, GroupSettings, HistoryPage, Limits, MarkPage, MarkView, MarkedView, MarksView,
    MemberPage, MemberView, MessageState, OverviewItem, OverviewPage, PresenceView, PrivacyView, ReactionView,
    ReactorPage, ReactorView, ReceiptPage, Role, ServerFrame, SettingsView, Strangers,
};

use crate::golden::{
    Golden, alice, bob, check, client_id, cursor, direct, group, overview, position, said, tags, types,
};

fn session() -> Vec<Golden<ServerFrame>> {
    let limits = Limits {
        message_bytes_max: 65536,
        frame_bytes_max: 409_600,
        group_members_max: 1000,
        group_begun_members_max: 900,
        group_name_bytes_max: 256,
        group_description_bytes_max: 4096,
        group_avatar_bytes_max: 1024,
        group_invites_max: 20,
        page_items_max: 200,
        overview_items_max: 500,
        presence_users_max: 100,
        devices_max: 50,
        blocks_max: 1000,
        device_name_bytes_max: 128,
    };
    let welcome = ServerFrame::Welcome {
        session: SessionId::new("5f0c").unwrap(),
        user: alice(),
        server_time: 1_718_000_000_123,
        ping_interval_ms: 25_000,
        token_expires_at: 1_718_003_600_000,
        limits,
    };
    vec![
        (
            welcome,
            r#"{"type":"welcome","session":"5f0c","user":"alice","server_time":1718000000123,"ping_interval_ms":25000,"token_expires_at":1718003600000,"limits":{"message_bytes_max":65536,"frame_bytes_max":409600,"group_members_max":1000,"group_begun_members_max":900,"group_name_bytes_max":256,"group_description_bytes_max":4096,"group_avatar_bytes_max":1024,"group_invites_max":20,"page_items_max":200,"overview_items_max":500,"presence_users_max":100,"devices_max":50,"blocks_max":1000,"device_name_bytes_max":128}}"#,
        ),
        (ServerFrame::CaughtUp { position: position() }, r#"{"type":"caught_up","position":"1.AAGsAgc"}"#),
        (
            ServerFrame::ResumeDelayed { waiting_for: "storage".to_owned() },
            r#"{"type":"resume_delayed","waiting_for":"storage"}"#,
        ),
        (
            ServerFrame::Event { position: position(), event: said() },
            r#"{"type":"event","position":"1.AAGsAgc","conversation":"dmI9aXkWZ1WSl4RCA8TA-tQ","seq":300,"prev":7,"sender":"alice","client_id":"0190163d-8694-739b-aea5-966c26f8ad91","time":1718000000123,"kind":"message","text":"hi \"bob\"\n"}"#,
        ),
        (
            ServerFrame::TokenExpiring { expires_at: 1_718_003_600_000 },
            r#"{"type":"token_expiring","expires_at":1718003600000}"#,
        ),
        (
            ServerFrame::Refreshed { id: 7, expires_at: 1_718_007_200_000 },
            r#"{"type":"refreshed","id":7,"expires_at":1718007200000}"#,
        ),
        (ServerFrame::Pong { id: 9 }, r#"{"type":"pong","id":9}"#),
        (ServerFrame::GoingAway { reconnect_after_ms: 1500 }, r#"{"type":"going_away","reconnect_after_ms":1500}"#),
    ]
}

fn answers() -> Vec<Golden<ServerFrame>> {
    let of_group = ConversationView {
        conversation: group(),
        name: Some("crew".to_owned()),
        peer: None,
        group: Some(GroupSettings { avatar: "a".to_owned(), ..GroupSettings::default() }),
        timer_seconds: None,
        role: Role::Owner,
        last_seq: 12,
    };
    let of_direct = ConversationView {
        conversation: direct(),
        name: None,
        peer: Some(bob()),
        group: None,
        timer_seconds: None,
        role: Role::Member,
        last_seq: 300,
    };
    let accepted = |client_id| ServerFrame::Accepted {
        id: 7,
        conversation: direct(),
        client_id,
        seq: 300,
        time: 1_718_000_000_123,
    };
    vec![
        (
            accepted(Some(client_id())),
            r#"{"type":"accepted","id":7,"conversation":"dmI9aXkWZ1WSl4RCA8TA-tQ","client_id":"0190163d-8694-739b-aea5-966c26f8ad91","seq":300,"time":1718000000123}"#,
        ),
        (
            accepted(None),
            r#"{"type":"accepted","id":7,"conversation":"dmI9aXkWZ1WSl4RCA8TA-tQ","seq":300,"time":1718000000123}"#,
        ),
        (
            ServerFrame::Conversation { id: 7, conversation: of_direct },
            r#"{"type":"conversation","id":7,"conversation":"dmI9aXkWZ1WSl4RCA8TA-tQ","peer":"b.o*b 🦀","role":"member","last_seq":300}"#,
        ),
        (
            ServerFrame::Conversations { id: 7, page: ConversationPage { conversations: vec![of_group], more: true } },
            r#"{"type":"conversations","id":7,"conversations":[{"conversation":"gZy2ovWHEd34Jw_HHBEW65g","name":"crew","group":{"avatar":"a","write":"everybody","add":"everybody","past":"since_joined"},"role":"owner","last_seq":12}],"more":true}"#,
        ),
    ]
}

fn pages() -> Vec<Golden<ServerFrame>> {
    let members = vec![MemberView { user: alice(), role: Role::Owner }, MemberView { user: bob(), role: Role::Member }];
    let reactions = vec![ReactionView { emoji: "🦀".to_owned(), count: 2, mine: true }];
    let state = MessageState {
        seq: 300,
        edited_at: Some(1_718_000_000_999),
        expires_at: Some(1_718_000_009_999),
        reactions,
        pinned: true,
    };
    let away = PresenceView { user: bob(), online: false, away: false, last_seen: Some(1_718_000_000_123) };
    let here = PresenceView { user: bob(), online: true, away: false, last_seen: None };
    vec![
        (
            ServerFrame::Members { id: 7, page: MemberPage { conversation: group(), members, more: false } },
            r#"{"type":"members","id":7,"conversation":"gZy2ovWHEd34Jw_HHBEW65g","members":[{"user":"alice","role":"owner"},{"user":"b.o*b 🦀","role":"member"}],"more":false}"#,
        ),
        (
            ServerFrame::History { id: 7, page: HistoryPage { events: vec![said()], states: Vec::new(), more: false } },
            r#"{"type":"history","id":7,"events":[{"conversation":"dmI9aXkWZ1WSl4RCA8TA-tQ","seq":300,"prev":7,"sender":"alice","client_id":"0190163d-8694-739b-aea5-966c26f8ad91","time":1718000000123,"kind":"message","text":"hi \"bob\"\n"}],"more":false}"#,
        ),
        (
            ServerFrame::History { id: 7, page: HistoryPage { events: Vec::new(), states: vec![state], more: false } },
            r#"{"type":"history","id":7,"events":[],"states":[{"seq":300,"edited_at":1718000000999,"expires_at":1718000009999,"reactions":[{"emoji":"🦀","count":2,"mine":true}],"pinned":true}],"more":false}"#,
        ),
        (
            ServerFrame::Presence { id: 7, users: vec![away] },
            r#"{"type":"presence","id":7,"users":[{"user":"b.o*b 🦀","online":false,"last_seen":1718000000123}]}"#,
        ),
        (
            ServerFrame::Typing { conversation: direct(), user: bob(), expires_in_ms: 6_000 },
            r#"{"type":"typing","conversation":"dmI9aXkWZ1WSl4RCA8TA-tQ","user":"b.o*b 🦀","expires_in_ms":6000}"#,
        ),
        (
            ServerFrame::PresenceChanged { presence: here },
            r#"{"type":"presence_changed","user":"b.o*b 🦀","online":true}"#,
        ),
    ]
}

fn page_of_overview() -> OverviewPage {
    let view = ConversationView {
        conversation: direct(),
        name: None,
        peer: Some(bob()),
        group: None,
        timer_seconds: Some(3600),
        role: Role::Member,
        last_seq: 300,
    };
    let item = OverviewItem {
        view,
        active_at: 1_718_000_000_123,
        last: Some(said()),
        cut: false,
        unread: 2,
        mentions: 1,
        delivered: 300,
        read: 7,
        marks: vec![MarkView { user: bob(), delivered: 300, read: 7 }],
        arrangement: Arrangement { muted_until: None, pinned: true, archived: false, request: true },
    };
    OverviewPage { conversations: vec![item], gone: vec![group()], position: overview(), next: Some(cursor()) }
}

fn arranged() -> ArrangementView {
    let arrangement =
        Arrangement { muted_until: Some(1_718_000_000_123), pinned: false, archived: true, request: false };
    ArrangementView { conversation: group(), arrangement }
}

fn marks() -> Vec<Golden<ServerFrame>> {
    let mark = MarkView { user: bob(), delivered: 300, read: 7 };
    let of_bob = || MarksView { conversation: direct(), marks: vec![mark.clone()] };
    let page = MarkPage { conversations: vec![of_bob()], position: position(), more: true };
    let receipts = ReceiptPage {
        conversation: direct(),
        seq: 300,
        members: 1,
        delivered: 1,
        read: 0,
        marks: vec![mark.clone()],
        more: false,
    };
    let settings = SettingsView { read_receipts: false, strangers: Strangers::Request };
    let reactors = vec![ReactorView { user: bob(), emoji: vec!["🦀".to_owned(), ":+1:".to_owned()] }];
    let reactors = ReactorPage { conversation: group(), target: 300, reactors, more: false };
    vec![
        (
            ServerFrame::Marked { id: 7, marked: MarkedView { conversation: direct(), delivered: 9, read: 7 } },
            r#"{"type":"marked","id":7,"conversation":"dmI9aXkWZ1WSl4RCA8TA-tQ","delivered":9,"read":7}"#,
        ),
        (
            ServerFrame::Marks { id: 7, page },
            r#"{"type":"marks","id":7,"conversations":[{"conversation":"dmI9aXkWZ1WSl4RCA8TA-tQ","marks":[{"user":"b.o*b 🦀","delivered":300,"read":7}]}],"position":"1.AAGsAgc","more":true}"#,
        ),
        (
            ServerFrame::MarksChanged { marks: of_bob() },
            r#"{"type":"marks_changed","conversation":"dmI9aXkWZ1WSl4RCA8TA-tQ","marks":[{"user":"b.o*b 🦀","delivered":300,"read":7}]}"#,
        ),
        (
            ServerFrame::Receipts { id: 7, page: receipts },
            r#"{"type":"receipts","id":7,"conversation":"dmI9aXkWZ1WSl4RCA8TA-tQ","seq":300,"members":1,"delivered":1,"read":0,"marks":[{"user":"b.o*b 🦀","delivered":300,"read":7}],"more":false}"#,
        ),
        (
            ServerFrame::Reactors { id: 7, page: reactors },
            r#"{"type":"reactors","id":7,"conversation":"gZy2ovWHEd34Jw_HHBEW65g","target":300,"reactors":[{"user":"b.o*b 🦀","emoji":["🦀",":+1:"]}],"more":false}"#,
        ),
        (
            ServerFrame::Settings { id: 7, settings: settings.clone() },
            r#"{"type":"settings","id":7,"read_receipts":false,"strangers":"request"}"#,
        ),
        (
            ServerFrame::Overview { id: 7, page: page_of_overview() },
            r#"{"type":"overview","id":7,"conversations":[{"conversation":"dmI9aXkWZ1WSl4RCA8TA-tQ","peer":"b.o*b 🦀","timer_seconds":3600,"role":"member","last_seq":300,"active_at":1718000000123,"last":{"conversation":"dmI9aXkWZ1WSl4RCA8TA-tQ","seq":300,"prev":7,"sender":"alice","client_id":"0190163d-8694-739b-aea5-966c26f8ad91","time":1718000000123,"kind":"message","text":"hi \"bob\"\n"},"cut":false,"unread":2,"mentions":1,"delivered":300,"read":7,"marks":[{"user":"b.o*b 🦀","delivered":300,"read":7}],"pinned":true,"archived":false,"request":true}],"gone":["gZy2ovWHEd34Jw_HHBEW65g"],"position":"1.AAGsAgc~1.AAGsAgc","next":"1~1718000000123~dmI9aXkWZ1WSl4RCA8TA-tQ~1.AAGsAgc~1.AAGsAgc"}"#,
        ),
        (
            ServerFrame::Arranged { id: 7, arranged: arranged() },
            r#"{"type":"arranged","id":7,"conversation":"gZy2ovWHEd34Jw_HHBEW65g","muted_until":1718000000123,"pinned":false,"archived":true}"#,
        ),
        (
            ServerFrame::ArrangementChanged { arranged: arranged() },
            r#"{"type":"arrangement_changed","conversation":"gZy2ovWHEd34Jw_HHBEW65g","muted_until":1718000000123,"pinned":false,"archived":true}"#,
        ),
        (
            ServerFrame::SettingsChanged { settings },
            r#"{"type":"settings_changed","read_receipts":false,"strangers":"request"}"#,
        ),
    ]
}

fn devices() -> Vec<Golden<ServerFrame>> {
    let privacy = PrivacyView { presence: Audience::Contacts };
    let block = BlockView { user: bob(), conversation: direct(), after: 300, since: 1_718_000_000_123 };
    let device = |name: &str| DeviceId::new(name).unwrap();
    let (first_seen, last_seen) = (1_718_000_000_123, 1_718_000_000_456);
    let name = Some("Alice's phone".to_owned());
    let here = DeviceView { device: device("phone-1"), name, first_seen, last_seen, connected: true, current: true };
    let gone = DeviceView { device: device("d"), name: None, connected: false, current: false, ..here.clone() };
    vec![
        (ServerFrame::Privacy { id: 7, privacy }, r#"{"type":"privacy","id":7,"presence":"contacts"}"#),
        (
            ServerFrame::Blocks { id: 7, page: BlockPage { blocks: vec![block] } },
            r#"{"type":"blocks","id":7,"blocks":[{"user":"b.o*b 🦀","conversation":"dmI9aXkWZ1WSl4RCA8TA-tQ","after":300,"since":1718000000123}]}"#,
        ),
        (
            ServerFrame::Unblocked { user: bob(), conversation: direct(), after: 300 },
            r#"{"type":"unblocked","user":"b.o*b 🦀","conversation":"dmI9aXkWZ1WSl4RCA8TA-tQ","after":300}"#,
        ),
        (ServerFrame::Done { id: 7 }, r#"{"type":"done","id":7}"#),
        (
            ServerFrame::Devices { id: 7, page: DevicePage { devices: vec![here, gone] } },
            r#"{"type":"devices","id":7,"devices":[{"device":"phone-1","name":"Alice's phone","first_seen":1718000000123,"last_seen":1718000000456,"connected":true,"current":true},{"device":"d","first_seen":1718000000123,"last_seen":1718000000456,"connected":false,"current":false}]}"#,
        ),
    ]
}

fn errors() -> Vec<Golden<ServerFrame>> {
    let limited = ErrorBody::new(ErrorCode::RateLimited).limit("user_requests_per_sec").retry_after_ms(40);
    vec![
        (
            ServerFrame::Error { id: Some(7), error: limited },
            r#"{"type":"error","id":7,"code":"rate_limited","message":"Too many requests in a short time.","retry_after_ms":40,"limit":"user_requests_per_sec"}"#,
        ),
        (
            ServerFrame::Error { id: None, error: ErrorCode::OutOfState.into() },
            r#"{"type":"error","code":"out_of_state","message":"The frame does not fit the state of the session."}"#,
        ),
    ]
}

fn all() -> Vec<Golden<ServerFrame>> {
    let groups = crate::golden_groups::answers();
    [session(), answers(), groups, pages(), marks(), devices(), errors()].into_iter().flatten().collect()
}

#[test]
fn server_frames_are_pinned() {
    check(&all());
}

#[test]
fn every_server_frame_is_pinned() {
    assert_eq!(tags(&all(), "type"), types("server frame", &schemars::schema_for!(ServerFrame), "type"));
}
