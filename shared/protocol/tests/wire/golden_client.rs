//! Golden texts of the frames that clients send.

use natter_ids::DeviceId;
use natter_protocol::{
    ArrangementDraft, Audience, ClientFrame, Hello, PrivacyView, Request, SettingsDraft, ShowRequests, Strangers,
    decode_client_frame,
};

use crate::golden::{Golden, bob, check, client_id, cursor, direct, group, overview, position, tags, types};

fn session() -> Vec<Golden<ClientFrame>> {
    let device = || DeviceId::new("phone-1").unwrap();
    vec![
        (
            ClientFrame::Hello(Hello { device: device(), name: None, position: None, token: None }),
            r#"{"type":"hello","device":"phone-1"}"#,
        ),
        (
            ClientFrame::Hello(Hello {
                device: device(),
                name: Some("Alice's phone".to_owned()),
                position: Some(position()),
                token: Some("e.y.j".to_owned()),
            }),
            r#"{"type":"hello","device":"phone-1","name":"Alice's phone","position":"1.AAGsAgc","token":"e.y.j"}"#,
        ),
        (
            ClientFrame::Typing { conversation: direct(), stopped: false },
            r#"{"type":"typing","conversation":"dmI9aXkWZ1WSl4RCA8TA-tQ"}"#,
        ),
        (
            ClientFrame::Typing { conversation: direct(), stopped: true },
            r#"{"type":"typing","conversation":"dmI9aXkWZ1WSl4RCA8TA-tQ","stopped":true}"#,
        ),
        (ClientFrame::Ping { id: 9 }, r#"{"type":"ping","id":9}"#),
    ]
}

fn conversations() -> Vec<Golden<ClientFrame>> {
    let frame = |request| ClientFrame::Request { id: 7, traceparent: None, request };
    vec![
        (
            frame(Request::send(direct(), client_id(), "hi \"bob\"\n")),
            r#"{"id":7,"type":"send","conversation":"dmI9aXkWZ1WSl4RCA8TA-tQ","client_id":"0190163d-8694-739b-aea5-966c26f8ad91","text":"hi \"bob\"\n"}"#,
        ),
        (frame(Request::OpenDirect { user: bob() }), r#"{"id":7,"type":"open_direct","user":"b.o*b 🦀"}"#),
        (
            frame(Request::CreateGroup { client_id: client_id(), name: "crew".to_owned(), members: vec![bob()] }),
            r#"{"id":7,"type":"create_group","client_id":"0190163d-8694-739b-aea5-966c26f8ad91","name":"crew","members":["b.o*b 🦀"]}"#,
        ),
        (
            frame(Request::AddMember { conversation: group(), client_id: None, user: bob() }),
            r#"{"id":7,"type":"add_member","conversation":"gZy2ovWHEd34Jw_HHBEW65g","user":"b.o*b 🦀"}"#,
        ),
        (
            frame(Request::RemoveMember { conversation: group(), client_id: None, user: bob() }),
            r#"{"id":7,"type":"remove_member","conversation":"gZy2ovWHEd34Jw_HHBEW65g","user":"b.o*b 🦀"}"#,
        ),
        (
            frame(Request::Leave { conversation: group(), client_id: None }),
            r#"{"id":7,"type":"leave","conversation":"gZy2ovWHEd34Jw_HHBEW65g"}"#,
        ),
    ]
}

fn reads() -> Vec<Golden<ClientFrame>> {
    let frame = |request| ClientFrame::Request { id: 7, traceparent: None, request };
    vec![
        (frame(Request::Conversations { after: None, limit: None }), r#"{"id":7,"type":"conversations"}"#),
        (
            frame(Request::Conversations { after: Some(direct()), limit: Some(20) }),
            r#"{"id":7,"type":"conversations","after":"dmI9aXkWZ1WSl4RCA8TA-tQ","limit":20}"#,
        ),
        (
            frame(Request::Members { conversation: group(), after: Some(bob()), limit: Some(20) }),
            r#"{"id":7,"type":"members","conversation":"gZy2ovWHEd34Jw_HHBEW65g","after":"b.o*b 🦀","limit":20}"#,
        ),
        (
            frame(Request::History {
                conversation: direct(),
                before: Some(300),
                after: Some(7),
                limit: Some(20),
                edits: false,
            }),
            r#"{"id":7,"type":"history","conversation":"dmI9aXkWZ1WSl4RCA8TA-tQ","before":300,"after":7,"limit":20}"#,
        ),
        (
            frame(Request::History { conversation: direct(), before: None, after: None, limit: None, edits: true }),
            r#"{"id":7,"type":"history","conversation":"dmI9aXkWZ1WSl4RCA8TA-tQ","edits":true}"#,
        ),
        (frame(Request::Presence { users: vec![bob()] }), r#"{"id":7,"type":"presence","users":["b.o*b 🦀"]}"#),
        (
            frame(Request::WatchPresence { users: vec![bob()] }),
            r#"{"id":7,"type":"watch_presence","users":["b.o*b 🦀"]}"#,
        ),
    ]
}

fn account() -> Vec<Golden<ClientFrame>> {
    let frame = |request| ClientFrame::Request { id: 7, traceparent: None, request };
    vec![
        (frame(Request::SetAway { away: true }), r#"{"id":7,"type":"set_away","away":true}"#),
        (frame(Request::Blocks), r#"{"id":7,"type":"blocks"}"#),
        (frame(Request::Block { user: bob() }), r#"{"id":7,"type":"block","user":"b.o*b 🦀"}"#),
        (frame(Request::Unblock { user: bob() }), r#"{"id":7,"type":"unblock","user":"b.o*b 🦀"}"#),
        (frame(Request::Privacy), r#"{"id":7,"type":"privacy"}"#),
        (
            frame(Request::SetPrivacy { privacy: PrivacyView { presence: Audience::Nobody } }),
            r#"{"id":7,"type":"set_privacy","presence":"nobody"}"#,
        ),
        (frame(Request::Devices), r#"{"id":7,"type":"devices"}"#),
        (
            frame(Request::RevokeDevice { device: DeviceId::new("phone-1").unwrap() }),
            r#"{"id":7,"type":"revoke_device","device":"phone-1"}"#,
        ),
        (
            frame(Request::Mark { conversation: direct(), delivered: Some(9), read: Some(7) }),
            r#"{"id":7,"type":"mark","conversation":"dmI9aXkWZ1WSl4RCA8TA-tQ","delivered":9,"read":7}"#,
        ),
        (
            frame(Request::Marks { since: Some(position()), limit: Some(20) }),
            r#"{"id":7,"type":"marks","since":"1.AAGsAgc","limit":20}"#,
        ),
        (
            frame(Request::Receipts { conversation: group(), seq: 300, after: Some(bob()), limit: Some(20) }),
            r#"{"id":7,"type":"receipts","conversation":"gZy2ovWHEd34Jw_HHBEW65g","seq":300,"after":"b.o*b 🦀","limit":20}"#,
        ),
        (
            frame(Request::Reactors {
                conversation: group(),
                target: 300,
                emoji: Some("🦀".to_owned()),
                after: Some(bob()),
                limit: Some(20),
            }),
            r#"{"id":7,"type":"reactors","conversation":"gZy2ovWHEd34Jw_HHBEW65g","target":300,"emoji":"🦀","after":"b.o*b 🦀","limit":20}"#,
        ),
        (
            frame(Request::Overview {
                since: Some(overview()),
                after: Some(cursor()),
                limit: Some(20),
                requests: ShowRequests::Only,
            }),
            r#"{"id":7,"type":"overview","since":"1.AAGsAgc~1.AAGsAgc","after":"1~1718000000123~dmI9aXkWZ1WSl4RCA8TA-tQ~1.AAGsAgc~1.AAGsAgc","limit":20,"requests":"only"}"#,
        ),
        (
            frame(Request::Arrange {
                conversation: group(),
                draft: ArrangementDraft {
                    muted_until: Some(0),
                    pinned: Some(true),
                    archived: None,
                    accepted: Some(true),
                },
            }),
            r#"{"id":7,"type":"arrange","conversation":"gZy2ovWHEd34Jw_HHBEW65g","muted_until":0,"pinned":true,"accepted":true}"#,
        ),
        (
            frame(Request::ChangeSettings {
                draft: SettingsDraft { read_receipts: Some(false), strangers: Some(Strangers::Request) },
            }),
            r#"{"id":7,"type":"change_settings","read_receipts":false,"strangers":"request"}"#,
        ),
        (
            frame(Request::RefreshToken { token: "e.y.j".to_owned() }),
            r#"{"id":7,"type":"refresh_token","token":"e.y.j"}"#,
        ),
    ]
}

fn changes() -> Vec<Golden<ClientFrame>> {
    let frame = |request| ClientFrame::Request { id: 7, traceparent: None, request };
    let (conversation, client_id, target) = (direct(), client_id(), 300);
    vec![
        (
            frame(Request::Send {
                conversation: direct(),
                client_id,
                text: "ho".to_owned(),
                reply_to: Some(300),
                mentions: vec![bob()],
            }),
            r#"{"id":7,"type":"send","conversation":"dmI9aXkWZ1WSl4RCA8TA-tQ","client_id":"0190163d-8694-739b-aea5-966c26f8ad91","text":"ho","reply_to":300,"mentions":["b.o*b 🦀"]}"#,
        ),
        (
            frame(Request::Forward { conversation: group(), client_id, from: direct(), target, hide_sender: false }),
            r#"{"id":7,"type":"forward","conversation":"gZy2ovWHEd34Jw_HHBEW65g","client_id":"0190163d-8694-739b-aea5-966c26f8ad91","from":"dmI9aXkWZ1WSl4RCA8TA-tQ","target":300}"#,
        ),
        (
            frame(Request::Edit {
                conversation: direct(),
                client_id,
                target,
                text: "ho".to_owned(),
                mentions: vec![bob()],
            }),
            r#"{"id":7,"type":"edit","conversation":"dmI9aXkWZ1WSl4RCA8TA-tQ","client_id":"0190163d-8694-739b-aea5-966c26f8ad91","target":300,"text":"ho","mentions":["b.o*b 🦀"]}"#,
        ),
        (
            frame(Request::Edit {
                conversation: direct(),
                client_id,
                target,
                text: "ho".to_owned(),
                mentions: Vec::new(),
            }),
            r#"{"id":7,"type":"edit","conversation":"dmI9aXkWZ1WSl4RCA8TA-tQ","client_id":"0190163d-8694-739b-aea5-966c26f8ad91","target":300,"text":"ho"}"#,
        ),
        (
            frame(Request::Delete { conversation: direct(), client_id, target }),
            r#"{"id":7,"type":"delete","conversation":"dmI9aXkWZ1WSl4RCA8TA-tQ","client_id":"0190163d-8694-739b-aea5-966c26f8ad91","target":300}"#,
        ),
        (
            frame(Request::React { conversation: direct(), client_id, target, emoji: "🦀".to_owned(), on: true }),
            r#"{"id":7,"type":"react","conversation":"dmI9aXkWZ1WSl4RCA8TA-tQ","client_id":"0190163d-8694-739b-aea5-966c26f8ad91","target":300,"emoji":"🦀","on":true}"#,
        ),
        (
            frame(Request::Pin { conversation: direct(), client_id, target }),
            r#"{"id":7,"type":"pin","conversation":"dmI9aXkWZ1WSl4RCA8TA-tQ","client_id":"0190163d-8694-739b-aea5-966c26f8ad91","target":300}"#,
        ),
        (
            frame(Request::Unpin { conversation: direct(), client_id, target }),
            r#"{"id":7,"type":"unpin","conversation":"dmI9aXkWZ1WSl4RCA8TA-tQ","client_id":"0190163d-8694-739b-aea5-966c26f8ad91","target":300}"#,
        ),
        (
            frame(Request::SetTimer { conversation: direct(), client_id, seconds: 3600 }),
            r#"{"id":7,"type":"set_timer","conversation":"dmI9aXkWZ1WSl4RCA8TA-tQ","client_id":"0190163d-8694-739b-aea5-966c26f8ad91","seconds":3600}"#,
        ),
        (
            frame(Request::Pinned { conversation, before: Some(300), limit: Some(20) }),
            r#"{"id":7,"type":"pinned","conversation":"dmI9aXkWZ1WSl4RCA8TA-tQ","before":300,"limit":20}"#,
        ),
    ]
}

fn all() -> Vec<Golden<ClientFrame>> {
    let groups = crate::golden_groups::requests();
    [session(), conversations(), groups, reads(), account(), changes()].into_iter().flatten().collect()
}

#[test]
fn client_frames_are_pinned() {
    check(&all());
    for (frame, text) in all() {
        assert_eq!(decode_client_frame(text).unwrap(), frame);
    }
}

#[test]
fn every_client_frame_is_pinned() {
    assert_eq!(tags(&all(), "type"), types("client frame", &schemars::schema_for!(ClientFrame), "type"));
}

/// What older clients may leave out or write differently.
#[test]
fn short_forms_are_read() {
    let same = [
        (r#"{"type":"ping"}"#, r#"{"type":"ping","id":0}"#),
        (r#"{"type":"hello","device":"d","position":null,"token":null}"#, r#"{"type":"hello","device":"d"}"#),
        (
            r#"{"name":"crew","client_id":"0190163d-8694-739b-aea5-966c26f8ad91","id":1,"type":"create_group"}"#,
            r#"{"type":"create_group","id":1,"client_id":"0190163d-8694-739b-aea5-966c26f8ad91","name":"crew","members":[]}"#,
        ),
        (r#" { "type" : "\u0070ing" , "id" : 3 } "#, r#"{"type":"ping","id":3}"#),
    ];
    for (short, full) in same {
        assert_eq!(decode_client_frame(short).unwrap(), decode_client_frame(full).unwrap(), "{short}");
    }
}
