//! Golden texts of the frames that clients send.

use natter_ids::DeviceId;
use natter_protocol::{Audience, ClientFrame, Hello, PrivacyView, Request, decode_client_frame};

use crate::golden::{Golden, bob, check, client_id, direct, group, position, tags, types};

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
            frame(Request::Send { conversation: direct(), client_id: client_id(), text: "hi \"bob\"\n".to_owned() }),
            r#"{"id":7,"type":"send","conversation":"dmI9aXkWZ1WSl4RCA8TA-tQ","client_id":"0190163d-8694-739b-aea5-966c26f8ad91","text":"hi \"bob\"\n"}"#,
        ),
        (frame(Request::OpenDirect { user: bob() }), r#"{"id":7,"type":"open_direct","user":"b.o*b 🦀"}"#),
        (
            frame(Request::CreateGroup { client_id: client_id(), name: "crew".to_owned(), members: vec![bob()] }),
            r#"{"id":7,"type":"create_group","client_id":"0190163d-8694-739b-aea5-966c26f8ad91","name":"crew","members":["b.o*b 🦀"]}"#,
        ),
        (
            frame(Request::AddMember { conversation: group(), user: bob() }),
            r#"{"id":7,"type":"add_member","conversation":"gZy2ovWHEd34Jw_HHBEW65g","user":"b.o*b 🦀"}"#,
        ),
        (
            frame(Request::RemoveMember { conversation: group(), user: bob() }),
            r#"{"id":7,"type":"remove_member","conversation":"gZy2ovWHEd34Jw_HHBEW65g","user":"b.o*b 🦀"}"#,
        ),
        (
            frame(Request::Leave { conversation: group() }),
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
            frame(Request::History { conversation: direct(), before: Some(300), after: Some(7), limit: Some(20) }),
            r#"{"id":7,"type":"history","conversation":"dmI9aXkWZ1WSl4RCA8TA-tQ","before":300,"after":7,"limit":20}"#,
        ),
        (frame(Request::Presence { users: vec![bob()] }), r#"{"id":7,"type":"presence","users":["b.o*b 🦀"]}"#),
        (
            frame(Request::WatchPresence { users: vec![bob()] }),
            r#"{"id":7,"type":"watch_presence","users":["b.o*b 🦀"]}"#,
        ),
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
            frame(Request::RefreshToken { token: "e.y.j".to_owned() }),
            r#"{"id":7,"type":"refresh_token","token":"e.y.j"}"#,
        ),
    ]
}

fn all() -> Vec<Golden<ClientFrame>> {
    [session(), conversations(), reads()].into_iter().flatten().collect()
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
