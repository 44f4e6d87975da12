//! Golden texts of what groups bring with them.

use natter_ids::InviteId;
use natter_protocol::{
    Change, ClientFrame, Entry, GroupPatch, InvitePage, InviteView, Past, Request, Role, ServerFrame, Who,
};

use crate::golden::{Golden, alice, bob, client_id, group};

fn invite() -> InviteId {
    InviteId::new("q0V2ykR3m5mPS1zbQ2G9sA").unwrap()
}

fn patch() -> GroupPatch {
    GroupPatch {
        name: Some("crew".to_owned()),
        write: Some(Who::Admins),
        past: Some(Past::All),
        ..GroupPatch::default()
    }
}

fn view(code: Option<&str>, uses_max: Option<u32>) -> InviteView {
    let (code, expires_at) = (code.map(str::to_owned), uses_max.map(|_| 1_718_000_000_999));
    InviteView { conversation: group(), invite: invite(), code, expires_at, uses_max, uses: 1 }
}

pub fn entries() -> Vec<Golden<Entry>> {
    let entry = |change| Entry { sender: alice(), client_id: None, time: 1_718_000_000_123, change };
    let (bounds, none) = ((Some(1_718_000_000_999), Some(3)), (None, None));
    let created = |(expires_at, uses_max)| Change::InviteCreated { invite: invite(), expires_at, uses_max };
    let used = |(expires_at, uses_max)| Change::InviteUsed { invite: invite(), expires_at, uses_max, uses: 2 };
    vec![
        (
            entry(Change::MemberJoined { invite: invite() }),
            r#"{"sender":"alice","time":1718000000123,"kind":"member_joined","invite":"q0V2ykR3m5mPS1zbQ2G9sA"}"#,
        ),
        (
            entry(Change::MemberBanned { user: bob() }),
            r#"{"sender":"alice","time":1718000000123,"kind":"member_banned","user":"b.o*b 🦀"}"#,
        ),
        (
            entry(Change::MemberUnbanned { user: bob() }),
            r#"{"sender":"alice","time":1718000000123,"kind":"member_unbanned","user":"b.o*b 🦀"}"#,
        ),
        (
            entry(Change::RoleChanged { user: bob(), role: Role::Admin }),
            r#"{"sender":"alice","time":1718000000123,"kind":"role_changed","user":"b.o*b 🦀","role":"admin"}"#,
        ),
        (
            entry(Change::GroupChanged { patch: patch() }),
            r#"{"sender":"alice","time":1718000000123,"kind":"group_changed","name":"crew","write":"admins","past":"all"}"#,
        ),
        (
            entry(created(bounds)),
            r#"{"sender":"alice","time":1718000000123,"kind":"invite_created","invite":"q0V2ykR3m5mPS1zbQ2G9sA","expires_at":1718000000999,"uses_max":3}"#,
        ),
        (
            entry(used(none)),
            r#"{"sender":"alice","time":1718000000123,"kind":"invite_used","invite":"q0V2ykR3m5mPS1zbQ2G9sA","uses":2}"#,
        ),
        (
            entry(Change::InviteRevoked { invite: invite() }),
            r#"{"sender":"alice","time":1718000000123,"kind":"invite_revoked","invite":"q0V2ykR3m5mPS1zbQ2G9sA"}"#,
        ),
    ]
}

pub fn requests() -> Vec<Golden<ClientFrame>> {
    let frame = |request| ClientFrame::Request { id: 7, traceparent: None, request };
    vec![
        (
            frame(Request::ChangeGroup { conversation: group(), client_id: None, patch: patch() }),
            r#"{"id":7,"type":"change_group","conversation":"gZy2ovWHEd34Jw_HHBEW65g","name":"crew","write":"admins","past":"all"}"#,
        ),
        (
            frame(Request::ChangeRole {
                conversation: group(),
                client_id: Some(client_id()),
                user: bob(),
                role: Role::Owner,
            }),
            r#"{"id":7,"type":"change_role","conversation":"gZy2ovWHEd34Jw_HHBEW65g","client_id":"0190163d-8694-739b-aea5-966c26f8ad91","user":"b.o*b 🦀","role":"owner"}"#,
        ),
        (
            frame(Request::BanMember { conversation: group(), client_id: None, user: bob() }),
            r#"{"id":7,"type":"ban_member","conversation":"gZy2ovWHEd34Jw_HHBEW65g","user":"b.o*b 🦀"}"#,
        ),
        (
            frame(Request::UnbanMember { conversation: group(), client_id: None, user: bob() }),
            r#"{"id":7,"type":"unban_member","conversation":"gZy2ovWHEd34Jw_HHBEW65g","user":"b.o*b 🦀"}"#,
        ),
        (
            frame(Request::CreateInvite { conversation: group(), secret: None, expires_at: None, uses_max: Some(3) }),
            r#"{"id":7,"type":"create_invite","conversation":"gZy2ovWHEd34Jw_HHBEW65g","uses_max":3}"#,
        ),
        (
            frame(Request::RevokeInvite { conversation: group(), invite: invite() }),
            r#"{"id":7,"type":"revoke_invite","conversation":"gZy2ovWHEd34Jw_HHBEW65g","invite":"q0V2ykR3m5mPS1zbQ2G9sA"}"#,
        ),
        (
            frame(Request::Invites { conversation: group() }),
            r#"{"id":7,"type":"invites","conversation":"gZy2ovWHEd34Jw_HHBEW65g"}"#,
        ),
        (frame(Request::Join { code: "a.b".to_owned() }), r#"{"id":7,"type":"join","code":"a.b"}"#),
    ]
}

pub fn answers() -> Vec<Golden<ServerFrame>> {
    vec![
        (
            ServerFrame::Invite { id: 7, invite: view(Some("a.b"), Some(3)) },
            r#"{"type":"invite","id":7,"conversation":"gZy2ovWHEd34Jw_HHBEW65g","invite":"q0V2ykR3m5mPS1zbQ2G9sA","code":"a.b","expires_at":1718000000999,"uses_max":3,"uses":1}"#,
        ),
        (
            ServerFrame::Invites { id: 7, page: InvitePage { invites: vec![view(None, None)] } },
            r#"{"type":"invites","id":7,"invites":[{"conversation":"gZy2ovWHEd34Jw_HHBEW65g","invite":"q0V2ykR3m5mPS1zbQ2G9sA","uses":1}]}"#,
        ),
    ]
}
